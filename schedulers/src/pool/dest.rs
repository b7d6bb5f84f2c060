//! A destination as the caller sees it.

use core::fmt;
use core::net::IpAddr;
use core::num::NonZeroU32;

/// The largest weight and the largest counter: the kernel keeps both in an `int`.
pub const MAX_INT: u32 = i32::MAX as u32;

/// Names a destination of one pool, from `add` until `purge`.
///
/// An id is handed out once: after the destination is purged it stays unknown for ever. Ids of
/// different pools must not be mixed; a pool cannot notice that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DestId(NonZeroU32);

/// Low bits of an id: the slot; the bits above: how often the slot was used, from 1.
const SLOT_BITS: u32 = 22;

impl DestId {
    /// Slots that ids can name.
    pub(super) const SLOTS: usize = 1 << SLOT_BITS;
    /// The last use of a slot that an id can name.
    pub(super) const LAST_USE: u16 = (1 << (32 - SLOT_BITS)) - 1;

    /// The id of the given use of a slot; `None` for use 0, which nobody ever gets.
    pub(super) fn new(slot: usize, usage: u16) -> Option<Self> {
        NonZeroU32::new(Self::use_bits(usage) | slot as u32).filter(|_| usage != 0).map(Self)
    }

    /// The slot.
    #[inline]
    pub(super) const fn slot(self) -> usize {
        (self.0.get() & ((1 << SLOT_BITS) - 1)) as usize
    }

    /// Which use of the slot.
    #[inline]
    pub(super) const fn usage(self) -> u16 {
        Self::usage_of(self.0.get())
    }

    /// A use in the bits where an id has it.
    pub(super) const fn use_bits(usage: u16) -> u32 {
        (usage as u32) << SLOT_BITS
    }

    /// The use that these bits name.
    #[inline]
    pub(super) const fn usage_of(bits: u32) -> u16 {
        (bits >> SLOT_BITS) as u16
    }

    /// The number behind the id, for a caller that stores ids as plain integers.
    pub const fn to_raw(self) -> u32 {
        self.0.get()
    }

    /// The id behind a number from [`to_raw`](Self::to_raw). A number that was never an id gives
    /// `None` or an id that every operation refuses as unknown.
    pub fn from_raw(raw: u32) -> Option<Self> {
        NonZeroU32::new(raw).map(Self).filter(|id| id.usage() != 0)
    }
}

impl fmt::Display for DestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "destination {}.{}", self.slot(), self.usage())
    }
}

/// A destination to be added (`ipvsadm -a`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DestSpec {
    /// Address of the real server.
    pub addr: IpAddr,
    /// Port of the real server; 0 in services for all ports.
    pub port: u16,
    /// `-w`: 0 ..= 2147483647; 0 receives no new connection.
    pub weight: u32,
    /// `-x`: connections at which the destination counts as overloaded; 0 = never.
    pub upper_threshold: u32,
    /// `-y`: connections below which it is available again; 0 = three quarters of the upper one.
    pub lower_threshold: u32,
}

impl DestSpec {
    /// A destination without thresholds.
    pub const fn new(addr: IpAddr, port: u16, weight: u32) -> Self {
        Self { addr, port, weight, upper_threshold: 0, lower_threshold: 0 }
    }

    /// What an edit to the same values would say.
    pub const fn edit(&self) -> DestEdit {
        DestEdit {
            weight: self.weight,
            upper_threshold: self.upper_threshold,
            lower_threshold: self.lower_threshold,
        }
    }
}

/// New values of a destination (`ipvsadm -e`); all are set, as in the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DestEdit {
    /// As in [`DestSpec`].
    pub weight: u32,
    /// As in [`DestSpec`].
    pub upper_threshold: u32,
    /// As in [`DestSpec`].
    pub lower_threshold: u32,
}

/// What a connection is counted as.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Counting {
    /// `InActConn`: every connection that is not active.
    Inactive,
    /// `ActiveConn`: TCP in `ESTABLISHED`, `SYN_SENT`, `SYN_RECV`, `SYNACK`; SCTP in
    /// `ESTABLISHED`; UDP never.
    Active,
    /// `PersistConn`: a persistence template.
    Template,
}

/// A destination as it stands now: a copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dest {
    /// Its id.
    pub id: DestId,
    /// Address of the real server.
    pub addr: IpAddr,
    /// Port of the real server.
    pub port: u16,
    /// Current weight.
    pub weight: u32,
    /// The weight that `mh` uses: the last one set that was not 0, or that of the add.
    pub last_weight: u32,
    /// Connections counted active.
    pub active: u32,
    /// Connections counted inactive.
    pub inactive: u32,
    /// Persistence templates.
    pub persistent: u32,
    /// Upper threshold, 0 = none.
    pub upper_threshold: u32,
    /// Lower threshold, 0 = three quarters of the upper one.
    pub lower_threshold: u32,
    /// The flag `AVAILABLE`: it is in the list.
    pub available: bool,
    /// The flag `OVERLOAD`: schedulers pass it over.
    pub overload: bool,
}
