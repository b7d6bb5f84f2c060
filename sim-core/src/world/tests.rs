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
