//! `global_defs`.

use super::Findings;
use super::entries::behind;
use super::garp::{self, Garp};
use super::letters::Word;
use super::tree::Node;
use super::values::{self, address};
use crate::diagnostic::{Place, Problem};
use sim_core::engine::Span;
use sim_core::ipvs::rules::TimeoutRule;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What holds for everything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Global {
    /// `router_id`.
    pub router_id: Option<String>,
    /// `vrrp_version`, by default 2.
    pub version: u8,
    /// `vrrp_mcast_group4`, by default 224.0.0.18.
    pub mcast_group4: Ipv4Addr,
    /// `vrrp_mcast_group6`, by default `ff02::12`.
    pub mcast_group6: Ipv6Addr,
    /// `vrrp_garp_...`, as instances have it that say nothing.
    pub garp: Garp,
    /// `vrrp_garp_interval`: between two gratuitous ARPs of an interface, by default none.
    pub garp_interval: Span,
    /// `vrrp_gna_interval`: between two neighbour advertisements of an interface, by default none.
    pub gna_interval: Span,
    /// `vrrp_lower_prio_no_advert`.
    pub lower_prio_no_advert: bool,
    /// `vrrp_higher_prio_send_advert`.
    pub higher_prio_send_advert: bool,
    /// `vrrp_down_timer_adverts`, by default 3.
    pub down_timer_adverts: u32,
    /// `vrrp_check_unicast_src`.
    pub check_unicast_src: bool,
    /// `vrrp_skip_check_adv_addr`.
    pub skip_check_adv_addr: bool,
    /// `vrrp_owner_ignore_adverts`.
    pub owner_ignore_adverts: bool,
    /// `vrrp_strict`.
    pub strict: bool,
    /// `vrrp_startup_delay`, by default 0.
    pub startup_delay: Span,
    /// `vrrp_delay_after_boot`: like `startup_delay`, but counted from the start of the machine.
    pub delay_after_boot: Span,
    /// `default_interface`, by default `eth0`: that of addresses outside instances.
    pub default_interface: String,
    /// `dynamic_interfaces`.
    pub dynamic_interfaces: bool,
    /// `lvs_flush`: the table is emptied at the start.
    pub lvs_flush: bool,
    /// `lvs_flush_on_stop`: the table is emptied as a whole at the end.
    pub lvs_flush_on_stop: bool,
    /// `lvs_timeouts`.
    pub timeouts: TimeoutRule,
    /// `lvs_sync_daemon`, or `lvs_sync_daemon_interface` of an instance.
    pub sync_daemon: Option<SyncDaemon>,
}

/// The connection sync daemon. It is master while its instance is, else backup; without an instance both
/// run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyncDaemon {
    /// Its interface.
    pub interface: String,
    /// `inst`: the name of its instance.
    pub instance: Option<String>,
    /// `id`, by default the router id of its instance, else 0.
    pub id: u8,
    /// `maxlen`.
    pub maxlen: Option<u16>,
    /// `port`.
    pub port: Option<u16>,
    /// `ttl`.
    pub ttl: Option<u8>,
    /// `group`.
    pub group: Option<IpAddr>,
    /// Whether `id` was said.
    pub(super) with_id: bool,
    /// Where it stands.
    pub place: Place,
}

impl SyncDaemon {
    /// A daemon of which only its interface is said.
    pub(super) fn plain(interface: &str, place: Place) -> Self {
        Self {
            interface: interface.to_owned(),
            instance: None,
            id: 0,
            maxlen: None,
            port: None,
            ttl: None,
            group: None,
            with_id: false,
            place,
        }
    }
}

impl Default for Global {
    fn default() -> Self {
        Self {
            router_id: None,
            version: 2,
            mcast_group4: Ipv4Addr::new(224, 0, 0, 18),
            mcast_group6: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12),
            garp: Garp::default(),
            garp_interval: Span::ZERO,
            gna_interval: Span::ZERO,
            lower_prio_no_advert: false,
            higher_prio_send_advert: false,
            down_timer_adverts: 3,
            check_unicast_src: false,
            skip_check_adv_addr: false,
            owner_ignore_adverts: false,
            strict: false,
            startup_delay: Span::ZERO,
            delay_after_boot: Span::ZERO,
            default_interface: "eth0".to_owned(),
            dynamic_interfaces: false,
            lvs_flush: false,
            lvs_flush_on_stop: false,
            timeouts: TimeoutRule::default(),
            sync_daemon: None,
        }
    }
}

/// Reads all `global_defs` blocks, as if they were one.
pub(super) fn read(nodes: &[Node], findings: &mut Findings) -> Global {
    let blocks: Vec<&Node> = nodes.iter().filter(|n| n.name() == "global_defs").collect();
    let mut global = Global { garp: garp::global(&blocks), ..Global::default() };
    for node in blocks {
        vrrp(node, &mut global);
        if let Some(id) = node.text("router_id") {
            global.router_id = Some(id.to_owned());
        }
        if let Some(interface) = node.text("default_interface") {
            interface.clone_into(&mut global.default_interface);
        }
        global.dynamic_interfaces |= node.has("dynamic_interfaces");
        global.lvs_flush |= node.has("lvs_flush");
        let on_stop = node.has("lvs_flush_on_stop") || node.has("lvs_flush_onstop");
        global.lvs_flush_on_stop |= on_stop;
        if let Some(timeouts) = node.last("lvs_timeouts") {
            let after = |name: &str| {
                let word = behind(&timeouts.words, name)?;
                word.text.parse().ok().map(Span::from_secs)
            };
            let (tcp, tcp_fin, udp) = (after("tcp"), after("tcpfin"), after("udp"));
            global.timeouts = TimeoutRule { tcp, tcp_fin, udp };
        }
        for line in node.all("lvs_sync_daemon") {
            let daemon = sync_daemon(line, global.sync_daemon.as_ref(), findings);
            global.sync_daemon = daemon.or(global.sync_daemon);
        }
    }
    global
}

fn vrrp(node: &Node, global: &mut Global) {
    let flag = |name: &str, before: bool| node.flag(name).unwrap_or(before);
    let time = |name: &str, before: Span| node.time(name).unwrap_or(before);
    global.version = node.number("vrrp_version").unwrap_or(global.version);
    if let Some(group) = node.text("vrrp_mcast_group4").and_then(|g| g.parse().ok()) {
        global.mcast_group4 = group;
    }
    if let Some(group) = node.text("vrrp_mcast_group6").and_then(|g| g.parse().ok()) {
        global.mcast_group6 = group;
    }
    global.garp_interval = time("vrrp_garp_interval", global.garp_interval);
    global.gna_interval = time("vrrp_gna_interval", global.gna_interval);
    global.lower_prio_no_advert = flag("vrrp_lower_prio_no_advert", global.lower_prio_no_advert);
    let higher = "vrrp_higher_prio_send_advert";
    global.higher_prio_send_advert = flag(higher, global.higher_prio_send_advert);
    let adverts = node.number("vrrp_down_timer_adverts");
    global.down_timer_adverts = adverts.unwrap_or(global.down_timer_adverts);
    global.check_unicast_src |= node.has("vrrp_check_unicast_src");
    global.skip_check_adv_addr = flag("vrrp_skip_check_adv_addr", global.skip_check_adv_addr);
    global.owner_ignore_adverts = flag("vrrp_owner_ignore_adverts", global.owner_ignore_adverts);
    global.strict |= node.has("vrrp_strict");
    global.startup_delay = time("vrrp_startup_delay", global.startup_delay);
    global.delay_after_boot = time("vrrp_delay_after_boot", global.delay_after_boot);
}

/// `lvs_sync_daemon IF [[inst] INSTANCE] [id N] [maxlen N] [port N] [ttl N] [group IP]`
/// (`lvs_syncd_handler` of `core/global_parser.c`).
fn sync_daemon(
    line: &Node,
    before: Option<&SyncDaemon>,
    findings: &mut Findings,
) -> Option<SyncDaemon> {
    let interface = line.words.get(1)?;
    if let Some(before) = before {
        let (first, instance) = (&before.interface, before.instance.as_deref().unwrap_or_default());
        let message =
            format!("lvs_sync_daemon has already been specified as {first} {instance} - ignoring");
        findings.error(&line.place(), message, "the first one counts");
        return None;
    }
    if interface.text.len() > 15 {
        let message =
            format!("lvs_sync_daemon interface name '{}' too long - ignoring", interface.text);
        findings.error(&interface.place, message, "at most 15 letters");
        return None;
    }
    let mut daemon = SyncDaemon::plain(&interface.text, line.place());
    let mut words = line.words.iter().enumerate().skip(2);
    while let Some((n, word)) = words.next() {
        let option = word.text.as_str();
        let old = ![INSTANCE, "id", "maxlen", "port", "ttl", "group"].contains(&option);
        let value = if old { Some(word) } else { words.next().map(|(_, w)| w) };
        let Some(value) = value else {
            let message = format!("No value specified for lvs_sync_daemon {option} - ignoring");
            findings.error(&word.place, message, "a value is missing");
            break;
        };
        let option = match (old, n) {
            (false, _) => option,
            (true, 2) => INSTANCE,
            (true, 3) => "id",
            (true, _) => {
                let message = format!("lvs_sync_daemon unknown option '{option}' - ignoring");
                let label = "expected inst, id, maxlen, port, ttl or group";
                findings.error(&word.place, message, label);
                continue;
            }
        };
        findings.problems.extend(daemon.set(option, value).err());
    }
    Some(daemon)
}

const INSTANCE: &str = "inst";

impl SyncDaemon {
    fn set(&mut self, option: &str, value: &Word) -> Result<(), Problem> {
        let number = |high: i64| {
            let low = i64::from(option != "id");
            values::number(value, low, high).map_err(|_| {
                let message = match option {
                    "id" => format!("Invalid syncid ({}) - defaulting to vrid", value.text),
                    _ => format!("Invalid lvs_sync_daemon {option} ({}) - ignoring", value.text),
                };
                Problem::new(&value.place, message, format!("expected {low} to {high}"))
            })
        };
        match option {
            INSTANCE => self.instance = Some(value.text.clone()),
            "id" => {
                self.id = u8::try_from(number(255)?).unwrap_or(0);
                self.with_id = true;
            }
            "maxlen" => self.maxlen = u16::try_from(number(65_507)?).ok(),
            "port" => self.port = u16::try_from(number(65_535)?).ok(),
            "ttl" => self.ttl = u8::try_from(number(255)?).ok(),
            _ => {
                let group = address(&value.text);
                self.group = group.filter(IpAddr::is_multicast);
                let wrong = match group {
                    None => format!("Invalid lvs_sync_daemon group ({}) - ignoring", value.text),
                    Some(group) if group.is_multicast() => return Ok(()),
                    Some(group) => {
                        format!("lvs_sync_daemon group address {group} is not multicast - ignoring")
                    }
                };
                return Err(Problem::new(&value.place, wrong, "expected a multicast address"));
            }
        }
        Ok(())
    }
}
