//! `vrrp_instance`.

use super::Findings;
use super::garp::{self, Garp};
use super::global::Global;
use super::tracking::{Known, Tracker, trackers};
use super::tree::Node;
use super::values::{address, net};
use crate::diagnostic::Place;
use sim_core::engine::Span;
use sim_core::wire::Mac;
use std::net::IpAddr;

/// A virtual router.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// `state MASTER`, or priority 255.
    pub master: bool,
    /// `interface`.
    pub interface: Option<String>,
    /// `virtual_router_id`; 0 if it is missing.
    pub vrid: u8,
    /// `priority`, by default 100, with `state MASTER` 255.
    pub priority: u8,
    /// `version`, of the instance or of all, by default 2 and for IPv6 addresses 3.
    pub version: u8,
    /// `advert_int`: whole seconds in version 2, hundredths in version 3.
    pub advert: Span,
    /// `virtual_ipaddress`, the ones that adverts list.
    pub addresses: Vec<Address>,
    /// `virtual_ipaddress_excluded`.
    pub excluded: Vec<Address>,
    /// `unicast_peer`: without any, adverts are multicast.
    pub peers: Vec<Peer>,
    /// `unicast_src_ip` or `mcast_src_ip`.
    pub source: Option<IpAddr>,
    /// `track_src_ip`: a fault while no interface has the source address.
    pub track_source: bool,
    /// `mcast_dst_ip`, by default the group of all; without meaning for unicast.
    pub mcast_group: IpAddr,
    /// `unicast_ttl`, by default 255 for IPv4; `None` for what the system takes for IPv6.
    pub ttl: Option<u8>,
    /// `check_unicast_src`: adverts of others than the peers are dropped.
    pub check_unicast_src: bool,
    /// `unicast_fault_no_peer`.
    pub fault_without_peer: bool,
    /// `skip_check_adv_addr`: the addresses of an advert are not looked at if it is from the same router
    /// as the one before.
    pub skip_check_adv_addr: bool,
    /// `owner_ignore_adverts`, of an owner of the addresses (priority 255) only.
    pub owner_ignore_adverts: bool,
    /// `strict_mode`.
    pub strict: bool,
    /// `accept`: packets to the virtual addresses are taken; by default, but for strict mode.
    pub accept: bool,
    /// `lower_prio_no_advert`: a master answers an advert of lower priority with none.
    pub lower_prio_no_advert: bool,
    /// `higher_prio_send_advert`: a master sends one more advert when it hears one of higher priority.
    pub higher_prio_send_advert: bool,
    /// `down_timer_adverts`: adverts that must be missed, by default 3.
    pub down_timer_adverts: u32,
    /// `timer_expired_backup`: the highest priority of the others, for `nopreempt`.
    pub timer_expired_backup: Option<u8>,
    /// Whether a higher priority takes over from a lower one.
    pub preempt: bool,
    /// `preempt_delay`.
    pub preempt_delay: Span,
    /// `authentication`: whether by `AH`, and the password.
    pub authentication: Option<(bool, String)>,
    /// `use_vmac`.
    pub vmac: Option<Vmac>,
    /// `garp_...`, those of all if it says nothing.
    pub garp: Garp,
    /// `dont_track_primary` is absent: a failure of its interface is a fault.
    pub track_primary: bool,
    /// `track_interface`, `track_script`, `track_file`, `track_process`, `track_bfd`.
    pub trackers: Vec<Tracker>,
    /// `v3_checksum_as_v2`.
    pub checksum_as_v2: bool,
    /// Where it stands.
    pub place: Place,
}

/// A virtual address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Length of its prefix, by default that of the whole address.
    pub length: u8,
    /// `dev`, by default that of the instance.
    pub interface: Option<String>,
    /// `use_vmac` of the address: it lies on an interface with the MAC address of the virtual router.
    pub vmac: bool,
}

/// A router that gets adverts by unicast.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its address.
    pub ip: IpAddr,
    /// `min_ttl`: its adverts must have at least this TTL.
    pub min_ttl: Option<u8>,
    /// `max_ttl`: its adverts may have at most this TTL.
    pub max_ttl: Option<u8>,
}

/// An interface with the MAC address of the virtual router.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vmac {
    /// Its name, by default `vrrp.VRID`.
    pub name: String,
    /// Its MAC address, by default 00:00:5e:00:01:VRID for IPv4 and 00:00:5e:00:02:VRID for IPv6.
    pub mac: Mac,
    /// `vmac_xmit_base`: adverts leave by the interface below.
    pub xmit_base: bool,
}

impl Instance {
    /// Whether it is of IPv6, as its first address says.
    pub fn is_v6(&self) -> bool {
        self.addresses.first().is_some_and(|a| a.ip.is_ipv6())
    }

    /// Whether its adverts are unicast.
    pub fn is_unicast(&self) -> bool {
        !self.peers.is_empty()
    }
}

fn virtual_addresses(node: &Node, name: &str) -> Vec<Address> {
    let entries = node.all(name).flat_map(|n| &n.inner);
    let address = |e: &Node| {
        let (ip, length) = e.words.iter().find_map(|w| net(&w.text))?;
        let dev = e.words.iter().position(|w| w.text == "dev");
        let interface = dev.and_then(|n| e.word(n + 1)).map(str::to_owned);
        let vmac = e.words.iter().any(|w| w.text == "use_vmac");
        Some(Address { ip, length, interface, vmac })
    };
    entries.filter_map(address).collect()
}

fn peers(node: &Node) -> Vec<Peer> {
    let entries = node.all("unicast_peer").flat_map(|n| &n.inner);
    let peer = |e: &Node| {
        let behind = |option: &str| super::entries::behind(&e.words, option)?.text.parse().ok();
        let (min_ttl, max_ttl) = (behind("min_ttl"), behind("max_ttl"));
        Some(Peer { ip: address(e.name())?, min_ttl, max_ttl })
    };
    entries.filter_map(peer).collect()
}

/// A `vrrp_instance` as it is written, before what does not go together is mended.
pub(super) fn read(
    node: &Node,
    global: &Global,
    known: &Known,
    findings: &mut Findings,
) -> Instance {
    let name = node.word(1).unwrap_or_default().to_owned();
    let addresses = virtual_addresses(node, "virtual_ipaddress");
    let v6 = addresses.first().is_some_and(|a| a.ip.is_ipv6());
    let strict = node.flag("strict_mode").unwrap_or(global.strict);
    let version = node.number("version").unwrap_or(if v6 { 3 } else { global.version });
    let stated = node.text("state") == Some("MASTER");
    let usual = if stated && !node.has("priority") { 255 } else { 100 };
    let priority = node.number("priority").unwrap_or(usual);
    let vrid = node.number("virtual_router_id").unwrap_or(0);
    let source = node.text("unicast_src_ip").or_else(|| node.text("mcast_src_ip"));
    let group = if v6 { global.mcast_group6.into() } else { IpAddr::from(global.mcast_group4) };
    let flag = |name: &str, all: bool| node.flag(name).unwrap_or(all);
    Instance {
        master: stated || priority == 255,
        interface: node.text("interface").map(str::to_owned),
        vrid,
        priority,
        version,
        advert: advert(node, &name, version, findings),
        peers: peers(node),
        source: source.and_then(address),
        track_source: node.has("track_src_ip"),
        mcast_group: node.text("mcast_dst_ip").and_then(address).unwrap_or(group),
        ttl: node.number("unicast_ttl").or((!v6).then_some(255)),
        check_unicast_src: node.has("check_unicast_src") || global.check_unicast_src,
        fault_without_peer: node.has("unicast_fault_no_peer"),
        skip_check_adv_addr: flag("skip_check_adv_addr", global.skip_check_adv_addr),
        owner_ignore_adverts: owner_ignores(node, priority, strict, global),
        strict,
        accept: node.has("accept") || (!node.has("no_accept") && (priority == 255 || !strict)),
        lower_prio_no_advert: flag("lower_prio_no_advert", strict || global.lower_prio_no_advert),
        higher_prio_send_advert: flag(
            "higher_prio_send_advert",
            !strict && global.higher_prio_send_advert,
        ),
        down_timer_adverts: node.number("down_timer_adverts").unwrap_or(global.down_timer_adverts),
        timer_expired_backup: node
            .last("timer_expired_backup")
            .map(|t| t.word(1).and_then(|w| w.parse().ok()).unwrap_or(254)),
        preempt: !node.has("nopreempt"),
        preempt_delay: node.time("preempt_delay").unwrap_or(Span::ZERO),
        authentication: authentication(node),
        vmac: node.last("use_vmac").map(|line| vmac(node, line, vrid, v6, findings)),
        garp: garp_of(node, strict, global),
        track_primary: !node.has("dont_track_primary"),
        trackers: trackers(node, known, findings),
        checksum_as_v2: flag("v3_checksum_as_v2", false),
        excluded: virtual_addresses(node, "virtual_ipaddress_excluded"),
        addresses,
        name,
        place: node.place(),
    }
}

fn authentication(node: &Node) -> Option<(bool, String)> {
    let block = node.last("authentication")?;
    let password = block.text("auth_pass").unwrap_or_default();
    let kind = block.text("auth_type")?;
    Some((kind == "AH", password.chars().take(8).collect()))
}

fn owner_ignores(node: &Node, priority: u8, strict: bool, global: &Global) -> bool {
    let stated = node.flag("owner_ignore_adverts");
    priority == 255 && stated.unwrap_or(strict || global.owner_ignore_adverts)
}

/// Strict mode has no bursts after adverts of lower priority.
fn garp_of(node: &Node, strict: bool, global: &Global) -> Garp {
    let mut all = global.garp;
    if strict {
        (all.lower_prio_delay, all.lower_prio_repeat) = (Span::ZERO, 0);
    }
    garp::of_instance(node, all)
}

/// `use_vmac [NAME] [MAC]`.
fn vmac(node: &Node, line: &Node, vrid: u8, v6: bool, findings: &mut Findings) -> Vmac {
    let family = if v6 { 2 } else { 1 };
    let mut vmac = Vmac {
        name: format!("vrrp.{vrid}"),
        mac: Mac([0, 0, 0x5e, 0, family, vrid]),
        xmit_base: node.has("vmac_xmit_base"),
    };
    let mut words = line.words.iter().skip(1);
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "netlink_notify_msg" | "name" => {}
            "group" => drop(words.next()),
            text if text.contains(':') => match mac(text, vrid) {
                Some(mac) if mac.0[0] & 1 == 0 => vmac.mac = mac,
                Some(_) => {
                    let message = format!("VMAC MAC address is multicast {text} - ignoring");
                    findings.error(&word.place, message, "the first octet must be even");
                }
                None => {
                    let message = format!("VMAC invalid MAC address {text} - ignored");
                    findings.error(&word.place, message, "expected 6 octets, or 5 and the VRID");
                }
            },
            text if text.len() > 15 => {
                let message = format!(
                    "VMAC interface name '{text}' too long or invalid characters - ignoring"
                );
                findings.error(&word.place, message, "at most 15 letters");
            }
            text => text.clone_into(&mut vmac.name),
        }
    }
    vmac
}

/// Six octets; the router id is the last if there are five.
fn mac(text: &str, vrid: u8) -> Option<Mac> {
    let mut octets = [0, 0, 0, 0, 0, vrid];
    let mut count = 0;
    for (n, part) in text.trim_end_matches(':').split(':').enumerate() {
        let good = (1..=2).contains(&part.len());
        *octets.get_mut(n)? = u8::from_str_radix(part, 16).ok().filter(|_| good)?;
        count = n + 1;
    }
    (count >= 5).then_some(Mac(octets))
}

fn advert(node: &Node, name: &str, version: u8, findings: &mut Findings) -> Span {
    let second = Span::from_secs(1);
    let stated = node.time("advert_int").unwrap_or(second).as_nanos();
    let (unit, most) = if version == 2 { (1_000_000_000, 255) } else { (10_000_000, 4095) };
    let units = (stated / unit).clamp(1, most);
    let advert = Span::from_nanos(units * unit);
    if advert.as_nanos() != stated
        && let Some(node) = node.last("advert_int")
    {
        let message = format!(
            "({name}) advertisement interval {} does not fit version {version}, using {advert}",
            node.word(1).unwrap_or_default()
        );
        let label = if version == 2 {
            "whole seconds from 1"
        } else {
            "hundredths of a second, at most 40.95"
        };
        findings.error(&node.place(), message, label);
    }
    advert
}
