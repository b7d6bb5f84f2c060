//! Addresses and ports as ipvsadm shows them.

use crate::import::ipvsadm::{Names, service_of};
use sim_core::ipvs::rules::ServiceKey;
use sim_core::wire::proto;
use std::net::{IpAddr, SocketAddr};

/// `10.0.0.1:80`, `[2001:db8::1]:80`; with names `web1:http` where there are any.
pub(super) fn endpoint((ip, port): (IpAddr, u16), protocol: u8, names: Option<&Names>) -> String {
    let Some(names) = names else { return SocketAddr::new(ip, port).to_string() };
    let host = names.name(ip).map_or_else(|| ip.to_string(), str::to_owned);
    let port = service_of(port, protocol).map_or_else(|| port.to_string(), str::to_owned);
    if ip.is_ipv6() { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The protocol by whose service names the ports of a service are shown; none for marks.
pub(super) const fn protocol(key: ServiceKey) -> u8 {
    match key {
        ServiceKey::Address { protocol, .. } => protocol,
        ServiceKey::Fwmark { .. } => 0,
    }
}

/// `TCP  10.0.0.1:80`, `FWM  5 IPv6`: an IPv4 address is cut to 33 characters in all.
pub(super) fn service(key: ServiceKey, names: Option<&Names>) -> String {
    match key {
        ServiceKey::Address { protocol, vip, port } => {
            let name = endpoint((vip, port), protocol, names);
            let text = format!("{:<4} {name}", protocol_name(protocol));
            if vip.is_ipv4() { cut(&text, 33) } else { text }
        }
        ServiceKey::Fwmark { mark, v6: false } => format!("FWM  {mark}"),
        ServiceKey::Fwmark { mark, v6: true } => format!("FWM  {mark} IPv6"),
    }
}

/// A real server, cut to 28 characters unless it is IPv6.
pub(super) fn server(address: (IpAddr, u16), service: ServiceKey, names: Option<&Names>) -> String {
    let text = endpoint(address, protocol(service), names);
    if address.0.is_ipv4() { cut(&text, 28) } else { text }
}

/// `TCP`, `UDP`, `SCTP`, and `IP` for what spans all protocols.
pub(super) const fn protocol_name(protocol: u8) -> &'static str {
    match protocol {
        proto::TCP => "TCP",
        proto::UDP => "UDP",
        proto::SCTP => "SCTP",
        _ => "IP",
    }
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}
