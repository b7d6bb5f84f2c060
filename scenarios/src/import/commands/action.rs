//! What commands do, as values.

use crate::diagnostic::{At, Place};
use core::fmt;
use core::net::IpAddr;

/// A word of a command with the place it was written at.
pub type Word = At<String>;

/// A command that was understood.
#[derive(Clone, PartialEq, Debug)]
pub struct Command {
    /// What it does.
    pub action: Action,
    /// The whole command.
    pub place: Place,
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Bits of an address.
    pub const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

/// A block of addresses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Net {
    /// Any address of the block.
    pub address: IpAddr,
    /// Leading bits that are the same in all of them.
    pub len: u8,
}

impl Net {
    /// The block of one address.
    pub const fn host(address: IpAddr) -> Self {
        Self { address, len: Family::of(address).bits() }
    }

    /// All addresses of a family.
    pub const fn all(family: Family) -> Self {
        let address = match family {
            Family::V4 => IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED),
            Family::V6 => IpAddr::V6(core::net::Ipv6Addr::UNSPECIFIED),
        };
        Self { address, len: 0 }
    }

    /// The family of the block.
    pub const fn family(self) -> Family {
        Family::of(self.address)
    }

    /// Whether an address is one of the block.
    pub fn contains(self, address: IpAddr) -> bool {
        Self { address, len: self.len }.masked() == self.masked()
            && self.family() == Family::of(address)
    }

    /// The block by its first address.
    #[must_use]
    pub fn masked(self) -> Self {
        let address = match self.address {
            IpAddr::V4(a) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.len.min(32))).unwrap_or(0);
                IpAddr::V4((a.to_bits() & mask).into())
            }
            IpAddr::V6(a) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.len.min(128))).unwrap_or(0);
                IpAddr::V6((a.to_bits() & mask).into())
            }
        };
        Self { address, len: self.len }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

/// How far an address or a route reaches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Scope {
    /// Everywhere (0).
    Global,
    /// This site (200).
    Site,
    /// This link (253).
    Link,
    /// This host (254).
    Host,
}

/// An address of an interface.
#[derive(Clone, PartialEq, Debug)]
pub struct Address {
    /// The address with the length of its connected prefix.
    pub net: Net,
    /// The other end of a point-to-point address.
    pub peer: Option<Net>,
    /// Broadcast address.
    pub broadcast: Option<IpAddr>,
    /// `eth0`, or `eth0:0` for an alias.
    pub label: Option<String>,
    /// Scope; absent: as the address says.
    pub scope: Option<Scope>,
    /// Not to be chosen as a source (`preferred_lft 0`).
    pub deprecated: bool,
    /// Without a route for its prefix.
    pub no_prefix_route: bool,
    /// Where it was written.
    pub place: Place,
}

impl Address {
    /// An address with nothing special about it.
    pub const fn new(net: Net, place: Place) -> Self {
        Self {
            net,
            peer: None,
            broadcast: None,
            label: None,
            scope: None,
            deprecated: false,
            no_prefix_route: false,
            place,
        }
    }
}

/// What kind of device `ip link add` makes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkKind {
    /// A physical interface, or one end of a cable.
    Ethernet,
    /// `lo`.
    Loopback,
    /// A device that drops what it is given.
    Dummy,
    /// A bridge.
    Bridge,
    /// A bond.
    Bond,
    /// A tagged interface on another one.
    Vlan {
        /// The interface below.
        below: String,
        /// The tag.
        id: u16,
    },
    /// A tunnel.
    Tunnel(Tunnel),
}

/// Encapsulation of a tunnel device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encapsulation {
    /// IPv4 in IPv4 (`tunl0`).
    Ipip,
    /// GRE over IPv4 (`gre0`).
    Gre,
    /// IPv6 in IPv4 (`sit0`).
    Sit,
    /// IPv6 (and IPv4) in IPv6 (`ip6tnl0`).
    Ip6tnl,
    /// GRE over IPv6.
    Ip6gre,
}

/// A tunnel device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tunnel {
    /// Encapsulation.
    pub encapsulation: Encapsulation,
    /// Only packets from there; absent: from anywhere.
    pub remote: Option<IpAddr>,
    /// Only packets to this address.
    pub local: Option<IpAddr>,
    /// Time to live of the outer packet; absent: that of the inner one.
    pub ttl: Option<u8>,
}

/// A change of a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkChange {
    /// Up or down.
    Up(bool),
    /// Largest IP packet, bytes.
    Mtu(u32),
    /// Ethernet address.
    Mac([u8; 6]),
    /// ARP on or off.
    Arp(bool),
    /// A new name.
    Name(String),
    /// A port of a bridge or bond, or no longer.
    Master(Option<String>),
}

/// A port whose UDP packets are decapsulated (`ip fou add`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FouPort {
    /// UDP port.
    pub port: u16,
    /// GUE; else the IP protocol of what is inside.
    pub protocol: Option<u8>,
    /// Of IPv6.
    pub v6: bool,
}

/// What a route does with a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RouteKind {
    /// Sends it on.
    Unicast,
    /// Delivers it to this host.
    Local,
    /// Drops it in silence.
    Blackhole,
    /// Answers host unreachable (3/1).
    Unreachable,
    /// Answers communication administratively prohibited (3/13).
    Prohibit,
    /// Goes on with the next rule.
    Throw,
}

/// A next hop.
#[derive(Clone, PartialEq, Debug)]
pub struct Hop {
    /// Gateway; absent: the destination is on the link.
    pub via: Option<At<IpAddr>>,
    /// Device; absent: found from the gateway.
    pub device: Option<Word>,
    /// Share of the flows.
    pub weight: u8,
    /// The gateway counts as on the link.
    pub on_link: bool,
}

/// A route.
#[derive(Clone, PartialEq, Debug)]
pub struct Route {
    /// Where to.
    pub to: Net,
    /// What it does.
    pub kind: RouteKind,
    /// Next hops.
    pub hops: Vec<Hop>,
    /// Source address of what this host sends by it.
    pub source: Option<IpAddr>,
    /// Lower wins among equal prefixes.
    pub metric: u32,
    /// Table: 254 is main.
    pub table: u32,
    /// Path MTU, bytes.
    pub mtu: Option<u32>,
    /// Scope if it was written.
    pub scope: Option<Scope>,
    /// Where it was written.
    pub place: Place,
}

/// How a route is put among the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RouteMode {
    /// Fails if there is one for the prefix.
    Add,
    /// Takes the place of one for the prefix, if there is one.
    Replace,
    /// Takes the place of one for the prefix, which must be there.
    Change,
    /// After those for the prefix.
    Append,
    /// Before those for the prefix.
    Prepend,
}

/// Which route `ip route del` means.
#[derive(Clone, PartialEq, Debug)]
pub struct RouteChoice {
    /// Prefix.
    pub to: Net,
    /// Gateway.
    pub via: Option<IpAddr>,
    /// Device.
    pub device: Option<Word>,
    /// Metric.
    pub metric: Option<u32>,
    /// Table.
    pub table: u32,
}

/// A rule that chooses a routing table.
#[derive(Clone, PartialEq, Debug)]
pub struct Rule {
    /// Lower is asked first; absent: before the last one added.
    pub priority: Option<u32>,
    /// Source of the packet.
    pub from: Option<Net>,
    /// Destination of the packet.
    pub to: Option<Net>,
    /// Mark and mask.
    pub mark: Option<(u32, u32)>,
    /// Interface it came in by.
    pub input: Option<Word>,
    /// Interface its socket is bound to.
    pub output: Option<Word>,
    /// Table.
    pub table: u32,
    /// Of IPv4 or IPv6.
    pub family: Family,
    /// Where it was written.
    pub place: Place,
}

/// A neighbour entry.
#[derive(Clone, PartialEq, Debug)]
pub struct Neighbour {
    /// Interface; absent: the one with a prefix that has the address.
    pub device: Option<Word>,
    /// Address.
    pub address: IpAddr,
    /// Ethernet address; absent for a proxy entry.
    pub mac: Option<[u8; 6]>,
    /// Stays until it is deleted.
    pub permanent: bool,
    /// Answer for it.
    pub proxy: bool,
    /// Where it was written.
    pub place: Place,
}

/// What a command does.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Gives an interface an address; `true`: it may be there.
    AddAddress(Word, Address, bool),
    /// Takes an address away.
    DeleteAddress(Word, Net),
    /// Takes addresses away: of a device, of a family, with a label.
    FlushAddresses(Option<Word>, Option<Family>, Option<String>),
    /// `ifconfig NAME ADDRESS netmask ...`: the address with the label NAME.
    SetAlias(Word, Address),
    /// `ifconfig NAME:0 down`: the addresses with the label go.
    DropAlias(Word),
    /// Makes a device.
    AddLink(Word, LinkKind),
    /// Takes a device away.
    DeleteLink(Word),
    /// Changes a device.
    SetLink(Word, LinkChange),
    /// Decapsulates what comes to a UDP port.
    AddFou(FouPort),
    /// No longer.
    DeleteFou(u16),
    /// A route.
    AddRoute(RouteMode, Route),
    /// A route goes.
    DeleteRoute(RouteChoice),
    /// Routes go: of a table and family, through a device.
    FlushRoutes(u32, Family, Option<Word>),
    /// A rule.
    AddRule(Rule),
    /// A rule goes.
    DeleteRule(Rule),
    /// A neighbour; `true`: it may be there.
    SetNeighbour(Neighbour, bool),
    /// A neighbour goes: address, device.
    DeleteNeighbour(IpAddr, Option<Word>),
    /// Neighbours go: of a device, permanent ones too.
    FlushNeighbours(Option<Word>, bool),
    /// A setting: key with dots, value.
    Sysctl(Word, Word),
    /// A change of the packet filter.
    Netfilter(super::netfilter::Change),
    /// The words after `ipvsadm`.
    Ipvsadm(Vec<Word>),
}
