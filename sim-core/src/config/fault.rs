//! What breaks, where, when and for how long.

use super::Process;
use crate::engine::{Dist, Span};
use crate::observe::timeline::Kind;

/// A fault: something that breaks once or again and again, and is mended or not.
///
/// Faults overlap freely: a link is up only while no fault holds it down, a host has power only while no
/// fault takes it away, a server is as slow as the product of the factors of all faults that slow it down.
/// The random numbers of a fault come from streams named by the fault, so it disturbs no other part of a run.
#[derive(Clone, PartialEq, Debug)]
pub struct FaultConfig {
    /// Unique name, by which the timeline and other faults speak of it.
    pub name: String,
    /// What breaks.
    pub what: FaultKind,
    /// When.
    pub when: FaultStart,
    /// For how long.
    pub end: FaultEnd,
}

/// What breaks.
#[derive(Clone, PartialEq, Debug)]
pub enum FaultKind {
    /// The power of hosts and switches is gone: everything in their memory is lost, their links are down.
    /// When the power is back, a switch works at once; a host boots.
    PowerLoss {
        /// Hosts.
        hosts: Vec<String>,
        /// Switches.
        switches: Vec<String>,
        /// How hosts come back, if not as [`HostConfig::boot`](super::HostConfig::boot) says.
        boot: Option<Boot>,
    },
    /// Hosts are shut down: their programs and applications end in good order, then the power goes.
    Shutdown {
        /// Hosts.
        hosts: Vec<String>,
        /// From the signal to the programs until the power is gone.
        grace: Span,
        /// How hosts come back, if not as [`HostConfig::boot`](super::HostConfig::boot) says.
        boot: Option<Boot>,
    },
    /// Hosts stop and go on later as if nothing had been (a paused virtual machine): nothing runs, frames
    /// wait in the ring of each network card, timers are late.
    Freeze {
        /// Hosts.
        hosts: Vec<String>,
        /// Frames that the ring of an interface holds (often 256 or 1,024); more are dropped.
        ring: u32,
    },
    /// Something happens to a program that keeps the cluster alive.
    Program {
        /// Hosts.
        hosts: Vec<String>,
        /// Which program.
        process: Process,
        /// What happens to it.
        harm: ProgramHarm,
    },
    /// Something happens to server applications.
    Application {
        /// Hosts.
        hosts: Vec<String>,
        /// Those on this port; `None`: all of the host.
        port: Option<u16>,
        /// What happens to them.
        harm: ApplicationHarm,
    },
    /// The CPU of hosts is taken by something else: packets and requests cost this many times as much.
    BusyCpu {
        /// Hosts.
        hosts: Vec<String>,
        /// At least 1.
        factor: f64,
    },
    /// Links go down.
    LinkDown {
        /// Names of links.
        links: Vec<String>,
    },
    /// Frames on links are lost or late.
    Impairment {
        /// Names of links, with the end that hears badly (a host or a switch); `None`: both directions.
        links: Vec<(String, Option<String>)>,
        /// Which frames; others pass.
        traffic: Traffic,
        /// Probability that a frame is lost, 0 to 1.
        loss: f64,
        /// Seconds that a frame is late; order is kept.
        delay: Option<Dist>,
    },
    /// Frames that hosts of one set send do not reach those of the other, as rules of a packet filter at
    /// each of them would have it. What a router of neither set passes on gets through.
    Partition {
        /// One set of hosts.
        from: Vec<String>,
        /// The other.
        to: Vec<String>,
        /// Only what `from` sends is lost.
        one_way: bool,
        /// Which frames; others pass.
        traffic: Traffic,
    },
    /// Nothing breaks: a moment for other faults to refer to, over at once.
    Mark,
}

/// How a host comes back.
#[derive(Clone, PartialEq, Debug)]
pub struct Boot {
    /// Seconds from power to a network that works, with addresses and rules as at the start of the run.
    pub time: Dist,
    /// Whether the programs that keep the cluster alive start then, if they did at the start of the run.
    pub programs: bool,
}

impl Default for Boot {
    /// At once, with all programs.
    fn default() -> Self {
        Self { time: Dist::Constant(0.0), programs: true }
    }
}

/// What happens to a program. At the end of the fault it runs again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProgramHarm {
    /// SIGKILL: it leaves everything as it is.
    Kill,
    /// SIGTERM: it ends in good order.
    Stop,
    /// SIGSTOP: it does nothing.
    Freeze,
    /// No harm: it is started, whatever faults have done to it. That is over at once.
    Start,
}

/// What happens to a server application.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ApplicationHarm {
    /// The process is gone: its connections are reset, the port is closed. At the end it starts again.
    Kill,
    /// It accepts, but answers only when the fault is over.
    Hang,
    /// SIGSTOP: it does not even accept.
    Freeze,
    /// The work of requests that come in takes this many times as long; above 0.
    Slow(f64),
    /// Answers carry this HTTP status, 100 to 599.
    Status(u16),
}

/// Which frames a fault is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Traffic {
    /// All.
    #[default]
    All,
    /// ARP and neighbour discovery.
    Neighbours,
    /// IP to groups (multicast), as a switch loses it that takes its members for gone (IGMP snooping).
    Multicast,
    /// IP of a protocol, to a port if the protocol has ports and one is named.
    Ip {
        /// Protocol number: 17 UDP, 112 VRRP.
        protocol: u8,
        /// Destination port; `None`: all.
        port: Option<u16>,
    },
}

/// When a fault begins. It begins at most once in an instant, and not while it lasts.
#[derive(Clone, PartialEq, Debug)]
pub enum FaultStart {
    /// At these points.
    At(Vec<Span>),
    /// Again and again: each time after so many seconds without the fault it comes back. With a mean of MTBF, and
    /// MTTR as the mean time that it lasts, it is absent for MTBF / (MTBF + MTTR) of the time.
    Renewal(Dist),
    /// Regularly: first point, period of at least a millisecond.
    Every(Span, Span),
    /// After something else.
    When(Condition),
}

impl FaultKind {
    /// What it does, in a few words for the timeline.
    pub fn words(&self) -> String {
        match self {
            Self::PowerLoss { hosts, switches, .. } => {
                format!("no power: {}", list(&[&hosts[..], &switches[..]].concat()))
            }
            Self::Shutdown { hosts, .. } => format!("shut down: {}", list(hosts)),
            Self::Freeze { hosts, .. } => format!("frozen: {}", list(hosts)),
            Self::Program { hosts, process, harm } => {
                let harm = match harm {
                    ProgramHarm::Kill => "killed",
                    ProgramHarm::Stop => "stopped",
                    ProgramHarm::Freeze => "frozen",
                    ProgramHarm::Start => "started",
                };
                format!("{} {harm}: {}", process.name(), list(hosts))
            }
            Self::Application { hosts, harm, .. } => {
                let harm = match harm {
                    ApplicationHarm::Kill => "killed".to_owned(),
                    ApplicationHarm::Hang => "hung".to_owned(),
                    ApplicationHarm::Freeze => "frozen".to_owned(),
                    ApplicationHarm::Slow(factor) => format!("slow by {factor}"),
                    ApplicationHarm::Status(status) => format!("answering {status}"),
                };
                format!("server {harm}: {}", list(hosts))
            }
            Self::BusyCpu { hosts, factor } => format!("CPU slow by {factor}: {}", list(hosts)),
            Self::LinkDown { links } => format!("link down: {}", list(links)),
            Self::Impairment { links, .. } => {
                let names: Vec<_> = links.iter().map(|(name, _)| name.clone()).collect();
                format!("link impaired: {}", list(&names))
            }
            Self::Partition { from, to, one_way, .. } => {
                let sign = if *one_way { "-/->" } else { "<-/->" };
                format!("partition: {} {sign} {}", list(from), list(to))
            }
            Self::Mark => "mark".to_owned(),
        }
    }
}

fn list(names: &[String]) -> String {
    names.join(", ")
}

/// When a fault ends.
#[derive(Clone, PartialEq, Debug)]
pub enum FaultEnd {
    /// Never.
    Never,
    /// After so many seconds.
    After(Dist),
    /// At this point of the run.
    At(Span),
    /// After something else.
    When(Condition),
}

/// Something that a fault waits for, to begin or to end. To end it counts from its begin.
#[derive(Clone, PartialEq, Debug)]
pub struct Condition {
    /// What.
    pub trigger: Trigger,
    /// Seconds from there.
    pub plus: Dist,
    /// It counts from this time that it happens on; at least 1.
    pub nth: u64,
    /// Whether it counts every time from there on, or once.
    pub again: bool,
}

impl Condition {
    /// The first time that something happens, without delay, once.
    pub const fn first(trigger: Trigger) -> Self {
        Self { trigger, plus: Dist::Constant(0.0), nth: 1, again: false }
    }
}

/// What may set off or end a fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// The fault of this name begins.
    Begins(String),
    /// The fault of this name ends.
    Ends(String),
    /// The timeline tells this; what is absent may be anything.
    Told {
        /// Name of the host.
        host: Option<String>,
        /// Sort of happening.
        kind: Option<Kind>,
        /// What it happens to: its beginning.
        subject: Option<String>,
        /// What it becomes.
        value: Option<String>,
    },
    /// A frame is sent on a link (its name) towards an end (a host or a switch). Those that are lost count as
    /// well.
    Frame(String, String, Traffic),
}
