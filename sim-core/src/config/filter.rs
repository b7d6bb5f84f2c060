//! Rules of netfilter, as `iptables` and `ip6tables` state them.

use super::Net;
use core::net::IpAddr;

/// A table of netfilter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FilterTable {
    /// `raw`: before connection tracking.
    Raw,
    /// `mangle`: marks.
    Mangle,
    /// `nat`: address translation of new connections.
    Nat,
    /// `filter`: accept or drop.
    Filter,
}

/// A chain of netfilter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FilterChain {
    /// Everything that comes in, before it is routed.
    Prerouting,
    /// For this host.
    Input,
    /// Passing through.
    Forward,
    /// Made by this host.
    Output,
    /// Everything that goes out, after it was routed.
    Postrouting,
}

/// What a netfilter rule looks for. Everything stated must agree; `not` turns a condition round.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FilterMatch {
    /// `!` before the condition.
    pub not: bool,
    /// The condition.
    pub what: FilterCondition,
}

/// A condition of a netfilter rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FilterCondition {
    /// `-s`.
    Source(Net),
    /// `-d`.
    Destination(Net),
    /// `-p`.
    Protocol(u8),
    /// `-i`; a name that ends in `+` is a prefix.
    Input(String),
    /// `-o`.
    Output(String),
    /// `--sport`, `-m multiport --sports`: ranges, ends included.
    SourcePorts(Vec<(u16, u16)>),
    /// `--dport`, `-m multiport --dports`.
    DestinationPorts(Vec<(u16, u16)>),
    /// `-m multiport --ports`: either port.
    Ports(Vec<(u16, u16)>),
    /// `-m mark --mark value/mask`.
    Mark(u32, u32),
    /// `--syn`: SYN set, ACK, RST and FIN not.
    Syn,
    /// `--tcp-flags mask set`: of the flags in the mask these are set and no others; bits as on the wire.
    TcpFlags(u8, u8),
    /// `-m iprange --src-range`: first and last address.
    SourceRange(IpAddr, IpAddr),
    /// `-m iprange --dst-range`.
    DestinationRange(IpAddr, IpAddr),
    /// `-m addrtype --dst-type LOCAL`: an own address.
    DestinationLocal,
    /// `--icmp-type type/code`.
    Icmp(u8, Option<u8>),
    /// `-m conntrack --ctstate`: new, established, related, invalid.
    State {
        /// NEW.
        new: bool,
        /// ESTABLISHED.
        established: bool,
        /// RELATED.
        related: bool,
        /// INVALID.
        invalid: bool,
    },
    /// `-m ipvs --vport` and `--ipvs`: the packet belongs to IPVS; with the port of its virtual service.
    Ipvs(Option<u16>),
    /// `-m ipvs --vaddr`: the packet belongs to IPVS, and its virtual address is one of these.
    VirtualAddress(Net),
}

/// What a netfilter rule does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FilterTarget {
    /// `ACCEPT`.
    Accept,
    /// `DROP`.
    Drop,
    /// `REJECT` with an ICMP type 3 code, or by RST.
    Reject(RejectWith),
    /// `RETURN`: the policy of the chain decides.
    Return,
    /// `MARK --set-xmark value/mask`: clears the bits of the mask, then XORs the value.
    Mark(u32, u32),
    /// `CONNMARK --save-mark`.
    SaveMark,
    /// `CONNMARK --restore-mark`.
    RestoreMark,
    /// `SNAT --to-source`: address and, if stated, port.
    SourceNat(IpAddr, Option<u16>),
    /// `MASQUERADE`: the address of the outgoing interface.
    Masquerade,
    /// `DNAT --to-destination`.
    DestinationNat(IpAddr, Option<u16>),
    /// `REDIRECT --to-ports`: to the host itself.
    Redirect(Option<u16>),
    /// `NOTRACK`, `CT --notrack`.
    NoTrack,
}

/// How a netfilter rule rejects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RejectWith {
    /// ICMP destination unreachable with this code.
    Unreachable(u8),
    /// A TCP RST.
    Reset,
}

/// A rule of netfilter, or the policy of a chain: a rule without conditions at the end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FilterConfig {
    /// `ip6tables`.
    pub v6: bool,
    /// Table.
    pub table: FilterTable,
    /// Chain.
    pub chain: FilterChain,
    /// Conditions.
    pub matches: Vec<FilterMatch>,
    /// What to do if all agree.
    pub target: FilterTarget,
}
