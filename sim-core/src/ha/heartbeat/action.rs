//! What a daemon wants, and what it has to tell.

use super::NodeState;
use crate::engine::Span;

/// State of a resource group at a node, as its scripts say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GroupState {
    /// Its resources are being started.
    Acquiring,
    /// All were started.
    Held,
    /// Its resources are being stopped.
    Releasing,
    /// All were stopped.
    Released,
    /// One could not be started.
    Failed,
}

impl GroupState {
    /// The word in what is told.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Acquiring => "acquiring",
            Self::Held => "held",
            Self::Releasing => "releasing",
            Self::Released => "released",
            Self::Failed => "failed",
        }
    }
}

/// Progress of fencing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FencingState {
    /// The device is asked.
    Begun,
    /// It says that it is done.
    Done,
    /// It has failed.
    Failed,
}

/// What a daemon wants.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// This message goes out by every medium.
    Send(Vec<u8>),
    /// A resource has been started.
    Start {
        /// Number of the group in `haresources`.
        group: usize,
        /// Number in the group.
        resource: usize,
    },
    /// A resource has been stopped.
    Stop {
        /// Number of the group in `haresources`.
        group: usize,
        /// Number in the group.
        resource: usize,
    },
    /// An address is announced by gratuitous ARP.
    Announce {
        /// Number of the group in `haresources`.
        group: usize,
        /// Number in the group.
        resource: usize,
        /// A reply, not a request.
        reply: bool,
        /// The first frame of the burst.
        first: bool,
    },
    /// Power is cut.
    Cut {
        /// The host that hangs on the outlet.
        host: String,
    },
    /// A connection to the fencing device is tried, see [`super::Heartbeat::device_reached`].
    Reach,
    /// An echo request goes to every address of a ping node, see [`super::Heartbeat::ping_answered`].
    Ping {
        /// Its number in the configuration.
        node: usize,
    },
    /// The daemon has begun to send.
    Began,
    /// The daemon has ended.
    Ended {
        /// It starts again by itself.
        restart: bool,
    },
    /// A member has another state.
    Node {
        /// The member.
        node: String,
        /// Its state.
        state: NodeState,
    },
    /// A member that was declared dead was alive.
    Partition {
        /// The member.
        node: String,
    },
    /// A status message came later than `warntime`.
    Late {
        /// Who sent it.
        node: String,
        /// Since the one before.
        interval: Span,
    },
    /// A link has another state.
    Medium {
        /// The member at its other end.
        node: String,
        /// Number of the medium in the configuration.
        medium: usize,
        /// Whether packets come by it.
        up: bool,
    },
    /// A group has another state at this node.
    Group {
        /// Its number in `haresources`.
        group: usize,
        /// Its state.
        state: GroupState,
    },
    /// Fencing goes on.
    Fencing {
        /// The member.
        node: String,
        /// How far it is.
        state: FencingState,
    },
}
