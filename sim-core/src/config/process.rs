//! Programs that keep a cluster alive, by name.

/// A program that runs on a host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Process {
    /// keepalived: virtual routers, health checkers, sync daemon.
    Keepalived,
    /// heartbeat.
    Heartbeat,
    /// ldirectord.
    Ldirectord,
}

impl Process {
    /// All.
    pub const ALL: [Self; 3] = [Self::Keepalived, Self::Heartbeat, Self::Ldirectord];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keepalived => "keepalived",
            Self::Heartbeat => "heartbeat",
            Self::Ldirectord => "ldirectord",
        }
    }
}
