//! What a choice costs, against a plain walk over the same list.
//!
//! `cargo bench -p lvs-benches --bench schedulers` measures, for each rule and number of
//! destinations, one new connection and one that ends: a choice, `bind`, `activate`, and the
//! `release` of a random live one. Four connections per destination are alive, weights are 1 to 10.
//! `walk` is the same rule written as a scan of an array, without any check.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use schedulers::{Algorithm, Counting, DestId, DestSpec, Flags, Flow, RandomSource, Service};

const SIZES: [usize; 6] = [4, 32, 256, 1024, 10_000, 100_000];

/// A small generator (Marsaglia 2003).
struct Xorshift(u64);

impl RandomSource for Xorshift {
    fn next_u32(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32
    }
}

fn weight(n: usize) -> u32 {
    (n * 7 % 10 + 1) as u32
}

fn server(n: usize) -> DestSpec {
    let addr = std::net::Ipv4Addr::from(0x0a00_0000 + n as u32);
    DestSpec::new(addr.into(), 80, weight(n))
}

fn flow(n: u32) -> Flow {
    let client = std::net::Ipv4Addr::from(0xc0a8_0000 + n % 65_536);
    Flow::new(client.into(), 40_000, [10, 1, 1, 100].into(), 80)
}

/// A service under churn.
struct Churn {
    service: Service,
    alive: Vec<DestId>,
    random: Xorshift,
}

impl Churn {
    fn new(algorithm: Algorithm, size: usize) -> Self {
        let mut service = Service::new(None, Flags::NONE);
        let ids: Vec<DestId> = (0..size).filter_map(|n| service.add_dest(server(n)).ok()).collect();
        assert_eq!(ids.len(), size, "every server is added");
        let started = service.set_algorithm(algorithm);
        assert!(started.is_ok(), "the size fits the rule");
        let mut alive = Vec::new();
        for i in 0..4 * size {
            let id = ids[i % size];
            assert!(service.bind(id, Counting::Active).is_ok());
            alive.push(id);
        }
        Self { service, alive, random: Xorshift(0x9e37_79b9_7f4a_7c15) }
    }

    /// One connection comes, one goes.
    fn turn(&mut self) -> Option<DestId> {
        let flow = flow(self.random.next_u32());
        let found = self.service.schedule(&flow, 0, &mut self.random);
        if let Some(id) = found {
            let bound = self.service.bind(id, Counting::Inactive);
            let active = self.service.activate(id);
            assert!(bound.is_ok() && active.is_ok());
            self.alive.push(id);
        }
        let gone = self.random.below(self.alive.len() as u32) as usize;
        let gone = self.alive.swap_remove(gone);
        assert!(self.service.release(gone, Counting::Active).is_ok());
        if found.is_none() {
            self.alive.push(gone);
            assert!(self.service.bind(gone, Counting::Active).is_ok());
        }
        found
    }
}

/// A destination of the walk.
#[derive(Clone, Copy)]
struct Plain {
    weight: u32,
    active: u32,
    inactive: u32,
    overload: bool,
}

impl Plain {
    const fn may(&self) -> bool {
        !self.overload && self.weight > 0
    }

    const fn overhead(&self) -> u32 {
        (self.active << 8) + self.inactive
    }
}

/// The list of the walk, head first.
struct Walk {
    list: Vec<Plain>,
    cursor: usize,
    current: u32,
    alive: Vec<u32>,
    random: Xorshift,
}

impl Walk {
    fn new(size: usize) -> Self {
        let plain =
            |n| Plain { weight: weight(size - 1 - n), active: 4, inactive: 0, overload: false };
        Self {
            list: (0..size).map(plain).collect(),
            cursor: size - 1,
            current: 1,
            alive: (0..4 * size).map(|i| (i % size) as u32).collect(),
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
        let found = self.next(1);
        let again = |_| (0..=self.cursor).find(|&i| self.list[i].may());
        self.cursor = found.map_or_else(|| again(()), Some)?;
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

    fn turn(&mut self, algorithm: Algorithm) -> Option<usize> {
        black_box(flow(self.random.next_u32()));
        let found = self.pick(algorithm);
        if let Some(i) = found {
            self.list[i].inactive += 1;
            self.list[i].inactive -= 1;
            self.list[i].active += 1;
            self.alive.push(i as u32);
        }
        let gone = self.random.below(self.alive.len() as u32) as usize;
        let gone = self.alive.swap_remove(gone);
        self.list[gone as usize].active -= 1;
        if found.is_none() {
            self.alive.push(gone);
            self.list[gone as usize].active += 1;
        }
        found
    }
}

const WALKING: [Algorithm; 9] = [
    Algorithm::Rr,
    Algorithm::Wrr,
    Algorithm::Lc,
    Algorithm::Wlc,
    Algorithm::Sed,
    Algorithm::Nq,
    Algorithm::Fo,
    Algorithm::Ovf,
    Algorithm::Twos,
];

fn choices(c: &mut Criterion) {
    for algorithm in WALKING {
        let mut group = c.benchmark_group(algorithm.name());
        for size in SIZES {
            let mut churn = Churn::new(algorithm, size);
            group.bench_function(BenchmarkId::new("index", size), |b| b.iter(|| churn.turn()));
            let mut walk = Walk::new(size);
            group.bench_function(BenchmarkId::new("walk", size), |b| {
                b.iter(|| walk.turn(black_box(algorithm)));
            });
        }
        group.finish();
    }
}

fn tables(c: &mut Criterion) {
    for algorithm in [Algorithm::Dh, Algorithm::Sh, Algorithm::Mh] {
        let mut group = c.benchmark_group(algorithm.name());
        for size in SIZES.into_iter().filter(|&n| algorithm != Algorithm::Mh || n <= 4093) {
            let mut churn = Churn::new(algorithm, size);
            group.bench_function(BenchmarkId::new("index", size), |b| b.iter(|| churn.turn()));
        }
        group.finish();
    }
    let mut group = c.benchmark_group("mh-fill");
    for size in [4, 256, 1024, 4093] {
        let mut churn = Churn::new(Algorithm::Mh, size);
        let id = churn.alive[0];
        group.bench_function(BenchmarkId::new("edit", size), |b| {
            b.iter(|| {
                assert!(churn.service.edit_dest(id, server(0).edit()).is_ok());
                churn.service.prepare();
            });
        });
    }
    group.finish();
}

/// `lblc` and `lblcr`: an address that is known, and one that is not.
fn caches(c: &mut Criterion) {
    for algorithm in [Algorithm::Lblc, Algorithm::Lblcr] {
        let mut group = c.benchmark_group(algorithm.name());
        for size in SIZES {
            let mut churn = Churn::new(algorithm, size);
            let to = |n: u32| Flow { dst: std::net::Ipv4Addr::from(n).into(), ..flow(n) };
            for n in 0..16_384 {
                let known = churn.service.schedule(&to(n), 0, &mut churn.random);
                assert!(known.is_some());
            }
            group.bench_function(BenchmarkId::new("hit", size), |b| {
                b.iter(|| {
                    let n = churn.random.below(16_384);
                    churn.service.schedule(&to(n), 1, &mut churn.random)
                });
            });
            let mut fresh = 1 << 24;
            let mut now = 2;
            group.bench_function(BenchmarkId::new("miss", size), |b| {
                b.iter(|| {
                    fresh += 1;
                    if fresh % 16_384 == 0 {
                        // Keep the cache at its usual size.
                        now += 361_000_000_000;
                        churn.service.run_timer(now);
                    }
                    churn.service.schedule(&to(fresh), now, &mut churn.random)
                });
            });
        }
        group.finish();
    }
}

/// A server leaves and comes back.
fn changes(c: &mut Criterion) {
    for algorithm in [Algorithm::Wrr, Algorithm::Wlc, Algorithm::Sh, Algorithm::Twos] {
        let mut group = c.benchmark_group(format!("{algorithm}-remove-add"));
        for size in SIZES {
            let mut churn = Churn::new(algorithm, size);
            group.bench_function(BenchmarkId::new("index", size), |b| {
                b.iter(|| {
                    let n = churn.random.below(size as u32) as usize;
                    let spec = server(n);
                    if let Some(id) = churn.service.pool().find(spec.addr, spec.port) {
                        assert!(churn.service.remove_dest(id).is_ok());
                        assert_eq!(churn.service.add_dest(spec), Ok(id));
                    }
                    churn.service.schedule(&flow(n as u32), 0, &mut churn.random)
                });
            });
        }
        group.finish();
    }
}

fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(700))
        .sample_size(20)
}

criterion_group! { name = benches; config = short(); targets = choices, tables, caches, changes }
criterion_main!(benches);
