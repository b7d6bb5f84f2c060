//! Fragments and path MTUs, with the sizes recorded from Linux 6.1.

use crate::frames::{Frame, texts, watch};
use crate::network::*;
use sim_core::config::*;
use sim_core::engine::{Dist, Span};
use sim_core::ipvs::rules::Forwarding;
use sim_core::observe::Observations;

/// Direction, TTL and text of the IP frames at a host.
fn lines(frames: &[Frame]) -> Vec<String> {
    let ip = frames.iter().filter(|f| f.ttl > 0);
    ip.map(|f| format!("{} {} {}", if f.out { "out" } else { "in" }, f.ttl, f.text)).collect()
}

fn check(found: &[String], expected: &str) {
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    assert_eq!(found, expected);
}

/// A request of 3000 bytes and then one with a response of 3000 bytes, as the director sees them.
fn large(forwarding: Forwarding, request: f64, response: f64) -> Vec<String> {
    let mut config = cluster(forwarding, Transport::Udp, 53);
    config.hosts[0].clients[0].request = Dist::Constant(request);
    config.hosts[0].clients[0].limit = 1;
    config.hosts[4].servers[0].response = Dist::Constant(response);
    let (o, frames) = watch(&config, "director");
    assert_eq!(answers(&o), ["rs2"]);
    // frames flooded to the director are not for it
    let mine: Vec<_> = frames.into_iter().filter(|f| f.mine).collect();
    lines(&mine)
}

#[test]
fn a_datagram_in_pieces_is_put_together_and_cut_again_by_direct_routing() {
    check(
        &large(Forwarding::Dr, 3000.0, 12.0),
        "
        in 63 172.16.0.10 > 192.168.10.200 frag 0+1480+
        in 63 172.16.0.10 > 192.168.10.200 frag 1480+1480+
        in 63 172.16.0.10 > 192.168.10.200 frag 2960+48
        out 62 172.16.0.10 > 192.168.10.200 frag 0+1480+
        out 62 172.16.0.10 > 192.168.10.200 frag 1480+1480+
        out 62 172.16.0.10 > 192.168.10.200 frag 2960+48
    ",
    );
    check(
        &large(Forwarding::Dr, 6.0, 3000.0),
        "
        in 63 172.16.0.10 > 192.168.10.200 udp 6
        out 62 172.16.0.10 > 192.168.10.200 udp 6
    ",
    );
}

#[test]
fn nat_translates_datagrams_in_pieces_both_ways() {
    check(
        &large(Forwarding::Nat, 3000.0, 12.0),
        "
        in 63 172.16.0.10 > 192.168.10.200 frag 0+1480+
        in 63 172.16.0.10 > 192.168.10.200 frag 1480+1480+
        in 63 172.16.0.10 > 192.168.10.200 frag 2960+48
        out 62 172.16.0.10 > 192.168.10.12 frag 0+1480+
        out 62 172.16.0.10 > 192.168.10.12 frag 1480+1480+
        out 62 172.16.0.10 > 192.168.10.12 frag 2960+48
        in 64 192.168.10.12 > 172.16.0.10 udp 12
        out 63 192.168.10.200 > 172.16.0.10 udp 12
    ",
    );
    check(
        &large(Forwarding::Nat, 6.0, 3000.0),
        "
        in 63 172.16.0.10 > 192.168.10.200 udp 6
        out 62 172.16.0.10 > 192.168.10.12 udp 6
        in 64 192.168.10.12 > 172.16.0.10 frag 0+1480+
        in 64 192.168.10.12 > 172.16.0.10 frag 1480+1480+
        in 64 192.168.10.12 > 172.16.0.10 frag 2960+48
        out 63 192.168.10.200 > 172.16.0.10 frag 0+1480+
        out 63 192.168.10.200 > 172.16.0.10 frag 1480+1480+
        out 63 192.168.10.200 > 172.16.0.10 frag 2960+48
    ",
    );
}

#[test]
fn a_tunnel_packet_is_cut_on_the_outside() {
    check(
        &large(Forwarding::Tun, 3000.0, 12.0),
        "
        in 63 172.16.0.10 > 192.168.10.200 frag 0+1480+
        in 63 172.16.0.10 > 192.168.10.200 frag 1480+1480+
        in 63 172.16.0.10 > 192.168.10.200 frag 2960+48
        out 62 192.168.10.100 > 192.168.10.12 frag 0+1480+
        out 62 192.168.10.100 > 192.168.10.12 frag 1480+1480+
        out 62 192.168.10.100 > 192.168.10.12 frag 2960+68
    ",
    );
}

/// The recorded network with one more router, `isp`, whose link to `router` has this MTU; both real
/// servers answer with 2542 bytes.
fn narrow(forwarding: Forwarding, mtu: u16) -> WorldConfig {
    let mut config = cluster(forwarding, Transport::Tcp, 80);
    let (home, gateway) = (v4(172, 17, 0, 10), v4(172, 17, 0, 1));
    let c = &mut config.hosts[0];
    c.interfaces[0].addresses = vec![address(home, 24)];
    c.routes = vec![default_route(gateway)];
    c.clients[0].limit = 1;
    let mut wan = interface("i-r", vec![address(v4(172, 16, 0, 10), 24)]);
    wan.mtu = mtu;
    let near = interface("i-c", vec![address(gateway, 24)]);
    let mut isp = host("isp", vec![near, wan], Some(v4(172, 16, 0, 1)));
    isp.sysctl.ip_forward = true;
    config.hosts.push(isp);
    let router = &mut config.hosts[1];
    router.interfaces[0].mtu = mtu;
    router.routes = vec![route(Net::new(home, 24), &[v4(172, 16, 0, 10)])];
    for rs in &mut config.hosts[3..5] {
        rs.servers[0].response = Dist::Constant(2542.0);
    }
    config.links[0] = link("isp:i-r", "router:r-c");
    config.links.push(link("client:c0", "isp:i-c"));
    config
}

/// Data sent by rs2 and ICMP it hears, each with its text.
fn download(forwarding: Forwarding) -> (Observations, Vec<String>) {
    let (o, frames) = watch(&narrow(forwarding, 1400), "rs2");
    let data = |f: &Frame| f.out && f.text.contains("tcp") && !f.text.ends_with(" 0");
    // the error comes in a tunnel with TUN, 20 bytes longer
    let told = |f: &Frame| !f.out && (f.text.contains("icmp") || f.text.ends_with("ipip 596"));
    let picked = texts(&frames, |f| data(f) || told(f));
    (o, picked.into_iter().map(str::to_owned).collect())
}

#[test]
fn a_real_server_lowers_its_path_mtu_when_the_router_says_so() {
    for (forwarding, from, error) in [
        (Forwarding::Nat, rip(2), "192.168.10.1 > 192.168.10.12 icmp 3/4 1400"),
        (Forwarding::Dr, VIP, "192.168.10.1 > 192.168.10.200 icmp 3/4 1400"),
        (Forwarding::Tun, VIP, "192.168.10.100 > 192.168.10.12 ipip 596"),
    ] {
        let (o, seen) = download(forwarding);
        assert_eq!(answers(&o), ["rs2"], "{forwarding}");
        assert_eq!(dropped(&o, "router", "too_big"), 1);
        check(
            &seen,
            &format!(
                "
            {from} > 172.17.0.10 tcp A 1448
            {from} > 172.17.0.10 tcp PA 1094
            {error}
            {from} > 172.17.0.10 tcp A 1348
            {from} > 172.17.0.10 tcp A 100
        "
            ),
        );
    }
}

/// A request of 3500 bytes by a tunnel: what the client sends and hears of it.
fn upload(pmtu_disc: bool) -> Vec<String> {
    let mut config = cluster(Forwarding::Tun, Transport::Tcp, 80);
    config.hosts[0].clients[0].request = Dist::Constant(3500.0);
    config.hosts[0].clients[0].limit = 1;
    config.hosts[2].ipvs.as_mut().expect("rules").sysctl.pmtu_disc = pmtu_disc;
    let (o, frames) = watch(&config, "client");
    assert_eq!(answers(&o), ["rs2"]);
    let data = |f: &Frame| f.out && f.text.contains("tcp") && !f.text.ends_with(" 0");
    let picked = texts(&frames, |f| data(f) || f.text.contains("icmp"));
    picked.into_iter().map(str::to_owned).collect()
}

#[test]
fn a_client_lowers_its_path_mtu_for_a_tunnel() {
    let seen = upload(true);
    check(
        &seen[..4],
        "
        172.16.0.10 > 192.168.10.200 tcp A 1448
        172.16.0.10 > 192.168.10.200 tcp A 1448
        172.16.0.10 > 192.168.10.200 tcp PA 604
        192.168.10.200 > 172.16.0.10 icmp 3/4 1480
    ",
    );
    // both that were too large are told of, and what they held comes again in pieces that fit
    let (errors, again): (Vec<_>, Vec<_>) = seen[3..].iter().partition(|t| t.contains("icmp"));
    assert_eq!(errors.len(), 2);
    let sizes = again.iter().filter_map(|t| t.rsplit(' ').next()?.parse::<u32>().ok());
    assert_eq!((sizes.clone().max(), sizes.sum()), (Some(1428), 2 * 1448));
}

#[test]
fn a_tunnel_without_path_mtu_discovery_cuts_its_packets() {
    check(
        &upload(false),
        "
        172.16.0.10 > 192.168.10.200 tcp A 1448
        172.16.0.10 > 192.168.10.200 tcp A 1448
        172.16.0.10 > 192.168.10.200 tcp PA 604
    ",
    );
}

#[test]
fn a_router_cuts_what_may_be_cut() {
    let mut config = narrow(Forwarding::Dr, 1400);
    config.hosts[0].clients[0].transport = Transport::Udp;
    config.hosts[0].clients[0].request = Dist::Constant(3000.0);
    config.hosts[2].ipvs = Some(rules(Forwarding::Dr, 17, 80, 2));
    for rs in &mut config.hosts[3..5] {
        rs.servers[0].transport = Transport::Udp;
    }
    let (o, frames) = watch(&config, "router");
    assert_eq!(answers(&o), ["rs2"]);
    let heard = texts(&frames, |f| !f.out && f.text.contains("> 192.168.10.200 frag"));
    // 1480 bytes become 1376 and 104; each piece is cut for itself
    let sizes: Vec<&str> = heard.iter().filter_map(|t| t.split(' ').nth(4)).collect();
    assert_eq!(sizes, ["0+1376+", "1376+104+", "1480+1376+", "2856+104+", "2960+48"]);
}

#[test]
fn after_an_error_datagrams_are_cut_for_the_path() {
    let mut config = narrow(Forwarding::Dr, 1400);
    let c = &mut config.hosts[0].clients[0];
    (c.transport, c.limit) = (Transport::Udp, 4);
    c.load = Load::Open { gap: Dist::Constant(0.1) };
    config.hosts[2].ipvs = Some(rules(Forwarding::Dr, 17, 80, 1));
    config.hosts[3].servers[0].transport = Transport::Udp;
    config.hosts[3].servers[0].response = Dist::Constant(1450.0);
    let (o, frames) = watch(&config, "rs1");
    assert_eq!(answers(&o), ["timed_out", "rs1", "rs1", "rs1"]);
    let seen = texts(&frames, |f| f.text.contains("172.17") && f.out || f.text.contains("icmp"));
    check(
        &seen[..4].iter().map(|t| (*t).to_owned()).collect::<Vec<_>>(),
        "
        192.168.10.200 > 172.17.0.10 udp 1450
        192.168.10.1 > 192.168.10.200 icmp 3/4 1400
        192.168.10.200 > 172.17.0.10 frag 0+1376+
        192.168.10.200 > 172.17.0.10 frag 1376+82
    ",
    );
}

#[test]
fn pieces_that_stay_alone_are_given_up_after_thirty_seconds() {
    let mut config = quiet_pair(Transport::Udp, &[0]);
    config.hosts[0].clients[0].request = Dist::Constant(3000.0);
    config.hosts[0].clients[0].timeout = Some(Span::from_secs(40));
    // one is sent, one waits, the third is dropped
    config.links[0].directions[0].queue = QueueLimit::Packets(1);
    let (o, frames) = watch(&config, "server");
    assert_eq!(answers(&o), ["timed_out"]);
    assert_eq!(dropped(&o, "server", "reassembly_failed"), 1);
    let first_arrives = 1518 * 8 + 50_000;
    let told: Vec<(u64, &str)> =
        frames.iter().filter(|f| f.out).map(|f| (f.ns, f.text.as_str())).collect();
    assert_eq!(told, [(30_000_000_000 + first_arrives, "10.0.0.2 > 10.0.0.1 icmp 11/1 0")]);
}
