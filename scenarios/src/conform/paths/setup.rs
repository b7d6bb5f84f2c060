//! What was typed on a host, as its configuration.

use super::case::{Case, mac};
use crate::diagnostic::Sources;
use crate::import::ipvsadm::{self, Names};
use sim_core::config::{
    HopConfig, HostConfig, InterfaceConfig, InterfaceSysctl, IpvsConfig, Net, RouteConfig,
    TunnelConfig,
};

/// The configuration of a host of a case, with nothing running on it.
///
/// # Errors
/// The first command that is not understood.
pub(super) fn host(case: &Case, name: &str, interfaces: &[String]) -> Result<HostConfig, String> {
    let mut host = HostConfig {
        name: name.to_owned(),
        interfaces: interfaces.iter().map(|i| interface(case, name, i)).collect(),
        ..HostConfig::default()
    };
    let mut setup = Setup { host: &mut host, rules: String::new(), tunnel: Vec::new(), up: false };
    for command in case.typed_on(name) {
        setup.run(command).ok_or_else(|| format!("{name}: not understood: {command}"))?;
    }
    let (rules, tunnel, up) = (setup.rules, setup.tunnel, setup.up);
    if up {
        host.tunnels.push(TunnelConfig::tunl0(tunnel));
    }
    if !rules.is_empty() {
        host.ipvs = Some(ipvs(name, &rules, host.ipvs.take())?);
    }
    Ok(host)
}

fn interface(case: &Case, host: &str, name: &str) -> InterfaceConfig {
    InterfaceConfig {
        name: name.to_owned(),
        mac: case.topology.macs.get(&(host.to_owned(), name.to_owned())).copied(),
        addresses: Vec::new(),
        mtu: 1500,
        sysctl: InterfaceSysctl::default(),
    }
}

fn ipvs(host: &str, rules: &str, before: Option<IpvsConfig>) -> Result<IpvsConfig, String> {
    let mut sources = Sources::default();
    let file = sources.add(host, rules);
    let mut problems = Vec::new();
    let mut config = ipvsadm::read(file, 0, rules, &Names::NONE, &mut problems).config;
    if let Some(problem) = problems.first() {
        return Err(format!("{host}: {}", problem.message));
    }
    config.sysctl = before.unwrap_or_default().sysctl;
    Ok(config)
}

struct Setup<'a> {
    host: &'a mut HostConfig,
    rules: String,
    tunnel: Vec<Net>,
    up: bool,
}

impl Setup<'_> {
    fn run(&mut self, command: &str) -> Option<()> {
        let words: Vec<&str> = command.split_whitespace().collect();
        match &words[..] {
            ["ip", "addr", "add", address, rest @ ..] => self.address(address, rest),
            ["ip", "addr", "flush", "dev", dev] => {
                self.dev(dev)?.addresses.clear();
                self.host.routes.clear();
                Some(())
            }
            ["ip", "route", "add", to, "via", via] => self.route(to, via),
            ["ip", "route", "del", "default"] => {
                self.host.routes.retain(|r| r.to != Net::ALL);
                Some(())
            }
            ["ip", "link", "set", dev, state @ ("up" | "down")] => {
                if *dev != "tunl0" {
                    return None;
                }
                self.up = *state == "up";
                Some(())
            }
            ["ip", "link", "set", dev, "mtu", mtu] => {
                self.dev(dev)?.mtu = mtu.parse().ok()?;
                Some(())
            }
            ["ip", "neigh", "replace", ip, "lladdr", address, "dev", dev, "nud", "permanent"] => {
                let entry = ((*dev).to_owned(), ip.parse().ok()?, mac(address)?);
                self.host.neighbours.push(entry);
                Some(())
            }
            ["sysctl", "-w", setting] => {
                let (key, value) = setting.split_once('=')?;
                self.sysctl(key, value.parse().ok()?)
            }
            ["ipvsadm", rest @ ..] => {
                self.rules.push_str(&rest.join(" "));
                self.rules.push('\n');
                Some(())
            }
            _ => None,
        }
    }

    fn dev(&mut self, name: &str) -> Option<&mut InterfaceConfig> {
        self.host.interfaces.iter_mut().find(|i| i.name == name)
    }

    fn address(&mut self, address: &str, rest: &[&str]) -> Option<()> {
        let (ip, len) = address.split_once('/')?;
        let address = Net::new(ip.parse().ok()?, len.parse().ok()?);
        let dev = rest.iter().position(|w| *w == "dev")?;
        match *rest.get(dev + 1)? {
            "lo" => self.host.loopback.push(address),
            "tunl0" => self.tunnel.push(address),
            dev => self.dev(dev)?.addresses.push(address),
        }
        Some(())
    }

    fn route(&mut self, to: &str, via: &str) -> Option<()> {
        let to = if to == "default" { Net::ALL } else { prefix(to)? };
        let hops = vec![HopConfig { via: Some(via.parse().ok()?), dev: None }];
        self.host.routes.push(RouteConfig::new(to, hops));
        Some(())
    }

    fn sysctl(&mut self, key: &str, value: u8) -> Option<()> {
        let key = key.strip_prefix("net.ipv4.")?;
        if key == "ip_forward" {
            self.host.sysctl.ip_forward = value != 0;
            return Some(());
        }
        if let Some(key) = key.strip_prefix("vs.") {
            let sysctl = &mut self.host.ipvs.get_or_insert_default().sysctl;
            match key {
                "conn_reuse_mode" => sysctl.conn_reuse_mode = value,
                "expire_nodest_conn" => sysctl.expire_nodest_conn = value != 0,
                "pmtu_disc" => sysctl.pmtu_disc = value != 0,
                _ => return None,
            }
            return Some(());
        }
        let (dev, key) = key.strip_prefix("conf.")?.split_once('.')?;
        let settings = match dev {
            "all" => &mut self.host.sysctl.all,
            "tunl0" if (key, value) == ("rp_filter", 0) => return Some(()),
            dev => &mut self.dev(dev)?.sysctl,
        };
        match key {
            "arp_ignore" => settings.arp_ignore = value,
            "arp_announce" => settings.arp_announce = value,
            "rp_filter" => settings.rp_filter = value,
            "send_redirects" => settings.send_redirects = value != 0,
            "proxy_arp" => settings.proxy_arp = value != 0,
            _ => return None,
        }
        Some(())
    }
}

fn prefix(text: &str) -> Option<Net> {
    let (ip, len) = text.split_once('/')?;
    Some(Net::new(ip.parse().ok()?, len.parse().ok()?))
}
