use super::{Configured, configure};
use crate::diagnostic::Sources;
use crate::import::commands::{Context, Findings, read};
use sim_core::config::{
    FilterChain, FilterCondition, FilterTable, FilterTarget, FouConfig, HopConfig, HostConfig,
    InterfaceConfig, InterfaceSysctl, IpvsConfig, Net, RouteConfig, RouteKind, TunnelKind, v4,
};

/// A host with 10.0.0.1/24 on eth0, a cable at eth1, and a default route.
fn base() -> HostConfig {
    let interface = |name: &str, addresses| InterfaceConfig {
        name: name.to_owned(),
        mac: None,
        addresses,
        mtu: 1500,
        sysctl: InterfaceSysctl::default(),
    };
    let hop = HopConfig { via: Some(v4(10, 0, 0, 9)), dev: None };
    HostConfig {
        name: "h".to_owned(),
        interfaces: vec![
            interface("eth0", vec![Net::new(v4(10, 0, 0, 1), 24)]),
            interface("eth1", Vec::new()),
        ],
        routes: vec![RouteConfig::new(Net::ALL, vec![hop])],
        ipvs: Some(IpvsConfig::default()),
        ..HostConfig::default()
    }
}

fn run(text: &str) -> (Configured, Findings) {
    let mut sources = Sources::default();
    let file = sources.add("setup", text);
    let mut context = Context { variables: &[], open: &mut |_| None };
    let mut findings = Findings::default();
    let commands = read(file, 0, text, &mut context, &mut findings);
    let configured = configure(&base(), &commands, &mut findings);
    (configured, findings)
}

/// The host after commands that are right.
fn host(text: &str) -> HostConfig {
    let (configured, findings) = run(text);
    assert_eq!(findings.problems, [], "{text}");
    configured.host
}

#[test]
fn without_commands_a_host_stays_what_it_is() {
    let (configured, findings) = run("");
    assert_eq!((findings, configured.down.len()), (Findings::default(), 0));
    assert_eq!(configured.host.interfaces[0].addresses, base().interfaces[0].addresses);
    assert_eq!(configured.host.routes, base().routes);
}

#[test]
fn commands_find_the_addresses_and_routes_of_the_scenario() {
    let moved = host("ip addr del 10.0.0.1/24 dev eth0\nip addr add 10.0.0.2/24 dev eth0");
    assert_eq!(moved.interfaces[0].addresses, [Net::new(v4(10, 0, 0, 2), 24)]);
    // the gateway was behind the address that went
    assert_eq!(moved.routes, []);
    let (_, findings) = run("ip route add default via 10.0.0.8");
    assert_eq!(findings.problems[0].message, "RTNETLINK answers: File exists");
}

#[test]
fn addresses_of_devices_without_a_cable_are_those_of_the_host() {
    let host = host(
        "ip addr add 10.9.0.1/32 dev lo\nip link add d type dummy\nip addr add 10.9.0.2/24 dev d\nip link set d up\nroute add -host 10.9.0.1 dev lo\nip addr add 10.9.0.3/32 dev tunl0\nip link set tunl0 up\nip route add 10.9.0.3 dev tunl0",
    );
    assert_eq!(host.loopback, [Net::host(v4(10, 9, 0, 1)), Net::host(v4(10, 9, 0, 2))]);
    assert_eq!(host.tunnels[0].addresses, [Net::host(v4(10, 9, 0, 3))]);
    assert_eq!((host.tunnels[0].kind, host.tunnels.len()), (TunnelKind::Ipip, 1));
    // routes to own addresses change nothing
    assert_eq!(host.routes, base().routes);
    let lost = self::host("ip route add 10.8.0.0/16 dev lo");
    assert_eq!(lost.routes[1].kind, RouteKind::Blackhole);
}

#[test]
fn addresses_keep_what_the_world_must_know_about_them() {
    let host = host(
        "ip addr add 10.1.0.1 peer 10.1.0.2/32 dev eth1\nip -6 addr add 2001:db8::1/64 dev eth1 nodad preferred_lft 0\nip addr add 10.2.0.1/24 dev eth1 noprefixroute",
    );
    let six = Net::new("2001:db8::1".parse().unwrap(), 64);
    let expected = [Net::host(v4(10, 1, 0, 1)), six, Net::host(v4(10, 2, 0, 1))];
    assert_eq!(host.interfaces[1].addresses, expected);
    assert_eq!(host.deprecated, [six.addr]);
    assert!(host.routes.iter().any(|r| r.to == Net::host(v4(10, 1, 0, 2))));
}

#[test]
fn settings_go_where_they_belong() {
    let host = host(
        "sysctl -w net.ipv4.ip_forward=1 net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.eth0.send_redirects=0\nsysctl -w net.ipv4.vs.conn_reuse_mode=0 net.ipv4.vs.conntrack=1 net.ipv6.conf.all.forwarding=1 net.ipv4.ip_default_ttl=32\nip link set eth1 arp off",
    );
    assert!(host.sysctl.ip_forward && host.sysctl.forwarding_v6);
    assert_eq!((host.sysctl.all.arp_ignore, host.sysctl.default_ttl), (1, 32));
    assert!(!host.interfaces[0].sysctl.send_redirects && host.sysctl.all.send_redirects);
    assert_eq!(host.interfaces[1].sysctl.arp_ignore, 8);
    let vs = host.ipvs.map(|i| i.sysctl).unwrap();
    assert!(vs.conntrack && vs.conn_reuse_mode == 0);
    let (_, findings) =
        run("sysctl -w net.core.somaxconn=1024\nsysctl -w net.ipv4.vs.sync_ports=2");
    assert_eq!(findings.remarks.len(), 2, "{findings:?}");
}

#[test]
fn routes_rules_neighbours_and_ports_are_mapped() {
    let host = host(
        "ip route add local default dev lo table 100\nip rule add fwmark 1 lookup 100\nip neigh add 10.0.0.7 lladdr 02:00:00:00:00:07 dev eth0\nip neigh add proxy 10.0.0.6 dev eth0\nip fou add port 5555 gue\nip route add 10.4.0.0/16 via 10.0.0.4 mtu 1400 metric 3",
    );
    let local = &host.routes[1];
    assert_eq!((local.kind, local.table, local.hops.len()), (RouteKind::Local, 100, 0));
    assert_eq!((host.policy[0].mark, host.policy[0].table), (Some((1, u32::MAX)), 100));
    assert_eq!(host.neighbours[0].1, v4(10, 0, 0, 7));
    assert_eq!(host.proxies, [("eth0".to_owned(), v4(10, 0, 0, 6))]);
    assert_eq!(host.fou, [FouConfig { port: 5555, protocol: None, v6: false }]);
    let last = &host.routes[2];
    assert_eq!((last.mtu, last.metric, last.hops[0].dev.as_deref()), (Some(1400), 3, Some("eth0")));
}

#[test]
fn chains_of_the_user_stand_where_they_are_called() {
    let host = host(
        "iptables -N web\niptables -A web -p tcp --dport 80 -j DROP\niptables -A web -j ACCEPT\niptables -A INPUT -s 10.0.0.0/24 -j web\niptables -P INPUT DROP\niptables -t raw -A PREROUTING -j NOTRACK",
    );
    let input: Vec<_> = host.filters.iter().filter(|f| f.chain == FilterChain::Input).collect();
    assert_eq!(input.len(), 3);
    let source = FilterCondition::Source(Net::new(v4(10, 0, 0, 0), 24));
    assert!(input[..2].iter().all(|f| f.matches[0].what == source && !f.matches[0].not));
    assert_eq!(input[0].matches.len(), 3);
    assert_eq!((&input[2].target, input[2].matches.len()), (&FilterTarget::Drop, 0));
    assert!(host.filters.iter().any(|f| f.table == FilterTable::Raw));
}

#[test]
fn what_cannot_be_played_is_told() {
    for (text, said) in [
        ("ip link add br0 type bridge", "the interface br0 cannot be played"),
        ("ip link add link eth0 name eth0.5 type vlan id 5", "the interface eth0.5"),
        ("ip rule add oif eth0 lookup 9", "rules with `oif`"),
        ("ip route add throw 10.7.0.0/16", "routes of the kind `throw`"),
        ("iptables -N a\niptables -A a -j RETURN\niptables -A INPUT -j a", "RETURN in a chain"),
        ("iptables -t nat -A POSTROUTING -j SNAT --to-source 10.0.0.5-10.0.0.6", "translation"),
    ] {
        let (_, findings) = run(text);
        assert_eq!(findings.problems.len(), 1, "{text}: {:?}", findings.problems);
        assert!(findings.problems[0].message.contains(said), "{:?}", findings.problems[0]);
    }
}

#[test]
fn an_interface_that_is_down_is_named() {
    let (configured, findings) = run("ifconfig eth0 down");
    assert_eq!((findings.problems, configured.down), (Vec::new(), vec!["eth0".to_owned()]));
    assert_eq!(configured.host.routes, []);
}
