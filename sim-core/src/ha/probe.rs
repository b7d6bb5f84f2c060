//! What a checker asks a server, and what comes of it. How it gets there is the host's affair.

use crate::engine::Span;
use crate::engine::rng::name_hash;
use core::fmt;
use core::net::IpAddr;

/// What is asked. Packets carry no bytes, so names are hashes of what is on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Question {
    /// A connection that is closed as soon as it is there.
    Connect,
    /// A request of so many bytes in a connection of its own; any answer will do.
    Exchange(u32),
    /// `GET`, in a connection of its own that the server closes.
    Page {
        /// See [`name`].
        path: u64,
        /// The same of the virtual host; 0 for none.
        virtualhost: u64,
        /// A TLS handshake comes first.
        tls: bool,
    },
    /// SMTP: greeting, HELO, QUIT.
    Mail,
    /// A DNS query of so many bytes over UDP.
    Name(u16),
    /// A datagram of so many bytes.
    Datagram(u16),
    /// An ICMP echo.
    Echo,
}

impl Question {
    /// Whether it needs no connection.
    pub const fn is_datagram(self) -> bool {
        matches!(self, Self::Name(_) | Self::Datagram(_) | Self::Echo)
    }
}

/// A name as questions carry it; never 0.
pub fn name(text: &str) -> u64 {
    name_hash("", text).max(1)
}

/// A question on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Inquiry {
    /// What is asked.
    pub question: Question,
    /// Who is asked. The port does not count for [`Question::Echo`].
    pub target: (IpAddr, u16),
    /// Own address, if it is not the one that routing selects.
    pub source: Option<IpAddr>,
    /// Own port, if it is not any free one.
    pub source_port: Option<u16>,
    /// How long the connection, and then each answer, may take.
    pub timeout: Span,
}

/// What came of a question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finding {
    /// The connection is there.
    Connected,
    /// An answer of so many bytes came on a connection.
    Answered(u64),
    /// A page.
    Page(Page),
    /// Reply codes of SMTP to connection and HELO.
    Mail(u16, u16),
    /// The response code of DNS.
    Name(u8),
    /// A datagram with so many bytes.
    Datagram(u32),
    /// An ICMP echo reply.
    Echo,
    /// Nothing came in time.
    TimedOut,
    /// The port is closed.
    Refused,
    /// The connection was reset.
    Reset,
    /// The connection ended before the answer was complete.
    Closed,
    /// There is no way to the server.
    Unreachable,
    /// There is no local port or address for it.
    NoPort,
}

/// A page that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    /// HTTP status.
    pub status: u16,
    /// See [`name`]; of the MD5 of the page. `None`: what is expected.
    pub digest: Option<u64>,
    /// Whether it holds what is looked for in it.
    pub found: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected => f.write_str("connected"),
            Self::Answered(bytes) => write!(f, "{bytes} bytes"),
            Self::Page(page) => write!(f, "status {}", page.status),
            Self::Mail(greeting, hello) => write!(f, "codes {greeting} {hello}"),
            Self::Name(rcode) => write!(f, "rcode {rcode}"),
            Self::Datagram(bytes) => write!(f, "{bytes} bytes"),
            Self::Echo => f.write_str("echo"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Refused => f.write_str("refused"),
            Self::Reset => f.write_str("reset"),
            Self::Closed => f.write_str("closed"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::NoPort => f.write_str("no local port"),
        }
    }
}
