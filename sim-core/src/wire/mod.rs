//! Packets as small structs. Bytes exist only where a capture is written or a recording is read.

pub mod addr;
pub mod ah;
pub mod decode;
pub mod encode;
pub mod packet;
pub mod vrrp;

pub use addr::{AddressBook, Ip, Mac, MacId, Prefix};
pub use packet::{Flags, Kind, Packet, PacketId, Segment, icmp, icmpv6, proto, sctp};
pub use vrrp::{Advert, AdvertBook};
