//! A pool and the rule that chooses from it.

use alloc::vec::Vec;

use crate::algorithm::Algorithm;
use crate::error::Error;
use crate::flow::Flow;
use crate::index::WALK;
use crate::locality::DEFAULT_EXPIRATION;
use crate::maglev::TableIndex;
use crate::pool::{Change, Counting, DestEdit, DestId, DestSpec, Pool};
use crate::random::RandomSource;
use crate::rule::{Rule, Settings};

/// The scheduler flags of a service (`ipvsadm -b`).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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
///
/// See the [first page](crate) for which call belongs to which moment.
///
/// ```
/// use schedulers::{Algorithm, Counting, DestSpec, Flags, Flow, NoRandom, Service};
///
/// // One connection at a time each; the heaviest first.
/// let mut service = Service::new(Algorithm::Fo, Flags::NONE);
/// let limited = |host, weight| DestSpec {
///     upper_threshold: 1,
///     ..DestSpec::new([192, 168, 10, host].into(), 80, weight)
/// };
/// let main = service.add_dest(limited(1, 10))?;
/// let spare = service.add_dest(limited(2, 1))?;
/// let flow = Flow::new([10, 0, 0, 1].into(), 40000, [10, 1, 1, 100].into(), 80);
///
/// assert_eq!(service.schedule(&flow, 0, &mut NoRandom), Some(main));
/// service.bind(main, Counting::Inactive)?;
/// assert!(service.pool().is_overloaded(main));
/// assert_eq!(service.schedule(&flow, 0, &mut NoRandom), Some(spare));
/// service.bind(spare, Counting::Inactive)?;
/// assert_eq!(service.schedule(&flow, 0, &mut NoRandom), None);
/// service.release(main, Counting::Inactive)?;
/// assert_eq!(service.schedule(&flow, 0, &mut NoRandom), Some(main));
/// # Ok::<(), schedulers::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Service {
    pub(crate) pool: Pool,
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) rule: Rule,
    pub(crate) settings: Settings,
}

impl Service {
    /// A service without destinations. `None` as algorithm is the kernel's scheduler `none`: nobody
    /// is ever chosen.
    pub fn new(algorithm: impl Into<Option<Algorithm>>, flags: Flags) -> Self {
        let table = TableIndex::default();
        let mut service = Self {
            pool: Pool::new(),
            algorithm: None,
            rule: Rule::None,
            settings: Settings { flags, table, expiration: DEFAULT_EXPIRATION },
        };
        let started = service.set_algorithm(algorithm);
        debug_assert!(started.is_ok(), "every rule starts without destinations");
        service
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
        self.settings.flags
    }

    /// Replaces the flags; they hold from the next choice on (`ipvsadm -E -b`).
    pub const fn set_flags(&mut self, flags: Flags) {
        self.settings.flags = flags;
    }

    /// Changes the rule while the service runs (`ipvsadm -E -s`): the old one's state is dropped,
    /// the new one starts with the destinations that there are. The same rule again changes
    /// nothing at all.
    ///
    /// # Errors
    /// [`Error::TableFull`]: more destinations than `mh` can take. The service is then left
    /// without a scheduler, as in the kernel.
    pub fn set_algorithm(&mut self, algorithm: impl Into<Option<Algorithm>>) -> Result<(), Error> {
        let algorithm = algorithm.into();
        if algorithm == self.algorithm {
            return Ok(());
        }
        self.rule.finish(&mut self.pool);
        self.rule = Rule::None;
        self.algorithm = None;
        self.rule = Rule::new(algorithm, &self.pool, self.settings)?;
        self.algorithm = algorithm;
        Ok(())
    }

    /// How large the table of `mh` is, 4093 slots by default.
    pub const fn table_index(&self) -> TableIndex {
        self.settings.table
    }

    /// Sets the size of the `mh` table, a build option of the kernel; a table in use is filled
    /// anew.
    ///
    /// # Errors
    /// [`Error::TableFull`]: more destinations than slots; nothing is changed then.
    pub fn set_table_index(&mut self, index: TableIndex) -> Result<(), Error> {
        let settings = Settings { table: index, ..self.settings };
        if matches!(self.rule, Rule::Mh(_)) {
            self.rule = Rule::new(self.algorithm, &self.pool, settings)?;
        }
        self.settings = settings;
        Ok(())
    }

    /// How long, in nanoseconds, `lblc` and `lblcr` remember an address that nobody asks for
    /// (sysctls `lblc_expiration`, `lblcr_expiration`); 24 hours by default. `lblcr` also takes a
    /// replica away when its set has not changed for as long.
    pub const fn set_expiration(&mut self, nanos: u64) {
        self.settings.expiration = nanos;
    }

    /// The periodic work of `lblc` and `lblcr`: call it every 60 s, counted from the moment the
    /// rule was set. Every 30th run drops the addresses that have expired; in between, runs shed
    /// addresses unused for 360 s while the table has more than 16,384. Other rules do nothing.
    ///
    /// Cost: O(chains · log entries) and what is dropped.
    pub fn run_timer(&mut self, now: u64) {
        self.rule.run_timer(&mut self.pool, self.settings, now);
    }

    /// How many addresses `lblc` or `lblcr` remembers; 0 with the other rules.
    pub fn cached(&self) -> usize {
        self.rule.cached()
    }

    /// Does now what the next choice would have to do first: `mh` fills its table. For a caller
    /// that has changed several destinations and does not want a packet to wait.
    pub fn prepare(&mut self) {
        if let Rule::Mh(mh) = &mut self.rule {
            mh.refresh(&self.pool);
        }
    }

    /// The owners of the buckets of `dh` and `sh` (256) or of the slots of `mh`; `None` for the
    /// other rules.
    pub fn table(&mut self) -> Option<Vec<Option<DestId>>> {
        self.rule.table(&self.pool)
    }

    /// Adds a destination at the head of the list; see [`Pool::add`].
    ///
    /// # Errors
    /// Those of [`Pool::add`]; [`Error::TableFull`] if the destination was added but `mh` has too
    /// few slots ([`Pool::find`] tells its id).
    pub fn add_dest(&mut self, spec: DestSpec) -> Result<DestId, Error> {
        self.rule.before_add(&self.pool);
        let id = self.pool.add(spec)?;
        self.touch(id);
        self.rule.changed(&self.pool, None, Some(spec.weight))?;
        Ok(id)
    }

    /// Edits a destination; see [`Pool::edit`].
    ///
    /// # Errors
    /// Those of [`Pool::edit`]; [`Error::TableFull`] if it was edited but `mh` has too few slots.
    pub fn edit_dest(&mut self, id: DestId, edit: DestEdit) -> Result<(), Error> {
        let before = self.pool.weight(id);
        self.pool.edit(id, edit)?;
        self.touch(id);
        self.rule.changed(&self.pool, before, Some(edit.weight))
    }

    /// Removes a destination; see [`Pool::remove`].
    ///
    /// # Errors
    /// Those of [`Pool::remove`]; [`Error::TableFull`] if it was removed but `mh` still has too few
    /// slots.
    pub fn remove_dest(&mut self, id: DestId) -> Result<(), Error> {
        let (pos, before) = (self.pool.position(id), self.pool.weight(id));
        self.rule.before_remove(&self.pool, id);
        self.pool.remove(id)?;
        if let Some(pos) = pos {
            self.rule.touch(&self.pool, pos);
        }
        self.rule.changed(&self.pool, before, None)
    }

    /// Empties the service, as when it is deleted: the rule drops its state without being told of
    /// each destination, all of them go to the trash, and the rule starts anew.
    pub fn remove_all(&mut self) {
        self.rule.finish(&mut self.pool);
        let listed: Vec<DestId> = self.pool.iter().map(|d| d.id).collect();
        for id in listed {
            let removed = self.pool.remove(id);
            debug_assert!(removed.is_ok(), "what is listed can be removed");
        }
        let fresh = Rule::new(self.algorithm, &self.pool, self.settings);
        debug_assert!(fresh.is_ok(), "every rule starts without destinations");
        self.rule = fresh.unwrap_or(Rule::None);
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

    /// The same as [`change`](Self::change) for a destination of any kind.
    #[inline(never)]
    fn change_with_care(&mut self, id: DestId, change: Change) -> Result<(), Error> {
        let touched = self.pool.change_with_care(id, change)?;
        if let Some(pos) = touched.pos {
            if touched.overload {
                self.tell(pos);
            } else {
                self.counted(pos);
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn tell(&mut self, pos: usize) {
        self.rule.touch(&self.pool, pos);
    }

    fn touch(&mut self, id: DestId) {
        if let Some(pos) = self.pool.position(id) {
            self.rule.touch(&self.pool, pos);
        }
    }
}

/// What happens for every connection.
#[expect(
    clippy::inline_always,
    reason = "each is a few instructions, called millions of times a second"
)]
impl Service {
    /// Who gets a new connection. Ask *before* the connection is counted, once per new connection
    /// or template (with one-packet scheduling once per packet); then [`bind`](Self::bind) it.
    ///
    /// `now` is in nanoseconds since any fixed moment and never runs backward; only `lblc` and
    /// `lblcr` look at it, only `twos` at `random`. The kernel's clock has ticks of 1 to 10 ms:
    /// round `now` down to them if that matters.
    ///
    /// `None`: nobody may be chosen; the kernel answers ICMP port unreachable.
    #[inline(always)]
    pub fn schedule(
        &mut self,
        flow: &Flow,
        now: u64,
        random: &mut (impl RandomSource + ?Sized),
    ) -> Option<DestId> {
        self.rule.pick(&mut self.pool, self.settings, flow, now, random)
    }

    /// A connection or template begins; see [`Pool::bind`].
    ///
    /// # Errors
    /// Those of [`Pool::bind`].
    #[inline(always)]
    pub fn bind(&mut self, id: DestId, counting: Counting) -> Result<(), Error> {
        self.change(id, Change::Bind(counting))
    }

    /// A connection becomes active; see [`Pool::activate`].
    ///
    /// # Errors
    /// Those of [`Pool::activate`].
    #[inline(always)]
    pub fn activate(&mut self, id: DestId) -> Result<(), Error> {
        self.change(id, Change::Activate)
    }

    /// A connection becomes inactive; see [`Pool::deactivate`].
    ///
    /// # Errors
    /// Those of [`Pool::deactivate`].
    #[inline(always)]
    pub fn deactivate(&mut self, id: DestId) -> Result<(), Error> {
        self.change(id, Change::Deactivate)
    }

    /// A connection or template ends; see [`Pool::release`].
    ///
    /// # Errors
    /// Those of [`Pool::release`].
    #[inline(always)]
    pub fn release(&mut self, id: DestId, counting: Counting) -> Result<(), Error> {
        self.change(id, Change::Release(counting))
    }

    #[inline(always)]
    fn change(&mut self, id: DestId, change: Change) -> Result<(), Error> {
        match self.pool.change_plain(id, change) {
            Some(pos) => {
                self.counted(pos);
                Ok(())
            }
            None => self.change_with_care(id, change),
        }
    }

    /// Tells the rule that a counter changed, if it looks at counters.
    #[inline(always)]
    fn counted(&mut self, pos: usize) {
        // A short list is walked by the rules that look at counters: they have no index to keep.
        if self.pool.hot().len() > WALK && self.rule.looks_at_counters() {
            self.tell(pos);
        }
    }
}
