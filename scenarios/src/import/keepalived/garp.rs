//! How addresses are announced.

use super::tree::Node;
use sim_core::engine::Span;

/// Announcements (gratuitous ARP, unsolicited neighbour advertisements) of a virtual router.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Garp {
    /// `garp_master_delay`: from the first burst of a master to its second; 0 for no second one. By
    /// default 5 s.
    pub delay: Span,
    /// `garp_master_repeat`: announcements of each address in a burst, by default 5.
    pub repeat: u32,
    /// `garp_master_refresh`: from burst to burst of a master that stays; 0 for none, the default.
    pub refresh: Span,
    /// `garp_master_refresh_repeat`, by default 1.
    pub refresh_repeat: u32,
    /// `garp_lower_prio_delay`: from the first burst after an advert of lower priority to the second; by
    /// default `delay`.
    pub lower_prio_delay: Span,
    /// `garp_lower_prio_repeat`: 0 for no burst after an advert of lower priority; by default `repeat`.
    pub lower_prio_repeat: u32,
}

impl Default for Garp {
    fn default() -> Self {
        let (delay, repeat) = (Span::from_secs(5), 5);
        Self {
            delay,
            repeat,
            refresh: Span::ZERO,
            refresh_repeat: 1,
            lower_prio_delay: delay,
            lower_prio_repeat: repeat,
        }
    }
}

/// What all `global_defs` say. `vrrp_min_garp` sets what has its default where it stands, so the order of
/// the lines counts (`vrrp_min_garp_handler` of `core/global_parser.c`).
pub(super) fn global(blocks: &[&Node]) -> Garp {
    let mut garp = Garp::default();
    let (mut lower_delay, mut lower_repeat) = (None, None);
    for line in blocks.iter().flat_map(|b| &b.inner) {
        let seconds = line.word(1).and_then(|w| w.parse().ok()).map(Span::from_secs);
        let count = line.word(1).and_then(|w| w.parse().ok());
        match line.name() {
            "vrrp_garp_master_delay" => garp.delay = seconds.unwrap_or(garp.delay),
            "vrrp_garp_master_repeat" => garp.repeat = count.unwrap_or(garp.repeat),
            "vrrp_garp_master_refresh" => garp.refresh = seconds.unwrap_or(garp.refresh),
            "vrrp_garp_master_refresh_repeat" => {
                garp.refresh_repeat = count.unwrap_or(garp.refresh_repeat);
            }
            "vrrp_garp_lower_prio_delay" => lower_delay = seconds.or(lower_delay),
            "vrrp_garp_lower_prio_repeat" => lower_repeat = count.or(lower_repeat),
            "vrrp_min_garp" if line.is_true() => least(&mut garp),
            _ => {}
        }
    }
    garp.lower_prio_delay = lower_delay.unwrap_or(garp.delay);
    garp.lower_prio_repeat = lower_repeat.unwrap_or(garp.repeat);
    garp
}

/// One announcement and no second burst, but for what was set.
fn least(garp: &mut Garp) {
    let usual = Garp::default();
    if garp.repeat == usual.repeat {
        garp.repeat = 1;
    }
    if garp.refresh_repeat == usual.refresh_repeat {
        garp.refresh_repeat = 0;
    }
    if garp.delay == usual.delay {
        garp.delay = Span::ZERO;
    }
}

/// What an instance says, else what holds for all.
pub(super) fn of_instance(node: &Node, all: Garp) -> Garp {
    Garp {
        delay: node.time("garp_master_delay").unwrap_or(all.delay),
        repeat: node.number("garp_master_repeat").unwrap_or(all.repeat),
        refresh: node.time("garp_master_refresh").unwrap_or(all.refresh),
        refresh_repeat: node.number("garp_master_refresh_repeat").unwrap_or(all.refresh_repeat),
        lower_prio_delay: node.time("garp_lower_prio_delay").unwrap_or(all.lower_prio_delay),
        lower_prio_repeat: node.number("garp_lower_prio_repeat").unwrap_or(all.lower_prio_repeat),
    }
}

/// Announcements of some interfaces that wait for each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GarpGroup {
    /// `garp_interval`: between two gratuitous ARPs, by default none.
    pub garp_interval: Span,
    /// `gna_interval`: between two neighbour advertisements, by default none.
    pub gna_interval: Span,
    /// `interface` and `interfaces`.
    pub interfaces: Vec<String>,
}

/// A `garp_group`.
pub(super) fn group(node: &Node) -> GarpGroup {
    let mut interfaces: Vec<String> =
        node.all("interface").filter_map(|n| n.word(1)).map(str::to_owned).collect();
    let listed = node.all("interfaces").flat_map(|n| &n.inner).flat_map(|e| &e.words);
    interfaces.extend(listed.map(|w| w.text.clone()));
    GarpGroup {
        garp_interval: node.time("garp_interval").unwrap_or(Span::ZERO),
        gna_interval: node.time("gna_interval").unwrap_or(Span::ZERO),
        interfaces,
    }
}
