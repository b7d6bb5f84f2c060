//! Addresses with prefix lengths.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The IPv4 address `a.b.c.d`.
pub const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

/// An address with a prefix length: an address on an interface with its connected prefix, or a block of
/// addresses.
///
/// ```
/// use sim_core::config::{Net, v4};
///
/// let net = Net::new(v4(192, 168, 10, 77), 24);
/// assert!(net.contains(v4(192, 168, 10, 255)) && !net.contains(v4(192, 168, 11, 0)));
/// assert_eq!(net.network().to_string(), "192.168.10.0/24");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Net {
    /// The address.
    pub addr: IpAddr,
    /// Leading bits of the prefix: at most 32 for IPv4 and 128 for IPv6; all of them for a VIP.
    pub len: u8,
}

impl Net {
    /// Every IPv4 address.
    pub const ALL: Self = Self { addr: IpAddr::V4(Ipv4Addr::UNSPECIFIED), len: 0 };
    /// Every IPv6 address.
    pub const ALL_V6: Self = Self { addr: IpAddr::V6(Ipv6Addr::UNSPECIFIED), len: 0 };

    /// An address with a prefix length, which is cut to the bits of the address.
    pub const fn new(addr: IpAddr, len: u8) -> Self {
        let bits = Self::bits(addr);
        Self { addr, len: if len > bits { bits } else { len } }
    }

    /// An address alone: /32 or /128.
    pub const fn host(addr: IpAddr) -> Self {
        Self { addr, len: Self::bits(addr) }
    }

    const fn bits(addr: IpAddr) -> u8 {
        if addr.is_ipv4() { 32 } else { 128 }
    }

    /// Whether the prefix holds nothing but the address.
    pub const fn is_host(&self) -> bool {
        self.len == Self::bits(self.addr)
    }

    /// The address with the bits beyond the prefix set to zero.
    #[must_use]
    pub const fn network(&self) -> Self {
        let addr = match self.addr {
            IpAddr::V4(a) => {
                let mask = if self.len == 0 { 0 } else { u32::MAX << (32 - self.len) };
                IpAddr::V4(Ipv4Addr::from_bits(a.to_bits() & mask))
            }
            IpAddr::V6(a) => {
                let mask = if self.len == 0 { 0 } else { u128::MAX << (128 - self.len) };
                IpAddr::V6(Ipv6Addr::from_bits(a.to_bits() & mask))
            }
        };
        Self { addr, len: self.len }
    }

    /// Whether `addr` is of this family and has the same leading bits.
    pub fn contains(&self, addr: IpAddr) -> bool {
        addr.is_ipv4() == self.addr.is_ipv4()
            && Self { addr, len: self.len }.network() == self.network()
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.len)
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
