//! Which connection is meant: `3`, `172.16.0.10:40001-192.168.10.200:80`, `udp/:53`.

use core::net::IpAddr;
use sim_core::config::{FlowEnd, TraceConfig, Transport};
use sim_core::observe::Flow;
use std::ops::Range;

/// What is allowed.
pub const ALLOWED: &str = "a number such as 3, or ends such as 172.16.0.10:40001-192.168.10.200:80, \
    tcp/192.168.10.200:80, udp/:53, [2001:db8::1]:40001";

/// A text that names no connection: the bytes that are wrong, and what is allowed there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// What is allowed there.
    pub allowed: String,
}

/// Reads which connection is meant.
///
/// A number counts connections in the order of their starts, from 1. Ends are `SOURCE-TARGET`, each an
/// address, `:PORT`, or both; a single one may be either. `tcp/` or `udp/` may stand before them.
///
/// ```
/// use scenarios::trace::selector::parse;
/// assert_eq!(parse("3").map(|t| t.number), Ok(3));
/// let flow = parse("tcp/172.16.0.10-192.168.10.200:80").expect("two ends");
/// assert_eq!((flow.source.port, flow.target.port), (None, Some(80)));
/// assert_eq!(parse("10.0.0.1:x").expect_err("no port").span, 9..10);
/// ```
///
/// # Errors
/// The first thing that is wrong.
pub fn parse(text: &str) -> Result<TraceConfig, Mistake> {
    let all = 0..text.len();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return match text.parse() {
            Ok(number) if number > 0 => Ok(TraceConfig { number, ..TraceConfig::default() }),
            _ => Err(Mistake { span: all, allowed: "a number from 1".to_owned() }),
        };
    }
    let (transport, start) = match text.split_once('/') {
        None => (None, 0),
        Some(("tcp", _)) => (Some(Transport::Tcp), 4),
        Some(("udp", _)) => (Some(Transport::Udp), 4),
        Some((other, _)) => {
            return Err(Mistake { span: 0..other.len(), allowed: "tcp or udp".to_owned() });
        }
    };
    let rest = &text[start..];
    let (source, target, either) = match rest.split_once('-') {
        None if rest.is_empty() && transport.is_some() => {
            (FlowEnd::default(), FlowEnd::default(), false)
        }
        None => (FlowEnd::default(), end(rest, start)?, true),
        Some((source, target)) => {
            (end(source, start)?, end(target, start + source.len() + 1)?, false)
        }
    };
    Ok(TraceConfig { transport, source, target, either, ..TraceConfig::default() })
}

/// An end that begins at byte `start` of the whole text.
fn end(text: &str, start: usize) -> Result<FlowEnd, Mistake> {
    let wrong = |span: Range<usize>, allowed: &str| Mistake {
        span: start + span.start..start + span.end.max(span.start),
        allowed: allowed.to_owned(),
    };
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(FlowEnd { address: Some(address), port: None });
    }
    let at = match text.rfind(']') {
        // only a colon begins a port; anything else is a part of what is no address
        Some(close) => text[close + 1..].starts_with(':').then_some(close + 1),
        None => text.find(':'),
    };
    let (host, port) = match at {
        Some(at) => (&text[..at], Some((at + 1, text.get(at + 1..).unwrap_or_default()))),
        None => (text, None),
    };
    let port = match port {
        None => None,
        Some((at, port)) => match port.parse::<u16>() {
            Ok(port) => Some(port),
            Err(_) => return Err(wrong(at..text.len(), "a port from 0 to 65535")),
        },
    };
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let address = match bare.parse() {
        Ok(address) => Some(address),
        Err(_) if host.is_empty() && port.is_some() => None,
        Err(_) => return Err(wrong(0..host.len(), ALLOWED)),
    };
    Ok(FlowEnd { address, port })
}

/// A connection as [`parse`] reads it.
pub fn text(flow: &Flow) -> String {
    let transport = match flow.transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    };
    let ends = [flow.source, flow.target].map(core::net::SocketAddr::from);
    format!("{transport}/{}-{}", ends[0], ends[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sim_core::engine::Time;

    #[test]
    fn every_form_is_understood() {
        let one = |text: &str| parse(text).unwrap();
        assert_eq!(one("12").number, 12);
        assert_eq!(one("udp/").transport, Some(Transport::Udp));
        let port = one(":80");
        assert!(port.either && port.target == FlowEnd { address: None, port: Some(80) });
        let six = one("[2001:db8::1]:40001-2001:db8::2");
        assert_eq!(six.source.port, Some(40_001));
        assert_eq!(six.target.address, Some("2001:db8::2".parse().unwrap()));
        assert_eq!(one("[::1]").target.port, None);
    }

    #[test]
    fn mistakes_are_shown_where_they_are() {
        let wrong = |text: &str| parse(text).unwrap_err().span;
        assert_eq!(wrong("0"), 0..1);
        assert_eq!(wrong("sctp/10.0.0.1"), 0..4);
        assert_eq!(wrong("10.0.0.1-10.0.0.300"), 9..19);
        assert_eq!(wrong("10.0.0.1:80-10.0.0.2:70000"), 21..26);
        assert_eq!(wrong(""), 0..0);
        assert_eq!(wrong("99999999999999999999"), 0..20);
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in ".{0,30}") {
            if let Err(mistake) = parse(&text) {
                prop_assert!(text.get(mistake.span).is_some());
            }
        }

        #[test]
        fn what_is_shown_is_read_back(
            a: IpAddr, b: IpAddr, ports: (u16, u16), tcp: bool,
        ) {
            let flow = Flow {
                number: 1,
                client: "client".into(),
                transport: if tcp { Transport::Tcp } else { Transport::Udp },
                source: (a, ports.0),
                target: (b, ports.1),
                start: Time::ZERO,
            };
            let read = parse(&text(&flow)).unwrap();
            prop_assert_eq!(read.transport, Some(flow.transport));
            let end = |address, port| FlowEnd { address: Some(address), port: Some(port) };
            prop_assert_eq!(read.source, end(a, ports.0));
            prop_assert_eq!(read.target, end(b, ports.1));
        }
    }
}
