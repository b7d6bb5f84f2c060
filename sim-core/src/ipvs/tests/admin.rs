//! What operators do while the director runs.

use super::*;
use crate::ipvs::rules::TimeoutRule;
use crate::ipvs::{Command, DropReason, IpvsError, Stats, Timeouts};

fn apply(ipvs: &mut Ipvs, seconds: u64, command: &Command) -> Result<(), IpvsError> {
    ipvs.apply(at(seconds), command, &mut AddressBook::new())
}

#[test]
fn the_kernels_errors() {
    let mut ipvs = director(Forwarding::Dr);
    let before: Vec<_> = ipvs.destinations().collect();
    let (known, unknown) = (server(11, 80, Forwarding::Dr), server(99, 80, Forwarding::Dr));
    let nobody = ServiceKey::Address { protocol: proto::TCP, vip: VIP_RULE, port: 81 };
    let bad = ServerRule { lower_threshold: 1, ..unknown };
    let broadcast = ServerRule { rip: v4(255, 255, 255, 255), ..unknown };
    let week = Span::from_secs(25 * 86_400);
    let long = TimeoutRule { udp: Some(week), ..TimeoutRule::default() };
    for (command, error, errno) in [
        (Command::AddService(service(WEB, vec![])), IpvsError::ServiceExists(WEB), "EEXIST"),
        (Command::EditService(service(nobody, vec![])), IpvsError::NoService(nobody), "ESRCH"),
        (Command::DeleteService(nobody), IpvsError::NoService(nobody), "ESRCH"),
        (Command::AddServer(nobody, known), IpvsError::NoService(nobody), "ESRCH"),
        (Command::AddServer(WEB, known), IpvsError::ServerExists(WEB, rip_rule(11), 80), "EEXIST"),
        (Command::EditServer(nobody, known), IpvsError::NoService(nobody), "ESRCH"),
        (Command::EditServer(WEB, unknown), IpvsError::NoServer(WEB, rip_rule(99), 80), "ENOENT"),
        (
            Command::DeleteServer(WEB, rip_rule(11), 81),
            IpvsError::NoServer(WEB, rip_rule(11), 81),
            "ENOENT",
        ),
        (Command::DeleteServer(nobody, rip_rule(11), 80), IpvsError::NoService(nobody), "ESRCH"),
        (
            Command::AddServer(WEB, bad),
            IpvsError::Thresholds { service: WEB, rip: rip_rule(99), port: 80, lower: 1, upper: 0 },
            "ERANGE",
        ),
        (
            Command::AddServer(WEB, broadcast),
            IpvsError::Address(WEB, v4(255, 255, 255, 255)),
            "EINVAL",
        ),
        (Command::SetTimeouts(long), IpvsError::Timeout(week), "EINVAL"),
    ] {
        assert_eq!(ipvs.apply(at(0), &command, &mut AddressBook::new()), Err(error), "{command:?}");
        assert_eq!(error.errno(), Some(errno));
        let said = match (errno, &command) {
            ("ESRCH", Command::EditService(_) | Command::DeleteService(_)) => "No such service",
            ("ESRCH", _) => "Service not defined",
            ("EEXIST", Command::AddService(_)) => "Service already exists",
            ("EEXIST", _) => "Destination already exists",
            ("ENOENT", _) => "No such destination",
            ("ERANGE", _) => "Numerical result out of range",
            _ => "Invalid operation.  Possibly wrong module version, address not unicast, ...",
        };
        assert_eq!(error.ipvsadm(&command), said);
        assert!(!error.to_string().is_empty());
    }
    assert_eq!(ipvs.destinations().collect::<Vec<_>>(), before);
    assert_eq!(*ipvs.timeouts(), Timeouts::default());
}

#[test]
fn every_mistake_of_a_configuration_is_reported() {
    let mut config = config(Forwarding::Dr);
    let icmp = ServiceKey::Address { protocol: 1, vip: VIP_RULE, port: 80 };
    let any = ServiceKey::Address { protocol: proto::TCP, vip: VIP_RULE, port: 0 };
    let mark = ServiceKey::Fwmark { mark: 0, v6: false };
    let other = |port| ServiceKey::Address { protocol: proto::TCP, vip: VIP_RULE, port };
    config.services[0].servers.push(server(11, 80, Forwarding::Dr));
    config.services.push(service(WEB, vec![]));
    for key in [icmp, any, mark] {
        config.services.push(service(key, vec![]));
    }
    let engine = Some(crate::ipvs::rules::Engine::Sip);
    config.services.push(ServiceRule { engine, ..service(other(81), vec![]) });
    config.services.push(ServiceRule { one_packet: true, ..service(other(82), vec![]) });
    config.services.push(ServiceRule { netmask_len: 33, ..service(other(83), vec![]) });
    config.sysctl.drop_entry = 4;
    let errors = Ipvs::new(&config, Stream::new(1, "director", "ipvs"), &mut AddressBook::new())
        .expect_err("wrong rules");
    let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "net.ipv4.vs.drop_entry cannot have this value; modes are 0 to 3",
            "TCP 192.168.10.200:80: the destination 192.168.10.11:80 exists already",
            "TCP 192.168.10.200:80: the service exists already",
            "protocol 1 192.168.10.200:80: a service is TCP, UDP or SCTP",
            "TCP 192.168.10.200:0: port 0 is allowed only with persistence",
            "FWM 0: a firewall mark is not 0",
            "TCP 192.168.10.200:81: a persistence engine needs persistence",
            "TCP 192.168.10.200:82: one-packet scheduling is for UDP services",
            "TCP 192.168.10.200:83: a netmask has 1 to 32 bits, of IPv6 1 to 128",
        ]
    );
}

#[test]
fn an_edited_method_is_for_new_connections() {
    let mut ipvs = director(Forwarding::Dr);
    let before = sent(&mut ipvs, at(0), &tcp(1, SYN));
    for host in [11, 12] {
        let nat = server(host, 80, Forwarding::Nat);
        assert_eq!(apply(&mut ipvs, 0, &Command::EditServer(WEB, nat)), Ok(()));
    }
    assert_eq!(sent(&mut ipvs, at(0), &tcp(1, ACK)), before);
    assert_eq!(sent(&mut ipvs, at(0), &tcp(2, SYN)).forwarding, Forwarding::Nat);
}

#[test]
fn an_edited_scheduler_takes_over() {
    let mut ipvs = director(Forwarding::Dr);
    let wlc = ServiceRule { scheduler: Algorithm::Wlc, ..service(WEB, vec![]) };
    assert_eq!(apply(&mut ipvs, 0, &Command::EditService(wlc)), Ok(()));
    let schedulers: Vec<_> = ipvs.services().map(|s| s.scheduler).collect();
    assert_eq!(schedulers, [Some(Algorithm::Wlc), Some(Algorithm::Rr)]);
    let hosts = [1, 2, 3, 4].map(|port| sent(&mut ipvs, at(0), &tcp(port, SYN)).rip);
    assert_eq!(hosts, [rip(12), rip(11), rip(12), rip(11)]);
    assert_eq!(ipvs.destinations().count(), 4, "the servers of the rule are not looked at");
}

#[test]
fn without_any_service_packets_bypass_ipvs() {
    let mut ipvs = director(Forwarding::Nat);
    let to = sent(&mut ipvs, at(0), &tcp(1, SYN));
    let reply = answer(&tcp(1, SYN), &to, SYN_ACK);
    assert_eq!(apply(&mut ipvs, 1, &Command::DeleteService(WEB)), Ok(()));
    let gone = Verdict::Drop(DropReason::DestinationGone);
    assert_eq!(ipvs.request(at(1), &tcp(1, ACK), &mut AddressBook::new()), gone);
    assert_eq!(ipvs.request(at(1), &tcp(2, SYN), &mut AddressBook::new()), Verdict::Accept);
    assert_eq!(apply(&mut ipvs, 1, &Command::Clear), Ok(()));
    assert_eq!((ipvs.services().count(), ipvs.destinations().count()), (0, 0));
    assert_eq!(ipvs.request(at(1), &tcp(1, ACK), &mut AddressBook::new()), Verdict::Accept);
    assert_eq!(ipvs.reply(at(1), &reply), crate::ipvs::ReplyVerdict::Pass);
    assert_eq!(ipvs.entries(), 1, "the entry stays until its time");
}

#[test]
fn a_service_added_again_gets_its_connections_back_without_statistics() {
    let mut ipvs = director(Forwarding::Dr);
    let to = sent(&mut ipvs, at(0), &tcp(1, SYN));
    let totals = ipvs.totals();
    assert_eq!(apply(&mut ipvs, 1, &Command::DeleteService(WEB)), Ok(()));
    let wlc = ServiceRule {
        scheduler: Algorithm::Wlc,
        ..service(WEB, vec![server(12, 80, Forwarding::Dr)])
    };
    assert_eq!(apply(&mut ipvs, 2, &Command::AddService(wlc)), Ok(()));
    assert_eq!((web(&ipvs, 12).active, web(&ipvs, 12).stats), (1, Stats::default()));
    assert_eq!(ipvs.totals(), totals, "what was counted once stays counted");
    assert_eq!(sent(&mut ipvs, at(2), &tcp(1, ACK)), to);
    let last = ipvs.services().last().expect("two services");
    assert_eq!((last.key, last.scheduler), (WEB, Some(Algorithm::Wlc)));
    assert_eq!(last.stats.packets_in, 1);
}

#[test]
fn a_service_keeps_the_statistics_of_a_server_that_comes_and_goes() {
    let mut ipvs = director(Forwarding::Dr);
    sent(&mut ipvs, at(0), &tcp(1, SYN));
    sent(&mut ipvs, at(0), &tcp(2, SYN));
    let stats = |ipvs: &Ipvs| ipvs.services().next().map(|s| s.stats.connections);
    assert_eq!(stats(&ipvs), Some(2));
    for seconds in 1..4 {
        let delete = Command::DeleteServer(WEB, rip_rule(12), 80);
        assert_eq!(apply(&mut ipvs, seconds, &delete), Ok(()));
        assert_eq!(stats(&ipvs), Some(2));
        let add = Command::AddServer(WEB, server(12, 80, Forwarding::Dr));
        assert_eq!(apply(&mut ipvs, seconds, &add), Ok(()));
        assert_eq!(stats(&ipvs), Some(2));
        assert_eq!(ipvs.totals().connections, 2);
    }
    assert_eq!(web(&ipvs, 12).stats.connections, 1);
}

#[test]
fn an_idle_deleted_server_is_forgotten_after_two_minutes() {
    let mut ipvs = director(Forwarding::Dr);
    let id = web(&ipvs, 12).id;
    sent(&mut ipvs, at(0), &tcp(1, SYN));
    assert_eq!(apply(&mut ipvs, 10, &Command::DeleteServer(WEB, rip_rule(12), 80)), Ok(()));
    // The connection ends at 60; the sweeps of 70, 130, 190 find it idle; 120 s have passed at 190.
    pass(&mut ipvs, at(189));
    let add = Command::AddServer(WEB, server(12, 80, Forwarding::Dr));
    let delete = Command::DeleteServer(WEB, rip_rule(12), 80);
    assert_eq!(apply(&mut ipvs, 189, &add), Ok(()));
    assert_eq!((web(&ipvs, 12).id, web(&ipvs, 12).stats.connections), (id, 1));
    assert_eq!(apply(&mut ipvs, 189, &delete), Ok(()));
    // The empty trash had stopped its clock: swept at 249, 309, 369.
    pass(&mut ipvs, at(368));
    assert!(ipvs.next_deadline().is_some());
    pass(&mut ipvs, at(369));
    assert_eq!(ipvs.next_deadline(), None, "nothing is left to be done");
    assert_eq!(apply(&mut ipvs, 370, &add), Ok(()));
    assert_eq!(web(&ipvs, 12).stats, Stats::default());
}

#[test]
fn a_deleted_service_is_forgotten_with_its_last_server() {
    let mut ipvs = director(Forwarding::Dr);
    for round in 0..100 {
        let now = 1000 * round;
        for key in [WEB, DNS] {
            assert_eq!(apply(&mut ipvs, now, &Command::DeleteService(key)), Ok(()));
        }
        pass(&mut ipvs, at(now + 500));
        assert_eq!(ipvs.next_deadline(), None);
        for rule in config(Forwarding::Dr).services {
            assert_eq!(apply(&mut ipvs, now + 500, &Command::AddService(rule)), Ok(()));
        }
    }
    let services = ipvs.memory_bytes() - Ipvs::memory_bytes(&build(&IpvsConfig::default()));
    assert!(services < 8 * 1024, "{services} bytes for two services with two servers each");
}

#[test]
fn lblc_forgets_addresses_by_its_timer_and_the_timer_ends_with_it() {
    let mut config = config(Forwarding::Dr);
    config.services[0].scheduler = Algorithm::Lblc;
    let mut ipvs = build(&config);
    assert_eq!(ipvs.next_deadline(), Some(at(60)));
    let first = sent(&mut ipvs, at(0), &tcp(1, SYN)).rip;
    assert_eq!(sent(&mut ipvs, at(0), &tcp(2, SYN)).rip, first, "one VIP, one server");
    // An address lives for a day, full checks come every half hour. One connection stays open, so
    // that its server is not the least loaded one.
    sent(&mut ipvs, at(0), &tcp(1, ACK));
    let mut now = 0;
    while now < 25 * 3600 {
        now += 890;
        pass(&mut ipvs, at(now));
        sent(&mut ipvs, at(now), &tcp(1, ACK));
    }
    assert_ne!(sent(&mut ipvs, at(now), &tcp(3, SYN)).rip, first, "forgotten and chosen anew");
    pass(&mut ipvs, at(30 * 3600));
    assert_eq!(ipvs.next_deadline(), Some(at(30 * 3600 + 60)));
    let rr = service(WEB, vec![]);
    assert_eq!(apply(&mut ipvs, 30 * 3600, &Command::EditService(rr.clone())), Ok(()));
    assert_eq!(ipvs.next_deadline(), None);
    let lblc = ServiceRule { scheduler: Algorithm::Lblc, ..rr };
    assert_eq!(apply(&mut ipvs, 31 * 3600, &Command::EditService(lblc.clone())), Ok(()));
    assert_eq!(apply(&mut ipvs, 31 * 3600 + 30, &Command::EditService(lblc)), Ok(()));
    assert_eq!(ipvs.next_deadline(), Some(at(31 * 3600 + 60)), "the same again changes nothing");
    assert_eq!(apply(&mut ipvs, 31 * 3600 + 30, &Command::DeleteService(WEB)), Ok(()));
    pass(&mut ipvs, at(32 * 3600));
    assert_eq!(ipvs.next_deadline(), None);
}
