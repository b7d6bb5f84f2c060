//! Links and switches.

use super::{Builder, shortened};
use crate::diagnostic::{At, Place};
use crate::format::Record;
use crate::format::sections::NETWORK;
use sim_core::config::{LinkConfig, LinkDirection, LinkEnd, QueueLimit, SwitchConfig};
use sim_core::engine::Span;

/// What a link and an interface are like if nothing else is said.
#[derive(Clone, Debug)]
pub(super) struct LinkDefaults {
    pub(super) direction: LinkDirection,
    pub(super) mtu: u16,
}

impl LinkDefaults {
    pub(super) fn new(record: &Record) -> Self {
        let empty = Record::empty(&NETWORK, &Place::default());
        let network = record.table("network").unwrap_or(&empty);
        let direction = LinkDirection {
            rate_bps: network.value("rate"),
            latency: network.value("latency"),
            queue: network
                .get("queue")
                .or_else(|| network.default("queue"))
                .unwrap_or(QueueLimit::Packets(1000)),
            loss: network.value("loss"),
            jitter: network.get("jitter"),
            reorder: network.value("reorder"),
            reorder_delay: network.value::<Span>("reorder_delay"),
            overhead: network.value("overhead"),
        };
        Self { direction, mtu: network.value("mtu") }
    }
}

/// A direction with what a table says differently.
pub(super) fn patched(direction: &LinkDirection, table: Option<&Record>) -> LinkDirection {
    let mut d = direction.clone();
    let Some(t) = table else { return d };
    let set = |slot: &mut f64, name| {
        if let Some(v) = t.get(name) {
            *slot = v;
        }
    };
    set(&mut d.loss, "loss");
    set(&mut d.reorder, "reorder");
    d.rate_bps = t.get("rate").unwrap_or(d.rate_bps);
    d.latency = t.get("latency").unwrap_or(d.latency);
    d.queue = t.get("queue").unwrap_or(d.queue);
    d.reorder_delay = t.get("reorder_delay").unwrap_or(d.reorder_delay);
    d.overhead = t.get("overhead").unwrap_or(d.overhead);
    d.jitter = t.get("jitter").or(d.jitter);
    d
}

/// How an end is written: `host:interface` or the switch.
pub(super) fn end_text(end: &LinkEnd) -> String {
    match end {
        LinkEnd::Interface(host, dev) => format!("{host}:{dev}"),
        LinkEnd::Switch(name) => name.clone(),
    }
}

impl Builder<'_> {
    pub(super) fn switches(&mut self) {
        for table in self.record.tables("switch") {
            let name: String = table.value("name");
            let taken = self.switches.iter().any(|s| s.name == name) || self.host(&name).is_some();
            if taken {
                let place = table.place_of("name").clone();
                self.wrong(&place, format!("`{name}` is taken"), "a host or switch has this name");
            }
            self.switches.push(SwitchConfig {
                name,
                ageing: table.value("ageing"),
                spanning_tree: table.value("spanning_tree"),
            });
        }
    }

    pub(super) fn links(&mut self) {
        for table in self.record.tables("link") {
            let ends = table.list::<LinkEnd>("between");
            let [a, b] = &ends[..] else {
                if table.has("between") {
                    let message = format!("a link has two ends, not {}", ends.len());
                    let place = table.place_of("between").clone();
                    self.wrong(&place, message, "expected [\"HOST:INTERFACE\", \"SWITCH\"]");
                }
                continue;
            };
            let (left, right) = (self.expand(a), self.expand(b));
            let pairs: Vec<(LinkEnd, LinkEnd)> = match (left.len(), right.len()) {
                (n, m) if n == m => left.into_iter().zip(right).collect(),
                (1, _) if matches!(a.value, LinkEnd::Switch(_)) => {
                    right.into_iter().map(|r| (left[0].clone(), r)).collect()
                }
                (_, 1) if matches!(b.value, LinkEnd::Switch(_)) => {
                    left.into_iter().map(|l| (l, right[0].clone())).collect()
                }
                (0, _) | (_, 0) => continue,
                (n, m) => {
                    let message = format!("{n} ends cannot be joined with {m}");
                    let place = table.place_of("between").clone();
                    self.wrong(&place, message, "as many on both sides, or a switch");
                    continue;
                }
            };
            let single = pairs.len() == 1;
            for (a, b) in pairs {
                let name = table.get::<String>("name").filter(|_| single);
                self.add_link(name, a, b, Some(table));
                if let Some(link) = self.links.last_mut() {
                    link.up = table.value("up");
                    link.standby = table.value("standby");
                }
            }
        }
        self.check_links();
    }

    /// Adds a cable with the properties of a table.
    pub(super) fn add_link(
        &mut self,
        name: Option<String>,
        a: LinkEnd,
        b: LinkEnd,
        table: Option<&Record>,
    ) {
        let there = patched(&self.defaults.direction, table);
        let has_back = table.and_then(|t| t.has_field("back").then(|| t.table("back"))).flatten();
        let back = patched(&there, has_back);
        let name = name.unwrap_or_else(|| format!("{}--{}", end_text(&a), end_text(&b)));
        self.links.push(LinkConfig {
            name,
            ends: [a, b],
            directions: [there, back],
            up: true,
            standby: false,
        });
    }

    /// The ends that one written end stands for, each checked to exist.
    fn expand(&mut self, end: &At<LinkEnd>) -> Vec<LinkEnd> {
        match &end.value {
            LinkEnd::Switch(name) => {
                if self.switches.iter().any(|s| s.name == *name) {
                    return vec![end.value.clone()];
                }
                let known: Vec<&str> = self.switches.iter().map(|s| s.name.as_str()).collect();
                let label = format!("switches are {}; a host is HOST:INTERFACE", shortened(&known));
                self.wrong(&end.place, format!("there is no switch `{name}`"), label);
                Vec::new()
            }
            LinkEnd::Interface(name, dev) => {
                let hosts = self.members(&At::new(name.clone(), end.place.clone()));
                let missing = hosts.iter().find_map(|h| {
                    let host = self.host(h)?;
                    let found = host.interfaces.iter().any(|i| i.name == *dev);
                    (!found).then(|| {
                        host.interfaces
                            .iter()
                            .map(|i| i.name.clone())
                            .collect::<Vec<_>>()
                            .join(", ")
                    })
                });
                if let Some(known) = missing {
                    let known = if known.is_empty() { "none".to_owned() } else { known };
                    let message = format!("host `{name}` has no interface `{dev}`");
                    self.wrong(&end.place, message, format!("its interfaces are {known}"));
                    return Vec::new();
                }
                hosts.into_iter().map(|h| LinkEnd::Interface(h, dev.clone())).collect()
            }
        }
    }

    /// An interface has one cable, a name one link.
    fn check_links(&mut self) {
        let mut found = Vec::new();
        for (i, link) in self.links.iter().enumerate() {
            for end in &link.ends {
                let twice = self.links[..i].iter().any(|l| l.ends.contains(end))
                    || link.ends[0] == link.ends[1];
                if matches!(end, LinkEnd::Interface(..)) && twice && !link.standby {
                    found.push(format!("two links end at `{}`", end_text(end)));
                }
            }
            if self.links[..i].iter().any(|l| l.name == link.name) {
                found.push(format!("two links are called `{}`", link.name));
            }
        }
        found.dedup();
        let place = self.record.place_of("link").clone();
        for message in found {
            self.wrong(&place, message, "in these links");
        }
    }
}
