//! The authentication header around an advert (RFC 2402) with HMAC-MD5-96 (RFC 2403), as keepalived makes it.

/// Bytes of the header.
pub const LENGTH: usize = 24;
/// Bytes of it before the integrity check value.
const BEFORE_VALUE: usize = 12;
/// Bytes of a block of MD5.
const BLOCK: usize = 64;

/// The header in front of `above`, a packet of protocol `next`, for an IPv4 packet from `source`. `ip` is its IP header with
/// everything zero that may change on the way: type of service, fragment word, TTL, checksum.
pub(super) fn header(
    next: u8,
    ip: &[u8],
    source: u32,
    sequence: u32,
    key: &[u8],
    above: &[u8],
) -> [u8; LENGTH] {
    let mut out = [0; LENGTH];
    out[0] = next;
    // in words of four bytes, less two
    out[1] = (LENGTH / 4 - 2) as u8;
    out[4..8].copy_from_slice(&source.to_be_bytes());
    out[8..12].copy_from_slice(&sequence.to_be_bytes());
    let value = hmac_md5(key, &[ip, &out, above].concat());
    out[BEFORE_VALUE..].copy_from_slice(&value[..LENGTH - BEFORE_VALUE]);
    out
}

/// RFC 2104, for a key of at most a block.
fn hmac_md5(key: &[u8], message: &[u8]) -> [u8; 16] {
    let padded = |with: u8| {
        let mut pad = [with; BLOCK];
        for (p, k) in pad.iter_mut().zip(key) {
            *p ^= k;
        }
        pad.to_vec()
    };
    let inner = md5(&[padded(0x36), message.to_vec()].concat());
    md5(&[padded(0x5c), inner.to_vec()].concat())
}

/// RFC 1321.
fn md5(message: &[u8]) -> [u8; 16] {
    let mut bytes = message.to_vec();
    bytes.push(0x80);
    bytes.resize((bytes.len() + 8).next_multiple_of(BLOCK) - 8, 0);
    bytes.extend((message.len() as u64 * 8).to_le_bytes());
    // section 3.4: the integer part of 2^32 times |sin(i)|
    let sines: Vec<u32> =
        (1..=64).map(|i| (libm::fabs(libm::sin(f64::from(i))) * 4_294_967_296.0) as u32).collect();
    let mut state: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in bytes.chunks_exact(BLOCK) {
        let word = |n: usize| {
            let b = &block[4 * n..4 * n + 4];
            u32::from_le_bytes([b[0], b[1], b[2], b[3]])
        };
        let [mut a, mut b, mut c, mut d] = state;
        for (i, sine) in sines.iter().enumerate() {
            let (mixed, from, turns) = match i / 16 {
                0 => (b & c | !b & d, i, [7, 12, 17, 22]),
                1 => (d & b | !d & c, 5 * i + 1, [5, 9, 14, 20]),
                2 => (b ^ c ^ d, 3 * i + 5, [4, 11, 16, 23]),
                _ => (c ^ (b | !d), 7 * i, [6, 10, 15, 21]),
            };
            let sum = a.wrapping_add(mixed).wrapping_add(*sine).wrapping_add(word(from % 16));
            (a, d, c, b) = (d, c, b, b.wrapping_add(sum.rotate_left(turns[i % 4])));
        }
        for (s, new) in state.iter_mut().zip([a, b, c, d]) {
            *s = s.wrapping_add(new);
        }
    }
    let mut out = [0; 16];
    for (to, s) in out.chunks_exact_mut(4).zip(state) {
        to.copy_from_slice(&s.to_le_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        use core::fmt::Write as _;
        let mut out = String::new();
        for b in bytes {
            write!(out, "{b:02x}").unwrap();
        }
        out
    }

    /// The test suite of RFC 1321, appendix A.5, in part.
    #[test]
    fn digests_are_those_of_the_rfc() {
        let long =
            b"12345678901234567890123456789012345678901234567890123456789012345678901234567890";
        for (message, digest) in [
            (&b""[..], "d41d8cd98f00b204e9800998ecf8427e"),
            (b"abc", "900150983cd24fb0d6963f7d28e17f72"),
            (long, "57edf4a22be3c955ac49da2e2107b67a"),
        ] {
            assert_eq!(hex(&md5(message)), digest);
        }
    }

    /// RFC 2202, test cases 1 and 2.
    #[test]
    fn keyed_digests_are_those_of_the_rfc() {
        assert_eq!(hex(&hmac_md5(&[0x0b; 16], b"Hi There")), "9294727a3638bb1c13f48ef8158bfc9d");
        let what = b"what do ya want for nothing?";
        assert_eq!(hex(&hmac_md5(b"Jefe", what)), "750c783e6ab0b503eaa86e310a5db738");
    }
}
