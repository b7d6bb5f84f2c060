//! Switches: learning, ageing, loops, spanning tree.

use crate::frames::{texts, watch};
use crate::network::*;
use sim_core::config::*;
use sim_core::engine::Span;

/// Client, server and a third host on the switch `sw`; neighbours are known.
fn star(at: &[u64]) -> WorldConfig {
    let mut config = quiet_pair(Transport::Udp, at);
    config.hosts.push(serving("third", v4(10, 0, 0, 3), Transport::Udp, 80));
    config.switches.push(switch("sw"));
    let names = ["client:eth0", "server:eth0", "third:eth0"];
    config.links = names.map(|n| link(n, "sw")).into();
    config
}

#[test]
fn an_address_not_heard_for_the_ageing_time_is_flooded_again() {
    let mut config = star(&[0, 500, 2000]);
    config.switches[0].ageing = Span::from_secs(1);
    let o = run(&config);
    assert_eq!(answers(&o), ["server"; 3]);
    // the first request, and the one 1.5 s after the last word of the server
    assert_eq!(dropped(&o, "third", "other_host"), 2);
    config.switches[0].ageing = Span::from_secs(300);
    assert_eq!(dropped(&run(&config), "third", "other_host"), 1);
}

#[test]
fn a_switch_forgets_what_was_behind_a_link_that_went_down() {
    let mut config = star(&[0, 500]);
    let server = "server:eth0--sw";
    config.link_events = vec![event(200, server, false), event(300, server, true)];
    let o = run(&config);
    assert_eq!(answers(&o), ["server", "server"]);
    assert_eq!(dropped(&o, "third", "other_host"), 2);
}

#[test]
fn a_port_without_carrier_is_not_flooded_to() {
    let mut config = star(&[0]);
    config.links[2].up = false;
    let o = run(&config);
    assert_eq!(answers(&o), ["server"]);
    assert!(o.drops.is_empty(), "{:?}", o.drops);
    assert_eq!(carried(&o, "third:eth0--sw"), (0, 0));
}

#[test]
fn each_switch_stores_a_frame_before_it_forwards_it() {
    let mut config = quiet_pair(Transport::Udp, &[0]);
    config.switches = vec![switch("a"), switch("b")];
    config.links = vec![link("client:eth0", "a"), link("a", "b"), link("b", "server:eth0")];
    let o = run(&config);
    assert_eq!(lengths(&o), [3 * (528 + 50_000) + 1_000_000 + 3 * (704 + 50_000)]);
    assert_eq!(o.ip_hops, 6);
}

/// Three switches in a ring with a spanning tree; the link between `s1` and `s2` is closed.
fn ring(at: &[u64]) -> WorldConfig {
    let mut config = pair(Transport::Udp, at);
    // before anybody's neighbours are probed
    config.duration = Span::from_secs(4);
    config.switches = ["s0", "s1", "s2"].map(switch).into();
    for s in &mut config.switches {
        s.spanning_tree = true;
    }
    config.links = vec![
        link("s0", "s1"),
        link("s1", "s2"),
        link("s2", "s0"),
        link("client:eth0", "s0"),
        link("server:eth0", "s2"),
    ];
    config
}

#[test]
fn a_ring_with_a_spanning_tree_carries_a_broadcast_once() {
    let (o, frames) = watch(&ring(&[0]), "server");
    assert_eq!(answers(&o), ["server"]);
    // the request: client, s0, to s1 and s2, server; the reply: three
    assert_eq!(o.arp_hops, 4 + 3);
    assert_eq!(carried(&o, "s1--s2"), (0, 0));
    assert_eq!(texts(&frames, |f| f.broadcast), ["who-has 10.0.0.2 tell 10.0.0.1"]);
}

#[test]
fn the_spanning_tree_follows_links_that_go_down_and_up() {
    let mut config = ring(&[0, 1000, 2000]);
    config.link_events = vec![event(500, "s2--s0", false), event(1500, "s2--s0", true)];
    let o = run(&config);
    assert_eq!(answers(&o), ["server"; 3]);
    // the middle request goes the long way round; it is flooded, for all was forgotten
    assert_eq!(carried(&o, "s1--s2"), (1, 1));
    let took = lengths(&o);
    assert_eq!(took[1] - took[2], 528 + 704 + 100_000);
}

#[test]
fn a_bond_changes_to_its_standby_leg_and_back() {
    let mut config = pair(Transport::Udp, &[0, 1500, 2500]);
    config.duration = Span::from_secs(4);
    config.switches = vec![switch("a"), switch("b")];
    let mut spare = link("client:eth0", "b");
    spare.standby = true;
    config.links = vec![link("client:eth0", "a"), link("a", "b"), link("server:eth0", "b"), spare];
    let active = "client:eth0--a";
    config.link_events = vec![event(1000, active, false), event(2000, active, true)];
    let (o, frames) = watch(&config, "server");
    assert_eq!(answers(&o), ["server"; 3]);
    // a gratuitous ARP and the middle request by the spare leg; ARP and a request, then again
    assert_eq!(carried(&o, "client:eth0--b"), (2, 1));
    assert_eq!(carried(&o, active), (4, 3));
    let broadcasts = texts(&frames, |f| f.broadcast);
    let moved = "who-has 10.0.0.1 tell 10.0.0.1";
    assert_eq!(broadcasts, ["who-has 10.0.0.2 tell 10.0.0.1", moved, moved]);
    // down from the start: the spare leg serves from the start
    config.links[0].up = false;
    config.link_events.clear();
    assert_eq!(answers(&run(&config)), ["server"; 3]);
}

#[test]
fn two_links_between_switches_need_one_on_standby() {
    let mut config = pair(Transport::Udp, &[0]);
    config.duration = Span::from_secs(4);
    config.switches = vec![switch("a"), switch("b")];
    let mut second = link("a", "b");
    second.name = "second".into();
    second.standby = true;
    config.links = vec![link("client:eth0", "a"), link("server:eth0", "b"), link("a", "b"), second];
    let o = run(&config);
    assert_eq!(answers(&o), ["server"]);
    assert_eq!((o.arp_hops, o.ip_hops), (6, 6));
    assert_eq!(carried(&o, "second"), (0, 0));
    // it takes over when the first goes
    config.hosts[0].clients[0].load = Load::At([0, 1500].map(Span::from_millis).into());
    config.link_events = vec![event(1000, "a--b", false)];
    let o = run(&config);
    assert_eq!(answers(&o), ["server", "server"]);
    assert_eq!(carried(&o, "second"), (1, 1));
}
