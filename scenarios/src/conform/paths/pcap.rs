//! Captures: pcap and pcapng files to frames with their times.

use pcap_parser::traits::PcapNGPacketBlock as _;
use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader};

/// A frame with the time at which it was captured, in nanoseconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Captured {
    /// Nanoseconds since the epoch of the capture.
    pub at: u64,
    /// The Ethernet frame.
    pub bytes: Vec<u8>,
}

/// The Ethernet frames of a capture in their order, of all interfaces together.
///
/// # Errors
/// Why it is not a capture of Ethernet frames.
pub fn read(file: &[u8]) -> Result<Vec<Captured>, String> {
    // no block is larger than the file
    let mut reader =
        create_reader(file.len().max(4096), file).map_err(|e| format!("no capture: {e:?}"))?;
    let mut frames = Vec::new();
    let mut unit = Units::default();
    loop {
        match reader.next() {
            Ok((used, block)) => {
                frames.extend(unit.frame(&block)?);
                reader.consume(used);
            }
            Err(PcapError::Eof) => return Ok(frames),
            Err(PcapError::Incomplete(_)) => {
                reader.refill().map_err(|e| format!("the capture is cut: {e:?}"))?;
            }
            Err(e) => return Err(format!("a broken capture: {e:?}")),
        }
    }
}

/// What the headers say about times.
#[derive(Default)]
struct Units {
    /// Nanoseconds in a unit of the fractions of a pcap file.
    fraction: u64,
    /// Units per second of each pcapng interface.
    resolutions: Vec<u64>,
}

impl Units {
    fn frame(&mut self, block: &PcapBlockOwned<'_>) -> Result<Option<Captured>, String> {
        match block {
            PcapBlockOwned::LegacyHeader(header) => {
                self.fraction = if header.is_nanosecond_precision() { 1 } else { 1000 };
                ethernet(header.network.0)?;
            }
            PcapBlockOwned::Legacy(packet) => {
                let at = u64::from(packet.ts_sec) * 1_000_000_000
                    + u64::from(packet.ts_usec) * self.fraction;
                whole(packet.caplen, packet.origlen)?;
                return Ok(Some(Captured { at, bytes: packet.data.to_vec() }));
            }
            PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                ethernet(interface.linktype.0)?;
                let resolution = interface.ts_resolution().ok_or("a time unit out of range")?;
                self.resolutions.push(resolution.max(1));
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let resolution = self.resolutions.get(packet.if_id as usize);
                let resolution = *resolution.ok_or("a frame of an interface not described")?;
                let ticks = u128::from(packet.ts_high) << 32 | u128::from(packet.ts_low);
                let at = ticks * 1_000_000_000 / u128::from(resolution);
                let at = u64::try_from(at).map_err(|_| "a time out of range")?;
                whole(packet.caplen, packet.origlen)?;
                let bytes = packet.packet_data().get(..packet.caplen as usize);
                return Ok(Some(Captured { at, bytes: bytes.unwrap_or_default().to_vec() }));
            }
            PcapBlockOwned::NG(_) => {}
        }
        Ok(None)
    }
}

fn ethernet(linktype: i32) -> Result<(), String> {
    if linktype == 1 { Ok(()) } else { Err(format!("link type {linktype} is not Ethernet (1)")) }
}

fn whole(captured: u32, sent: u32) -> Result<(), String> {
    if captured == sent {
        return Ok(());
    }
    Err(format!("a frame of {sent} bytes of which only {captured} were captured"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pcap(magic: u32, linktype: u32, frames: &[(u32, u32, &[u8], u32)]) -> Vec<u8> {
        let mut out = magic.to_le_bytes().to_vec();
        out.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0]);
        out.extend(linktype.to_le_bytes());
        for (seconds, fraction, bytes, sent) in frames {
            for word in [*seconds, *fraction, bytes.len() as u32, *sent] {
                out.extend(word.to_le_bytes());
            }
            out.extend(*bytes);
        }
        out
    }

    #[test]
    fn times_are_nanoseconds_whatever_the_file_counts() {
        let frames: [(u32, u32, &[u8], u32); 2] = [(1, 5, b"ab", 2), (2, 7, b"", 0)];
        let at = |magic| -> Vec<u64> {
            read(&pcap(magic, 1, &frames)).unwrap().iter().map(|f| f.at).collect()
        };
        assert_eq!(at(0xa1b2_3c4d), [1_000_000_005, 2_000_000_007]);
        assert_eq!(at(0xa1b2_c3d4), [1_000_005_000, 2_000_007_000]);
        assert_eq!(read(&pcap(0xa1b2_3c4d, 1, &frames)).unwrap()[0].bytes, b"ab");
    }

    #[test]
    fn what_the_simulator_captures_is_read_back() {
        use sim_core::engine::Time;
        use sim_core::observe::capture::{Capture, CaptureInterface, Direction};
        use sim_core::wire::{Ip, Packet};
        let interface = CaptureInterface { host: "a".into(), interface: "eth0".into() };
        let mut capture = Capture::new([interface]);
        let packet = Packet::ipv4(Ip(1), Ip(2), 17, 33);
        capture.record(0, Time::from_nanos(77), Direction::Out, &packet, &|_| None, &[]);
        let frames = read(&capture.take(0)).unwrap();
        assert_eq!((frames.len(), frames[0].at, frames[0].bytes.len()), (1, 77, 14 + 33));
    }

    #[test]
    fn other_files_are_refused_with_a_reason() {
        assert!(read(b"what is this, this is no capture").unwrap_err().starts_with("no capture"));
        let wifi = pcap(0xa1b2_3c4d, 105, &[]);
        assert_eq!(read(&wifi).unwrap_err(), "link type 105 is not Ethernet (1)");
        let cut = pcap(0xa1b2_3c4d, 1, &[(0, 0, b"ab", 60)]);
        assert_eq!(read(&cut).unwrap_err(), "a frame of 60 bytes of which only 2 were captured");
        let mut broken = pcap(0xa1b2_3c4d, 1, &[(0, 0, b"abcdef", 6)]);
        broken.truncate(broken.len() - 3);
        assert!(read(&broken).is_err());
    }
}
