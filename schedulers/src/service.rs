//! A pool and the rule that chooses from it.

use crate::algorithm::Algorithm;
use crate::error::Error;
use crate::flow::Flow;
use crate::least_connection::{lc, least, wlc};
use crate::pool::{Counting, DestEdit, DestId, DestSpec, Pool};
use crate::random::RandomSource;
use crate::round_robin::{RoundRobin, WeightedRoundRobin};

/// The scheduler flags of a service (`ipvsadm -b`).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub struct Flags {
    /// `flag-1`, `sh-fallback`, `mh-fallback`: look for another destination when the one that the
    /// hash names may not be chosen.
    pub fallback: bool,
    /// `flag-2`, `sh-port`, `mh-port`: hash the source port too.
    pub port: bool,
}

impl Flags {
    /// No flag.
    pub const NONE: Self = Self { fallback: false, port: false };

    /// From bits: 1 = `flag-1`, 2 = `flag-2`; no rule looks at any other.
    pub const fn from_bits(bits: u8) -> Self {
        Self { fallback: bits & 1 != 0, port: bits & 2 != 0 }
    }

    /// The bits again.
    pub const fn bits(self) -> u8 {
        self.fallback as u8 | (self.port as u8) << 1
    }
}

/// A virtual service: destinations, and the rule that chooses among them.
#[derive(Clone, Debug)]
pub struct Service {
    pool: Pool,
    flags: Flags,
    algorithm: Option<Algorithm>,
    rule: Rule,
}

/// The private state of each rule.
#[derive(Clone, Debug)]
enum Rule {
    Stateless,
    RoundRobin(RoundRobin),
    WeightedRoundRobin(WeightedRoundRobin),
}

impl Service {
    /// A service without destinations. `None` as algorithm is the kernel's scheduler `none`: nobody
    /// is ever chosen.
    pub fn new(algorithm: impl Into<Option<Algorithm>>, flags: Flags) -> Self {
        let mut service = Self { pool: Pool::new(), flags, algorithm: None, rule: Rule::Stateless };
        service.start(algorithm.into());
        service
    }

    fn start(&mut self, algorithm: Option<Algorithm>) {
        self.algorithm = algorithm;
        self.rule = match algorithm {
            Some(Algorithm::Rr) => Rule::RoundRobin(RoundRobin::default()),
            Some(Algorithm::Wrr) => Rule::WeightedRoundRobin(WeightedRoundRobin::new(&self.pool)),
            _ => Rule::Stateless,
        };
    }

    /// Who gets a new connection. Ask *before* the connection is counted, once per new connection
    /// or template; then [`bind`](Self::bind) it. `now` is in nanoseconds since any fixed moment;
    /// only `lblc` and `lblcr` look at it, only `twos` at `random`.
    ///
    /// `None`: nobody may be chosen; the kernel answers ICMP port unreachable.
    pub fn schedule(
        &mut self,
        flow: &Flow,
        now: u64,
        random: &mut (impl RandomSource + ?Sized),
    ) -> Option<DestId> {
        let _ = (flow, now, random);
        match (&mut self.rule, self.algorithm?) {
            (Rule::RoundRobin(rr), _) => rr.pick(&self.pool),
            (Rule::WeightedRoundRobin(wrr), _) => wrr.pick(&self.pool),
            (_, Algorithm::Lc) => least(&self.pool, lc),
            (_, Algorithm::Wlc) => least(&self.pool, wlc),
            _ => None,
        }
    }

    /// The destinations.
    pub const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The rule; `None` = scheduler `none`.
    pub const fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// The flags.
    pub const fn flags(&self) -> Flags {
        self.flags
    }

    /// Replaces the flags; they hold from the next call on (`ipvsadm -E -b`).
    pub const fn set_flags(&mut self, flags: Flags) {
        self.flags = flags;
    }

    /// Changes the rule while the service runs (`ipvsadm -E -s`). The same rule again changes
    /// nothing at all: its state lives on.
    ///
    /// # Errors
    /// [`Error::TableFull`]: more destinations than `mh` can take. The service is then left
    /// without a scheduler, as in the kernel.
    pub fn set_algorithm(&mut self, algorithm: impl Into<Option<Algorithm>>) -> Result<(), Error> {
        let algorithm = algorithm.into();
        if algorithm != self.algorithm {
            self.start(algorithm);
        }
        Ok(())
    }

    /// Adds a destination; see [`Pool::add`].
    ///
    /// # Errors
    /// Those of [`Pool::add`].
    pub fn add_dest(&mut self, spec: DestSpec) -> Result<DestId, Error> {
        let id = self.pool.add(spec)?;
        if let Rule::WeightedRoundRobin(wrr) = &mut self.rule {
            wrr.changed(&self.pool);
        }
        Ok(id)
    }

    /// Edits a destination; see [`Pool::edit`].
    ///
    /// # Errors
    /// Those of [`Pool::edit`].
    pub fn edit_dest(&mut self, id: DestId, edit: DestEdit) -> Result<(), Error> {
        self.pool.edit(id, edit)?;
        if let Rule::WeightedRoundRobin(wrr) = &mut self.rule {
            wrr.changed(&self.pool);
        }
        Ok(())
    }

    /// Removes a destination; see [`Pool::remove`].
    ///
    /// # Errors
    /// Those of [`Pool::remove`].
    pub fn remove_dest(&mut self, id: DestId) -> Result<(), Error> {
        if let Rule::RoundRobin(rr) = &mut self.rule {
            rr.before_remove(&self.pool, id);
        }
        self.pool.remove(id)?;
        if let Rule::WeightedRoundRobin(wrr) = &mut self.rule {
            wrr.changed(&self.pool);
        }
        Ok(())
    }

    /// A connection or template begins; see [`Pool::bind`].
    ///
    /// # Errors
    /// Those of [`Pool::bind`].
    pub fn bind(&mut self, id: DestId, counting: Counting) -> Result<(), Error> {
        self.pool.bind(id, counting)
    }

    /// A connection becomes active; see [`Pool::activate`].
    ///
    /// # Errors
    /// Those of [`Pool::activate`].
    pub fn activate(&mut self, id: DestId) -> Result<(), Error> {
        self.pool.activate(id)
    }

    /// A connection becomes inactive; see [`Pool::deactivate`].
    ///
    /// # Errors
    /// Those of [`Pool::deactivate`].
    pub fn deactivate(&mut self, id: DestId) -> Result<(), Error> {
        self.pool.deactivate(id)
    }

    /// A connection or template ends; see [`Pool::release`].
    ///
    /// # Errors
    /// Those of [`Pool::release`].
    pub fn release(&mut self, id: DestId, counting: Counting) -> Result<(), Error> {
        self.pool.release(id, counting)
    }

    /// Forgets a removed destination; see [`Pool::purge`].
    ///
    /// # Errors
    /// Those of [`Pool::purge`].
    pub fn purge(&mut self, id: DestId) -> Result<(), Error> {
        self.pool.purge(id)
    }

    /// Forgets every removed destination that is idle; see [`Pool::purge_idle`].
    pub fn purge_idle(&mut self) -> usize {
        self.pool.purge_idle()
    }

    /// The periodic work of `lblc` and `lblcr`: call it every 60 s, counted from the moment the
    /// rule was set. Other rules have none.
    pub const fn run_timer(&mut self, now: u64) {
        let _ = now;
    }
}
