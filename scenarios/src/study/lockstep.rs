//! Two runs of the same thing, side by side: do they do the same?

use super::world::Simulation;
use sim_core::engine::Time;

/// The first event that two runs did differently.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// Its number, from 1.
    pub event: u64,
    /// Its time in each run.
    pub times: [Time; 2],
    /// Its host in each run.
    pub places: [String; 2],
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b] = &self.places;
        write!(f, "the runs differ at event {}, {} at `{a}`", self.event, self.times[0])?;
        if a != b || self.times[0] != self.times[1] {
            write!(f, " against {} at `{b}`", self.times[1])?;
        }
        Ok(())
    }
}

/// Runs two worlds in pieces of `chunk` events and compares their digests. On a difference both are
/// built anew and taken event by event through the piece where it is. `watch` is told how far it
/// is after each piece.
///
/// # Errors
/// What a constructor reports.
pub fn compare<A, B, E>(
    first: impl Fn() -> Result<A, E>,
    second: impl Fn() -> Result<B, E>,
    chunk: u64,
    mut watch: impl FnMut(Time, u64),
) -> Result<Option<Difference>, E>
where
    A: Simulation,
    B: Simulation,
{
    let (mut a, mut b) = (first()?, second()?);
    let mut agreed = 0;
    loop {
        let more = [a.run(chunk), b.run(chunk)];
        // captured bytes are of no interest here and must not pile up
        drop((a.take_captures(), b.take_captures()));
        if state(&a) != state(&b) || more[0] != more[1] {
            return Ok(Some(pinpoint(first()?, second()?, agreed, &a, &b)));
        }
        if !more[0] {
            return Ok(None);
        }
        agreed = a.events();
        watch(a.now(), agreed);
    }
}

fn state<W: Simulation>(world: &W) -> (u64, u64, Time) {
    (world.digest(), world.events(), world.now())
}

fn pinpoint<A: Simulation, B: Simulation>(
    mut a: A,
    mut b: B,
    agreed: u64,
    late_a: &A,
    late_b: &B,
) -> Difference {
    if agreed > 0 {
        let _more = (a.run(agreed), b.run(agreed));
    }
    let last = late_a.events().max(late_b.events());
    for event in agreed + 1..=last {
        let more = [a.run(1), b.run(1)];
        drop((a.take_captures(), b.take_captures()));
        if state(&a) != state(&b) {
            return difference(event, &a, &b);
        }
        if more == [false, false] {
            break;
        }
    }
    // the second pass agreed: the difference comes and goes, so the end of the piece is all we know
    difference(last, late_a, late_b)
}

fn difference<A: Simulation, B: Simulation>(event: u64, a: &A, b: &B) -> Difference {
    Difference { event, times: [a.now(), b.now()], places: [a.last_place(), b.last_place()] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::observe::Observations;

    /// A world of `total` events that does something else at event `planted`.
    struct Toy {
        events: u64,
        total: u64,
        digest: u64,
        planted: Option<u64>,
    }

    impl Toy {
        const fn new(total: u64, planted: Option<u64>) -> Self {
            Self { events: 0, total, digest: 0, planted }
        }
    }

    impl Simulation for Toy {
        fn run(&mut self, max_events: u64) -> bool {
            for _ in 0..max_events {
                if self.events == self.total {
                    return false;
                }
                self.events += 1;
                let odd = u64::from(self.planted == Some(self.events));
                self.digest = (self.digest.rotate_left(5) ^ (self.events + odd)).wrapping_mul(31);
            }
            self.events < self.total
        }
        fn now(&self) -> Time {
            Time::from_nanos(self.events * 10)
        }
        fn events(&self) -> u64 {
            self.events
        }
        fn digest(&self) -> u64 {
            self.digest
        }
        fn last_place(&self) -> String {
            format!("rs{}", self.events % 3)
        }
        fn take_captures(&mut self) -> Vec<(String, Vec<u8>)> {
            Vec::new()
        }
        fn finish(self) -> Observations {
            Observations::default()
        }
    }

    fn check(a: Option<u64>, b: Option<u64>, totals: [u64; 2]) -> Option<Difference> {
        let first = || Ok::<_, ()>(Toy::new(totals[0], a));
        let second = || Ok::<_, ()>(Toy::new(totals[1], b));
        compare(first, second, 100, |_, _| {}).unwrap()
    }

    #[test]
    fn equal_runs_agree() {
        assert_eq!(check(None, None, [1000, 1000]), None);
        assert_eq!(check(Some(5), Some(5), [50, 50]), None);
        assert_eq!(check(None, None, [0, 0]), None);
    }

    #[test]
    fn a_planted_difference_is_found_at_its_very_event() {
        for planted in [1, 100, 101, 777, 1000] {
            let found = check(None, Some(planted), [1000, 1000]).unwrap();
            assert_eq!(found.event, planted);
            assert_eq!(found.times[0], Time::from_nanos(planted * 10));
            assert_eq!(found.places[0], format!("rs{}", planted % 3));
            assert!(found.to_string().contains(&format!("event {planted}")));
        }
    }

    #[test]
    fn a_run_that_ends_early_differs() {
        let found = check(None, None, [1000, 950]).unwrap();
        assert_eq!(found.event, 951);
    }
}
