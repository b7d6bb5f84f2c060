//! heartbeat: `ha.cf`, `haresources` and `authkeys` of one node, resolved, and how fast its scripts are.

use super::Net;
use crate::engine::Span;
use core::net::IpAddr;

/// UDP port `ha-cluster`.
pub const HEARTBEAT_PORT: u16 = 694;

/// heartbeat on a host. The default is what heartbeat takes if `ha.cf` says nothing, without nodes, media
/// and resources.
#[derive(Clone, PartialEq, Debug)]
pub struct HeartbeatConfig {
    /// When its init script is called, after the start of the run or of the host; `None`: only when it is
    /// told to.
    pub start: Option<Span>,
    /// This node, as `uname -n` says.
    pub node: String,
    /// `node`: the members, this one included, in the order of the file. The resource protocol is one of two
    /// nodes: more members are heard, and only the first other one shares resources.
    pub nodes: Vec<String>,
    /// `bcast`, `mcast`, `ucast`: where each message is sent, all of them each time.
    pub media: Vec<Medium>,
    /// `udpport`.
    pub port: u16,
    /// `keepalive`: from one status message to the next, above zero.
    pub keepalive: Span,
    /// `deadtime`: announced to the others, who declare this node dead after it. More than twice
    /// `keepalive`.
    pub deadtime: Span,
    /// `warntime`: a later heartbeat is told.
    pub warntime: Span,
    /// `initdead`: takes the place of `deadtime` until every node was heard or declared dead.
    pub initdead: Span,
    /// `deadping`: dead time of ping nodes.
    pub deadping: Span,
    /// `auto_failback`.
    pub failback: Failback,
    /// `ping`, `ping_group`.
    pub pings: Vec<PingNode>,
    /// `watchdog`: a node that has not heard itself for `deadtime` + 10 ms is rebooted.
    pub watchdog: bool,
    /// `stonith`, `stonith_host`: the device in force at this node.
    pub stonith: Option<StonithConfig>,
    /// `haresources`.
    pub groups: Vec<ResourceGroup>,
    /// `authkeys`.
    pub key: AuthKey,
    /// How long scripts take.
    pub scripts: ScriptTimes,
}

impl Default for HeartbeatConfig {
    fn default() -> Self {
        Self {
            start: Some(Span::ZERO),
            node: String::new(),
            nodes: Vec::new(),
            media: Vec::new(),
            port: HEARTBEAT_PORT,
            keepalive: Span::from_secs(1),
            deadtime: Span::from_secs(30),
            warntime: Span::from_secs(15),
            initdead: Span::from_secs(30),
            deadping: Span::from_secs(30),
            failback: Failback::Legacy,
            pings: Vec::new(),
            watchdog: false,
            stonith: None,
            groups: Vec::new(),
            key: AuthKey { method: AuthMethod::Crc, secret: String::new() },
            scripts: ScriptTimes::default(),
        }
    }
}

impl HeartbeatConfig {
    /// `initdead` if `ha.cf` does not state it: `deadtime` above 10 s, 12 s below a `deadtime` of 6 s, and
    /// twice `deadtime` between (heartbeat `config.c`).
    ///
    /// ```
    /// use sim_core::config::HeartbeatConfig;
    /// use sim_core::engine::Span;
    ///
    /// let initdead = |s| HeartbeatConfig::initdead_of(Span::from_secs(s));
    /// assert_eq!([initdead(5), initdead(8), initdead(30)], [12, 16, 30].map(Span::from_secs));
    /// ```
    pub fn initdead_of(deadtime: Span) -> Span {
        if deadtime > Span::from_secs(10) {
            deadtime
        } else if deadtime < Span::from_secs(6) {
            Span::from_secs(12)
        } else {
            deadtime * 2
        }
    }
}

/// A way for messages. The name of its interface is the name of the link in what is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Medium {
    /// `bcast IF`: to the broadcast address of the interface's first address.
    Bcast {
        /// The interface.
        interface: String,
    },
    /// `mcast IF GROUP PORT TTL LOOP`.
    Mcast {
        /// The interface.
        interface: String,
        /// IPv4 group.
        group: IpAddr,
        /// UDP port.
        port: u16,
        /// Time to live, 1 for the own link.
        ttl: u8,
    },
    /// `ucast IF IP`. A line with an own address is left out by who reads the file.
    Ucast {
        /// The interface that is listened to.
        interface: String,
        /// The peer.
        peer: IpAddr,
    },
}

impl Medium {
    /// The interface it belongs to.
    pub fn interface(&self) -> &str {
        match self {
            Self::Bcast { interface }
            | Self::Mcast { interface, .. }
            | Self::Ucast { interface, .. } => interface,
        }
    }
}

/// `auto_failback`: what becomes of resources whose preferred node has come back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Failback {
    /// `on`: they go back by request and answer.
    On,
    /// `off`: they stay.
    Off,
    /// `legacy`: the preferred node requests them when it starts, the old protocol. heartbeat's default.
    #[default]
    Legacy,
}

/// A pseudo member that answers echo requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PingNode {
    /// Its name: the address of `ping`, the name of `ping_group`.
    pub name: String,
    /// Alive as long as one of these answers.
    pub addresses: Vec<IpAddr>,
}

/// The key messages are signed with. Messages signed with another are not looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthKey {
    /// How.
    pub method: AuthMethod,
    /// What only the members know; empty for [`AuthMethod::Crc`].
    pub secret: String,
}

/// How messages are signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthMethod {
    /// `crc`: no secret, only against damage.
    Crc,
    /// `md5`.
    Md5,
    /// `sha1`.
    Sha1,
}

impl AuthMethod {
    /// The word of `authkeys`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crc => "crc",
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
        }
    }
}

/// A line of `haresources`: started from left to right, stopped from right to left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResourceGroup {
    /// Preferred node.
    pub node: String,
    /// The resources.
    pub resources: Vec<Resource>,
}

/// A resource.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resource {
    /// As written: `IPaddr::192.168.6.240/24/eth0`.
    pub text: String,
    /// What its script does.
    pub kind: ResourceKind,
    /// Its script fails to start it at this node. An address on an interface that does not exist fails
    /// anyhow.
    pub fails: bool,
}

/// What the script of a resource does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ResourceKind {
    /// `IPaddr`, `IPaddr2`: an address, and its announcement.
    Address {
        /// The address with its prefix.
        net: Net,
        /// Where; by the connected networks if absent.
        interface: Option<String>,
        /// How often it is announced: `IPaddr` 10 times every 500 ms, `IPaddr2` 5 times every 200 ms, each time
        /// a request and half an interval later a reply.
        announce: Announce,
    },
    /// `ldirectord::FILE`: the host's ldirectord.
    Ldirectord,
    /// `LVSSyncDaemonSwap::master`: the master daemon of connection synchronisation while it is held, the
    /// backup daemon otherwise.
    SyncDaemonSwap {
        /// `--mcast-interface`.
        interface: String,
        /// `--syncid`.
        syncid: u8,
    },
    /// A script without effect on the network (a file system, a mail).
    Other,
}

/// Rounds of gratuitous ARP (`send_arp`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Announce {
    /// Rounds, a request and a reply each.
    pub rounds: u16,
    /// From one to the next.
    pub interval: Span,
}

impl Announce {
    /// What the agent `IPaddr` does.
    pub const IPADDR: Self = Self { rounds: 10, interval: Span::from_millis(500) };
    /// What the agent `IPaddr2` does.
    pub const IPADDR2: Self = Self { rounds: 5, interval: Span::from_millis(200) };
}

/// A device that takes the power from nodes.
#[derive(Clone, PartialEq, Debug)]
pub struct StonithConfig {
    /// Its type: `external/riloe`.
    pub device: String,
    /// Nodes it can reset, each with the host that hangs on its outlet; `None` if nothing does (`null`
    /// reports success and does nothing).
    pub outlets: Vec<(String, Option<String>)>,
    /// How long a reset takes until its outcome is known.
    pub reset: Span,
    /// From its begin to the cut, at most `reset`.
    pub cut: Span,
    /// When a reset fails. Then no power is cut.
    pub failure: ResetFailure,
    /// The power comes back so long after the cut; `None`: it stays away.
    pub power_back: Option<Span>,
    /// Where the device is reached: a TCP connection to it must come about within the time of a reset.
    /// `None`: by a wire of its own, which always works.
    pub address: Option<(IpAddr, u16)>,
}

/// When a reset fails.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ResetFailure {
    /// It works.
    Never,
    /// It never works.
    Always,
    /// The first so many fail.
    First(u32),
    /// Each fails with this probability, 0 to 1.
    Chance(f64),
}

/// How long the runs of a script take: the n-th run takes the n-th entry, and all later ones take the last;
/// no time at all if there is none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Runs(pub Vec<Span>);

impl Runs {
    /// Every run takes this long.
    pub fn each(span: Span) -> Self {
        Self(vec![span])
    }

    /// Time of a run, counted from 0.
    ///
    /// ```
    /// use sim_core::config::Runs;
    /// use sim_core::engine::Span;
    ///
    /// let runs = Runs(vec![Span::from_secs(3), Span::from_secs(1)]);
    /// assert_eq!([0, 1, 7].map(|n| runs.of(n)), [3, 1, 1].map(Span::from_secs));
    /// ```
    pub fn of(&self, run: u32) -> Span {
        let last = self.0.len().saturating_sub(1);
        self.0.get((run as usize).min(last)).copied().unwrap_or(Span::ZERO)
    }
}

/// How long the scripts of a node take. The default is an estimate for a machine that starts a process in a
/// millisecond: a resource script consists of some hundred of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScriptTimes {
    /// From the order to start to the first status message.
    pub boot: Runs,
    /// `req_our_resources` if the node has no group of its own.
    pub query_none: Runs,
    /// `req_our_resources`, for each own group: whether its first resource runs here.
    pub query: Runs,
    /// From the decision to take a group to the start of its first resource, except by `mach_down`.
    pub acquire: Runs,
    /// `mach_down`: the same.
    pub take_over: Runs,
    /// Start of a resource; an address is there at its end.
    pub start: Runs,
    /// From the start of the last resource to the end of the script.
    pub acquired: Runs,
    /// From the decision to release to the stop of the first resource.
    pub release: Runs,
    /// Stop of a resource; an address is gone at its end.
    pub stop: Runs,
    /// From the stop of the last resource to the end of the script.
    pub released: Runs,
    /// From the end of the processes to the first status message of those started anew.
    pub restart: Runs,
    /// From an address to its first announcement.
    pub announce: Runs,
}

impl Default for ScriptTimes {
    fn default() -> Self {
        let ms = |ms| Runs::each(Span::from_millis(ms));
        Self {
            boot: ms(1_000),
            query_none: ms(50),
            query: ms(100),
            acquire: ms(150),
            take_over: ms(150),
            start: ms(150),
            acquired: ms(50),
            release: ms(100),
            stop: ms(100),
            released: ms(50),
            restart: ms(1_000),
            announce: ms(20),
        }
    }
}
