//! What can be refused.

use core::fmt;

use crate::pool::DestId;

/// Why an operation on a pool or a service was refused.
///
/// Unless a variant says otherwise nothing was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The id names no destination: it never did, or the destination was purged (`ENOENT`).
    UnknownDest(DestId),
    /// The destination is not in the list: it was removed and waits in the trash (`ENOENT`).
    NotListed(DestId),
    /// The destination is still in the list, or still has connections: it cannot be purged.
    InUse(DestId),
    /// A destination with this address and port is in the list already (`EEXIST`).
    Duplicate(DestId),
    /// Weights are 0 ..= 2147483647 (`ERANGE`).
    Weight(u32),
    /// The lower threshold must not exceed the upper one (`ERANGE`).
    Thresholds {
        /// The lower threshold that was asked for.
        lower: u32,
        /// The upper threshold that was asked for.
        upper: u32,
    },
    /// No connection is counted where this one would have to be taken from.
    NothingToRelease(DestId),
    /// The counter has reached 2147483647, the last value that the kernel's `int` can hold.
    CounterFull(DestId),
    /// The pool has handed out every id it has (about four thousand million over its life).
    NoIdLeft,
    /// More destinations than the `mh` table has slots (`EINVAL`). The list *was* changed; the
    /// table was not rebuilt and answers as before the change, as in the kernel.
    TableFull {
        /// Destinations in the list now.
        destinations: usize,
        /// Slots of the table.
        slots: usize,
    },
    /// The `mh` table has one of ten sizes, chosen by index 8 ..= 17.
    TableIndex(u8),
    /// A saved state contradicts itself; the text says where.
    State(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::UnknownDest(id) => write!(f, "{id}: no such destination"),
            Self::NotListed(id) => write!(f, "{id}: the destination was removed"),
            Self::InUse(id) => write!(f, "{id}: the destination is listed or has connections"),
            Self::Duplicate(id) => write!(f, "{id} has the same address and port"),
            Self::Weight(w) => write!(f, "weight {w}: allowed are 0 to 2147483647"),
            Self::Thresholds { lower, upper } => {
                write!(f, "lower threshold {lower} is above the upper threshold {upper}")
            }
            Self::NothingToRelease(id) => write!(f, "{id}: no such connection is counted"),
            Self::CounterFull(id) => write!(f, "{id}: the counter has reached 2147483647"),
            Self::NoIdLeft => f.write_str("every destination id has been used"),
            Self::TableFull { destinations, slots } => {
                write!(f, "{destinations} destinations, the mh table has {slots} slots")
            }
            Self::TableIndex(i) => write!(f, "mh table index {i}: allowed are 8 to 17"),
            Self::State(what) => write!(f, "saved state: {what}"),
        }
    }
}

impl core::error::Error for Error {}
