//! Addresses: Ethernet ([`Mac`], [`MacId`]) and IPv4 ([`Ip`], [`Prefix`]).

use core::fmt;
use core::net::Ipv4Addr;

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
}

/// An IPv4 address in host order.
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

impl From<Ip> for Ipv4Addr {
    fn from(a: Ip) -> Self {
        Self::from_bits(a.0)
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
        fmt::Display::fmt(&Ipv4Addr::from(*self), f)
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
    fn a_prefix_holds_its_block_and_nothing_else() {
        let p = Prefix::new(Ip::new(192, 168, 10, 77), 24);
        assert_eq!(p.to_string(), "192.168.10.0/24");
        assert!(p.contains(Ip::new(192, 168, 10, 255)));
        assert!(!p.contains(Ip::new(192, 168, 11, 0)));
        assert!(Prefix::ALL.contains(Ip::BROADCAST));
        assert!(Prefix::new(Ip::new(10, 0, 0, 1), 32).contains(Ip::new(10, 0, 0, 1)));
    }
}
