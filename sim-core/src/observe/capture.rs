//! Captures: what passes an interface, as pcapng bytes for Wireshark.
//!
//! One file per interface, with nanosecond times that count from the start of the run. The bytes
//! gather in memory; the caller takes them as often as it likes and knows where they go. A capture
//! only looks: no random number, no event, nothing of the run depends on it.
//!
//! The format is the pcapng draft of the IETF opsawg (draft-ietf-opsawg-pcapng): a section header,
//! one interface description, enhanced packet blocks.

use crate::config::{CaptureConfig, WorldConfig};
use crate::engine::Time;
use crate::wire::decode::Frame;
use crate::wire::encode::{self, Bodies};
use crate::wire::{Mac, Packet, PacketId};

/// Which way a frame passes an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Received by the host.
    In,
    /// Sent by the host.
    Out,
}

/// An interface whose frames are recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CaptureInterface {
    /// Name of the host.
    pub host: String,
    /// Name of the interface: `eth0`.
    pub interface: String,
}

impl CaptureInterface {
    /// The name of the file without its ending: `director.eth0`.
    ///
    /// ```
    /// use sim_core::observe::capture::CaptureInterface;
    /// let i = CaptureInterface { host: "director".into(), interface: "eth0".into() };
    /// assert_eq!(i.stem(), "director.eth0");
    /// ```
    pub fn stem(&self) -> String {
        format!("{}.{}", self.host, self.interface)
    }
}

/// The interfaces that `config.captures` asks for: host number and interface number in
/// `config.hosts[..].interfaces`, each once, in the order of the hosts.
pub fn selected(config: &WorldConfig) -> Vec<(usize, usize)> {
    let wanted = |host: &str, interface: &str| {
        config.captures.iter().any(|c| match c {
            CaptureConfig::All => true,
            CaptureConfig::Host(h) => h == host,
            CaptureConfig::Interface(h, i) => h == host && i == interface,
        })
    };
    let mut found = Vec::new();
    for (h, host) in config.hosts.iter().enumerate() {
        for (i, interface) in host.interfaces.iter().enumerate() {
            if wanted(&host.name, &interface.name) {
                found.push((h, i));
            }
        }
    }
    found
}

/// A captured frame that was kept as packets, not written as bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Number of the captured interface.
    pub index: usize,
    /// When it passed.
    pub at: Time,
    /// Which way.
    pub way: Direction,
    /// The packet with all that is inside.
    pub frame: Frame,
}

/// pcapng writers, one for each interface.
#[derive(Debug)]
pub struct Capture {
    files: Vec<File>,
    kept: Option<Vec<Kept>>,
}

#[derive(Debug)]
struct File {
    interface: CaptureInterface,
    bytes: Vec<u8>,
    frames: u64,
}

impl Capture {
    /// Opens a capture of each interface, numbered from 0 in the given order.
    ///
    /// `if_name` is the name of the interface, `if_description` is `HOST.IFACE`.
    pub fn new(interfaces: impl IntoIterator<Item = CaptureInterface>) -> Self {
        let open = |interface: CaptureInterface| {
            let mut bytes = Vec::new();
            section_header(&mut bytes);
            interface_description(&mut bytes, &interface);
            File { interface, bytes, frames: 0 }
        };
        Self { files: interfaces.into_iter().map(open).collect(), kept: None }
    }

    /// From now on frames are kept as packets, see [`Capture::take_kept`], and not written.
    pub fn keep(&mut self) {
        self.kept.get_or_insert_default();
    }

    /// The frames kept since the last call, in the order in which they passed.
    pub fn take_kept(&mut self) -> Vec<Kept> {
        self.kept.as_mut().map(core::mem::take).unwrap_or_default()
    }

    /// The interfaces in order of their number.
    pub fn interfaces(&self) -> impl ExactSizeIterator<Item = &CaptureInterface> {
        self.files.iter().map(|f| &f.interface)
    }

    /// Records a frame on the interface number `index`; nothing happens if there is no such number.
    ///
    /// `bodies` finds packets inside packets, `macs` is the world's table of Ethernet addresses (see
    /// [`encode::frame`]).
    pub fn record<B: Bodies>(
        &mut self,
        index: usize,
        now: Time,
        direction: Direction,
        packet: &Packet,
        bodies: &B,
        macs: &[Mac],
    ) {
        let Some(file) = self.files.get_mut(index) else { return };
        file.frames += 1;
        if let Some(kept) = &mut self.kept {
            kept.push(Kept { index, at: now, way: direction, frame: copied(packet, bodies) });
            return;
        }
        let flags: u32 = match direction {
            Direction::In => 1,
            Direction::Out => 2,
        };
        let ns = now.as_nanos();
        block(&mut file.bytes, block_type::ENHANCED_PACKET, |out| {
            word(out, 0);
            word(out, (ns >> 32) as u32);
            word(out, ns as u32);
            let lengths = out.len();
            out.extend([0; 8]);
            let start = out.len();
            encode::frame(out, now, packet, bodies, macs);
            let length = ((out.len() - start) as u32).to_le_bytes();
            out[lengths..lengths + 4].copy_from_slice(&length);
            out[lengths + 4..lengths + 8].copy_from_slice(&length);
            pad(out, start);
            option(out, 2, &flags.to_le_bytes());
            end_of_options(out);
        });
    }

    /// The bytes written to number `index` since the last call, to be appended to its file. The
    /// first call begins with the file header, so a file without a frame is a valid one too. Empty if
    /// there is no such number.
    pub fn take(&mut self, index: usize) -> Vec<u8> {
        self.files.get_mut(index).map(|f| core::mem::take(&mut f.bytes)).unwrap_or_default()
    }

    /// Bytes that wait to be taken, of all files together.
    pub fn pending(&self) -> usize {
        self.files.iter().map(|f| f.bytes.len()).sum()
    }

    /// Frames recorded on number `index` so far.
    pub fn frames(&self, index: usize) -> u64 {
        self.files.get(index).map_or(0, |f| f.frames)
    }
}

/// A packet with copies of all that is inside it.
fn copied<B: Bodies>(packet: &Packet, bodies: &B) -> Frame {
    let mut frame = Frame { packet: *packet, inside: Vec::new(), payloads: Vec::new() };
    let mut body = packet.body;
    // a chain: each packet holds at most one
    while body.is_packet()
        && let Some(inner) = bodies.body(body)
    {
        let number = PacketId(frame.inside.len() as u32);
        match frame.inside.last_mut() {
            Some(last) => last.body = number,
            None => frame.packet.body = number,
        }
        frame.inside.push(inner);
        body = inner.body;
    }
    if let Some(bytes) = bodies.payload(body) {
        frame.payloads.push(bytes.to_vec());
        frame.inside.last_mut().unwrap_or(&mut frame.packet).body = PacketId::of_payload(0);
    }
    frame
}

mod block_type {
    pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
    pub(super) const INTERFACE_DESCRIPTION: u32 = 1;
    pub(super) const ENHANCED_PACKET: u32 = 6;
}

fn section_header(out: &mut Vec<u8>) {
    block(out, block_type::SECTION_HEADER, |out| {
        word(out, 0x1a2b_3c4d);
        out.extend([1, 0, 0, 0]);
        out.extend(u64::MAX.to_le_bytes());
        option(out, 4, concat!("lvsim ", env!("CARGO_PKG_VERSION")).as_bytes());
        end_of_options(out);
    });
}

fn interface_description(out: &mut Vec<u8>, interface: &CaptureInterface) {
    block(out, block_type::INTERFACE_DESCRIPTION, |out| {
        // link type 1 (Ethernet), reserved, no limit on the length of a frame
        out.extend([1, 0, 0, 0]);
        word(out, 0);
        option(out, 2, interface.interface.as_bytes());
        option(out, 3, interface.stem().as_bytes());
        // times are in units of 10^-9 s
        option(out, 9, &[9]);
        end_of_options(out);
    });
}

/// Appends a block: type, length, what `content` writes (a multiple of 4 bytes), length again.
fn block(out: &mut Vec<u8>, kind: u32, content: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    word(out, kind);
    word(out, 0);
    content(out);
    let length = (out.len() - start + 4) as u32;
    debug_assert_eq!(length % 4, 0, "a block ends on a word");
    word(out, length);
    out[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
}

/// Appends an option; a value above 65535 bytes is cut.
fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    out.extend(code.to_le_bytes());
    out.extend((value.len() as u16).to_le_bytes());
    let start = out.len();
    out.extend_from_slice(value);
    pad(out, start);
}

fn end_of_options(out: &mut Vec<u8>) {
    word(out, 0);
}

fn word(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_le_bytes());
}

/// Zeros up to the next word, counted from `start`.
fn pad(out: &mut Vec<u8>, start: usize) {
    let length = (out.len() - start).next_multiple_of(4);
    out.resize(start + length, 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::topology::sample;
    use crate::wire::{Ip, PacketId, proto};
    use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
    use pcap_parser::{Block, OptionCode, PcapBlockOwned, PcapError, PcapNGOption, PcapNGReader};

    fn interface(host: &str, name: &str) -> CaptureInterface {
        CaptureInterface { host: host.into(), interface: name.into() }
    }

    fn value<'a>(options: &'a [PcapNGOption<'_>], code: u16) -> &'a [u8] {
        let found =
            options.iter().find(|o| o.code == OptionCode(code)).expect("the option is there");
        found.as_bytes().expect("an option has a value")
    }

    /// Time, flags and bytes.
    type Frame = (u64, u32, Vec<u8>);

    /// What an independent reader finds: `if_name` and description; each frame.
    fn read(bytes: &[u8]) -> (Vec<String>, Vec<Frame>) {
        let mut reader = PcapNGReader::new(1 << 17, bytes).unwrap();
        let (mut names, mut frames) = (Vec::new(), Vec::new());
        loop {
            let used = match reader.next() {
                Ok((used, PcapBlockOwned::NG(b))) => {
                    match b {
                        Block::SectionHeader(s) => {
                            assert!(value(&s.options, 4).starts_with(b"lvsim "));
                        }
                        Block::InterfaceDescription(i) => {
                            assert_eq!((i.linktype.0, i.if_tsresol), (1, 9));
                            for code in [2, 3] {
                                let text = value(&i.options, code).to_vec();
                                names.push(String::from_utf8(text).unwrap());
                            }
                        }
                        Block::EnhancedPacket(p) => {
                            let time = u64::from(p.ts_high) << 32 | u64::from(p.ts_low);
                            let flags = value(&p.options, 2).try_into().unwrap();
                            assert_eq!(p.caplen, p.origlen);
                            frames.push((
                                time,
                                u32::from_le_bytes(flags),
                                p.packet_data()[..p.caplen as usize].to_vec(),
                            ));
                        }
                        other => panic!("unexpected block {other:?}"),
                    }
                    used
                }
                Ok(_) => panic!("not pcapng"),
                Err(PcapError::Eof) => return (names, frames),
                Err(PcapError::Incomplete(_)) => {
                    reader.refill().unwrap();
                    continue;
                }
                Err(e) => panic!("{e:?}"),
            };
            reader.consume(used);
        }
    }

    #[test]
    fn what_was_recorded_is_read_back() {
        let mut c = Capture::new([interface("director", "eth0"), interface("rs1", "eth10")]);
        let nobody = |_: PacketId| None;
        let p = Packet::ipv4(Ip::new(10, 0, 0, 1), Ip::new(10, 0, 0, 2), proto::UDP, 31);
        let late = Time::from_nanos(5_000_000_000_000_000_123);
        let mut file = Vec::new();
        c.record(0, Time::from_nanos(7), Direction::Out, &p, &nobody, &[]);
        file.extend(c.take(0));
        c.record(0, late, Direction::In, &p, &nobody, &[]);
        c.record(9, late, Direction::In, &p, &nobody, &[]);
        assert_eq!(c.frames(0), 2);
        file.extend(c.take(0));
        assert!(c.take(0).is_empty() && c.take(9).is_empty());

        let mut expected = Vec::new();
        encode::frame(&mut expected, late, &p, &nobody, &[]);
        let (names, frames) = read(&file);
        assert_eq!(names, ["eth0", "director.eth0"]);
        assert_eq!(frames.len(), 2);
        assert_eq!((frames[0].0, frames[0].1), (7, 2));
        assert_eq!(frames[1], (late.as_nanos(), 1, expected));

        assert!(c.pending() > 0, "a file without frames still has its header");
        assert_eq!(c.frames(1), 0);
        let (names, frames) = read(&c.take(1));
        assert_eq!(names, ["eth10", "rs1.eth10"]);
        assert!(frames.is_empty());
    }

    #[test]
    fn each_wanted_interface_is_selected_once() {
        let mut w = sample::dr();
        w.hosts[1].interfaces.push(sample::interface("eth1", &[]));
        assert_eq!(selected(&w), []);
        let one = CaptureConfig::Interface("director".into(), "eth1".into());
        w.captures = vec![one, CaptureConfig::Host("client".into())];
        assert_eq!(selected(&w), [(0, 0), (1, 1)]);
        w.captures.push(CaptureConfig::All);
        assert_eq!(selected(&w), [(0, 0), (1, 0), (1, 1), (2, 0), (3, 0)]);
    }

    #[test]
    fn every_length_of_frame_ends_on_a_word() {
        let mut c = Capture::new([interface("h", "e")]);
        for len in (20..60).chain([1500, 65_535]) {
            let p = Packet::ipv4(Ip(1), Ip(2), proto::UDP, len);
            c.record(0, Time::ZERO, Direction::In, &p, &|_| None, &[]);
        }
        let (_, frames) = read(&c.take(0));
        let lengths: Vec<_> = frames.iter().map(|f| f.2.len()).collect();
        let expected: Vec<_> = (20..60).chain([1500, 65_535]).map(|l| 14 + l).collect();
        assert_eq!(lengths, expected);
    }
}
