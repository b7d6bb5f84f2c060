//! What a scheduler may look at.

use core::net::IpAddr;

/// The addresses and ports of the packet that asks for a destination.
///
/// Only the hashing rules look at it: `sh` and `mh` at the source, `dh`, `lblc` and `lblcr` at the
/// destination address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Flow {
    /// Source address of the packet: the client.
    pub src: IpAddr,
    /// Destination address of the packet: for a plain service its virtual address.
    pub dst: IpAddr,
    /// Source port of TCP, UDP and SCTP, in host order; 0 for any other protocol.
    pub sport: u16,
    /// Destination port, likewise.
    pub dport: u16,
    /// The header was taken out of an ICMP error (sysctl `schedule_icmp`): `sh` and `mh` then hash
    /// the destination side instead of the source side.
    pub inverse: bool,
}

impl Flow {
    /// The flow of an ordinary packet.
    pub const fn new(src: IpAddr, sport: u16, dst: IpAddr, dport: u16) -> Self {
        Self { src, dst, sport, dport, inverse: false }
    }

    /// The same flow, seen in the header that an ICMP error carries.
    #[must_use]
    pub const fn in_icmp_error(mut self) -> Self {
        self.inverse = true;
        self
    }

    /// Address and port that stand for the client (`sh`, `mh`).
    pub(crate) const fn client(&self) -> (IpAddr, u16) {
        if self.inverse { (self.dst, self.dport) } else { (self.src, self.sport) }
    }
}
