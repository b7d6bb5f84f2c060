//! A service under churn, and what it is fed with.

use schedulers::{Algorithm, Counting, DestId, DestSpec, Flags, Flow, RandomSource, Service};

/// A small generator (Marsaglia 2003).
pub(crate) struct Xorshift(pub(crate) u64);

impl RandomSource for Xorshift {
    fn next_u32(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32
    }
}

pub(crate) fn weight(n: usize) -> u32 {
    (n * 7 % 10 + 1) as u32
}

pub(crate) fn server(n: usize) -> DestSpec {
    let addr = std::net::Ipv4Addr::from(0x0a00_0000 + n as u32);
    DestSpec::new(addr.into(), 80, weight(n))
}

pub(crate) fn flow(n: u32) -> Flow {
    let client = std::net::Ipv4Addr::from(0xc0a8_0000 + n % 65_536);
    Flow::new(client.into(), 40_000, [10, 1, 1, 100].into(), 80)
}

/// A service under churn.
pub(crate) struct Churn {
    pub(crate) service: Service,
    pub(crate) alive: Vec<DestId>,
    pub(crate) random: Xorshift,
}

impl Churn {
    pub(crate) fn new(algorithm: Algorithm, size: usize) -> Self {
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
    pub(crate) fn turn(&mut self) -> Option<DestId> {
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
