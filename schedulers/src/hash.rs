//! The hash functions of the address rules.
//!
//! Sources: `include/linux/hash.h` (`hash_32`), `lib/siphash.c` on a 64-bit machine, where the
//! kernel's `hsiphash` is SipHash-1-3 cut to 32 bits (Aumasson and Bernstein 2012).

use core::net::IpAddr;

/// An address as one 32-bit number: IPv4 in host order, IPv6 as the exclusive or of its four words.
pub(crate) fn fold(addr: IpAddr) -> u32 {
    match addr {
        IpAddr::V4(a) => a.to_bits(),
        IpAddr::V6(a) => {
            let bits = a.to_bits();
            (bits >> 96) as u32 ^ (bits >> 64) as u32 ^ (bits >> 32) as u32 ^ bits as u32
        }
    }
}

/// Multiplicative hash to `bits` bits (1 ..= 32), with 2^32 divided by the golden ratio.
///
/// # Panics
/// Debug builds: if `bits` is 0 or above 32.
pub(crate) const fn hash_32(value: u32, bits: u32) -> u32 {
    debug_assert!(bits >= 1 && bits <= 32, "a 32-bit hash has 1 to 32 bits");
    value.wrapping_mul(0x61C8_8647) >> (32u32.wrapping_sub(bits) & 31)
}

/// Key of the first hash of `mh`: both 64-bit words (`ip_vs_mh.c`, `generate_hash_secret`).
pub(crate) const MH_KEY_1: u64 = 2_654_435_761;
/// Key of the second hash of `mh`.
pub(crate) const MH_KEY_2: u64 = 2_654_446_892;

/// SipHash-1-3 of the four little-endian bytes of `value`, cut to 32 bits; both key words are
/// `key`.
pub(crate) const fn siphash13(key: u64, value: u32) -> u32 {
    let mut v = [
        0x736f_6d65_7073_6575 ^ key,
        0x646f_7261_6e64_6f6d ^ key,
        0x6c79_6765_6e65_7261 ^ key,
        0x7465_6462_7974_6573 ^ key,
    ];
    let block = 4 << 56 | value as u64;
    v[3] ^= block;
    v = round(v);
    v[0] ^= block;
    v[2] ^= 0xff;
    v = round(round(round(v)));
    (v[0] ^ v[1] ^ v[2] ^ v[3]) as u32
}

/// One round on the four words of the state.
const fn round(v: [u64; 4]) -> [u64; 4] {
    let mut v = v;
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
    v
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Address, fold, 8-bit hash, 8-bit hash with port 12345, 10-bit hash, `SipHash` with the first
    /// key, that modulo 4093, the same with the port. Computed with an independent program.
    type Row = (&'static str, u32, u32, u32, u32, u32, u32, u32);

    const TABLE: [Row; 12] = [
        ("10.0.0.1", 0x0a00_0001, 39, 134, 159, 0x0308_0ce4, 3711, 490),
        ("10.0.0.2", 0x0a00_0002, 137, 232, 550, 0x41cf_de13, 1884, 1889),
        ("192.168.1.1", 0xc0a8_0101, 136, 231, 547, 0xd3f1_b4d3, 2456, 1278),
        ("192.168.1.100", 0xc0a8_0164, 89, 184, 357, 0xc15d_2cf8, 1341, 3989),
        ("203.0.113.7", 0xcb00_7107, 124, 219, 499, 0xa86e_2c15, 1705, 2416),
        ("198.51.100.23", 0xc633_6417, 199, 38, 798, 0xb8f0_5344, 1748, 2544),
        ("172.16.5.9", 0xac10_0509, 115, 209, 460, 0x4bc1_96de, 3538, 4061),
        ("8.8.8.8", 0x0808_0808, 188, 27, 754, 0x3251_70ec, 502, 2102),
        ("255.255.255.255", 0xffff_ffff, 158, 253, 632, 0x22c5_d719, 3432, 187),
        ("0.0.0.0", 0, 0, 94, 0, 0x1d5a_77c2, 2495, 1738),
        ("2001:db8::1", 0x2001_0db9, 63, 157, 252, 0xcdc3_f189, 3457, 3039),
        ("fe80::1", 0xfe80_0001, 247, 86, 989, 0x043e_4947, 1306, 2819),
    ];

    #[test]
    fn the_twelve_test_addresses_hash_as_in_the_kernel() {
        for (addr, folded, bits8, port8, bits10, sip, slot, port_slot) in TABLE {
            let f = fold(addr.parse().expect("the table holds addresses"));
            assert_eq!(f, folded, "{addr}");
            assert_eq!(hash_32(f, 8), bits8, "{addr}");
            assert_eq!(hash_32(f.wrapping_add(12345), 8), port8, "{addr}");
            assert_eq!(hash_32(f, 10), bits10, "{addr}");
            assert_eq!(siphash13(MH_KEY_1, f), sip, "{addr}");
            assert_eq!(siphash13(MH_KEY_1, f) % 4093, slot, "{addr}");
            assert_eq!(siphash13(MH_KEY_1, f.wrapping_add(12345)) % 4093, port_slot, "{addr}");
        }
    }

    #[test]
    fn the_two_keys_hash_small_numbers_as_in_the_kernel() {
        assert_eq!(siphash13(MH_KEY_1, 0), 0x1d5a_77c2);
        assert_eq!(siphash13(MH_KEY_1, 1), 0x16ec_66b2);
        assert_eq!(siphash13(MH_KEY_2, 0), 0xf882_433f);
    }

    #[test]
    fn hash_32_can_keep_every_bit() {
        assert_eq!(hash_32(1, 32), 0x61C8_8647);
    }
}
