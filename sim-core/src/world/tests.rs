use super::World;
use crate::config::{
    HostConfig, InterfaceConfig, InterfaceSysctl, LinkConfig, LinkDirection, LinkEnd, Net,
    QueueLimit, WorldConfig, v4,
};
use crate::engine::Span;
use crate::hosts::fabric::Event;
use crate::wire::{Ip, Packet, icmp, proto};

const A: Ip = Ip::new(10, 0, 0, 1);

fn host(name: &str, last: u8, vip: Option<Net>) -> HostConfig {
    let mut addresses = vec![Net::new(v4(10, 0, 0, last), 24)];
    addresses.extend(vip);
    HostConfig {
        name: name.into(),
        interfaces: vec![InterfaceConfig {
            name: "eth0".into(),
            mac: None,
            addresses,
            mtu: 1500,
            sysctl: InterfaceSysctl::default(),
        }],
        ..HostConfig::default()
    }
}

#[test]
fn a_director_answers_a_ping_of_its_virtual_address_itself() {
    let vip = Ip::new(10, 0, 0, 200);
    let direction = || LinkDirection {
        rate_bps: 0,
        latency: Span::from_micros(50),
        queue: QueueLimit::Packets(10),
        loss: 0.0,
        jitter: None,
        reorder: 0.0,
        reorder_delay: Span::ZERO,
        overhead: 18,
    };
    let end = |h: &str| LinkEnd::Interface(h.into(), "eth0".into());
    let mut director = host("director", 2, Some(Net::host(v4(10, 0, 0, 200))));
    director.ipvs = Some(crate::config::IpvsConfig::default());
    let config = WorldConfig {
        duration: Span::from_secs(1),
        hosts: vec![host("client", 1, None), director],
        links: vec![LinkConfig {
            name: "cable".into(),
            ends: [end("client"), end("director")],
            directions: [direction(), direction()],
            up: true,
            standby: false,
        }],
        ..WorldConfig::default()
    };
    let mut world = World::build(&config).expect("a good configuration");
    let mut ping = Packet::ipv4(A, vip, proto::ICMP, 84);
    (ping.sport, ping.seq) = (u16::from(icmp::ECHO), 0x0007_0001);
    let (hosts, fabric) = (&mut world.hosts, &mut world.fabric);
    hosts[0].ip.originate(fabric, &ping);
    while world.run(1) {
        if let Some(Event::Arrive { direction: 1 }) = world.last
            && world.fabric.hops - world.fabric.arp_hops == 2
        {
            break;
        }
    }
    // two trips of ARP, two of ICMP; the answer comes from the address that was asked
    assert_eq!(world.now().as_nanos(), 4 * 50_000);
    let o = world.finish();
    assert_eq!((o.ip_hops, o.arp_hops), (2, 2));
    assert_eq!((o.packets.delivered, o.packets.in_flight), (4, 0));
    assert_eq!((o.directors[0].packets_in, o.directors[0].packets_out), (1, 1));
    assert_eq!(o.directors[0].connections, 0);
}

#[test]
fn a_power_switch_cuts_a_host_off_and_its_power_returns_beside_that_of_faults() {
    use crate::config::{Boot, FaultConfig, FaultEnd, FaultKind, FaultStart};
    use crate::engine::{Dist, Time};
    use crate::hosts::power::PowerState;
    let mut one = host("one", 1, None);
    one.boot = Boot { time: Dist::Constant(1.0), programs: true };
    let config = WorldConfig {
        duration: Span::from_secs(60),
        hosts: vec![one, host("two", 2, None)],
        faults: vec![FaultConfig {
            name: "fuse".into(),
            what: FaultKind::PowerLoss {
                hosts: vec!["one".into()],
                switches: Vec::new(),
                boot: None,
            },
            when: FaultStart::At(vec![Span::from_secs(5)]),
            end: FaultEnd::After(Dist::Constant(5.0)),
        }],
        ..WorldConfig::default()
    };
    let mut world = World::build(&config).expect("a good configuration");
    let at = |s| Time::ZERO + Span::from_secs(s);
    let state = |world: &mut World, s| {
        world.run_until(at(s));
        world.hosts[0].power()
    };
    world.run_until(at(2));
    world.fabric.switch_power(0, false);
    assert_eq!(state(&mut world, 3), PowerState::Off);
    world.fabric.switch_power(0, true);
    world.run_until(at(3));
    assert_eq!(world.hosts[0].power(), PowerState::Off, "it boots");
    assert_eq!(state(&mut world, 4), PowerState::Running);
    assert_eq!(state(&mut world, 8), PowerState::Off);
    world.fabric.switch_power(0, false);
    assert_eq!(state(&mut world, 12), PowerState::Off, "the fuse alone does not bring it back");
    world.fabric.switch_power(0, true);
    assert_eq!(state(&mut world, 14), PowerState::Running);
    assert_eq!(world.hosts[1].power(), PowerState::Running);
}
