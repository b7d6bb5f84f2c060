//! Whether packets reach the real servers, and answers the clients: VIPs, ARP, gateways, tunnels.

use super::Judgement;
use super::cluster::{
    Client, Cluster, Hop, Member, holds, neighbour_of, next_hop, on_interface, protocol,
    service_name, sources, takes, vips,
};
use crate::import::ipvsadm::{PortMapping, key_text};
use core::net::IpAddr;
use sim_core::config::{HostConfig, Net, TunnelKind};
use sim_core::ipvs::rules::{Encapsulation, Forwarding, ServiceKey};
use sim_core::wire::proto;

pub(super) fn judge(cluster: &Cluster<'_>, found: &mut Vec<Judgement>) {
    for member in cluster.members() {
        match member.rule.forwarding {
            Forwarding::Nat => {
                one_packet(cluster, &member, found);
                nat(cluster, &member, found);
                redirects(cluster, &member, found);
            }
            Forwarding::Dr => {
                direct(cluster, &member, found);
                virtual_address(cluster, &member, found);
            }
            Forwarding::Tun => {
                tunnel(&member, found);
                virtual_address(cluster, &member, found);
            }
            Forwarding::FullNat => full_nat(cluster, &member, found),
            Forwarding::LocalNode | Forwarding::Bypass => {}
        }
        port_mapping(&member, found);
        serves(cluster, &member, found);
    }
    for (director, service) in cluster.services() {
        for rule in service.servers.iter().filter(|r| r.rip.is_loopback() || holds(director, r.rip))
        {
            serves(cluster, &Member { director, service, rule, host: director }, found);
        }
    }
    clients(cluster, found);
}

const ARP_IGNORE: &str = "Linux answers ARP for any own address on any interface unless \
     arp_ignore is 1 or more; the larger of conf.all and the interface the request comes in by counts, \
     conf.lo never does (arp_ignore of devinet, inet_addr_type)";
const ARP_ANNOUNCE: &str = "with arp_announce 0 a host asks with the source of the packet it wants to \
     send, here the VIP, and whoever is asked keeps that address (arp_solicit, arp_process)";

/// The VIP on a real server of DR or TUN: it must be there, and must not be seen in ARP.
fn virtual_address(cluster: &Cluster<'_>, m: &Member<'_>, found: &mut Vec<Judgement>) {
    let host = m.host;
    for vip in vips(cluster, m.director, m.service) {
        let method = m.rule.forwarding;
        if !holds(host, vip) {
            let dev = if method == Forwarding::Tun { "tunl0" } else { "lo" };
            found.push(Judgement {
                name: "vip-missing",
                place: host.name.clone(),
                message: format!(
                    "{} does not hold the VIP {vip}: what the director sends by {method} is not for \
                     it, and is dropped or sent on",
                    host.name
                ),
                reason: "DR and TUN leave the destination address of the packet alone \
                         (ip_vs_dr_xmit, ip_vs_tunnel_xmit)",
                help: format!("missing on {}: ip addr add {vip}/{} dev {dev}", host.name, bits(vip)),
            });
            continue;
        }
        if vip.is_ipv6() {
            continue;
        }
        let Some(interface) = facing(cluster, m, vip) else { continue };
        let Some(i) = host.interfaces.iter().find(|i| i.name == interface) else { continue };
        let ignore = host.sysctl.all.arp_ignore.max(i.sysctl.arp_ignore);
        if on_interface(host, vip) || ignore == 0 {
            let (what, help) = if on_interface(host, vip) {
                ("has an interface with", format!("move {vip}/32 from {interface} to lo"))
            } else {
                (
                    "answers ARP for",
                    format!(
                        "missing on {}: echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore",
                        host.name
                    ),
                )
            };
            found.push(Judgement {
                name: "vip-answered",
                place: host.name.clone(),
                message: format!(
                    "{} {what} the VIP {vip} on the wire of {}: the router keeps whichever answer \
                     comes first, and past the director nothing is balanced",
                    host.name, m.director.name
                ),
                reason: ARP_IGNORE,
                help,
            });
        }
        if host.sysctl.all.arp_announce.max(i.sysctl.arp_announce) == 0 {
            found.push(Judgement {
                name: "vip-announced",
                place: host.name.clone(),
                message: format!(
                    "{} asks for its gateway with the VIP {vip} as sender: the router then sends \
                     to {} what is for the director",
                    host.name, host.name
                ),
                reason: ARP_ANNOUNCE,
                help: format!(
                    "missing on {}: echo 2 > /proc/sys/net/ipv4/conf/all/arp_announce",
                    host.name
                ),
            });
        }
    }
}

/// The interface of the real server on a network that the director shares and the VIP is asked for on.
fn facing<'a>(cluster: &Cluster<'_>, m: &Member<'a>, vip: IpAddr) -> Option<&'a str> {
    let (interface, _) = neighbour_of(m.host, vip).or_else(|| neighbour_of(m.host, m.rule.rip))?;
    let shared = m.director.interfaces.iter().flat_map(|i| &i.addresses);
    let near = shared.filter(|a| !a.is_host()).any(|a| a.contains(m.rule.rip));
    // asked for there only if somebody has a connected route to the VIP on that network
    let asked = cluster.config.hosts.iter().any(|h| {
        h.name != m.host.name
            && h.name != m.director.name
            && matches!(next_hop(h, vip), Hop::Out { via: None, .. })
            && neighbour_of(h, m.rule.rip).is_some()
    });
    (near && asked).then_some(interface)
}

const fn bits(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// NAT: answers must come back through the director, which must forward them.
fn nat(cluster: &Cluster<'_>, m: &Member<'_>, found: &mut Vec<Judgement>) {
    let director = m.director;
    let (on, key) = if m.rule.rip.is_ipv4() {
        (director.sysctl.ip_forward, "ipv4/ip_forward")
    } else {
        (director.sysctl.forwarding_v6, "ipv6/conf/all/forwarding")
    };
    if !on {
        found.push(Judgement {
            name: "forwarding-off",
            place: director.name.clone(),
            message: format!(
                "{} does not forward packets: the answers of its NAT servers end there",
                director.name
            ),
            reason: "answers of NAT servers are for the client, so the director must forward them; it \
                     rewrites them at hook FORWARD (ip_vs_out_hook)",
            help: format!("missing on {}: echo 1 > /proc/sys/net/{key}", director.name),
        });
    }
    for client in cluster.clients_of(director, m.service) {
        if client.host.name == director.name {
            continue;
        }
        let judged = sources(&client).into_iter().find_map(|source| astray(m, &client, source));
        found.extend(judged);
    }
}

/// What becomes of the answers of a NAT server to an address of a client that do not come back to the
/// director.
fn astray(m: &Member<'_>, client: &Client<'_>, source: IpAddr) -> Option<Judgement> {
    const REASON: &str = "answers of NAT servers must pass the director to get the VIP as source \
         (handle_response of ip_vs_core)";
    let (director, host) = (m.director, m.host);
    let judgement = match next_hop(host, source) {
        Hop::Out { via: Some(via), .. } if holds(director, via) => return None,
        Hop::Local => return None,
        Hop::Out { via: None, .. } => Judgement {
            name: "client-beside-server",
            place: host.name.clone(),
            message: format!(
                "{} answers the client {} directly, since both are in one network: the \
                 answer comes from {} and the client resets it",
                host.name, client.host.name, m.rule.rip
            ),
            reason: REASON,
            help: format!(
                "on {}: ip route add {source}/{} via {}",
                host.name,
                bits(source),
                director_address(m)
            ),
        },
        Hop::Out { .. } | Hop::Nowhere => Judgement {
            name: "gateway-not-director",
            place: host.name.clone(),
            message: format!(
                "{} sends its answers past the director {}: they reach the client with \
                 {} as source, which the client resets, or they are lost",
                host.name, director.name, m.rule.rip
            ),
            reason: REASON,
            help: format!(
                "missing on {}: ip route replace default via {}",
                host.name,
                director_address(m)
            ),
        },
    };
    Some(judgement)
}

/// NAT of a service whose connections are forgotten with their packet.
fn one_packet(cluster: &Cluster<'_>, m: &Member<'_>, found: &mut Vec<Judgement>) {
    let mut clients = cluster.clients_of(m.director, m.service);
    if !m.service.one_packet || !clients.any(|c| protocol(c.application) == proto::UDP) {
        return;
    }
    found.push(Judgement {
        name: "one-packet-by-nat",
        place: service_name(m.director, m.service),
        message: format!(
            "the answers of {} come from {}, which the client did not ask: nothing is left of a \
             connection that would turn them back",
            m.host.name, m.rule.rip
        ),
        reason: "with -o the entry of a packet is gone when the packet has left (ip_vs_conn_put), and \
                 answers of NAT servers are translated by the entry (handle_response)",
        help: "use DR (-g) or TUN (-i), or leave out -o".to_owned(),
    });
}

/// A real server on which nothing listens to the port that clients reach.
fn serves(cluster: &Cluster<'_>, m: &Member<'_>, found: &mut Vec<Judgement>) {
    if m.rule.weight == 0 {
        return;
    }
    for client in cluster.clients_of(m.director, m.service) {
        let changed = matches!(m.rule.forwarding, Forwarding::Nat | Forwarding::FullNat);
        let asked = client.application.target.1;
        let port = if changed && m.rule.port != 0 { m.rule.port } else { asked };
        let word = if protocol(client.application) == proto::UDP { "udp" } else { "tcp" };
        let transport = client.application.transport;
        if m.host.servers.iter().any(|s| s.transport == transport && s.port == port) {
            continue;
        }
        found.push(Judgement {
            name: "port-nobody-serves",
            place: m.host.name.clone(),
            message: format!(
                "nothing on {} listens to {word} port {port}, where {} sends what clients ask {asked} \
                 for: it refuses them",
                m.host.name, m.director.name
            ),
            reason: "a packet for a port without a socket is answered by a reset or by ICMP \
                     (tcp_v4_rcv, __udp4_lib_rcv); the director does not look whether a server lives",
            help: format!(
                "missing in the scenario: [[server]] hosts = \"{}\", port = {port}",
                m.host.name
            ),
        });
        break;
    }
}

/// FULLNAT: the director has local addresses, to which real servers answer.
fn full_nat(cluster: &Cluster<'_>, m: &Member<'_>, found: &mut Vec<Judgement>) {
    let name = "local-address-missing";
    let reason = "FULLNAT puts a local address of the director in the place of the client's, and the real \
                  server answers to it (dpvs ip_vs_laddr.c)";
    let place = service_name(m.director, m.service);
    if m.service.local_addresses.is_empty() {
        found.push(Judgement {
            name,
            message: format!(
                "{} has no local address for {place}: what is for {} by FULLNAT is dropped",
                m.director.name, m.host.name
            ),
            place,
            reason,
            help: "missing in [director]: local_addresses = [\"ADDRESS\"]".to_owned(),
        });
        return;
    }
    for &local in m.service.local_addresses.iter().filter(|a| !holds(m.director, **a)) {
        // addresses elsewhere are no use even if somebody else has them
        let holder = cluster.config.hosts.iter().find(|h| holds(h, local));
        let who = holder.map_or("nobody", |h| h.name.as_str());
        found.push(Judgement {
            name,
            message: format!(
                "{} does not hold the local address {local} of {place} ({who} does): the answers of \
                 real servers do not come back",
                m.director.name
            ),
            place: place.clone(),
            reason,
            help: format!(
                "missing on {}: ip addr add {local}/{} dev ...",
                m.director.name,
                bits(local)
            ),
        });
    }
}

/// NAT in one network: the director forwards answers by the interface they came in by, and must not tell
/// the real servers about the shorter way.
fn redirects(cluster: &Cluster<'_>, m: &Member<'_>, found: &mut Vec<Judgement>) {
    let (director, host) = (m.director, m.host);
    if m.rule.rip.is_ipv6() || !director.sysctl.ip_forward {
        return;
    }
    for source in cluster.clients_of(director, m.service).flat_map(|c| sources(&c)) {
        let Hop::Out { via: Some(via), .. } = next_hop(host, source) else { continue };
        let Hop::Out { via: onward, .. } = next_hop(director, source) else { continue };
        let onward = onward.unwrap_or(source);
        let both = |a: &Net| !a.is_host() && a.contains(m.rule.rip) && a.contains(onward);
        let Some(shared) = director.interfaces.iter().find(|i| i.addresses.iter().any(both)) else {
            continue;
        };
        let (all, own) = (director.sysctl.all.send_redirects, shared.sysctl.send_redirects);
        if !holds(director, via) || !(all || own) || !obeys_redirects(host, via) {
            continue;
        }
        let settings = [("all", all), (shared.name.as_str(), own)];
        let off = settings.iter().filter(|(_, on)| *on);
        let off = off.map(|(name, _)| format!(" net.ipv4.conf.{name}.send_redirects=0"));
        found.push(Judgement {
            name: "redirects-to-servers",
            place: director.name.clone(),
            message: format!(
                "{} tells {} by ICMP redirects that {onward} is the shorter way to the client: the \
                 answers then go past the director, with {} as source, and the client resets them",
                director.name, host.name, m.rule.rip
            ),
            reason: "who forwards a packet by the interface it came in by tells a sender of that \
                     network the next hop, if send_redirects of conf.all or of the interface is on \
                     (ip_forward, ip_rt_send_redirect), and the sender takes it (__ip_do_redirect)",
            help: format!("missing on {}: sysctl -w{}", director.name, off.collect::<String>()),
        });
        return;
    }
}

/// Whether a host believes an ICMP redirect from a gateway (`IN_DEV_RX_REDIRECTS`).
fn obeys_redirects(host: &HostConfig, gateway: IpAddr) -> bool {
    let Some((name, _)) = neighbour_of(host, gateway) else { return false };
    let own = host.interfaces.iter().find(|i| i.name == name);
    let own = own.is_some_and(|i| i.sysctl.accept_redirects);
    let all = host.sysctl.all.accept_redirects;
    if host.sysctl.ip_forward { all && own } else { all || own }
}

/// The address by which a real server knows its director.
fn director_address(m: &Member<'_>) -> String {
    let near = neighbour_of(m.director, m.rule.rip);
    near.map_or_else(|| "an address of the director".to_owned(), |(_, net)| net.addr.to_string())
}

/// DR: the real server is a neighbour of the director, and answers by another way.
fn direct(cluster: &Cluster<'_>, m: &Member<'_>, found: &mut Vec<Judgement>) {
    let (director, host) = (m.director, m.host);
    if let Hop::Out { via: Some(via), .. } = next_hop(director, m.rule.rip) {
        found.push(Judgement {
            name: "cluster-not-on-link",
            place: service_name(director, m.service),
            message: format!(
                "{} reaches {} ({}) by the gateway {via}: that one routes by the destination, which \
                 is still the VIP, and sends the packet back",
                director.name, host.name, m.rule.rip
            ),
            reason: "DR changes nothing but the Ethernet destination of a packet (ip_vs_dr_xmit)",
            help: format!("put {} and {} into one network, or use TUN", director.name, host.name),
        });
    }
    for client in cluster.clients_of(director, m.service) {
        for source in sources(&client) {
            let Hop::Out { via: Some(via), .. } = next_hop(host, source) else { continue };
            if !holds(director, via) {
                continue;
            }
            found.push(Judgement {
                name: "gateway-is-director",
                place: host.name.clone(),
                message: format!(
                    "{} answers by way of the director {}, which drops packets that come in with \
                     its own VIP as source",
                    host.name, director.name
                ),
                reason: "a packet whose source is an own address is a martian (fib_validate_source)",
                help: format!("on {}: ip route replace default via the router", host.name),
            });
            break;
        }
    }
}

/// TUN: a device must take the packets, and no reverse path filter refuse what comes out of it.
fn tunnel(m: &Member<'_>, found: &mut Vec<Judgement>) {
    let host = m.host;
    let (inner_v6, outer_v6) = (
        match m.service.key {
            ServiceKey::Address { vip, .. } => vip.is_ipv6(),
            ServiceKey::Fwmark { v6, .. } => v6,
        },
        m.rule.rip.is_ipv6(),
    );
    let (kind, name, module) = match (m.rule.tunnel.kind, outer_v6, inner_v6) {
        (Encapsulation::Gre, false, _) => (Some(TunnelKind::Gre), "gre0", "ip_gre"),
        (Encapsulation::Gre, true, _) => (Some(TunnelKind::Ip6Gre), "ip6gre0", "ip6_gre"),
        (Encapsulation::Ipip, true, _) => (Some(TunnelKind::Ip6Tnl), "ip6tnl0", "ip6_tunnel"),
        (Encapsulation::Ipip, false, true) => (Some(TunnelKind::Sit), "sit0", "sit"),
        (Encapsulation::Ipip, false, false) => (Some(TunnelKind::Ipip), "tunl0", "ipip"),
        (Encapsulation::Gue, ..) => (None, "", "fou"),
    };
    let port = m.rule.tunnel.port;
    let missing = if let Some(kind) = kind {
        let up = host.tunnels.iter().any(|t| t.kind == kind);
        (!up).then(|| format!("modprobe {module} && ip link set {name} up"))
    } else {
        let open = host.fou.iter().any(|f| f.port == port && f.protocol.is_none());
        (!open).then(|| format!("modprobe {module} && ip fou add port {port} gue"))
    };
    if let Some(line) = missing {
        found.push(Judgement {
            name: "tunnel-missing",
            place: host.name.clone(),
            message: format!(
                "nothing on {} takes the tunnel packets of {}: it refuses them by ICMP",
                host.name, m.director.name
            ),
            reason: "a tunnel packet is for the device of its protocol (tunnel4_rcv, gre_rcv, fou_udp_recv)",
            help: format!("missing on {}: {line}", host.name),
        });
        return;
    }
    let device = host.tunnels.iter().find(|t| Some(t.kind) == kind);
    let own = device.map_or(0, |t| t.sysctl.rp_filter);
    if !inner_v6 && host.sysctl.all.rp_filter.max(own) == 1 {
        found.push(Judgement {
            name: "tunnel-filtered",
            place: host.name.clone(),
            message: format!(
                "the reverse path filter of {} drops what comes out of the tunnel: the way back to \
                 the client is not through it",
                host.name
            ),
            reason: "rp_filter 1 wants the route to the source to leave by the device the packet came \
                     in by; the larger of conf.all and the device counts (fib_validate_source)",
            help: format!(
                "on {}: echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter and .../conf/{name}/rp_filter",
                host.name
            ),
        });
    }
}

/// DR and TUN cannot map ports.
fn port_mapping(m: &Member<'_>, found: &mut Vec<Judgement>) {
    let ServiceKey::Address { port, .. } = m.service.key else { return };
    let keeps = matches!(m.rule.forwarding, Forwarding::Dr | Forwarding::Tun);
    if !keeps || port == 0 || m.rule.port == port {
        return;
    }
    let place = service_name(m.director, m.service);
    found.push(mapping(place, &m.host.name, (m.rule.port, port), m.rule.forwarding));
}

/// A port that rules ask of a real server by a method that cannot map it.
pub(super) fn asked(m: &PortMapping) -> Judgement {
    let port = match m.service {
        ServiceKey::Address { port, .. } => port,
        ServiceKey::Fwmark { .. } => 0,
    };
    let place = format!("service {}", key_text(m.service));
    mapping(place, &m.rip.to_string(), (m.asked, port), m.method)
}

fn mapping(place: String, server: &str, (asked, port): (u16, u16), by: Forwarding) -> Judgement {
    Judgement {
        name: "port-mapping",
        place,
        message: format!(
            "{server} is asked for port {asked} by {by}, but gets packets for port {port}"
        ),
        reason: "DR and TUN leave the packet as it is; ipvsadm itself sets the port of the service",
        help: format!("let {server} listen to port {port}, or use NAT (-m)"),
    }
}

/// Clients that connect to an address of a director which no service takes.
fn clients(cluster: &Cluster<'_>, found: &mut Vec<Judgement>) {
    for client in cluster.clients() {
        let (ip, port) = client.application.target;
        let holders: Vec<&HostConfig> = cluster
            .config
            .hosts
            .iter()
            .filter(|h| h.ipvs.is_some() && on_interface(h, ip))
            .collect();
        let Some(director) = holders.first() else { continue };
        let rules = |h: &&HostConfig| h.ipvs.iter().flat_map(|i| &i.services).count() > 0;
        let taken = |h: &&HostConfig| {
            let services = h.ipvs.iter().flat_map(|i| &i.services);
            services.into_iter().any(|s| takes(h, s, client.application))
                || h.servers.iter().any(|s| s.port == port)
        };
        if !holders.iter().any(rules) || holders.iter().any(taken) {
            continue;
        }
        let word = if protocol(client.application) == proto::UDP { "udp" } else { "tcp" };
        let services = director.ipvs.iter().flat_map(|i| &i.services);
        let marks: Vec<u32> = services
            .filter_map(|s| match s.key {
                ServiceKey::Fwmark { mark, .. } => Some(mark),
                ServiceKey::Address { .. } => None,
            })
            .collect();
        let help = match marks.first() {
            Some(mark) => format!(
                "missing on {}: iptables -t mangle -A PREROUTING -d {ip} -p {word} --dport {port} -j \
                 MARK --set-mark {mark}",
                director.name
            ),
            None => format!(
                "missing on {}: ipvsadm -A {} {}",
                director.name,
                if word == "udp" { "-u" } else { "-t" },
                core::net::SocketAddr::new(ip, port)
            ),
        };
        found.push(Judgement {
            name: "client-without-service",
            place: director.name.clone(),
            message: format!(
                "{} connects to {word} {}, which no service of {} takes: the director's own stack \
                 refuses it",
                client.host.name,
                core::net::SocketAddr::new(ip, port),
                director.name
            ),
            reason: "a packet without a service is accepted and goes on to the local stack \
                     (ip_vs_in_hook, ip_vs_service_find)",
            help,
        });
    }
}
