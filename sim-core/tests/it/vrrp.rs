//! Virtual routers of two directors on a switch, with a client that asks their address.

use crate::network::*;
use core::net::IpAddr;
use sim_core::config::*;
use sim_core::engine::{Dist, Span, Time};
use sim_core::hosts::daemon::{Order, Process};
use sim_core::ipvs::rules::{Daemon, DaemonRole, Forwarding};
use sim_core::observe::timeline::Kind;
use sim_core::observe::{Failure, Observations, TimelineEntry};
use sim_core::wire::Mac;
use sim_core::world::World;

const D1: usize = 1;
const D2: usize = 2;

/// `VI_1` on `eth0` with [`VIP`].
fn instance(priority: u8) -> VrrpInstance {
    let mut i = VrrpInstance::new("VI_1", "eth0", 51);
    i.priority = priority;
    i.addresses.push(VirtualAddress::new(Net::host(VIP)));
    i
}

fn keepalived(instances: Vec<VrrpInstance>) -> KeepalivedConfig {
    let vrrp = VrrpConfig { instances, ..VrrpConfig::default() };
    KeepalivedConfig { start: Some(Span::ZERO), vrrp, ..KeepalivedConfig::default() }
}

/// A client that asks the VIP over UDP every 50 ms for so many seconds, and directors d1 (.101) and d2 (.102) that
/// answer.
fn directors(one: KeepalivedConfig, two: KeepalivedConfig, seconds: u64) -> WorldConfig {
    let at: Vec<u64> = (0..seconds * 20).map(|n| n * 50 + 7).collect();
    let mut asker = host("client", vec![interface("eth0", vec![address(rip(1), 24)])], None);
    asker.clients.push(ClientConfig {
        timeout: Some(Span::from_millis(40)),
        ..client(Transport::Udp, 80, &at)
    });
    let mut hosts = vec![asker];
    for (n, keepalived) in [(1, one), (2, two)] {
        let ip = v4(192, 168, 10, 100 + n);
        let mut d = serving(&format!("d{n}"), ip, Transport::Udp, 80);
        d.keepalived = Some(keepalived);
        hosts.push(d);
    }
    WorldConfig {
        seed: 1,
        duration: Span::from_secs(seconds),
        drain: Span::from_secs(1),
        hosts,
        switches: vec![switch("sw")],
        links: vec![link("client:eth0", "sw"), link("d1:eth0", "sw"), link("d2:eth0", "sw")],
        connections: true,
        // so that something happens at every millisecond at which a test wants to do something
        series_interval: Span::from_millis(100),
        ..WorldConfig::default()
    }
}

/// Two directors with these priorities.
pub(crate) fn pair(one: u8, two: u8, seconds: u64) -> WorldConfig {
    directors(keepalived(vec![instance(one)]), keepalived(vec![instance(two)]), seconds)
}

/// Runs, and tells keepalived of these hosts what to do at these tenths of a second.
fn play(config: &WorldConfig, orders: &[(u64, usize, Order)]) -> Observations {
    let mut world = World::build(config).expect("a good configuration");
    for (at, host, order) in orders {
        let at = Time::ZERO + Span::from_millis(*at * 100);
        while world.now() < at && world.run(1) {}
        assert_eq!(world.now(), at);
        world.at_host(*host, |h, fab| h.order(fab, Process::Keepalived, *order));
    }
    while world.run(10_000) {}
    world.finish()
}

/// The times in microseconds at which something of this kind became this on a host.
fn when(o: &Observations, host: &str, kind: Kind, value: &str) -> Vec<u64> {
    let it = |e: &&TimelineEntry| e.host == host && e.kind == kind && e.value == value;
    o.timeline.iter().filter(it).map(|e| e.time.as_nanos() / 1_000).collect()
}

/// Who answered the request that started in this tenth of a second (`-`: nobody).
fn answered(o: &Observations, tenth: u64) -> String {
    let row = rows(o).into_iter().find(|r| r.start.as_nanos() / 100_000_000 == tenth);
    let server = row.and_then(|r| if r.failure.is_none() { r.server } else { None });
    server.map_or_else(|| "-".to_owned(), |s| o.servers[s as usize].host.clone())
}

fn near(found: &[u64], expected: &[u64]) {
    let close = |(f, e): (&u64, &u64)| f.abs_diff(*e) < 1_000;
    let all = found.len() == expected.len() && found.iter().zip(expected).all(close);
    assert!(all, "{found:?} instead of {expected:?}");
}

#[test]
fn a_clean_stop_costs_the_skew_and_the_return_the_master_down_time() {
    let o = play(&pair(100, 47, 30), &[(100, D1, Order::Stop), (170, D1, Order::Start)]);
    let back = 17_000_000 + 3_609_375;
    near(&when(&o, "d1", Kind::State, "MASTER"), &[3_609_375, back]);
    near(&when(&o, "d1", Kind::State, "STOP"), &[10_000_000]);
    near(&when(&o, "d1", Kind::Address, "removed"), &[10_000_000]);
    near(&when(&o, "d2", Kind::State, "MASTER"), &[10_816_406]);
    near(&when(&o, "d2", Kind::Address, "added"), &[10_816_406]);
    near(&when(&o, "d2", Kind::Announcement, "5"), &[10_816_406, 15_816_406]);
    near(&when(&o, "d2", Kind::Address, "removed"), &[back]);
    let seen = [20, 50, 101, 105, 110, 200, 210].map(|t| answered(&o, t));
    assert_eq!(seen, ["-", "d1", "-", "-", "d2", "d2", "d1"]);
}

#[test]
fn a_killed_process_leaves_its_address_and_the_announcement_moves_the_clients() {
    let o = play(&pair(100, 47, 30), &[(105, D1, Order::Kill), (200, D1, Order::Start)]);
    // the last advert was at 9.609375; both hosts have the address from then on
    let taken = 9_609_375 + 3_816_406;
    near(&when(&o, "d2", Kind::State, "MASTER"), &[taken]);
    near(&when(&o, "d1", Kind::Address, "removed"), &[20_000_000]);
    let seen = [100, 110, 130, 140, 190, 240].map(|t| answered(&o, t));
    assert_eq!(seen, ["d1", "d1", "d1", "d2", "d2", "d1"]);
}

#[test]
fn without_preemption_the_one_that_came_back_stays_backup() {
    let patient =
        |priority| keepalived(vec![VrrpInstance { preempt: false, ..instance(priority) }]);
    let config = directors(patient(100), patient(47), 30);
    let o = play(&config, &[(100, D1, Order::Stop), (170, D1, Order::Start)]);
    assert_eq!(when(&o, "d1", Kind::State, "MASTER").len(), 1);
    assert_eq!([answered(&o, 250), answered(&o, 299)], ["d2", "d2"]);
}

#[test]
fn loss_on_the_way_to_the_backup_makes_two_masters() {
    let mut config = pair(100, 47, 20);
    // from the switch to d2
    config.links[2].directions[1].loss = 1.0;
    let o = play(&config, &[]);
    near(&when(&o, "d1", Kind::State, "MASTER"), &[3_609_375]);
    near(&when(&o, "d2", Kind::State, "MASTER"), &[3_816_406]);
    assert!(when(&o, "d1", Kind::State, "BACKUP").len() == 1, "only at the start");
    // d1 announces itself again whenever it hears the other
    assert!(when(&o, "d1", Kind::Announcement, "5").len() > 10);
    assert_eq!(answered(&o, 150), "d1");
}

#[test]
fn another_password_is_another_router() {
    let of = |priority, secret| {
        let auth = VrrpAuth::Pass(VrrpAuth::secret(secret));
        keepalived(vec![VrrpInstance { auth, ..instance(priority) }])
    };
    let o = play(&directors(of(100, "one"), of(47, "other"), 15), &[]);
    assert_eq!(when(&o, "d1", Kind::State, "MASTER").len(), 1);
    assert_eq!(when(&o, "d2", Kind::State, "MASTER").len(), 1);
    assert_eq!(answered(&o, 100), "d2", "it was the last to announce itself");
    let o = play(&directors(of(100, "one"), of(47, "one"), 15), &[]);
    assert_eq!(when(&o, "d2", Kind::State, "MASTER").len(), 0);
}

#[test]
fn of_equal_priorities_the_higher_address_wins_after_a_split() {
    let mut config = pair(100, 100, 20);
    config.links[2].directions[1].loss = 1.0;
    let o = play(&config, &[]);
    // d1 hears d2, which has the higher address, and gives up; d2 hears nobody, not even the clients
    near(&when(&o, "d1", Kind::Address, "removed"), &[3_609_375]);
    assert_eq!(when(&o, "d2", Kind::State, "MASTER").len(), 1);
    assert_eq!(answered(&o, 150), "-");
}

#[test]
fn unicast_adverts_go_to_the_peer_alone() {
    let of = |priority, peer: u8| {
        let address = v4(192, 168, 10, 100 + peer);
        let peers = vec![UnicastPeer { address, min_ttl: None, max_ttl: None }];
        keepalived(vec![VrrpInstance { peers, ..instance(priority) }])
    };
    let config = directors(of(100, 2), of(47, 1), 15);
    let (o, frames) = crate::frames::watch(&config, "client");
    assert_eq!(when(&o, "d2", Kind::State, "MASTER").len(), 0);
    assert!(frames.iter().all(|f| !f.text.contains("protocol 112")));
    let o = play(&config, &[(105, D1, Order::Stop)]);
    near(&when(&o, "d2", Kind::State, "MASTER"), &[10_500_000 + 816_406]);
    // the stopped one tells d2 that it has no such protocol, which d2 does not mind
    assert_eq!(answered(&o, 140), "d2");
}

#[test]
fn a_lost_link_moves_both_members_of_a_sync_group() {
    let second = v4(10, 9, 0, 200);
    let of = |priority| {
        let mut inner = VrrpInstance::new("VI_2", "eth1", 52);
        inner.priority = priority;
        inner.addresses.push(VirtualAddress::new(Net::host(second)));
        let mut k = keepalived(vec![instance(priority), inner]);
        k.vrrp.groups = vec![SyncGroup {
            name: "G".into(),
            members: vec!["VI_1".into(), "VI_2".into()],
            ..SyncGroup::default()
        }];
        k
    };
    let mut config = directors(of(100), of(47), 30);
    for n in [D1, D2] {
        let inner = interface("eth1", vec![address(v4(10, 9, 0, 100 + n as u8), 24)]);
        config.hosts[n].interfaces.push(inner);
        config.links.push(link(&format!("d{n}:eth1"), "inner"));
    }
    config.switches.push(switch("inner"));
    config.link_events = vec![event(10_000, "d1:eth1--inner", false)];
    let o = play(&config, &[]);
    let faults = when(&o, "d1", Kind::State, "FAULT");
    near(&faults, &[10_000_000, 10_000_000, 10_000_000]);
    // VI_1 says farewell; VI_2 cannot, and its silence is noticed later. Both move together.
    let moved = when(&o, "d2", Kind::State, "MASTER");
    assert_eq!(moved.len(), 3, "two instances and the group");
    assert!(moved.iter().all(|t| *t == moved[0]), "{moved:?}");
    assert_eq!(answered(&o, 200), "d2");
}

#[test]
fn a_lost_link_takes_the_address_away_until_it_is_back() {
    let mut config = pair(100, 47, 30);
    let cable = "d1:eth0--sw";
    config.link_events = vec![event(10_200, cable, false), event(20_000, cable, true)];
    let o = play(&config, &[]);
    near(&when(&o, "d1", Kind::State, "FAULT"), &[10_200_000]);
    near(&when(&o, "d1", Kind::Address, "removed"), &[10_200_000]);
    near(&when(&o, "d2", Kind::State, "MASTER"), &[9_609_375 + 3_816_406]);
    near(&when(&o, "d1", Kind::State, "MASTER"), &[3_609_375, 23_609_375]);
    assert_eq!([answered(&o, 110), answered(&o, 150), answered(&o, 250)], ["-", "d2", "d1"]);
}

#[test]
fn a_frozen_master_comes_back_as_a_second_one_and_settles_it_at_once() {
    let o = play(&pair(100, 47, 30), &[(100, D1, Order::Freeze), (200, D1, Order::Thaw)]);
    near(&when(&o, "d2", Kind::State, "MASTER"), &[9_609_375 + 3_816_406]);
    // its first advert sends the other back, and it answers each of those that it finds in its socket
    near(&when(&o, "d2", Kind::State, "BACKUP"), &[0, 20_000_000]);
    let bursts = when(&o, "d1", Kind::Announcement, "5");
    let at_once = bursts.iter().filter(|t| **t == 20_000_000).count();
    assert_eq!(at_once, 7, "adverts from 13.4 to 19.4 s");
    assert_eq!([answered(&o, 150), answered(&o, 210)], ["d2", "d1"]);
    let mut careful = pair(100, 47, 30);
    let k = careful.hosts[D1].keepalived.as_mut().expect("a director");
    k.vrrp.instances[0].timer_expired_backup = Some(254);
    let o = play(&careful, &[(100, D1, Order::Freeze), (200, D1, Order::Thaw)]);
    near(&when(&o, "d1", Kind::State, "BACKUP"), &[0, 20_000_000]);
}

#[test]
fn a_process_told_to_end_while_frozen_ends_when_it_goes_on() {
    let orders = [(100, D1, Order::Freeze), (120, D1, Order::Stop), (200, D1, Order::Thaw)];
    let o = play(&pair(100, 47, 25), &orders);
    near(&when(&o, "d1", Kind::Process, "stopped"), &[20_000_000]);
    near(&when(&o, "d1", Kind::State, "STOP"), &[20_000_000]);
}

#[test]
fn a_virtual_mac_stays_the_same_for_clients_when_the_address_moves() {
    let of = |priority| {
        let vmac = Some(VmacConfig::default());
        keepalived(vec![VrrpInstance { vmac, ..instance(priority) }])
    };
    let config = directors(of(100), of(47), 20);
    let o = play(&config, &[(100, D1, Order::Stop)]);
    assert_eq!([answered(&o, 90), answered(&o, 115), answered(&o, 190)], ["d1", "d2", "d2"]);
    let mut world = World::build(&config).expect("a good configuration");
    while world.now() < Time::ZERO + Span::from_secs(15) && world.run(1) {}
    let held = world.at_host(0, |client, fab| {
        let vip = fab.book.number(VIP);
        let entries = client.ip.neighbours.entries();
        let entry = entries.iter().find(|e| e.ip == vip).expect("it was asked for");
        fab.macs[entry.mac.0 as usize]
    });
    assert_eq!(held, Some(Mac([0, 0, 0x5e, 0, 1, 51])));
}

#[test]
fn an_ipv6_address_is_told_by_neighbour_advertisements() {
    let link_local: IpAddr = "fe80::c8".parse().expect("an address");
    let vip: IpAddr = "fd00::c8".parse().expect("an address");
    let of = |priority| {
        let mut i = instance(priority);
        i.addresses = vec![
            VirtualAddress::new(Net::new(link_local, 64)),
            VirtualAddress::new(Net::new(vip, 64)),
        ];
        keepalived(vec![i])
    };
    let mut config = directors(of(100), of(47), 20);
    for (n, h) in config.hosts.iter_mut().enumerate() {
        let own: IpAddr = format!("fd00::{}", n + 1).parse().expect("an address");
        h.interfaces[0].addresses.push(address(own, 64));
    }
    config.hosts[0].clients[0].target.0 = vip;
    let o = play(&config, &[(100, D1, Order::Stop)]);
    // version 3: the skew is a share of the interval
    near(&when(&o, "d1", Kind::State, "MASTER"), &[3_609_375]);
    near(&when(&o, "d2", Kind::State, "MASTER"), &[10_816_406]);
    assert_eq!([answered(&o, 90), answered(&o, 120)], ["d1", "d2"]);
}

#[test]
fn the_connections_are_told_to_the_one_that_is_backup() {
    let mut of = [100, 47].map(|p| keepalived(vec![instance(p)]));
    for k in &mut of {
        let daemon = Daemon {
            role: DaemonRole::Backup,
            interface: "eth0".into(),
            syncid: 51,
            group: None,
            port: None,
            ttl: None,
            maxlen: None,
        };
        k.vrrp.sync_daemon = Some(SyncDaemon { instance: Some("VI_1".into()), daemon });
    }
    let [one, two] = of;
    let mut config = directors(one, two, 20);
    for n in [D1, D2] {
        config.hosts[n].ipvs = Some(rules(Forwarding::Dr, 6, 80, 1));
    }
    let o = play(&config, &[(100, D1, Order::Stop)]);
    near(&when(&o, "d1", Kind::Sync, "master"), &[3_609_375]);
    near(&when(&o, "d1", Kind::Sync, "off"), &[10_000_000]);
    near(&when(&o, "d2", Kind::Sync, "backup"), &[0]);
    near(&when(&o, "d2", Kind::Sync, "master"), &[10_816_406]);
}

#[test]
fn a_tcp_connection_to_a_removed_address_is_not_answered_and_not_reset_by_its_holder() {
    let mut config = pair(100, 47, 30);
    config.hosts[0].clients = vec![ClientConfig {
        requests: Dist::Constant(10.0),
        think: Dist::Constant(2.0),
        closer: Closer::Client,
        timeout: Some(Span::from_secs(25)),
        ..client(Transport::Tcp, 80, &[5_000])
    }];
    for n in [D1, D2] {
        config.hosts[n].servers =
            vec![ServerConfig { closer: Closer::Client, ..server(Transport::Tcp, 80) }];
    }
    let o = play(&config, &[(100, D1, Order::Stop)]);
    assert_eq!(
        rows(&o)[0].failure.map(Failure::name),
        Some("reset"),
        "by d2, which knows nothing of it"
    );
    let o =
        play(&config, &[(100, D1, Order::Stop), (101, D1, Order::Start), (102, D2, Order::Kill)]);
    assert_eq!(rows(&o)[0].failure, None, "the address came back in time");
}

#[test]
fn mistakes_are_named_when_a_world_is_built() {
    let mut config = pair(100, 47, 1);
    let k = config.hosts[D1].keepalived.as_mut().expect("a director");
    k.vrrp.instances[0].interface = "eth7".into();
    k.vrrp.instances[0].vrid = 0;
    let six: IpAddr = "fd00::1".parse().expect("an address");
    k.vrrp.instances[0].addresses.push(VirtualAddress::new(Net::host(six)));
    let errors = World::build(&config).expect_err("three mistakes");
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors[1].contains("vrrp_instance VI_1: there is no interface eth7"));
}

#[test]
fn a_session_of_bfd_notices_a_cut_long_before_the_adverts_do() {
    let of = |priority, peer: u8| {
        let mut i = instance(priority);
        let what = Tracked::Bfd("peer".into());
        i.tracks = vec![Track { what, weight: -60, reverse: true }];
        i.advert_int = Span::from_secs(3);
        let mut k = keepalived(vec![i]);
        k.bfd = vec![BfdConfig::new("peer", v4(192, 168, 10, 100 + peer))];
        k
    };
    let mut config = directors(of(100, 2), of(47, 1), 20);
    config.link_events = vec![event(15_000, "d1:eth0--sw", false)];
    let o = play(&config, &[]);
    let up = when(&o, "d2", Kind::Check, "up");
    assert!(up.len() == 1 && up[0] < 5_000_000, "{up:?}");
    let down = when(&o, "d2", Kind::Check, "down");
    assert!(down.len() == 1 && (15_035_000..15_055_000).contains(&down[0]), "{down:?}");
}
