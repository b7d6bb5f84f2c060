//! Layouts as recorded from ipvsadm 1.31 on Linux, and rules that come back as they were saved.

use super::*;
use crate::diagnostic::{Place, Sources};
use crate::import::ipvsadm::{self, Rules};
use proptest::prelude::*;
use schedulers::Algorithm;
use sim_core::engine::Span;
use sim_core::ipvs::rules::{
    Encapsulation, Engine, Forwarding, OuterChecksum, ServerRule, ServiceKey, ServiceRule,
    TunnelOptions,
};
use sim_core::ipvs::{Command, Stats};
use sim_core::observe::ConnectionState;
use sim_core::wire::proto;
use std::net::IpAddr;

fn rules(text: &str) -> Rules {
    let mut sources = Sources::default();
    let file = sources.add("rules", text);
    let mut problems = Vec::new();
    let rules = ipvsadm::read_file(&sources, file, Names::NONE, &mut problems);
    assert_eq!(problems, [], "{text}");
    rules
}

fn snapshot(text: &str) -> DirectorSnapshot {
    fresh(&rules(text).config.services)
}

/// Sets active and inactive connections of the destinations, newest first.
fn counted(mut snapshot: DirectorSnapshot, counts: &[(u32, u32)]) -> DirectorSnapshot {
    let all = snapshot.services.iter_mut().flat_map(|s| &mut s.destinations);
    for (destination, (active, inactive)) in all.zip(counts) {
        (destination.active, destination.inactive) = (*active, *inactive);
    }
    snapshot
}

fn printed(line: &str, snapshot: &DirectorSnapshot, names: &Names) -> String {
    let action = ipvsadm::command(&words(line), names);
    output(&action.unwrap(), snapshot, names).unwrap_or_else(str::to_owned)
}

fn words(line: &str) -> Vec<(&str, Place)> {
    line.split(' ').map(|w| (w, Place::default())).collect()
}

fn numeric(line: &str, snapshot: &DirectorSnapshot) -> String {
    printed(line, snapshot, Names::NONE)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

const TITLE: &str = "IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
";

/// The expected text has `|` at the ends of lines, where blanks count.
fn lines(marked: &str) -> String {
    marked.replace("|\n", "\n")
}

#[test]
fn services_are_listed_as_recorded() {
    for (rules, counts, expected) in [
        (
            "-A -t 192.168.10.200:80 -s rr -p 300 -M 255.255.255.0\n\
             -a -t 192.168.10.200:80 -r 192.168.10.11 -g\n\
             -a -t 192.168.10.200:80 -r 192.168.10.12 -g\n",
            &[(0, 3), (0, 1)][..],
            "TCP  192.168.10.200:80 rr persistent 300 mask 255.255.255.0|\n  \
             -> 192.168.10.11:80             Route   1      0          1         |\n  \
             -> 192.168.10.12:80             Route   1      0          3         |\n",
        ),
        (
            "-A -t [2001:db8:10::200]:80 -s rr\n\
             -a -t [2001:db8:10::200]:80 -r [2001:db8:10::11]:80 -g\n\
             -a -t [2001:db8:10::200]:80 -r [2001:db8:10::12]:80 -g\n",
            &[(0, 1), (0, 1)],
            "TCP  [2001:db8:10::200]:80 rr|\n  \
             -> [2001:db8:10::11]:80         Route   1      0          1         |\n  \
             -> [2001:db8:10::12]:80         Route   1      0          1         |\n",
        ),
        (
            "-A -f 1 -s rr -p 300\n-a -f 1 -r 192.168.10.12 -m\n-a -f 1 -r 192.168.10.11 -m\n",
            &[(0, 0), (0, 3)],
            "FWM  1 rr persistent 300|\n  \
             -> 192.168.10.11:0              Masq    1      0          0         |\n  \
             -> 192.168.10.12:0              Masq    1      0          3         |\n",
        ),
        (
            "-A -t [2001:db8:10::200]:80 -s rr\n\
             -a -t [2001:db8:10::200]:80 -r 192.168.10.11 -i\n",
            &[(0, 1)],
            "TCP  [2001:db8:10::200]:80 rr|\n  \
             -> 192.168.10.11:80             Tunnel  1      0          1         |\n",
        ),
        (
            "-A -t 192.168.10.200:443 -s rr -p 300\n-A -t 192.168.10.200:80 -s rr -p 300\n",
            &[],
            "TCP  192.168.10.200:80 rr persistent 300|\nTCP  192.168.10.200:443 rr persistent 300|\n",
        ),
        (
            "-A -u 10.0.0.1:53 -s sh -b sh-fallback,sh-port -o\n-A -f 5 -6 -s mh -p -M 64\n\
             -A -u 10.0.0.1:5060 -s rr -p 60 --pe sip -o\n",
            &[],
            "UDP  10.0.0.1:53 sh (sh-fallback,sh-port) ops|\n\
             UDP  10.0.0.1:5060 rr persistent 60 pe sip ops|\n\
             FWM  5 IPv6 mh persistent 360 mask 64|\n",
        ),
    ] {
        let snapshot = counted(snapshot(rules), counts);
        assert_eq!(numeric("-Ln", &snapshot), format!("{TITLE}{}", lines(expected)), "{rules}");
    }
}

#[test]
fn names_stand_where_there_are_names_and_long_ones_are_cut() {
    let mut names = Names::default();
    names.add("web1.a-long-domain.example.org", ip("192.168.10.11"));
    names.add("vip", ip("192.168.10.200"));
    let snapshot = snapshot(
        "-A -t 192.168.10.200:443 -s rr\n-a -t 192.168.10.200:443 -r 192.168.10.11 -m\n\
         -a -t 192.168.10.200:443 -r 192.168.10.12 -m\n",
    );
    let expected = lines(
        "TCP  vip:https rr|\n  \
         -> web1.a-long-domain.example.o Masq    1      0          0         |\n  \
         -> 192.168.10.12:https          Masq    1      0          0         |\n",
    );
    assert_eq!(printed("-L", &snapshot, &names), format!("{TITLE}{expected}"));
    assert_eq!(
        printed("-S", &snapshot, &names),
        "-A -t vip:https -s rr\n\
         -a -t vip:https -r web1.a-long-domain.example.org:https -m -w 1\n\
         -a -t vip:https -r 192.168.10.12:https -m -w 1\n"
    );
    // what was saved by names is read by names
    let mut sources = Sources::default();
    let text = printed("-S", &snapshot, &names);
    let file = sources.add("rules", text);
    let mut problems = Vec::new();
    let read = ipvsadm::read_file(&sources, file, &names, &mut problems);
    assert_eq!((problems, read.config.services[0].servers.len()), (Vec::new(), 2));
}

#[test]
fn one_service_is_listed_without_the_line_of_the_version() {
    let snapshot = snapshot("-A -t 10.0.0.1:80 -s rr\n-A -t 10.0.0.2:80 -s rr\n");
    let (_, title) = TITLE.split_once('\n').unwrap();
    let expected = format!("{title}TCP  10.0.0.2:80 rr\n");
    assert_eq!(numeric("-Ln -t 10.0.0.2:80", &snapshot), expected);
    assert_eq!(numeric("-Ln -t 10.0.0.3:80", &snapshot), "No such service");
}

#[test]
fn without_sorting_the_newest_server_comes_first() {
    let snapshot = snapshot(
        "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.0.2 -m\n-a -t 10.0.0.1:80 -r 10.0.0.3 -m\n",
    );
    let servers = |line: &str| -> Vec<String> {
        let text = numeric(line, &snapshot);
        let servers = text.lines().filter_map(|l| l.strip_prefix("  -> 10"));
        servers.map(|l| l.split(' ').next().unwrap_or("").to_owned()).collect()
    };
    assert_eq!(servers("-Ln"), [".0.0.2:80", ".0.0.3:80"]);
    assert_eq!(servers("-Ln --nosort"), [".0.0.3:80", ".0.0.2:80"]);
}

fn busy() -> DirectorSnapshot {
    let mut snapshot = snapshot(
        "-A -t 10.0.0.1:80 -s wlc -p 360\n-a -t 10.0.0.1:80 -r 192.168.0.2 -i -x 100 -y 50 -w 2 \
         --tun-type gue --tun-port 5555 --tun-csum\n",
    );
    let numbers = Stats {
        connections: 15,
        packets_in: 120,
        packets_out: 90,
        bytes_in: 12_345_678,
        bytes_out: 123_456_789,
    };
    for service in &mut snapshot.services {
        (service.stats, service.rates) = (numbers, numbers);
        for destination in &mut service.destinations {
            (destination.stats, destination.rates) = (numbers, numbers);
            (destination.active, destination.inactive, destination.persistent) = (3, 12, 7);
        }
    }
    snapshot
}

#[test]
fn counters_and_rates_have_their_columns() {
    let version = "IP Virtual Server version 1.2.1 (size=4096)\n";
    let expected = "\
Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
  -> RemoteAddress:Port
TCP  10.0.0.1:80                        15      120       90 12345678  123456K
  -> 192.168.0.2:80                     15      120       90 12345678  123456K
";
    assert_eq!(numeric("-Ln --stats", &busy()), format!("{version}{expected}"));
    let exact = expected.replace("  123456K", " 123456789");
    assert_eq!(numeric("-Ln --stats -X", &busy()), format!("{version}{exact}"));
    let rate = expected.replace(
        "   Conns   InPkts  OutPkts  InBytes OutBytes",
        "     CPS    InPPS   OutPPS    InBPS   OutBPS",
    );
    assert_eq!(numeric("-Ln --rate", &busy()), format!("{version}{rate}"));
}

#[test]
fn thresholds_persistent_connections_and_tunnels_have_their_columns() {
    let expected = "\
IP Virtual Server version 1.2.1 (size=4096)|
Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn |
  -> RemoteAddress:Port|
TCP  10.0.0.1:80 wlc persistent 360|
  -> 192.168.0.2:80               100        50         3          12        |
";
    assert_eq!(numeric("-Ln --thresholds", &busy()), lines(expected));
    let expected = "\
IP Virtual Server version 1.2.1 (size=4096)|
Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn |
  -> RemoteAddress:Port|
TCP  10.0.0.1:80 wlc persistent 360|
  -> 192.168.0.2:80               2         7           3          12        |
";
    assert_eq!(numeric("-Ln --persistent-conn", &busy()), lines(expected));
    let expected = "\
IP Virtual Server version 1.2.1 (size=4096)|
Prot LocalAddress:Port Scheduler Flags|
  -> RemoteAddress:Port           Forward TunnelInfo    Weight ActiveConn InActConn|
TCP  10.0.0.1:80 wlc persistent 360|
  -> 192.168.0.2:80               Tunnel  gue:5555:+c   2      3          12        |
";
    assert_eq!(numeric("-Ln --tun-info", &busy()), lines(expected));
}

fn connection(
    protocol: u8,
    expires: u64,
    state: &'static str,
    ends: [(&str, u16); 3],
) -> ConnectionState {
    let [client, vip, server] = ends.map(|(a, port)| (ip(a), port));
    let expires = Span::from_millis(expires * 1000 + 999);
    ConnectionState { protocol, expires, state, client, vip, server, call_id: None }
}

#[test]
fn connections_are_listed_as_recorded() {
    let (vip, client) = ("192.168.10.200", "172.16.0.10");
    let connections = vec![
        connection(6, 118, "TIME_WAIT", [(client, 36134), (vip, 80), ("192.168.10.12", 80)]),
        connection(6, 119, "TIME_WAIT", [(client, 39626), (vip, 443), ("192.168.10.12", 443)]),
        connection(0, 299, "ASSURED", [(client, 0), ("0.0.0.1", 0), ("192.168.10.12", 0)]),
        connection(
            6,
            7199,
            "ESTABLISHED",
            [("2001:db8:1::10", 51018), ("2001:db8:10::200", 80), ("2001:db8:10::12", 80)],
        ),
    ];
    let snapshot = DirectorSnapshot { connections, ..DirectorSnapshot::default() };
    let expected = "\
IPVS connection entries
pro expire state       source             virtual            destination
TCP 01:58  TIME_WAIT   172.16.0.10:36134  192.168.10.200:80  192.168.10.12:80
TCP 01:59  TIME_WAIT   172.16.0.10:39626  192.168.10.200:443 192.168.10.12:443
IP  04:59  ASSURED     172.16.0.10:0      0.0.0.1:0          192.168.10.12:0
TCP 119:59 ESTABLISHED [2001:db8:1::10]:51018 [2001:db8:10::200]:80 [2001:db8:10::12]:80
";
    assert_eq!(numeric("-Lnc", &snapshot), expected);
    let named = printed("-Lc", &snapshot, Names::NONE);
    assert!(named.contains(" 172.16.0.10:39626  192.168.10.200:https 192.168.10.12:https\n"));
}

#[test]
fn the_data_of_a_persistence_engine_has_columns_of_its_own() {
    let ends = [("172.16.0.10", 0), ("192.168.10.200", 5060), ("192.168.10.12", 5060)];
    let template = ConnectionState {
        call_id: Some("2349sdf@example".to_owned()),
        ..connection(17, 59, "UDP", ends)
    };
    let snapshot = DirectorSnapshot { connections: vec![template], ..DirectorSnapshot::default() };
    let expected = "\
IPVS connection entries
pro expire state       source             virtual            destination        pe name          pe_data
UDP 00:59  UDP         172.16.0.10:0      192.168.10.200:5060 192.168.10.12:5060 sip                2349sdf@example
";
    assert_eq!(numeric("-Lnc --persistent-conn", &snapshot), expected);
}

#[test]
fn timeouts_are_listed_in_seconds() {
    let timeouts = [900, 120, 300].map(Span::from_secs);
    let snapshot = DirectorSnapshot { timeouts, ..DirectorSnapshot::default() };
    assert_eq!(numeric("-L --timeout", &snapshot), "Timeout (tcp tcpfin udp): 900 120 300\n");
    assert_eq!(numeric("-Ln --daemon", &snapshot), "");
    let started = ipvsadm::command(&words("--start-daemon master --syncid 1"), Names::NONE);
    let Ok(Action::Change(Command::StartDaemon(daemon))) = started else {
        unreachable!("a daemon")
    };
    assert_eq!(
        numeric("-L --daemon", &DirectorSnapshot { daemons: vec![daemon], ..snapshot }),
        "master sync daemon (mcast=eth0, syncid=1, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)\n"
    );
}

#[test]
fn saved_rules_are_what_ipvsadm_save_prints() {
    let text = "\
-A -t 10.0.0.1:80 -s wlc -p 360
-a -t 10.0.0.1:80 -r 192.168.0.2:80 -m -w 1
-a -t 10.0.0.1:80 -r 192.168.0.3:8080 -m -w 2
-A -t [2001:db8::1]:80 -s rr -p 60 -M 64
-a -t [2001:db8::1]:80 -r 10.0.0.9:80 -i -w 1 --tun-type gre --tun-nocsum
-A -u 10.0.0.1:5060 -s rr -p 360 --pe sip -o
-A --sctp-service 10.0.0.1:36412 -s sh -b sh-fallback,sh-port
-A -f 5 -s rr
-a -f 5 -r 192.168.0.9:0 -g -w 0
-A -f 5 -6 -s rr
";
    // IPv6 services come after all of IPv4, sorting by protocol only within a family
    let saved = numeric("-S -n", &snapshot(text));
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&saved), sorted(text));
    assert!(saved.find("36412").unwrap() < saved.find("2001").unwrap(), "{saved}");
    assert_eq!(numeric("-S -n", &snapshot(&saved)), saved);
}

fn address(v6: bool) -> BoxedStrategy<IpAddr> {
    if v6 {
        any::<u64>()
            .prop_map(|n| IpAddr::from((0x2001_0db8 << 96 | u128::from(n | 1)).to_be_bytes()))
            .boxed()
    } else {
        (1u8..224, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| IpAddr::from([a, b, c, d])).boxed()
    }
}

fn tunnel() -> impl Strategy<Value = TunnelOptions> {
    let checksum = prop_oneof![
        Just(OuterChecksum::None),
        Just(OuterChecksum::Full),
        Just(OuterChecksum::Remote)
    ];
    (0..3, 1u16.., checksum).prop_map(|(kind, port, checksum)| match (kind, checksum) {
        (0, _) => TunnelOptions::default(),
        (1, OuterChecksum::None | OuterChecksum::Full) => {
            TunnelOptions { kind: Encapsulation::Gre, port: 0, checksum }
        }
        _ => TunnelOptions { kind: Encapsulation::Gue, port, checksum },
    })
}

fn server(key: ServiceKey, v6: bool) -> impl Strategy<Value = ServerRule> {
    let method = prop_oneof![Just(Forwarding::Nat), Just(Forwarding::Dr), Just(Forwarding::Tun)];
    (address(v6), any::<u16>(), method, any::<u16>(), tunnel()).prop_map(
        move |(rip, port, forwarding, weight, tunnel)| {
            let port = match (key, forwarding) {
                (ServiceKey::Address { port, .. }, Forwarding::Dr | Forwarding::Tun) => port,
                _ => port,
            };
            let tunnelled = forwarding == Forwarding::Tun;
            let tunnel = if tunnelled { tunnel } else { TunnelOptions::default() };
            ServerRule { forwarding, weight, tunnel, ..ServerRule::new(rip, port) }
        },
    )
}

fn key() -> impl Strategy<Value = (ServiceKey, bool)> {
    let protocol = prop_oneof![Just(proto::TCP), Just(proto::UDP), Just(proto::SCTP)];
    any::<bool>().prop_flat_map(move |v6| {
        prop_oneof![
            (protocol.clone(), address(v6), any::<u16>())
                .prop_map(|(protocol, vip, port)| ServiceKey::Address { protocol, vip, port }),
            (1u32..).prop_map(move |mark| ServiceKey::Fwmark { mark, v6 }),
        ]
        .prop_map(move |key| (key, v6))
    })
}

fn service() -> impl Strategy<Value = ServiceRule> {
    let parameters = (0..14usize, 0u8..8, 1u64..=2_678_400, any::<(bool, bool, bool)>(), 1u8..=128);
    (key(), parameters).prop_flat_map(|((key, v6), (scheduler, flags, timeout, yes, len))| {
        let scheduler = Algorithm::ALL[scheduler];
        let two = matches!(scheduler, Algorithm::Sh | Algorithm::Mh);
        let all_ports = matches!(key, ServiceKey::Address { port: 0, .. });
        let tcp = matches!(key, ServiceKey::Address { protocol, .. } if protocol != proto::UDP);
        let persistent = (yes.0 || all_ports).then(|| Span::from_secs(timeout));
        let bare = ServiceRule::new(key);
        let rule = ServiceRule {
            scheduler,
            sched_flags: if two { flags & 3 } else { flags },
            netmask_len: if persistent.is_some() {
                len.min(bare.netmask_len)
            } else {
                bare.netmask_len
            },
            engine: (yes.1 && persistent.is_some()).then_some(Engine::Sip),
            one_packet: yes.2 && !tcp,
            persistent,
            ..bare
        };
        proptest::collection::vec(server(key, v6), 0..5)
            .prop_map(move |servers| ServiceRule { servers, ..rule.clone() })
    })
}

/// Rules without doubles, in an order of their own.
fn ordered(mut services: Vec<ServiceRule>) -> Vec<ServiceRule> {
    for service in &mut services {
        service.servers.sort_by_key(|s| (s.rip, s.port));
        service.servers.dedup_by_key(|s| (s.rip, s.port));
    }
    services.sort_by_key(|s| s.key);
    services.dedup_by_key(|s| s.key);
    services
}

proptest! {
    #[test]
    fn saved_rules_restore(services in proptest::collection::vec(service(), 0..6)) {
        let services = ordered(services);
        let text = save(&fresh(&services), None);
        prop_assert_eq!(ordered(rules(&text).config.services), services);
    }
}
