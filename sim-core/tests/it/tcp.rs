//! TCP requests through each forwarding method.

use crate::network::{answers, cluster, run};
use sim_core::config::Transport;
use sim_core::engine::Dist;
use sim_core::ipvs::rules::Forwarding;

#[test]
fn the_last_added_server_answers_first_by_every_method() {
    for forwarding in [Forwarding::Nat, Forwarding::Dr, Forwarding::Tun] {
        let o = run(&cluster(forwarding, Transport::Tcp, 80));
        assert_eq!(answers(&o), ["rs2", "rs1"], "{forwarding}: {:?}", o.drops);
        assert_eq!(o.packets.in_flight, 0, "{forwarding}");
    }
}

#[test]
fn a_large_request_finds_the_path_mtu_of_the_tunnel() {
    let mut config = cluster(Forwarding::Tun, Transport::Tcp, 80);
    config.hosts[0].clients[0].request = Dist::Constant(100_000.0);
    let o = run(&config);
    assert_eq!(answers(&o), ["rs2", "rs1"]);
    // the first full segments did not fit and were answered with fragmentation needed
    assert!(o.drops.iter().any(|d| d.place == "director" && d.reason == "too_big"));
}

#[test]
fn a_closed_port_refuses_by_every_method() {
    for forwarding in [Forwarding::Nat, Forwarding::Dr, Forwarding::Tun] {
        let mut config = cluster(forwarding, Transport::Tcp, 80);
        for rs in &mut config.hosts[3..] {
            rs.servers.clear();
        }
        assert_eq!(answers(&run(&config)), ["refused", "refused"], "{forwarding}");
    }
}

#[test]
fn connections_beyond_an_applications_room_wait_in_the_backlog() {
    let mut config = cluster(Forwarding::Dr, Transport::Tcp, 80);
    config.hosts[0].clients[0].load =
        sim_core::config::Load::Closed { users: 20, think: Dist::Constant(0.0) };
    config.hosts[0].clients[0].limit = 400;
    for rs in &mut config.hosts[3..] {
        rs.servers[0].connections = 2;
    }
    let o = run(&config);
    let c = &o.clients[0];
    assert!(c.connections_served > 100);
    assert_eq!(c.connections_served, c.connections_offered, "{:?}", c.connections_failed);
    assert!(o.servers.iter().all(|s| s.max_in_system <= 2));
}
