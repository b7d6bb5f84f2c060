//! ICMP: who is told what, and how often.

use crate::frames::{texts, watch};
use crate::network::*;
use sim_core::config::*;
use sim_core::ipvs::rules::Forwarding;

#[test]
fn a_real_server_without_a_tunnel_refuses_and_the_director_passes_it_on() {
    // as recorded: port unreachable to the director, which sends its own from the VIP
    let mut config = cluster(Forwarding::Tun, Transport::Tcp, 80);
    config.hosts[0].clients[0].limit = 1;
    for rs in &mut config.hosts[3..] {
        rs.tunnels.clear();
        rs.loopback = vec![address(VIP, 32)];
    }
    let (o, frames) = watch(&config, "director");
    assert_eq!(answers(&o), ["refused"]);
    assert_eq!(
        texts(&frames, |f| f.ttl > 0 && f.mine),
        [
            "172.16.0.10 > 192.168.10.200 tcp S 0",
            "192.168.10.100 > 192.168.10.12 ipip 80",
            "192.168.10.12 > 192.168.10.100 icmp 3/3 0",
            "192.168.10.200 > 172.16.0.10 icmp 3/3 0",
        ]
    );
}

#[test]
fn a_real_server_that_is_gone_is_reported_to_the_client_by_each_method() {
    // recorded: the error comes from the VIP with NAT, from the director's own address with DR
    for (forwarding, from) in
        [(Forwarding::Nat, VIP), (Forwarding::Dr, DIP), (Forwarding::Tun, VIP)]
    {
        let mut config = cluster(forwarding, Transport::Tcp, 80);
        config.hosts[0].clients[0].limit = 1;
        config.hosts[0].clients[0].timeout = None;
        config.links[4].up = false;
        let (o, frames) = watch(&config, "client");
        assert_eq!(answers(&o), ["unreachable"], "{forwarding}");
        assert_eq!(lengths(&o)[0] / 1_000_000, 3000);
        let errors = texts(&frames, |f| f.text.contains("icmp"));
        // the SYN, and its repetition after a second
        assert_eq!(errors[0], format!("{from} > 172.16.0.10 icmp 3/1 0"), "{forwarding}");
    }
}

#[test]
fn a_closed_port_refuses_six_times_at_once_and_then_once_a_second() {
    let mut at = vec![0; 10];
    at.extend([500, 1100, 1200, 2300]);
    let mut config = quiet_pair(Transport::Udp, &at);
    config.hosts[1].servers.clear();
    let o = run(&config);
    let (yes, no) = ("refused", "timed_out");
    let mut expected = vec![yes; 6];
    expected.extend([no, no, no, no, no, yes, no, yes]);
    assert_eq!(answers(&o), expected);
    assert_eq!(dropped(&o, "server", "no_socket"), 14);
}
