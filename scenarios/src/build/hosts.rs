//! Hosts: the explicit ones, and what `[[host]]` changes on a host of the cluster.

use super::Builder;
use crate::diagnostic::At;
use crate::format::Record;
use core::net::IpAddr;
use sim_core::config::{
    CpuConfig, HostConfig, InterfaceConfig, InterfaceSysctl, Net, RouteConfig, TcpConfig,
    TunnelConfig,
};
use sim_core::wire::Mac;

/// A host with nothing on it.
pub(super) fn bare(name: &str, tcp: TcpConfig) -> HostConfig {
    HostConfig { name: name.to_owned(), tcp, ..HostConfig::default() }
}

/// Changes what the table says.
pub(super) fn patch_tcp(tcp: &mut TcpConfig, t: &Record) {
    tcp.mss = t.get("mss").unwrap_or(tcp.mss);
    tcp.options = t.get("options").unwrap_or(tcp.options);
    tcp.initial_cwnd = t.get("initial_cwnd").unwrap_or(tcp.initial_cwnd);
    tcp.receive_window = t.get("receive_window").unwrap_or(tcp.receive_window);
    tcp.delayed_ack = t.get("delayed_ack").unwrap_or(tcp.delayed_ack);
    tcp.ack_every = t.get("ack_every").unwrap_or(tcp.ack_every);
    tcp.quick_acks = t.get("quick_acks").unwrap_or(tcp.quick_acks);
    tcp.ack_fin_at_once = t.get("ack_fin_at_once").unwrap_or(tcp.ack_fin_at_once);
    tcp.syn_retries = t.get("syn_retries").unwrap_or(tcp.syn_retries);
    tcp.synack_retries = t.get("synack_retries").unwrap_or(tcp.synack_retries);
    tcp.retries = t.get("retries").unwrap_or(tcp.retries);
    tcp.orphan_retries = t.get("orphan_retries").unwrap_or(tcp.orphan_retries);
    tcp.rto_initial = t.get("rto_initial").unwrap_or(tcp.rto_initial);
    tcp.rto_min = t.get("rto_min").unwrap_or(tcp.rto_min);
    tcp.rto_max = t.get("rto_max").unwrap_or(tcp.rto_max);
    tcp.time_wait = t.get("time_wait").unwrap_or(tcp.time_wait);
    if let Some(k) = t.table("keepalive") {
        tcp.keepalive = Some((k.value("idle"), k.value("interval"), k.value("probes")));
    }
}

/// The CPU that a table describes.
pub(super) fn cpu(t: &Record) -> CpuConfig {
    CpuConfig {
        other: t.value("other"),
        nat: t.value("nat"),
        dr: t.value("dr"),
        tun: t.value("tun"),
        backlog: t.value("backlog"),
    }
}

fn patch_interface(sysctl: &mut InterfaceSysctl, t: &Record) {
    sysctl.arp_ignore = t.get("arp_ignore").unwrap_or(sysctl.arp_ignore);
    sysctl.arp_announce = t.get("arp_announce").unwrap_or(sysctl.arp_announce);
    sysctl.rp_filter = t.get("rp_filter").unwrap_or(sysctl.rp_filter);
    sysctl.send_redirects = t.get("send_redirects").unwrap_or(sysctl.send_redirects);
    sysctl.proxy_arp = t.get("proxy_arp").unwrap_or(sysctl.proxy_arp);
    sysctl.accept_local = t.get("accept_local").unwrap_or(sysctl.accept_local);
    sysctl.arp_notify = t.get("arp_notify").unwrap_or(sysctl.arp_notify);
}

/// Changes the settings of a host. Linux sends redirects if either `all` or the interface says so,
/// so the host's word on them is that of its interfaces as well.
pub(super) fn patch_sysctl(host: &mut HostConfig, t: &Record) {
    host.sysctl.ip_forward = t.get("ip_forward").unwrap_or(host.sysctl.ip_forward);
    let six = t.get("forwarding_v6").or_else(|| t.get("ip_forward"));
    host.sysctl.forwarding_v6 = six.unwrap_or(host.sysctl.forwarding_v6);
    host.sysctl.default_ttl = t.get("default_ttl").unwrap_or(host.sysctl.default_ttl);
    patch_interface(&mut host.sysctl.all, t);
    if let Some(on) = t.get::<bool>("send_redirects") {
        host.interfaces.iter_mut().for_each(|i| i.sysctl.send_redirects = on);
    }
}

/// The device `tunl0` of a host, which is put up if it is not.
pub(super) fn tunl0(host: &mut HostConfig) -> &mut TunnelConfig {
    let index = host.tunnels.iter().position(|t| t.name == "tunl0").unwrap_or_else(|| {
        host.tunnels.push(TunnelConfig::tunl0(Vec::new()));
        host.tunnels.len() - 1
    });
    &mut host.tunnels[index]
}

/// An address `index` further.
pub(crate) fn later(ip: IpAddr, index: u32) -> IpAddr {
    crate::format::units::later(ip, u128::from(index))
}

fn later_mac(mac: Mac, index: u32) -> Mac {
    let mut bytes = [0; 8];
    bytes[2..].copy_from_slice(&mac.0);
    let next = (u64::from_be_bytes(bytes) + u64::from(index)).to_be_bytes();
    let mut mac = [0; 6];
    mac.copy_from_slice(&next[2..]);
    Mac(mac)
}

impl Builder<'_> {
    /// The `[[host]]` tables: new hosts, or changes on hosts of the cluster.
    pub(super) fn hosts(&mut self) {
        for table in self.record.tables("host") {
            let Some(name) = table.at::<String>("name") else { continue };
            if self.host(&name.value).is_some() {
                if !self.in_cluster(&name.value) {
                    let message = format!("two hosts are called `{}`", name.value);
                    self.wrong(&name.place, message, "the second one");
                } else if table.has("count") {
                    let message = "a host of [cluster] cannot be counted here";
                    self.wrong(table.place_of("count"), message, "only for hosts of its own");
                }
                self.change(&name.value, table);
            } else {
                self.new_hosts(&name, table);
            }
        }
    }

    fn in_cluster(&self, name: &str) -> bool {
        self.cluster.as_ref().is_some_and(|c| c.all().any(|h| h == name))
    }

    fn new_hosts(&mut self, name: &At<String>, table: &Record) {
        let good = name.value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if name.value.is_empty() || !good {
            self.wrong(
                &name.place,
                "this is no name for a host",
                "expected letters, digits, - _ .",
            );
        }
        let Some(count) = table.get::<u32>("count") else {
            let host = bare(&name.value, self.tcp);
            self.hosts.push(host);
            self.change(&name.value, table);
            return;
        };
        let mut members = Vec::new();
        for index in 0..count {
            let member = format!("{}{}", name.value, index + 1);
            self.hosts.push(bare(&member, self.tcp));
            self.change(&member, table);
            let Some(host) = self.host_mut(&member) else { continue };
            for interface in &mut host.interfaces {
                interface.mac = interface.mac.map(|m| later_mac(m, index));
                for address in &mut interface.addresses {
                    address.addr = later(address.addr, index);
                }
            }
            members.push(member);
        }
        self.add_group(&name.value, members);
    }

    /// Puts what a table says onto a host.
    fn change(&mut self, name: &str, table: &Record) {
        let mtu = self.defaults.mtu;
        let mut wrong = Vec::new();
        let Some(host) = self.host_mut(name) else { return };
        for t in table.tables("interfaces") {
            let dev: String = t.value("name");
            if dev == "lo" || dev == "tunl0" {
                let label = "`loopback` and `tunnel` hold their addresses";
                wrong.push((t.place_of("name").clone(), format!("`{dev}` is always there"), label));
            }
            let index = host.interfaces.iter().position(|i| i.name == dev).unwrap_or_else(|| {
                host.interfaces.push(InterfaceConfig {
                    name: dev,
                    mac: None,
                    addresses: Vec::new(),
                    mtu,
                    sysctl: InterfaceSysctl::default(),
                });
                host.interfaces.len() - 1
            });
            let interface = &mut host.interfaces[index];
            interface.mac = t.get("mac").or(interface.mac);
            interface.mtu = t.get("mtu").unwrap_or(interface.mtu);
            let addresses = t.list::<Net>("addresses");
            interface.addresses.extend(addresses.into_iter().map(|a| a.value));
            if let Some(s) = t.table("sysctl") {
                patch_interface(&mut interface.sysctl, s);
            }
        }
        let values = |name| table.list::<Net>(name).into_iter().map(|a| a.value);
        host.loopback.extend(values("loopback"));
        if table.has("tunnel") {
            tunl0(host).addresses.extend(values("tunnel"));
        }
        if table.has("routes") {
            host.routes =
                table.list::<RouteConfig>("routes").into_iter().map(|r| r.value).collect();
        }
        let neighbours = table.list::<(String, IpAddr, Mac)>("neighbours");
        host.neighbours.extend(neighbours.into_iter().map(|n| n.value));
        if let Some(t) = table.table("sysctl") {
            patch_sysctl(host, t);
            // what an interface says for itself is stronger
            for i in table.tables("interfaces") {
                let dev: String = i.value("name");
                let found = host.interfaces.iter_mut().find(|h| h.name == dev);
                if let (Some(interface), Some(s)) = (found, i.table("sysctl")) {
                    patch_interface(&mut interface.sysctl, s);
                }
            }
        }
        if let Some(t) = table.table("tcp") {
            patch_tcp(&mut host.tcp, t);
        }
        if let Some(time) = table.get("boot") {
            host.boot.time = time;
        }
        if let Some(t) = table.table("cpu") {
            host.cpu = Some(cpu(t));
        }
        for (place, message, label) in wrong {
            self.wrong(&place, message, label);
        }
    }
}
