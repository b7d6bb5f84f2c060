//! Every judgement of `lvsim check`, with the harm that it warns of seen in the simulation.

use crate::support::Scratch;
use scenarios::lint::{self, Judgement};
use scenarios::model::{Embedded, Settings, load};
use sim_core::config::{
    HopConfig, HostConfig, LinkEnd, Net, Operation, OperatorTask, RouteConfig, WorldConfig,
};
use sim_core::engine::Span;
use sim_core::ipvs::Command;
use sim_core::ipvs::rules::{Forwarding, ServerRule, ServiceKey};
use sim_core::observe::Observations;
use sim_core::wire::proto;
use sim_core::world::World;
use std::net::IpAddr;

/// A cluster that is set up right: router, director, two real servers, one client.
fn cluster(rules: &str, client: &str) -> WorldConfig {
    let text = format!(
        "duration = \"2s\"\ndrain = \"8s\"\n[cluster]\n[director]\nrules = \"\"\"\n{rules}\"\"\"\n\
         [server]\nservice = \"0s\"\n[client]\ntimeout = \"4s\"\n{client}\n"
    );
    let scenario = load("sound.toml", &text, &Embedded(&[]), &Settings::default());
    let scenario = scenario.unwrap_or_else(|f| panic!("{:?}\n{text}", f.problems));
    scenario.variants[0].config.clone()
}

fn web(method: &str) -> WorldConfig {
    let rules = format!(
        "-A -t 192.168.10.200:80 -s rr\n-a -t 192.168.10.200:80 -r 192.168.10.11:80 {method}\n\
         -a -t 192.168.10.200:80 -r 192.168.10.12:80 {method}\n"
    );
    cluster(&rules, "load = \"constant(50/s)\"")
}

fn host<'a>(config: &'a mut WorldConfig, name: &str) -> &'a mut HostConfig {
    config.hosts.iter_mut().find(|h| h.name == name).unwrap()
}

fn run(config: &WorldConfig) -> Observations {
    let mut world = World::build(config).unwrap_or_else(|e| panic!("{e:?}"));
    while world.run(1 << 16) {}
    world.finish()
}

/// The set-up is judged sound, the changed one by this name; both are played.
fn judged(
    sound: &WorldConfig,
    name: &str,
    change: impl FnOnce(&mut WorldConfig),
) -> (Judgement, Observations, Observations) {
    assert_eq!(lint::judge(sound), [], "the set-up is sound");
    let mut changed = sound.clone();
    change(&mut changed);
    let found = lint::judge(&changed);
    let names: Vec<_> = found.iter().map(|j| j.name).collect();
    let judgement = found.iter().find(|j| j.name == name);
    let judgement = judgement.unwrap_or_else(|| panic!("{name} is not in {names:?}")).clone();
    assert!(lint::NAMES.contains(&name), "{name} can be allowed");
    assert!(!judgement.reason.is_empty() && !judgement.help.is_empty());
    (judgement, run(sound), run(&changed))
}

fn served(o: &Observations) -> (u64, u64) {
    let served = o.clients.iter().map(|c| c.connections_served).sum();
    (served, o.clients.iter().map(|c| c.connections_offered).sum())
}

/// All of the sound ones are served, and at most `share` of the others.
#[track_caller]
fn harmed((_, sound, changed): &(Judgement, Observations, Observations), share: f64) {
    let (good, offered) = served(sound);
    assert!(good == offered && offered > 50, "{good} of {offered} in the sound set-up");
    let (good, offered) = served(changed);
    assert!((good as f64) <= share * offered as f64, "{good} of {offered} are served");
}

/// Connections that each real server answered.
fn answered(o: &Observations) -> Vec<u64> {
    o.servers.iter().map(|s| s.connections).collect()
}

#[test]
fn a_real_server_without_the_vip_answers_nobody() {
    for (method, device) in [("-g", "lo"), ("-i", "tunl0")] {
        let outcome = judged(&web(method), "vip-missing", |w| {
            let rs = host(w, "rs2");
            rs.loopback.clear();
            rs.tunnels.iter_mut().for_each(|t| t.addresses.clear());
        });
        harmed(&outcome, 0.55);
        let help = format!("missing on rs2: ip addr add 192.168.10.200/32 dev {device}");
        assert_eq!(outcome.0.help, help);
    }
}

#[test]
fn a_real_server_that_answers_arp_for_the_vip_gets_what_is_for_the_director() {
    let outcome = judged(&web("-g"), "vip-answered", |w| {
        host(w, "rs1").sysctl.all.arp_ignore = 0;
    });
    assert!(outcome.0.help.ends_with("echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore"));
    assert_eq!(outcome.1.directors[0].connections, 99, "all pass the director");
    let [rs1, rs2] = answered(&outcome.2)[..] else { panic!("two servers") };
    assert!(rs1 >= 98 && rs2 <= 1, "rs1 answers first: {rs1} and {rs2}");
}

#[test]
fn a_real_server_that_asks_with_the_vip_draws_it_to_itself() {
    let outcome = judged(&web("-g"), "vip-announced", |w| {
        host(w, "rs1").sysctl.all.arp_announce = 0;
    });
    assert!(outcome.0.help.ends_with("echo 2 > /proc/sys/net/ipv4/conf/all/arp_announce"));
    let past = |o: &Observations| served(o).1 - o.directors[0].connections;
    assert_eq!(past(&outcome.1), 0);
    assert!(past(&outcome.2) > 90, "{} connections go past the director", past(&outcome.2));
}

#[test]
fn a_nat_server_needs_the_director_as_its_gateway() {
    let outcome = judged(&web("-m"), "gateway-not-director", |w| {
        let router: IpAddr = "192.168.10.1".parse().unwrap();
        let hop = HopConfig { via: Some(router), dev: None };
        host(w, "rs2").routes = vec![RouteConfig::new(Net::ALL, vec![hop])];
    });
    harmed(&outcome, 0.55);
    assert_eq!(outcome.0.help, "missing on rs2: ip route replace default via 192.168.10.2");
}

#[test]
fn a_nat_director_must_forward() {
    let outcome = judged(&web("-m"), "forwarding-off", |w| {
        host(w, "director").sysctl.ip_forward = false;
    });
    harmed(&outcome, 0.0);
    assert_eq!(outcome.0.help, "missing on director: echo 1 > /proc/sys/net/ipv4/ip_forward");
}

#[test]
fn a_nat_director_in_the_network_of_its_servers_must_not_redirect_them() {
    for (all, own) in [(true, true), (true, false), (false, true)] {
        let outcome = judged(&web("-m"), "redirects-to-servers", |w| {
            let director = host(w, "director");
            director.sysctl.all.send_redirects = all;
            director.interfaces[0].sysctl.send_redirects = own;
        });
        // the first answers of each server come through, and bring the redirects
        harmed(&outcome, 0.1);
        let setting = |name: &str| format!(" net.ipv4.conf.{name}.send_redirects=0");
        let wanted = [("all", all), ("eth0", own)].map(|(n, on)| on.then(|| setting(n)));
        let wanted: String = wanted.into_iter().flatten().collect();
        assert_eq!(outcome.0.help, format!("missing on director: sysctl -w{wanted}"));
    }
    // servers that do not listen to redirects keep to their gateway
    let mut deaf = web("-m");
    host(&mut deaf, "director").sysctl.all.send_redirects = true;
    for name in ["rs1", "rs2"] {
        let rs = host(&mut deaf, name);
        rs.sysctl.all.accept_redirects = false;
        rs.interfaces.iter_mut().for_each(|i| i.sysctl.accept_redirects = false);
    }
    assert_eq!(lint::judge(&deaf), []);
    let (good, offered) = served(&run(&deaf));
    assert!(good == offered && offered > 50, "{good} of {offered}");
}

#[test]
fn a_client_beside_a_nat_server_is_answered_past_the_director() {
    // the client of the cluster moves to a host in the network of the real servers
    let outcome = judged(&web("-m"), "client-beside-server", |w| {
        let clients = std::mem::take(&mut host(w, "client").clients);
        let mut rs3 = host(w, "rs1").clone();
        rs3.name = "neighbour".into();
        rs3.interfaces[0].addresses =
            vec!["192.168.10.77".parse().map(|a| Net::new(a, 24)).unwrap()];
        rs3.servers.clear();
        rs3.routes.clear();
        rs3.clients = clients;
        let mut link = w.links.iter().find(|l| l.name.contains("rs1")).unwrap().clone();
        link.name = "neighbour--switch".into();
        for end in &mut link.ends {
            if let LinkEnd::Interface(name, _) = end {
                *name = "neighbour".into();
            }
        }
        w.links.push(link);
        w.hosts.push(rs3);
    });
    harmed(&outcome, 0.0);
}

#[test]
fn a_dr_server_must_not_answer_by_the_director() {
    let outcome = judged(&web("-g"), "gateway-is-director", |w| {
        let dip: IpAddr = "192.168.10.2".parse().unwrap();
        let hop = HopConfig { via: Some(dip), dev: None };
        host(w, "rs1").routes = vec![RouteConfig::new(Net::ALL, vec![hop])];
    });
    harmed(&outcome, 0.55);
}

#[test]
fn a_dr_server_behind_a_router_is_never_reached() {
    let outcome = judged(&web("-g"), "cluster-not-on-link", |w| {
        let router: IpAddr = "192.168.10.1".parse().unwrap();
        let hop = HopConfig { via: Some(router), dev: None };
        let rip: IpAddr = "192.168.10.12".parse().unwrap();
        host(w, "director").routes.push(RouteConfig::new(Net::host(rip), vec![hop]));
    });
    harmed(&outcome, 0.55);
}

#[test]
fn a_tunnel_needs_a_device_that_no_filter_shuts() {
    let outcome = judged(&web("-i"), "tunnel-missing", |w| host(w, "rs1").tunnels.clear());
    harmed(&outcome, 0.55);
    assert_eq!(outcome.0.help, "missing on rs1: modprobe ipip && ip link set tunl0 up");
    let outcome = judged(&web("-i"), "tunnel-filtered", |w| {
        host(w, "rs1").sysctl.all.rp_filter = 1;
    });
    harmed(&outcome, 0.55);
}

#[test]
fn direct_routing_cannot_map_ports() {
    let outcome = judged(&web("-g"), "port-mapping", |w| {
        for rs in ["rs1", "rs2"] {
            host(w, rs).servers[0].port = 8080;
        }
        let director = host(w, "director");
        let servers = &mut director.ipvs.as_mut().unwrap().services[0].servers;
        for server in servers {
            server.port = 8080;
        }
    });
    harmed(&outcome, 0.0);
}

/// ipvsadm itself takes the port of the service, so the rules as played no longer show what was asked.
#[test]
fn a_port_that_ipvsadm_does_not_take_is_told() {
    let s = Scratch::new("judgements-port");
    let rules = "-A -t 192.168.10.200:80 -s rr\n-a -t 192.168.10.200:80 -r 192.168.10.11:8080 -g\n";
    s.write("dr.rules", rules);
    s.write("nat.rules", &rules.replace("-g", "-m"));
    let text = "duration = \"1s\"\n[cluster]\n[director]\nrules_file = \"dr.rules\"\n[server]\n\
                port = 8080\n[client]\nload = \"constant(50/s)\"\n";
    s.write("dr.toml", text);
    for file in ["dr.rules", "dr.toml"] {
        let (code, out, err) = s.lvsim(&["check", file]);
        let said = "192.168.10.11 is asked for port 8080 by DR, but gets packets for port 80";
        assert!(code == 1 && out.contains(said) && out.contains("(port-mapping)"), "{out}{err}");
    }
    assert_eq!(s.lvsim(&["check", "nat.rules"]).0, 0);
    let (_, out, _) = s.lvsim(&["run", "dr.toml", "--out", "o"]);
    let summary: serde_json::Value = serde_json::from_str(&s.read("o/summary.json")).unwrap();
    let served = summary["variants"]["dr"]["connections"]["served"].as_u64();
    assert_eq!(served, Some(0), "nobody listens to port 80: {out}");
}

#[test]
fn a_port_without_a_service_is_refused_by_the_director() {
    let outcome = judged(&web("-g"), "client-without-service", |w| {
        host(w, "client").clients[0].target.1 = 443;
        host(w, "rs1").servers[0].port = 443;
    });
    harmed(&outcome, 0.0);
    assert!(outcome.0.help.contains("ipvsadm -A -t 192.168.10.200:443"), "{}", outcome.0.help);
}

#[test]
fn weights_that_fill_the_table_of_sh_starve_the_servers_added_first() {
    let rules = |w: u32| {
        let server = |n: u32| format!("-a -t 192.168.10.200:80 -r 192.168.10.{n}:80 -g -w {w}\n");
        format!("-A -t 192.168.10.200:80 -s sh\n{}", (11..=15).map(server).collect::<String>())
    };
    let load = "load = \"constant(200/s)\"\nsources = \"172.16.0.10-172.16.0.250\"";
    let sound = cluster(&rules(1), load);
    let outcome = judged(&sound, "servers-without-slots", |w| *w = cluster(&rules(100), load));
    assert!(answered(&outcome.1).iter().all(|n| *n > 20), "{:?}", answered(&outcome.1));
    let starved = answered(&outcome.2);
    assert_eq!(starved[..2], [0, 0], "the first two of the rules get nothing: {starved:?}");
    assert!(outcome.0.message.contains("192.168.10.11, 192.168.10.12"), "{}", outcome.0.message);
}

#[test]
fn sed_and_nq_see_no_udp_connection() {
    for scheduler in ["sed", "nq"] {
        let rules = |s: &str| {
            format!(
                "-A -u 192.168.10.200:53 -s {s}\n-a -u 192.168.10.200:53 -r 192.168.10.11 -g\n\
                 -a -u 192.168.10.200:53 -r 192.168.10.12 -g\n"
            )
        };
        let load = "transport = \"udp\"\nload = \"constant(100/s)\"";
        let sound = cluster(&rules("lc"), load);
        let outcome = judged(&sound, "active-connections-of-udp", |w| {
            *w = cluster(&rules(scheduler), load);
        });
        let requests = |o: &Observations| o.servers.iter().map(|s| s.requests).collect::<Vec<_>>();
        assert!(requests(&outcome.1).iter().all(|n| *n > 90), "{:?}", requests(&outcome.1));
        assert!(requests(&outcome.2).contains(&0), "{scheduler}: {:?}", requests(&outcome.2));
    }
}

#[test]
fn one_destination_address_is_one_server_for_dh() {
    let rules = |s: &str| {
        format!(
            "-A -t 192.168.10.200:80 -s {s}\n-a -t 192.168.10.200:80 -r 192.168.10.11:80 -g\n\
             -a -t 192.168.10.200:80 -r 192.168.10.12:80 -g\n"
        )
    };
    let load = "load = \"constant(50/s)\"";
    let sound = cluster(&rules("rr"), load);
    let outcome = judged(&sound, "one-destination-address", |w| *w = cluster(&rules("dh"), load));
    assert!(answered(&outcome.2).contains(&0), "{:?}", answered(&outcome.2));
}

#[test]
fn a_quiesced_server_keeps_its_persistent_clients() {
    let rules = |w: u32| {
        format!(
            "-A -t 192.168.10.200:80 -s rr -p 300\n\
             -a -t 192.168.10.200:80 -r 192.168.10.11:80 -g -w 1\n\
             -a -t 192.168.10.200:80 -r 192.168.10.12:80 -g -w {w}\n"
        )
    };
    let load = "load = \"constant(50/s)\"";
    let mut drained = cluster(&rules(0), load);
    let found = lint::judge(&drained);
    assert_eq!(found.iter().map(|j| j.name).collect::<Vec<_>>(), ["quiesced-persistence"]);
    assert!(found[0].help.ends_with("net.ipv4.vs.expire_quiescent_template=1"));
    // the client gets the newest server, which is drained after a second
    drained = cluster(&rules(1), load);
    drained.operations.push(drain("192.168.10.12"));
    let with = |expire: bool| {
        let mut config = drained.clone();
        let director = host(&mut config, "director");
        director.ipvs.as_mut().unwrap().sysctl.expire_quiescent_template = expire;
        answered(&run(&config))
    };
    assert_eq!(with(false), [0, 99], "the template still leads to the drained server");
    let [rs1, rs2] = with(true)[..] else { panic!("two servers") };
    assert!(rs1 > 40 && rs2 < 60 && rs1 + rs2 == 99, "{rs1} and {rs2}");
}

/// `ipvsadm -e ... -w 0` after a second.
fn drain(rip: &str) -> Operation {
    let vip = "192.168.10.200".parse().unwrap();
    let key = ServiceKey::Address { protocol: proto::TCP, vip, port: 80 };
    let server = ServerRule { weight: 0, ..ServerRule::new(rip.parse().unwrap(), 80) };
    Operation {
        at: Some(Span::from_secs(1)),
        host: "director".into(),
        task: OperatorTask::Change(Command::EditServer(key, server)),
    }
}

#[test]
fn thresholds_are_full_of_connections_that_are_closed() {
    let rules = |x: u32| {
        format!(
            "-A -t 192.168.10.200:80 -s wlc\n\
             -a -t 192.168.10.200:80 -r 192.168.10.11:80 -g -x {x}\n\
             -a -t 192.168.10.200:80 -r 192.168.10.12:80 -g -x {x}\n"
        )
    };
    let load = "load = \"constant(100/s)\"";
    let sound = cluster(&rules(200), load);
    let outcome = judged(&sound, "threshold-full-of-closed", |w| *w = cluster(&rules(20), load));
    harmed(&outcome, 0.25);
    assert!(outcome.2.servers.iter().all(|s| s.max_in_system <= 3), "the servers are idle");
}

#[test]
fn a_large_request_must_learn_the_mtu_of_the_tunnel_first() {
    let rules = "-A -t 192.168.10.200:80 -s rr\n-a -t 192.168.10.200:80 -r 192.168.10.11:80 -i\n\
                 -a -t 192.168.10.200:80 -r 192.168.10.12:80 -i\n";
    let sound = cluster(rules, "load = \"constant(50/s)\"\nrequest = \"200B\"");
    let outcome = judged(&sound, "tunnel-too-narrow", |w| {
        *w = cluster(rules, "load = \"constant(50/s)\"\nrequest = \"20kB\"");
    });
    let too_big = |o: &Observations| -> u64 {
        o.drops.iter().filter(|d| d.reason == "too_big").map(|d| d.packets).sum()
    };
    assert_eq!(too_big(&outcome.1), 0);
    assert!(too_big(&outcome.2) > 0, "{:?}", outcome.2.drops);
}

#[test]
fn answers_to_one_packet_services_are_not_turned_back_by_nat() {
    let sound = cluster(
        "-A -u 192.168.10.200:53 -s rr -o\n-a -u 192.168.10.200:53 -r 192.168.10.11:53 -g\n\
         -a -u 192.168.10.200:53 -r 192.168.10.12:53 -g\n",
        "load = \"constant(50/s)\"",
    );
    let harm = judged(&sound, "one-packet-by-nat", |config| {
        for server in &mut host(config, "director").ipvs.as_mut().unwrap().services[0].servers {
            server.forwarding = Forwarding::Nat;
        }
        for name in ["rs1", "rs2"] {
            host(config, name).routes = vec![RouteConfig::new(
                Net::ALL,
                vec![HopConfig { via: Some("192.168.10.2".parse().unwrap()), dev: None }],
            )];
        }
    });
    harmed(&harm, 0.0);
}

#[test]
fn a_port_without_a_server_refuses_its_clients() {
    let harm = judged(&web("-g"), "port-nobody-serves", |config| {
        host(config, "rs2").servers.clear();
    });
    assert_eq!(harm.0.help, "missing in the scenario: [[server]] hosts = \"rs2\", port = 80");
    harmed(&harm, 0.5);
    let harm = judged(&web("-g"), "port-nobody-serves", |config| {
        let service = &mut host(config, "director").ipvs.as_mut().unwrap().services[0];
        service.servers[1].rip = "192.168.10.2".parse().unwrap();
    });
    assert_eq!(harm.0.place, "director", "LOCALNODE");
    harmed(&harm, 0.5);
}

#[test]
fn full_nat_needs_local_addresses_that_the_director_holds() {
    let rules = "-A -t 192.168.10.200:80 -s rr\n-P -t 192.168.10.200:80 -z 192.168.10.99\n\
                 -a -t 192.168.10.200:80 -r 192.168.10.11:80 -b\n";
    let sound = cluster(rules, "load = \"constant(50/s)\"");
    harmed(
        &judged(&sound, "local-address-missing", |config| {
            let rules = host(config, "director").ipvs.as_mut().unwrap();
            rules.services[0].local_addresses.clear();
        }),
        0.0,
    );
    let elsewhere = judged(&sound, "local-address-missing", |config| {
        let interface = &mut host(config, "director").interfaces[0];
        interface.addresses.retain(|a| a.addr != "192.168.10.99".parse::<IpAddr>().unwrap());
    });
    assert_eq!(elsewhere.0.help, "missing on director: ip addr add 192.168.10.99/32 dev ...");
    harmed(&elsewhere, 0.0);
}
