//! The format of synchronisation messages, versions 0 and 1 (`struct ip_vs_sync_mesg`,
//! `struct ip_vs_sync_v4`, `struct ip_vs_sync_v6`, `struct ip_vs_sync_conn_v0`). All numbers are big
//! endian.

use crate::ipvs::rules::Forwarding;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Flags of a connection as messages have them (`IP_VS_CONN_F_*`).
pub mod flags {
    use crate::ipvs::rules::Forwarding;

    /// Bits of the forwarding method.
    pub const METHOD: u32 = 7;
    /// Learned from a message.
    pub const SYNC: u32 = 0x20;
    /// No packet of the real server was seen.
    pub const NO_OUTPUT: u32 = 0x80;
    /// Counted as inactive.
    pub const INACTIVE: u32 = 0x100;
    /// Sequence numbers are translated.
    pub const SEQUENCES: u32 = 0x600;
    /// The client's port is not known yet.
    pub const NO_CPORT: u32 = 0x800;
    /// A persistence template.
    pub const TEMPLATE: u32 = 0x1000;
    /// Takes part in connection tracking.
    pub const TRACKED: u32 = 0x1_0000;

    /// The number of a forwarding method; FULLNAT has none.
    pub const fn method(forwarding: Forwarding) -> Option<u32> {
        match forwarding {
            Forwarding::Nat => Some(0),
            Forwarding::LocalNode => Some(1),
            Forwarding::Tun => Some(2),
            Forwarding::Dr => Some(3),
            Forwarding::Bypass => Some(4),
            Forwarding::FullNat => None,
        }
    }
}

/// The forwarding method among the flags of a connection.
pub const fn forwarding(flags: u32) -> Option<Forwarding> {
    match flags & flags::METHOD {
        0 => Some(Forwarding::Nat),
        1 => Some(Forwarding::LocalNode),
        2 => Some(Forwarding::Tun),
        3 => Some(Forwarding::Dr),
        4 => Some(Forwarding::Bypass),
        _ => None,
    }
}

/// Options of a record (`IPVS_OPT_*`).
mod option {
    pub(super) const SEQUENCES: u8 = 1;
    pub(super) const ENGINE_DATA: u8 = 2;
    pub(super) const ENGINE_NAME: u8 = 3;
    /// Whoever does not know the option may leave it out.
    pub(super) const SKIPPED: u8 = 0x40;
}

/// The only persistence engine.
const SIP: &[u8] = b"sip";

/// Version of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// Before Linux 2.6.39: IPv4 only, no marks, no timeouts.
    V0,
    /// `sync_version` 1.
    V1,
}

impl Version {
    /// That of the sysctl `sync_version`.
    pub const fn of(sysctl: u8) -> Self {
        if sysctl == 0 { Self::V0 } else { Self::V1 }
    }

    /// A message without records.
    pub fn header(self, syncid: u8) -> Vec<u8> {
        match self {
            Self::V0 => vec![0, syncid, 0, 4],
            Self::V1 => vec![0, syncid, 0, 8, 0, 1, 0, 0],
        }
    }

    /// Adds a record to a message: padding to a word, count and size.
    pub fn append(self, message: &mut Vec<u8>, record: &[u8]) {
        message.resize(message.len().next_multiple_of(4), 0);
        message.extend_from_slice(record);
        let count = match self {
            Self::V0 => 0,
            Self::V1 => 4,
        };
        message[count] = message[count].wrapping_add(1);
        let size = (message.len() as u16).to_be_bytes();
        message[2..4].copy_from_slice(&size);
    }
}

/// What a message says of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// IP protocol; 0 for a template for all protocols.
    pub protocol: u8,
    /// See [`flags`].
    pub flags: u32,
    /// The state, as the protocol numbers them.
    pub state: u16,
    /// Client address and port.
    pub client: (IpAddr, u16),
    /// Virtual address and port.
    pub vip: (IpAddr, u16),
    /// Real server address and port.
    pub rip: (IpAddr, u16),
    /// Firewall mark, 0 if none.
    pub mark: u32,
    /// Timeout in seconds; 0: that of the state.
    pub timeout: u32,
    /// The SIP Call-ID of a template of that engine.
    pub call: Option<String>,
}

/// A message taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decoded {
    /// Which cluster it is about.
    pub syncid: u8,
    /// Its records, without those that a receiver has to skip.
    pub records: Vec<Record>,
}

impl Record {
    /// Appends the record without padding; `false` if this version has no place for it.
    pub fn write(&self, version: Version, out: &mut Vec<u8>) -> bool {
        match version {
            Version::V0 => self.write_v0(out),
            Version::V1 => {
                self.write_v1(out);
                true
            }
        }
    }

    fn write_v0(&self, out: &mut Vec<u8>) -> bool {
        let (IpAddr::V4(client), IpAddr::V4(vip), IpAddr::V4(rip)) =
            (self.client.0, self.vip.0, self.rip.0)
        else {
            return false;
        };
        out.extend([0, self.protocol]);
        for port in [self.client.1, self.vip.1, self.rip.1] {
            out.extend(port.to_be_bytes());
        }
        for address in [client, vip, rip] {
            out.extend(address.octets());
        }
        out.extend((self.flags as u16).to_be_bytes());
        out.extend(self.state.to_be_bytes());
        true
    }

    fn write_v1(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend([u8::from(self.client.0.is_ipv6()), self.protocol, 0, 0]);
        out.extend(self.flags.to_be_bytes());
        for number in [self.state, self.client.1, self.vip.1, self.rip.1] {
            out.extend(number.to_be_bytes());
        }
        out.extend(self.mark.to_be_bytes());
        out.extend(self.timeout.to_be_bytes());
        for address in [self.client.0, self.vip.0, self.rip.0] {
            match address {
                IpAddr::V4(a) => out.extend(a.octets()),
                IpAddr::V6(a) => out.extend(a.octets()),
            }
        }
        if let Some(call) = &self.call {
            let data = &call.as_bytes()[..call.len().min(255)];
            out.extend([option::ENGINE_DATA, data.len() as u8]);
            out.extend_from_slice(data);
            out.extend([option::ENGINE_NAME, SIP.len() as u8]);
            out.extend_from_slice(SIP);
        }
        // version 0 of the record in the upper four bits
        let length = ((out.len() - start) as u16 & 0x0fff).to_be_bytes();
        out[start + 2..start + 4].copy_from_slice(&length);
    }

    /// A record of version 1 of exactly these bytes. `None`: to be skipped.
    fn read_v1(bytes: &[u8]) -> Option<Self> {
        let mut b = Bytes(bytes);
        let kind = b.u8()?;
        let v6 = kind & 1 != 0;
        let protocol = b.u8()?;
        let length = b.u16()?;
        if length >> 12 != 0 {
            return None;
        }
        let flags = b.u32()?;
        let [state, cport, vport, dport] = [b.u16()?, b.u16()?, b.u16()?, b.u16()?];
        let (mark, timeout) = (b.u32()?, b.u32()?);
        let (client, vip, rip) = (b.address(v6)?, b.address(v6)?, b.address(v6)?);
        let mut record = Self {
            protocol,
            flags,
            state,
            client: (client, cport),
            vip: (vip, vport),
            rip: (rip, dport),
            mark,
            timeout,
            call: None,
        };
        while !b.0.is_empty() {
            let (kind, length) = (b.u8()?, b.u8()?);
            let data = b.take(usize::from(length))?;
            match kind & !option::SKIPPED {
                option::ENGINE_DATA => {
                    record.call = Some(core::str::from_utf8(data).ok()?.to_owned());
                }
                option::ENGINE_NAME if data == SIP => {}
                option::SEQUENCES if data.len() == 24 => {}
                _ if kind & option::SKIPPED != 0 => {}
                _ => return None,
            }
        }
        Some(record)
    }
}

/// Takes a message apart (`ip_vs_process_message`). `None`: it is not one. What follows a record whose
/// length is wrong is not looked at.
pub fn read(bytes: &[u8]) -> Option<Decoded> {
    let mut b = Bytes(bytes);
    let (first, syncid, size) = (b.u8()?, b.u8()?, b.u16()?);
    if usize::from(size) != bytes.len() {
        return None;
    }
    // a message of version 1 seems to be one of version 0 without records
    if first != 0 || bytes.get(5..8) != Some(&[1, 0, 0]) {
        return Some(Decoded { syncid, records: read_v0(b, first) });
    }
    let count = b.u8()?;
    b.take(3)?;
    let mut records = Vec::new();
    for _ in 0..count {
        let Some(record) = next_v1(&mut b) else { break };
        records.extend(Record::read_v1(record));
    }
    Some(Decoded { syncid, records })
}

/// The bytes of the next record of version 1, without its padding.
fn next_v1<'a>(b: &mut Bytes<'a>) -> Option<&'a [u8]> {
    let head = b.0.get(..4)?;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]) & 0x0fff);
    let least = if head[0] & 1 != 0 { 72 } else { 36 };
    if length < least {
        return None;
    }
    let record = b.take(length)?;
    b.0 = b.0.get(length.next_multiple_of(4) - length..).unwrap_or_default();
    Some(record)
}

fn read_v0(mut b: Bytes<'_>, count: u8) -> Vec<Record> {
    let mut records = Vec::new();
    for _ in 0..count {
        let Some(record) = record_v0(&mut b) else { break };
        records.push(record);
    }
    records
}

fn record_v0(b: &mut Bytes<'_>) -> Option<Record> {
    b.u8()?;
    let protocol = b.u8()?;
    let [cport, vport, dport] = [b.u16()?, b.u16()?, b.u16()?];
    let (client, vip, rip) = (b.address(false)?, b.address(false)?, b.address(false)?);
    let (flags, state) = (u32::from(b.u16()?), b.u16()?);
    if flags & flags::SEQUENCES != 0 {
        b.take(24)?;
    }
    Some(Record {
        protocol,
        flags,
        state,
        client: (client, cport),
        vip: (vip, vport),
        rip: (rip, dport),
        mark: 0,
        timeout: 0,
        call: None,
    })
}

/// Bytes not read yet.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn address(&mut self, v6: bool) -> Option<IpAddr> {
        if v6 {
            self.array::<16>().map(|a| IpAddr::V6(Ipv6Addr::from(a)))
        } else {
            self.array::<4>().map(|a| IpAddr::V4(Ipv4Addr::from(a)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_record() -> impl Strategy<Value = Record> {
        let numbers = (any::<[u8; 1]>(), any::<[u16; 4]>(), any::<[u32; 3]>());
        let call = prop_oneof![Just(None), "[a-z0-9@.]{1,255}".prop_map(Some)];
        (numbers, any::<[u128; 3]>(), any::<bool>(), call).prop_map(|(numbers, ips, v6, call)| {
            let ([protocol], [state, cport, vport, dport], [flags, mark, timeout]) = numbers;
            let [client, vip, rip] = ips.map(|bits| {
                if v6 { IpAddr::V6(bits.into()) } else { IpAddr::V4((bits as u32).into()) }
            });
            Record {
                protocol,
                flags,
                state,
                client: (client, cport),
                vip: (vip, vport),
                rip: (rip, dport),
                mark,
                timeout,
                call,
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(records in prop::collection::vec(any_record(), 0..20)) {
            let mut message = Version::V1.header(7);
            for record in &records {
                let mut bytes = Vec::new();
                prop_assert!(record.write(Version::V1, &mut bytes));
                Version::V1.append(&mut message, &bytes);
            }
            prop_assert_eq!(read(&message), Some(Decoded { syncid: 7, records }));
        }

        #[test]
        fn no_bytes_are_a_reason_to_panic(mut bytes in prop::collection::vec(any::<u8>(), 4..200)) {
            drop(read(&bytes));
            let size = (bytes.len() as u16).to_be_bytes();
            bytes[2..4].copy_from_slice(&size);
            drop(read(&bytes));
            if bytes.len() > 8 {
                bytes[0] = 0;
                bytes[5..8].copy_from_slice(&[1, 0, 0]);
                drop(read(&bytes));
            }
        }
    }

    #[test]
    fn version_0_has_no_ipv6_and_no_timeout() {
        let v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
        let v4 = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let record = |ip| Record {
            protocol: 6,
            flags: flags::INACTIVE,
            state: 4,
            client: (ip, 1),
            vip: (ip, 2),
            rip: (ip, 3),
            mark: 0,
            timeout: 0,
            call: None,
        };
        assert!(!record(v6).write(Version::V0, &mut Vec::new()));
        let (mut message, mut bytes) = (Version::V0.header(9), Vec::new());
        assert!(record(v4).write(Version::V0, &mut bytes));
        Version::V0.append(&mut message, &bytes);
        assert_eq!((message.len(), bytes.len()), (28, 24));
        assert_eq!(read(&message), Some(Decoded { syncid: 9, records: vec![record(v4)] }));
    }

    #[test]
    fn an_unknown_option_may_be_left_out_only_if_it_says_so() {
        let mut bytes = Vec::new();
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let record = Record {
            protocol: 6,
            flags: 0,
            state: 1,
            client: (ip, 1),
            vip: (ip, 2),
            rip: (ip, 3),
            mark: 5,
            timeout: 900,
            call: None,
        };
        assert!(record.write(Version::V1, &mut bytes));
        for (kind, kept) in [(0x49, true), (0x09, false)] {
            let mut longer = bytes.clone();
            longer.extend([kind, 2, 0, 0]);
            longer[3] += 4;
            let mut message = Version::V1.header(0);
            Version::V1.append(&mut message, &longer);
            Version::V1.append(&mut message, &bytes);
            let read = read(&message).unwrap();
            assert_eq!(read.records.len(), 1 + usize::from(kept));
        }
    }
}
