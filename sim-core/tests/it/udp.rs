//! UDP requests through each forwarding method.

use crate::network::{answers, cluster, run};
use sim_core::config::Transport;
use sim_core::ipvs::rules::Forwarding;

#[test]
fn the_last_added_server_answers_first_by_every_method() {
    for forwarding in [Forwarding::Nat, Forwarding::Dr, Forwarding::Tun] {
        let o = run(&cluster(forwarding, Transport::Udp, 53));
        assert_eq!(answers(&o), ["rs2", "rs1"], "{forwarding}: {:?}", o.drops);
        assert_eq!(o.packets.in_flight, 0, "{forwarding}");
    }
}

#[test]
fn a_large_answer_comes_in_fragments() {
    for forwarding in [Forwarding::Nat, Forwarding::Dr, Forwarding::Tun] {
        let mut config = cluster(forwarding, Transport::Udp, 53);
        config.hosts[0].clients[0].request = sim_core::engine::Dist::Constant(3000.0);
        for rs in &mut config.hosts[3..] {
            rs.servers[0].response = sim_core::engine::Dist::Constant(4000.0);
        }
        let o = run(&config);
        assert_eq!(answers(&o), ["rs2", "rs1"], "{forwarding}: {:?}", o.drops);
        assert_eq!(o.clients[0].bytes_received, 8000);
    }
}

#[test]
fn a_closed_port_refuses() {
    for forwarding in [Forwarding::Nat, Forwarding::Dr] {
        let mut config = cluster(forwarding, Transport::Udp, 53);
        for rs in &mut config.hosts[3..] {
            rs.servers.clear();
        }
        let o = run(&config);
        assert_eq!(answers(&o), ["refused", "refused"], "{forwarding}: {:?}", o.drops);
    }
}
