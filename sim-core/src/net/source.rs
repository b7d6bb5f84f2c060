//! The choice of the source address of an IPv6 packet (RFC 6724).

use crate::wire::Ip;

/// An own IPv6 address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwnAddress6 {
    /// Its number.
    pub ip: Ip,
    /// The address.
    pub bits: u128,
    /// Leading bits of the connected prefix.
    pub len: u8,
    /// Not to be chosen as a source if there is another (`preferred_lft 0`).
    pub deprecated: bool,
}

/// Whether an address is link-local.
pub const fn is_link_local(bits: u128) -> bool {
    bits >> 118 == 0xfe80 >> 6
}

/// The policy table of RFC 6724, section 2.1, as far as it tells addresses apart here.
const fn label(bits: u128) -> u8 {
    if bits == 1 {
        0
    } else if bits >> 121 == 0xfc00 >> 9 {
        5
    } else if bits >> 112 == 0x2002 {
        2
    } else {
        1
    }
}

/// The source address for packets to `to` (RFC 6724 as `ipv6_dev_get_saddr` does it): the same
/// address, then the same scope, one that is not deprecated, one of the outgoing interface, the same
/// label, the longest common prefix (as far as the prefix of the address goes); of equals the first.
///
/// `own` are the addresses with whether they are on the outgoing interface. Linux looks at the newest
/// address of an interface first.
pub fn select(to: u128, own: impl Iterator<Item = (OwnAddress6, bool)>) -> Option<Ip> {
    let score = |(a, here): &(OwnAddress6, bool)| {
        let common = (a.bits ^ to).leading_zeros().min(u32::from(a.len));
        let scope = is_link_local(a.bits) == is_link_local(to);
        (a.bits == to, scope, !a.deprecated, *here, label(a.bits) == label(to), common)
    };
    let mut best = None;
    for candidate in own {
        // a link-local address means nothing on another link
        if is_link_local(candidate.0.bits) && !candidate.1 {
            continue;
        }
        let s = score(&candidate);
        if best.is_none_or(|(b, _)| s > b) {
            best = Some((s, candidate.0.ip));
        }
    }
    best.map(|(_, ip)| ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(text: &str) -> u128 {
        text.parse::<core::net::Ipv6Addr>().unwrap().to_bits()
    }

    fn own(ip: u32, text: &str, len: u8) -> OwnAddress6 {
        OwnAddress6 { ip: Ip(ip), bits: bits(text), len, deprecated: false }
    }

    /// As a real director did (Linux 6.1): the VIP on its own interface is the source of its tunnel
    /// packets unless it is deprecated.
    #[test]
    fn a_vip_is_the_source_of_tunnel_packets_unless_deprecated() {
        let mut vip = own(2, "2001:db8:10::200", 128);
        let dip = own(1, "2001:db8:10::100", 64);
        let link = own(3, "fe80::ff:fe00:a64", 64);
        let chosen = |vip: &OwnAddress6, to: &str| {
            select(bits(to), [(*vip, true), (dip, true), (link, true)].into_iter())
        };
        assert_eq!(chosen(&vip, "2001:db8:10::11"), Some(Ip(2)), "the longer common prefix");
        assert_eq!(chosen(&vip, "2001:db8:20::13"), Some(Ip(2)), "the newer of two equal ones");
        assert_eq!(chosen(&vip, "fe80::1"), Some(Ip(3)));
        vip.deprecated = true;
        assert_eq!(chosen(&vip, "2001:db8:20::13"), Some(Ip(1)));
        assert_eq!(chosen(&vip, "2001:db8:10::200"), Some(Ip(2)), "itself");
    }

    #[test]
    fn an_address_of_the_outgoing_interface_is_preferred_to_one_on_lo() {
        let (lo, eth) = (own(1, "2001:db8:9::1", 128), own(2, "fd00::1", 64));
        let own = [(lo, false), (eth, true)];
        assert_eq!(select(bits("2001:db8:9::7"), own.into_iter()), Some(Ip(2)));
        let link = OwnAddress6 { bits: bits("fe80::1"), ..eth };
        assert_eq!(select(bits("2001:db8::1"), [(link, false)].into_iter()), None);
    }
}
