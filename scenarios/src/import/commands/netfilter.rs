//! Rules of iptables and ip6tables, as values.

use super::action::{Family, Net};
use crate::diagnostic::Place;
use core::net::IpAddr;
use core::ops::RangeInclusive;

/// A table with its built-in chains.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Table {
    /// Before connection tracking.
    Raw,
    /// Changes packets.
    Mangle,
    /// Changes the addresses of connections.
    Nat,
    /// Lets packets through or not.
    Filter,
}

impl Table {
    /// All tables in the order the kernel asks them.
    pub const ALL: [Self; 4] = [Self::Raw, Self::Mangle, Self::Nat, Self::Filter];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Mangle => "mangle",
            Self::Nat => "nat",
            Self::Filter => "filter",
        }
    }

    /// Its built-in chains.
    pub const fn chains(self) -> &'static [&'static str] {
        match self {
            Self::Raw => &["PREROUTING", "OUTPUT"],
            Self::Mangle => &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
            Self::Nat => &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
            Self::Filter => &["INPUT", "FORWARD", "OUTPUT"],
        }
    }
}

/// A condition of a rule; `bool` is true for `!`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Match {
    /// `-s`.
    Source(Net, bool),
    /// `-d`.
    Destination(Net, bool),
    /// `-p`: number of the IP protocol.
    Protocol(u8, bool),
    /// `-i`: name, or its beginning with a `+`.
    Input(String, bool),
    /// `-o`.
    Output(String, bool),
    /// `--sport`, `--sports`.
    SourcePorts(Vec<RangeInclusive<u16>>, bool),
    /// `--dport`, `--dports`.
    DestinationPorts(Vec<RangeInclusive<u16>>, bool),
    /// `--ports`: source or destination.
    Ports(Vec<RangeInclusive<u16>>, bool),
    /// `--tcp-flags MASK SET`, `--syn`: bits as in the TCP header.
    TcpFlags(u8, u8, bool),
    /// `--icmp-type`: type and code.
    Icmp(u8, Option<u8>, bool),
    /// `-m mark --mark VALUE/MASK`.
    Mark(u32, u32, bool),
    /// `-m state --state`, `-m conntrack --ctstate`: names in capitals.
    State(Vec<String>, bool),
    /// `-m ipvs --ipvs`, `--vaddr`, `--vport`, `--vproto`, `--vdir`, `--vmethod`.
    Ipvs(Ipvs),
    /// `-m iprange --src-range`.
    SourceRange(RangeInclusive<IpAddr>, bool),
    /// `-m iprange --dst-range`.
    DestinationRange(RangeInclusive<IpAddr>, bool),
    /// `-m addrtype --dst-type LOCAL`.
    DestinationIsLocal(bool),
}

/// What `-m ipvs` asks of the IPVS connection a packet belongs to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ipvs {
    /// `--ipvs`: it belongs to one; `Some(true)`: it must not.
    pub any: Option<bool>,
    /// The virtual address.
    pub address: Option<(Net, bool)>,
    /// The virtual port.
    pub port: Option<(u16, bool)>,
    /// The protocol.
    pub protocol: Option<(u8, bool)>,
    /// `true`: of the original direction.
    pub original: Option<bool>,
}

/// Addresses and ports of a translation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Range {
    /// Addresses.
    pub addresses: Option<RangeInclusive<IpAddr>>,
    /// Ports.
    pub ports: Option<RangeInclusive<u16>>,
}

/// What a rule does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// Lets the packet on.
    Accept,
    /// Drops it.
    Drop,
    /// Drops it with an answer: the word after `--reject-with`.
    Reject(Option<String>),
    /// Goes back to the calling chain.
    Return,
    /// `mark = (mark & !mask) ^ value`.
    Mark {
        /// Bits to flip.
        value: u32,
        /// Bits to clear before.
        mask: u32,
    },
    /// New source.
    Snat(Range),
    /// New destination.
    Dnat(Range),
    /// The address of the interface becomes the source.
    Masquerade(Option<RangeInclusive<u16>>),
    /// This host becomes the destination.
    Redirect(Option<RangeInclusive<u16>>),
    /// No connection tracking for the packet.
    Notrack,
    /// The mark of the packet becomes that of its connection.
    SaveMark,
    /// The mark of the connection becomes that of the packet.
    RestoreMark,
    /// A chain of the user.
    Chain(String),
    /// No effect: a rule that counts.
    Nothing,
}

/// A rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Conditions, all of which must hold.
    pub matches: Vec<Match>,
    /// What it does.
    pub target: Target,
    /// Where it was written.
    pub place: Place,
}

/// A change of a chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Of iptables or ip6tables.
    pub family: Family,
    /// Table.
    pub table: Table,
    /// Chain; `None`: all chains of the table.
    pub chain: Option<String>,
    /// What changes.
    pub edit: Edit,
}

/// What changes in a chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Edit {
    /// `-A`.
    Append(Rule),
    /// `-I`: before the rule of this number, counted from 1.
    Insert(usize, Rule),
    /// `-R`.
    Replace(usize, Rule),
    /// `-D` with a rule.
    Delete(Rule),
    /// `-D` with a number.
    DeleteNumber(usize),
    /// `-F`.
    Flush,
    /// `-P`: `true` for ACCEPT.
    Policy(bool),
    /// `-N`.
    New,
    /// `-X`.
    Remove,
}
