//! What happened to a cluster, in the order in which it happened: states of routers and nodes, addresses
//! that came and went, pools, processes, faults.
//!
//! Rare things only: single adverts, checks and packets are seen by captures. Entries are made by
//! [`Fabric::note`](crate::hosts::fabric::Fabric::note); faults may wait for them
//! ([`Condition`](crate::config::Condition)).

use crate::engine::Time;
use core::fmt;

/// What sort of thing happened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// A fault began or ended. Subject: its name; value: what it does, or `over`.
    Fault,
    /// A host lost or got back power, froze or went on. Value: `off`, `on`, `frozen`, `running`.
    Power,
    /// A process. Subject: its name; value: `started`, `stopped`, `killed`, `frozen`, `running`.
    Process,
    /// A virtual router. Subject: the instance; value: its state (`MASTER`, `BACKUP`, `FAULT`, `INIT`, `STOP`).
    State,
    /// A cluster node as another one sees it. Subject: the node; value: `init`, `up`, `active`, `dead`,
    /// `late` (its heartbeat), `returned` (alive though declared dead).
    Node,
    /// A link between cluster nodes as one of them sees it. Value: `up`, `dead`.
    Medium,
    /// A resource group. Value: `acquiring`, `held`, `releasing`, `released`, `failed`.
    Resource,
    /// A fencing operation. Subject: the node; value: `begun`, `done`, `failed`, or `void`: the power switch was told by
    /// a host that had just lost its own power, and did nothing.
    Fencing,
    /// An address of the host. Subject: the address; value: `added`, `removed`.
    Address,
    /// A burst of gratuitous ARP (unsolicited neighbour advertisements). Subject: the address; value: how many.
    Announcement,
    /// A virtual service. Subject: the service; value: `added`, `removed`, `quorum gained`, `quorum lost`.
    Service,
    /// A real server in the pool of a director. Subject: `SERVICE RIP:PORT`; value: its weight, or `removed`.
    Pool,
    /// A health check. Subject: `SERVICE RIP:PORT KIND`; value: `succeeded`, or why it failed.
    Check,
    /// The connection synchronisation daemon. Value: `master`, `backup`, `off`.
    Sync,
    /// Whose Ethernet address a host holds for an address. Subject: the address; value: the owner.
    Neighbour,
    /// A service is not served any more, or again. Subject: client application; value: `begun`, `over`.
    Outage,
}

impl Kind {
    /// All, in the order of their declaration.
    pub const ALL: [Self; 16] = [
        Self::Fault,
        Self::Power,
        Self::Process,
        Self::State,
        Self::Node,
        Self::Medium,
        Self::Resource,
        Self::Fencing,
        Self::Address,
        Self::Announcement,
        Self::Service,
        Self::Pool,
        Self::Check,
        Self::Sync,
        Self::Neighbour,
        Self::Outage,
    ];

    /// The word used in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Power => "power",
            Self::Process => "process",
            Self::State => "state",
            Self::Node => "node",
            Self::Medium => "medium",
            Self::Resource => "resource",
            Self::Fencing => "fencing",
            Self::Address => "address",
            Self::Announcement => "announcement",
            Self::Service => "service",
            Self::Pool => "pool",
            Self::Check => "check",
            Self::Sync => "sync",
            Self::Neighbour => "neighbour",
            Self::Outage => "outage",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Happening {
    /// When.
    pub time: Time,
    /// Number of the host it happened to, or that saw it; `None`: the network.
    pub host: Option<u16>,
    /// What sort of thing.
    pub kind: Kind,
    /// What it happened to.
    pub subject: String,
    /// What it is now.
    pub value: String,
}

/// One thing that happened, with the name of its host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimelineEntry {
    /// When.
    pub time: Time,
    /// The host it happened to, or that saw it; empty: the network.
    pub host: String,
    /// What sort of thing.
    pub kind: Kind,
    /// What it happened to.
    pub subject: String,
    /// What it is now.
    pub value: String,
}
