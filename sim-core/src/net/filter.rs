//! Netfilter rules: tables, chains, conditions and targets (iptables and ip6tables).
//!
//! A [`Filter`] holds the rules of a host. The host asks it at Linux's hooks in Linux's order (tables
//! raw, mangle, nat, filter) and does what the [`Verdict`] says; marks are set by the way. Connection
//! tracking and address translation are in [`super::conntrack`].

use super::conntrack::State;
use crate::config::{
    FilterChain, FilterCondition, FilterConfig, FilterTable, FilterTarget, Net, RejectWith,
};
use crate::wire::{AddressBook, Flags, Ip, Kind, Packet, proto};
use core::net::IpAddr;

mod met;

/// What the host knows about a packet besides its headers.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The bits of IPv6 addresses.
    pub book: &'a AddressBook,
    /// Interface it came in by; [`super::route::OWN`] is `lo`.
    pub input: Option<u16>,
    /// Interface it leaves by.
    pub output: Option<u16>,
    /// Its place in its connection; `None` without connection tracking.
    pub state: Option<State>,
    /// Virtual address and port, if IPVS has taken the packet.
    pub ipvs: Option<(Ip, u16)>,
    /// Whether the destination is an own address.
    pub local: bool,
}

/// A translation that a rule of the table `nat` asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Translation {
    /// Another source and, if stated, source port.
    Source(Ip, Option<u16>),
    /// The address of the outgoing interface as the source.
    Masquerade,
    /// Another destination and, if stated, destination port.
    Destination(Ip, Option<u16>),
    /// The host itself as the destination.
    Redirect(Option<u16>),
}

/// What a chain decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The packet goes on.
    Accept,
    /// It is dropped.
    Drop,
    /// It is dropped, and its sender is told.
    Reject(RejectWith),
    /// It goes on with another address (table `nat`).
    Translate(Translation),
    /// It goes on, and connection tracking leaves it alone (table `raw`).
    NoTrack,
}

#[derive(Clone, Debug)]
enum Condition {
    Config(FilterCondition),
    Input(Vec<u16>),
    Output(Vec<u16>),
}

#[derive(Clone, Debug)]
enum Target {
    End(Verdict),
    Return,
    Mark(u32, u32),
    SaveMark,
    RestoreMark,
}

#[derive(Clone, Debug)]
struct Rule {
    v6: bool,
    matches: Vec<(bool, Condition)>,
    target: Target,
}

const TABLES: usize = 4;
const CHAINS: usize = 5;

/// The netfilter rules of a host.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    chains: [[Vec<Rule>; CHAINS]; TABLES],
    tracks: bool,
}

impl Filter {
    /// Rules in the order in which they are looked at. `interfaces` gives the numbers of the interfaces
    /// that a name, or the beginning of a name before a `+`, stands for.
    pub fn new(
        rules: &[FilterConfig],
        book: &mut AddressBook,
        interfaces: impl Fn(&str) -> Vec<u16>,
    ) -> Self {
        let mut filter = Self::default();
        for rule in rules {
            filter.tracks |= rule.table == FilterTable::Nat
                || rule.matches.iter().any(|m| matches!(m.what, FilterCondition::State { .. }))
                || matches!(rule.target, FilterTarget::SaveMark | FilterTarget::RestoreMark);
            let matches = rule.matches.iter().map(|m| {
                let what = match &m.what {
                    FilterCondition::Input(name) => Condition::Input(interfaces(name)),
                    FilterCondition::Output(name) => Condition::Output(interfaces(name)),
                    other => Condition::Config(other.clone()),
                };
                (m.not, what)
            });
            let built =
                Rule { v6: rule.v6, matches: matches.collect(), target: target(rule, book) };
            filter.chains[rule.table as usize][rule.chain as usize].push(built);
        }
        filter
    }

    /// Whether a rule needs connections to be tracked: any of the table `nat`, or one that looks at the
    /// state of a connection.
    pub const fn needs_tracking(&self) -> bool {
        self.tracks
    }

    /// Whether there is no rule at all.
    pub fn is_empty(&self) -> bool {
        self.chains.iter().flatten().all(Vec::is_empty)
    }

    /// Passes a packet through a chain of a table. Sets the mark of the packet and, if its connection
    /// is tracked, that of the connection.
    ///
    /// The policy is the last rule of the chain if that has no conditions, otherwise it is ACCEPT.
    pub fn run(
        &self,
        table: FilterTable,
        chain: FilterChain,
        view: &View<'_>,
        packet: &mut Packet,
        mut connection_mark: Option<&mut u32>,
    ) -> Verdict {
        let v6 = packet.kind == Kind::Ipv6;
        let rules = &self.chains[table as usize][chain as usize];
        let mut rules = rules.iter().filter(|rule| rule.v6 == v6);
        while let Some(rule) = rules.next() {
            if !rule.matches.iter().all(|(not, what)| what.holds(view, packet) != *not) {
                continue;
            }
            match (&rule.target, &mut connection_mark) {
                (Target::End(verdict), _) => return *verdict,
                (Target::Return, _) => {
                    return match rules.next_back() {
                        Some(Rule { matches, target: Target::End(policy), .. })
                            if matches.is_empty() =>
                        {
                            *policy
                        }
                        _ => Verdict::Accept,
                    };
                }
                (Target::Mark(value, mask), _) => packet.mark = packet.mark & !mask ^ value,
                (Target::SaveMark, Some(of)) => **of = packet.mark,
                (Target::RestoreMark, Some(of)) => packet.mark = **of,
                (Target::SaveMark | Target::RestoreMark, None) => {}
            }
        }
        Verdict::Accept
    }
}

fn target(rule: &FilterConfig, book: &mut AddressBook) -> Target {
    let translate = |to| Target::End(Verdict::Translate(to));
    match rule.target {
        FilterTarget::Accept => Target::End(Verdict::Accept),
        FilterTarget::Drop => Target::End(Verdict::Drop),
        FilterTarget::Reject(how) => Target::End(Verdict::Reject(how)),
        FilterTarget::Return => Target::Return,
        FilterTarget::Mark(value, mask) => Target::Mark(value, mask),
        FilterTarget::SaveMark => Target::SaveMark,
        FilterTarget::RestoreMark => Target::RestoreMark,
        FilterTarget::SourceNat(to, port) => translate(Translation::Source(book.number(to), port)),
        FilterTarget::Masquerade => translate(Translation::Masquerade),
        FilterTarget::DestinationNat(to, port) => {
            translate(Translation::Destination(book.number(to), port))
        }
        FilterTarget::Redirect(port) => translate(Translation::Redirect(port)),
        FilterTarget::NoTrack => Target::End(Verdict::NoTrack),
    }
}

impl Condition {
    fn holds(&self, view: &View<'_>, packet: &Packet) -> bool {
        match self {
            Self::Input(numbers) => view.input.is_some_and(|i| numbers.contains(&i)),
            Self::Output(numbers) => view.output.is_some_and(|i| numbers.contains(&i)),
            Self::Config(what) => holds(what, view, packet),
        }
    }
}

fn holds(what: &FilterCondition, view: &View<'_>, packet: &Packet) -> bool {
    let within = |net: &Net, ip| net.contains(view.book.address(ip));
    let between = |first: &IpAddr, last: &IpAddr, ip| {
        let ip = view.book.address(ip);
        first.is_ipv4() == ip.is_ipv4() && (*first..=*last).contains(&ip)
    };
    match what {
        FilterCondition::Source(net) => within(net, packet.src),
        FilterCondition::Destination(net) => within(net, packet.dst),
        FilterCondition::SourceRange(first, last) => between(first, last, packet.src),
        FilterCondition::DestinationRange(first, last) => between(first, last, packet.dst),
        FilterCondition::DestinationLocal => view.local,
        FilterCondition::Protocol(number) => *number == 0 || packet.proto == *number,
        FilterCondition::SourcePorts(ranges) => ports(packet, ranges, |p| [p.sport; 2]),
        FilterCondition::DestinationPorts(ranges) => ports(packet, ranges, |p| [p.dport; 2]),
        FilterCondition::Ports(ranges) => ports(packet, ranges, |p| [p.sport, p.dport]),
        FilterCondition::Mark(value, mask) => packet.mark & mask == *value,
        FilterCondition::Syn => {
            let all = Flags::SYN.with(Flags::ACK).with(Flags::RST).with(Flags::FIN);
            shows_ports(packet) && packet.flags.0 & all.0 == Flags::SYN.0
        }
        FilterCondition::TcpFlags(mask, set) => {
            shows_ports(packet) && packet.flags.0 & mask == *set
        }
        FilterCondition::Icmp(kind, code) => {
            matches!(packet.proto, proto::ICMP | proto::ICMPV6)
                && packet.frag & Packet::OFFSET == 0
                && (*kind == u8::MAX || packet.sport == u16::from(*kind))
                && code.is_none_or(|code| packet.dport == u16::from(code))
        }
        FilterCondition::State { new, established, related, invalid } => match view.state {
            Some(State::New) => *new,
            Some(State::Established) => *established,
            Some(State::Related) => *related,
            Some(State::Invalid) => *invalid,
            None => false,
        },
        FilterCondition::Ipvs(port) => {
            view.ipvs.is_some_and(|(_, vport)| port.is_none_or(|port| port == vport))
        }
        FilterCondition::VirtualAddress(net) => view.ipvs.is_some_and(|(vip, _)| within(net, vip)),
        // compiled to numbers
        FilterCondition::Input(_) | FilterCondition::Output(_) => false,
    }
}

/// Whether the packet has ports to be seen: not so a fragment behind the first.
fn shows_ports(packet: &Packet) -> bool {
    matches!(packet.proto, proto::TCP | proto::UDP | proto::SCTP)
        && packet.frag & Packet::OFFSET == 0
}

fn ports(packet: &Packet, ranges: &[(u16, u16)], of: impl Fn(&Packet) -> [u16; 2]) -> bool {
    shows_ports(packet)
        && of(packet)
            .iter()
            .any(|port| ranges.iter().any(|&(first, last)| (first..=last).contains(port)))
}

#[cfg(test)]
mod tests;
