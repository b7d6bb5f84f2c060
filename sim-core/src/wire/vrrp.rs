//! VRRP adverts: what they say, their bytes, and the book of a world's adverts.
//!
//! A cluster sends the same few adverts every second, so a packet carries the number of what it says, and the
//! bytes are made where a capture is written.

use crate::engine::FxMap;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use etherparse::checksum::Sum16BitWords;

/// Type of an advert, the only one there is.
const ADVERTISEMENT: u8 = 1;
/// Bytes before the addresses.
const HEADER: usize = 8;
/// Bytes of authentication data behind the addresses of version 2.
const AUTH_DATA: usize = 8;

/// Authentication of version 2 (RFC 2338, section 5.3.6). A password is cut or padded with zeros to 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Auth {
    /// None.
    #[default]
    None,
    /// `auth_type PASS`: the password in clear.
    Pass([u8; 8]),
    /// `auth_type AH`: an authentication header (RFC 2402) with HMAC-MD5-96 under this key.
    Ah([u8; 8]),
}

impl Auth {
    /// The number of the type: 0, 1, 2.
    pub const fn kind(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Pass(_) => 1,
            Self::Ah(_) => 2,
        }
    }

    /// A password of up to 8 bytes.
    pub fn secret(text: &str) -> [u8; 8] {
        let mut secret = [0; 8];
        for (to, from) in secret.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        secret
    }
}

/// What an advert says.
///
/// ```
/// use sim_core::wire::vrrp::{Advert, Auth};
///
/// let vip = "192.168.10.200".parse()?;
/// let advert =
///     Advert { version: 2, vrid: 51, priority: 100, interval: 1, auth: Auth::None, addresses: vec![vip] };
/// let ends = ["192.168.10.101".parse()?, "224.0.0.18".parse()?];
/// let bytes = advert.bytes(ends);
/// assert_eq!(bytes[..6], [0x21, 51, 100, 1, 0, 1]);
/// assert_eq!(Advert::read(&bytes, false), Some(advert));
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Advert {
    /// 2 or 3.
    pub version: u8,
    /// Virtual router, 1 to 255.
    pub vrid: u8,
    /// Priority; 0: the sender stops.
    pub priority: u8,
    /// Interval of adverts: seconds (version 2, at most 255), hundredths of a second (version 3, at most 4095).
    pub interval: u16,
    /// Authentication, with version 2.
    pub auth: Auth,
    /// Virtual addresses, all of one family; at most 255 are told.
    pub addresses: Vec<IpAddr>,
}

impl Advert {
    /// Whether the addresses are IPv6.
    fn is_v6(&self) -> bool {
        self.addresses.first().is_some_and(IpAddr::is_ipv6)
    }

    /// Bytes above IP (and above an authentication header).
    pub fn length(&self) -> u16 {
        let count = self.addresses.len().min(255);
        let addresses = count * if self.is_v6() { 16 } else { 4 };
        let auth = if self.version == 2 { AUTH_DATA } else { 0 };
        (HEADER + addresses + auth) as u16
    }

    /// The bytes above IP between these ends (RFC 3768, section 5.1; RFC 5798, section 5.1). The checksum of version 3
    /// is that of the pseudo-header too; that of version 2 is not.
    pub fn bytes(&self, ends: [IpAddr; 2]) -> Vec<u8> {
        let mut out = Vec::with_capacity(usize::from(self.length()));
        let count = self.addresses.len().min(255);
        out.extend([self.version << 4 | ADVERTISEMENT, self.vrid, self.priority, count as u8]);
        if self.version == 2 {
            out.extend([self.auth.kind(), self.interval as u8]);
        } else {
            out.extend((self.interval & 0x0fff).to_be_bytes());
        }
        out.extend([0, 0]);
        for address in &self.addresses[..count] {
            match address {
                IpAddr::V4(a) => out.extend(a.octets()),
                IpAddr::V6(a) => out.extend(a.octets()),
            }
        }
        if self.version == 2 {
            let data = if let Auth::Pass(secret) = self.auth { secret } else { [0; 8] };
            out.extend(data);
        }
        let mut sum = Sum16BitWords::new().add_slice(&out);
        if self.version != 2 {
            for end in ends {
                sum = match end {
                    IpAddr::V4(a) => sum.add_slice(&a.octets()),
                    IpAddr::V6(a) => sum.add_slice(&a.octets()),
                };
            }
            let length = (out.len() as u16).to_be_bytes();
            sum = sum.add_2bytes([0, super::proto::VRRP]).add_2bytes(length);
        }
        out[6..8].copy_from_slice(&sum.ones_complement().to_be().to_be_bytes());
        out
    }

    /// Reads the bytes above IP. `None`: they are no whole advert of version 2 or 3. The checksum is not looked at; the
    /// authentication header of [`Auth::Ah`] lies outside, so its key stays zero.
    pub fn read(bytes: &[u8], v6: bool) -> Option<Self> {
        let &[kind, vrid, priority, count, a, b, _, _] = bytes.get(..HEADER)? else { return None };
        let version = kind >> 4;
        if kind & 0x0f != ADVERTISEMENT || !matches!(version, 2 | 3) {
            return None;
        }
        let width = if v6 { 16 } else { 4 };
        let end = HEADER + usize::from(count) * width;
        let addresses = bytes.get(HEADER..end)?.chunks_exact(width).map(address).collect();
        if version == 3 {
            let interval = u16::from_be_bytes([a & 0x0f, b]);
            return Some(Self { version, vrid, priority, interval, auth: Auth::None, addresses });
        }
        let data: [u8; 8] = bytes.get(end..end + AUTH_DATA)?.try_into().ok()?;
        let auth = match a {
            0 => Auth::None,
            1 => Auth::Pass(data),
            2 => Auth::Ah([0; 8]),
            _ => return None,
        };
        Some(Self { version, vrid, priority, interval: u16::from(b), auth, addresses })
    }
}

/// An address of 4 or 16 bytes.
fn address(bytes: &[u8]) -> IpAddr {
    if let Ok(b) = <[u8; 4]>::try_from(bytes) {
        return IpAddr::V4(Ipv4Addr::from(b));
    }
    let b = <[u8; 16]>::try_from(bytes).unwrap_or_default();
    IpAddr::V6(Ipv6Addr::from(b))
}

/// The adverts of a world by number, in the order in which they were first made.
///
/// ```
/// use sim_core::wire::vrrp::{Advert, AdvertBook, Auth};
///
/// let mut book = AdvertBook::default();
/// let advert = Advert { version: 3, vrid: 1, priority: 100, interval: 100, auth: Auth::None, addresses: vec![] };
/// let number = book.number(&advert);
/// assert_eq!((book.number(&advert), book.get(number)), (number, Some(&advert)));
/// ```
#[derive(Clone, Debug, Default)]
pub struct AdvertBook {
    adverts: Vec<Advert>,
    numbers: FxMap<Advert, u32>,
}

impl AdvertBook {
    /// The number of an advert; it gets one if it has none.
    pub fn number(&mut self, advert: &Advert) -> u32 {
        if let Some(number) = self.numbers.get(advert) {
            return *number;
        }
        let number = self.adverts.len() as u32;
        self.adverts.push(advert.clone());
        self.numbers.insert(advert.clone(), number);
        number
    }

    /// The advert of this number.
    pub fn get(&self, number: u32) -> Option<&Advert> {
        self.adverts.get(number as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advert(version: u8, addresses: &[&str]) -> Advert {
        let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
        Advert { version, vrid: 51, priority: 100, interval: 1, auth: Auth::None, addresses }
    }

    fn ends(a: &str, b: &str) -> [IpAddr; 2] {
        [a.parse().unwrap(), b.parse().unwrap()]
    }

    /// The bytes of an advert of keepalived 2.2.7 as it was recorded.
    #[test]
    fn version_two_is_as_keepalived_sends_it() {
        let bytes = advert(2, &["192.168.10.200"]).bytes(ends("192.168.10.101", "224.0.0.18"));
        let recorded: [u8; 20] = [
            0x21, 0x33, 0x64, 0x01, 0x00, 0x01, 0xaf, 0x59, 0xc0, 0xa8, 0x0a, 0xc8, 0, 0, 0, 0, 0,
            0, 0, 0,
        ];
        assert_eq!(bytes, recorded);
    }

    #[test]
    fn the_checksum_of_version_three_depends_on_the_ends() {
        let a = advert(3, &["10.0.0.9"]);
        let one = a.bytes(ends("10.0.0.1", "224.0.0.18"));
        let other = a.bytes(ends("10.0.0.2", "224.0.0.18"));
        assert_eq!((one.len(), a.length()), (12, 12));
        assert_ne!(one[6..8], other[6..8]);
        assert_eq!(one[..6], other[..6]);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut a = advert(2, &["10.0.0.9", "10.0.0.10"]);
        a.auth = Auth::Pass(Auth::secret("longer than eight"));
        let bytes = a.bytes(ends("10.0.0.1", "224.0.0.18"));
        assert_eq!(&bytes[16..], b"longer t");
        assert_eq!(Advert::read(&bytes, false), Some(a));
        let mut six = advert(3, &["fe80::9", "fd00::9"]);
        six.interval = 4_095;
        let bytes = six.bytes(ends("fe80::1", "ff02::12"));
        assert_eq!(bytes.len(), 40);
        assert_eq!(Advert::read(&bytes, true), Some(six));
        assert_eq!(Advert::read(&bytes[..39], true), None);
        assert_eq!(Advert::read(&[0x22; 20], false), None, "not an advert");
    }
}
