//! The same rules and the same contract, as a scan of an array.

use std::hint::black_box;

use schedulers::{Algorithm, RandomSource};

use crate::churn::{Xorshift, flow, weight};

/// A destination of the walk.
#[derive(Clone, Copy)]
pub(crate) struct Plain {
    weight: u32,
    active: u32,
    inactive: u32,
    upper: u32,
    usage: u16,
    overload: bool,
}

/// A handle of the walk: place and use.
type Handle = (u32, u16);

impl Plain {
    const fn may(&self) -> bool {
        !self.overload && self.weight > 0
    }

    const fn overhead(&self) -> u32 {
        (self.active << 8) + self.inactive
    }
}

/// The list of the walk, head first.
pub(crate) struct Walk {
    list: Vec<Plain>,
    cursor: usize,
    current: u32,
    alive: Vec<Handle>,
    random: Xorshift,
}

impl Walk {
    pub(crate) fn new(size: usize) -> Self {
        let plain = |n| Plain {
            weight: weight(size - 1 - n),
            active: 4,
            inactive: 0,
            upper: 0,
            usage: 1,
            overload: false,
        };
        Self {
            list: (0..size).map(plain).collect(),
            cursor: size - 1,
            current: 1,
            alive: (0..4 * size).map(|i| ((i % size) as u32, 1)).collect(),
            random: Xorshift(0x9e37_79b9_7f4a_7c15),
        }
    }

    fn least(&self, cost: impl Fn(&Plain) -> u32) -> Option<usize> {
        let mut found: Option<(usize, &Plain)> = None;
        for (i, d) in self.list.iter().enumerate().filter(|(_, d)| d.may()) {
            let better = found.is_none_or(|(_, best)| {
                i64::from(cost(best)) * i64::from(d.weight)
                    > i64::from(cost(d)) * i64::from(best.weight)
            });
            if better {
                found = Some((i, d));
            }
        }
        found.map(|(i, _)| i)
    }

    fn heaviest(&self, open: impl Fn(&Plain) -> bool) -> Option<usize> {
        let (mut found, mut most) = (None, 0);
        for (i, d) in self.list.iter().enumerate() {
            if !d.overload && d.weight > most && open(d) {
                (found, most) = (Some(i), d.weight);
            }
        }
        found
    }

    fn lc(&self) -> Option<usize> {
        let (mut found, mut least) = (None, u32::MAX);
        for (i, d) in self.list.iter().enumerate().filter(|(_, d)| d.may()) {
            if found.is_none() || d.overhead() < least {
                (found, least) = (Some(i), d.overhead());
            }
        }
        found
    }

    fn nq(&self) -> Option<usize> {
        let idle = self.list.iter().position(|d| d.may() && d.active == 0);
        idle.or_else(|| self.least(|d| d.active + 1))
    }

    fn next(&self, least: u32) -> Option<usize> {
        let fits = |&i: &usize| !self.list[i].overload && self.list[i].weight >= least;
        (self.cursor + 1..self.list.len()).find(fits)
    }

    fn rr(&mut self) -> Option<usize> {
        let again = || (0..=self.cursor).find(|&i| self.list[i].may());
        self.cursor = self.next(1).or_else(again)?;
        Some(self.cursor)
    }

    /// Weights are 1 to 10 with step 1, and nobody is overloaded: every sweep finds somebody.
    fn wrr(&mut self) -> Option<usize> {
        let mut found = self.next(self.current);
        while found.is_none() {
            self.current = if self.current > 1 { self.current - 1 } else { 10 };
            found = self.list.iter().position(|d| !d.overload && d.weight >= self.current);
        }
        self.cursor = found?;
        found
    }

    fn twos(&mut self) -> Option<usize> {
        let total: u32 = self.list.iter().filter(|d| d.may()).map(|d| d.weight).sum();
        let mut left = [self.random.below(total + 1), self.random.below(total + 1)];
        let mut found = [None; 2];
        for (i, d) in self.list.iter().enumerate().filter(|(_, d)| d.may()) {
            for (left, found) in left.iter_mut().zip(&mut found) {
                if found.is_none() && *left <= d.weight {
                    *found = Some(i);
                }
                *left = left.saturating_sub(d.weight);
            }
            if found[0].is_some() && found[1].is_some() {
                break;
            }
        }
        let [first, second] = [found[0]?, found[1]?];
        let (a, b) = (&self.list[first], &self.list[second]);
        Some(if b.weight * a.overhead() > a.weight * b.overhead() { second } else { first })
    }

    fn pick(&mut self, algorithm: Algorithm) -> Option<usize> {
        match algorithm {
            Algorithm::Rr => self.rr(),
            Algorithm::Wrr => self.wrr(),
            Algorithm::Lc => self.lc(),
            Algorithm::Wlc => self.least(Plain::overhead),
            Algorithm::Sed => self.least(|d| d.active + 1),
            Algorithm::Nq => self.nq(),
            Algorithm::Fo => self.heaviest(|_| true),
            Algorithm::Ovf => self.heaviest(|d| d.active <= d.weight),
            _ => self.twos(),
        }
    }

    fn get(&mut self, handle: Handle) -> Result<&mut Plain, Handle> {
        match self.list.get_mut(handle.0 as usize) {
            Some(d) if d.usage == handle.1 => Ok(d),
            _ => Err(handle),
        }
    }

    fn bind(&mut self, handle: Handle) -> Result<(), Handle> {
        let d = self.get(handle)?;
        d.inactive = d.inactive.checked_add(1).ok_or(handle)?;
        if d.upper != 0 && d.active + d.inactive >= d.upper {
            d.overload = true;
        }
        Ok(())
    }

    fn activate(&mut self, handle: Handle) -> Result<(), Handle> {
        let d = self.get(handle)?;
        d.inactive = d.inactive.checked_sub(1).ok_or(handle)?;
        d.active = d.active.checked_add(1).ok_or(handle)?;
        Ok(())
    }

    fn release(&mut self, handle: Handle) -> Result<(), Handle> {
        let d = self.get(handle)?;
        d.active = d.active.checked_sub(1).ok_or(handle)?;
        if d.overload && (d.active + d.inactive) * 4 < d.upper * 3 {
            d.overload = false;
        }
        Ok(())
    }

    pub(crate) fn turn(&mut self, algorithm: Algorithm) -> Option<Handle> {
        black_box(flow(self.random.next_u32()));
        let found = self.pick(algorithm).map(|i| (i as u32, self.list[i].usage));
        if let Some(handle) = found {
            let (bound, active) = (self.bind(handle), self.activate(handle));
            assert!(bound.is_ok() && active.is_ok());
            self.alive.push(handle);
        }
        let gone = self.random.below(self.alive.len() as u32) as usize;
        let gone = self.alive.swap_remove(gone);
        assert!(self.release(gone).is_ok());
        if found.is_none() {
            self.alive.push(gone);
            assert!(self.bind(gone).is_ok() && self.activate(gone).is_ok());
        }
        found
    }
}
