//! Addresses: Ethernet ([`Mac`], [`MacId`]) and IP ([`Ip`], [`AddressBook`], [`Prefix`]).

use crate::engine::FxMap;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An Ethernet address as it stands on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

/// An Ethernet address by its number in the world's table of addresses.
///
/// A run has few addresses and looks them up on every hop, so a packet carries the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MacId(pub u32);

impl MacId {
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: Self = Self(u32::MAX);
    /// `00:00:00:00:00:00`, the unknown target of an ARP request.
    pub const ZERO: Self = Self(u32::MAX - 1);

    /// The Ethernet address of an IPv6 multicast group (RFC 2464, section 7), for the groups that exist
    /// here: solicited-node addresses and those of the form `ff02::xx:xxxx`.
    ///
    /// It needs no place in the table of addresses: the number says what it is.
    pub const fn of_group(group: Ipv6Addr) -> Self {
        let low = group.to_bits() as u32;
        let solicited = if low >> 24 == 0xff { Self::SOLICITED } else { 0 };
        Self(Self::GROUP | solicited | low & 0x00ff_ffff)
    }

    /// The Ethernet address of an IPv4 multicast group (RFC 1112, section 6.4): its low 23 bits.
    pub const fn of_group_v4(group: Ip) -> Self {
        Self(Self::GROUP_V4 | group.0 & 0x007f_ffff)
    }

    /// The address as it stands on the wire, if this is a group.
    pub const fn group(self) -> Option<Mac> {
        if !self.is_group() {
            return None;
        }
        let [_, a, b, c] = self.0.to_be_bytes();
        if self.0 >> 25 == Self::GROUP_V4 >> 25 {
            return Some(Mac([0x01, 0x00, 0x5e, a, b, c]));
        }
        let first = if self.0 & Self::SOLICITED != 0 { 0xff } else { 0 };
        Some(Mac([0x33, 0x33, first, a, b, c]))
    }

    /// Whether this is the address of a multicast group.
    #[inline]
    pub const fn is_group(self) -> bool {
        self.0 >> 26 == Self::GROUP >> 26
    }

    const GROUP: u32 = 0x8000_0000;
    const GROUP_V4: u32 = 0x8200_0000;
    const SOLICITED: u32 = 0x0100_0000;
}

/// An IP address in 32 bits: an IPv4 address in host order, or the number of an IPv6 address in the
/// world's [`AddressBook`].
///
/// A packet is looked up by its addresses on every hop, and a run has few IPv6 addresses compared with
/// its packets, so a packet carries the number. Numbers lie in the reserved block 240.0.0.0/4, which no
/// host has an address of; 255.255.255.255 stays the broadcast address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ip(pub u32);

impl Ip {
    /// `0.0.0.0`: no address.
    pub const ANY: Self = Self(0);
    /// `255.255.255.255`.
    pub const BROADCAST: Self = Self(u32::MAX);

    /// The address `a.b.c.d`.
    pub const fn new(a: u8, b: u8, c: u8, d: u8) -> Self {
        Self(u32::from_be_bytes([a, b, c, d]))
    }

    /// Whether this is the number of an IPv6 address.
    #[inline]
    pub const fn is_v6(self) -> bool {
        // from FIRST to the last but one, in one comparison
        self.0.wrapping_sub(AddressBook::FIRST) < u32::MAX - AddressBook::FIRST
    }
}

/// The IPv6 addresses of a world by number, in the order in which they were first heard of.
///
/// ```
/// use sim_core::wire::{AddressBook, Ip};
///
/// let mut book = AddressBook::new();
/// let vip = book.number("fd00::c8".parse().unwrap());
/// assert!(vip.is_v6());
/// assert_eq!(book.address(vip).to_string(), "fd00::c8");
/// assert_eq!(book.number("10.0.0.1".parse().unwrap()), Ip::new(10, 0, 0, 1));
/// ```
#[derive(Clone, Debug, Default)]
pub struct AddressBook {
    addresses: Vec<Ipv6Addr>,
    numbers: FxMap<Ipv6Addr, u32>,
}

impl AddressBook {
    /// The first number: 240.0.0.0.
    const FIRST: u32 = 0xf000_0000;

    /// An empty book.
    pub fn new() -> Self {
        Self::default()
    }

    /// The 32-bit form of an address; an IPv6 address gets a number if it has none. An IPv4 address of
    /// the reserved block (240.0.0.0/4) is numbered as the IPv6 address it maps to.
    ///
    /// # Panics
    /// After 2^28 - 1 different IPv6 addresses, which take more than 5 GiB.
    pub fn number(&mut self, address: IpAddr) -> Ip {
        let v6 = match address {
            IpAddr::V4(a) if !Ip(a.to_bits()).is_v6() => return Ip(a.to_bits()),
            IpAddr::V4(a) => a.to_ipv6_mapped(),
            IpAddr::V6(a) => a,
        };
        let next = self.addresses.len() as u32;
        let number = *self.numbers.entry(v6).or_insert(next);
        if number == next {
            assert!(next < u32::MAX - Self::FIRST, "a run has fewer than 2^28 IPv6 addresses");
            self.addresses.push(v6);
        }
        Ip(Self::FIRST + number)
    }

    /// The 32-bit form of an address that has one.
    pub fn find(&self, address: IpAddr) -> Option<Ip> {
        match address {
            IpAddr::V4(a) if !Ip(a.to_bits()).is_v6() => Some(Ip(a.to_bits())),
            IpAddr::V4(a) => self.numbers.get(&a.to_ipv6_mapped()).map(|n| Ip(Self::FIRST + n)),
            IpAddr::V6(a) => self.numbers.get(&a).map(|n| Ip(Self::FIRST + n)),
        }
    }

    /// The address that `ip` stands for; `::` for a number that the book did not give out.
    pub fn address(&self, ip: Ip) -> IpAddr {
        if !ip.is_v6() {
            return IpAddr::V4(Ipv4Addr::from_bits(ip.0));
        }
        let known = self.addresses.get((ip.0 - Self::FIRST) as usize);
        known.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |a| IpAddr::V6(*a))
    }

    /// The IPv6 address that `ip` stands for; `::` for an IPv4 address.
    pub fn v6(&self, ip: Ip) -> Ipv6Addr {
        match self.address(ip) {
            IpAddr::V6(a) => a,
            IpAddr::V4(_) => Ipv6Addr::UNSPECIFIED,
        }
    }
}

/// The group that is asked for the Ethernet address of `target` (RFC 4291, section 2.7.1).
pub const fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    const PREFIX: u128 = 0xff02_0000_0000_0000_0000_0001_ff00_0000;
    Ipv6Addr::from_bits(PREFIX | target.to_bits() & 0x00ff_ffff)
}

/// The link-local address of an interface (RFC 4291, appendix A).
pub const fn link_local(mac: Mac) -> Ipv6Addr {
    let m = mac.0;
    let low = u64::from_be_bytes([m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]]);
    Ipv6Addr::from_bits(0xfe80 << 112 | low as u128)
}

/// A block of IPv4 addresses: `10.0.0.0/8`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// First address of the block; bits beyond `len` are zero.
    pub addr: Ip,
    /// Number of leading bits that are fixed, 0 to 32.
    pub len: u8,
}

impl Prefix {
    /// Every address.
    pub const ALL: Self = Self { addr: Ip(0), len: 0 };

    /// The block of `len` leading bits (at most 32) that holds `addr`.
    pub const fn new(addr: Ip, len: u8) -> Self {
        let len = if len > 32 { 32 } else { len };
        Self { addr: Ip(addr.0 & Self::mask(len)), len }
    }

    /// The netmask of `len` (at most 32) leading bits, in host order.
    pub const fn mask(len: u8) -> u32 {
        if len == 0 { 0 } else { u32::MAX << (32 - len) }
    }

    /// Whether the block holds `ip`.
    pub const fn contains(self, ip: Ip) -> bool {
        ip.0 & Self::mask(self.len) == self.addr.0
    }
}

impl From<Ipv4Addr> for Ip {
    fn from(a: Ipv4Addr) -> Self {
        Self(a.to_bits())
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            let colon = if i == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_v6() {
            return write!(f, "v6#{}", self.0 - AddressBook::FIRST);
        }
        fmt::Display::fmt(&Ipv4Addr::from_bits(self.0), f)
    }
}

impl fmt::Debug for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.len)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_number() {
        let mut book = AddressBook::new();
        let ips = ["fd00::1", "10.1.2.3", "fd00::2", "240.0.0.1", "255.255.255.255", "::"];
        let numbers = ips.map(|a| book.number(a.parse().unwrap()));
        assert_eq!(numbers, ips.map(|a| book.number(a.parse().unwrap())));
        assert_eq!(numbers.map(Ip::is_v6), [true, false, true, true, false, true]);
        for (text, number) in ips.iter().zip(numbers) {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(book.find(address), Some(number));
            assert_eq!(book.address(number).to_canonical(), address);
        }
        assert_eq!(book.find("fd00::3".parse().unwrap()), None);
        assert_eq!(book.address(Ip(0xf123_4567)).to_string(), "::", "an unknown number");
        assert_eq!(numbers[0].to_string(), "v6#0");
    }

    #[test]
    fn a_group_is_its_own_ethernet_address() {
        let target: Ipv6Addr = "2001:db8:10::1:2200".parse().unwrap();
        let group = solicited_node(target);
        assert_eq!(group.to_string(), "ff02::1:ff01:2200");
        let mac = MacId::of_group(group);
        assert_eq!(mac.group().unwrap().to_string(), "33:33:ff:01:22:00");
        let all_nodes = MacId::of_group("ff02::1".parse().unwrap());
        assert_eq!(all_nodes.group().unwrap().to_string(), "33:33:00:00:00:01");
        let sync = MacId::of_group_v4(Ip::new(224, 0, 0, 81));
        assert_eq!(sync.group().unwrap().to_string(), "01:00:5e:00:00:51");
        assert_eq!(MacId::of_group_v4(Ip::new(239, 128, 0, 81)), sync, "23 bits of 28");
        for single in [MacId(0), MacId(77), MacId::BROADCAST, MacId::ZERO] {
            assert_eq!(single.group(), None);
        }
    }

    #[test]
    fn a_link_local_address_is_made_of_the_ethernet_address() {
        let ip = link_local(Mac([2, 0, 0, 0, 0x0a, 0x64]));
        assert_eq!(ip.to_string(), "fe80::ff:fe00:a64");
    }

    #[test]
    fn a_prefix_holds_its_block_and_nothing_else() {
        let p = Prefix::new(Ip::new(192, 168, 10, 77), 24);
        assert_eq!(p.to_string(), "192.168.10.0/24");
        assert!(p.contains(Ip::new(192, 168, 10, 255)));
        assert!(!p.contains(Ip::new(192, 168, 11, 0)));
        assert!(Prefix::ALL.contains(Ip::BROADCAST));
        assert!(Prefix::new(Ip::new(10, 0, 0, 1), 32).contains(Ip::new(10, 0, 0, 1)));
    }
}
