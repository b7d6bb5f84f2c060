//! Files of heartbeat with what they lack: heartbeat then starts, and keeps the resources itself.

use crate::format::words::nearest;
use crate::import::heartbeat::ha_cf::{Autojoin, HaCf, Medium};
use crate::import::heartbeat::haresources::HaResources;
use std::net::IpAddr;

/// A file that is completed; what is added or taken out says why.
#[derive(Clone, Debug, Default)]
pub(super) struct Mended {
    pub(super) text: String,
    pub(super) guesses: Vec<String>,
}

impl Mended {
    pub(super) fn of(text: &str) -> Self {
        Self { text: text.to_owned(), guesses: Vec::new() }
    }

    fn guess(&mut self, why: impl Into<String>) -> String {
        let why = why.into();
        let line = format!("# guess: {why}\n");
        if !self.guesses.contains(&why) {
            self.guesses.push(why);
        }
        line
    }

    fn add(&mut self, why: impl Into<String>, line: &str) {
        let why = self.guess(why);
        self.put(&why, line);
    }

    fn put(&mut self, why: &str, line: &str) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        self.text.push_str(why);
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Makes comments of lines.
    fn take_out(&mut self, why: &str, which: impl Fn(&[&str]) -> bool) {
        let mut text = String::new();
        let mut any = false;
        for line in self.text.split_inclusive('\n') {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            if which(&words) {
                text.push_str("# not here: ");
                any = true;
            }
            text.push_str(line);
        }
        if any {
            self.text = text;
            self.guess(why);
        }
    }

    /// Completes an `ha.cf`.
    pub(super) fn ha_cf(
        &mut self,
        ha: &HaCf,
        names: &[String],
        missing: &[String],
        interface: &str,
    ) {
        if ha.crm {
            let why = "haresources tells the resources here, not a cluster resource manager";
            self.take_out(why, |w| matches!(w, ["crm" | "pacemaker", ..]));
        }
        if ha.autojoin != Autojoin::None {
            let why = "no other nodes join the cluster: `autojoin` is left out";
            self.take_out(why, |w| matches!(w, ["autojoin", ..]));
        }
        let is_known = |host: &&str| {
            host.parse::<IpAddr>().is_ok()
                || names.iter().any(|n| n == host)
                || host.starts_with('#')
        };
        let why = "ping nodes with names nobody here has are left out";
        self.take_out(why, |w| match w {
            ["ping", hosts @ ..] | ["ping_group", _, hosts @ ..] => {
                !hosts.iter().take_while(|h| !h.starts_with('#')).all(is_known)
            }
            _ => false,
        });
        let lacking: Vec<&String> = names.iter().filter(|n| !ha.has_node(n)).collect();
        if !lacking.is_empty() {
            let list: Vec<&str> = lacking.into_iter().map(String::as_str).collect();
            let list = list.join(" ");
            let why = format!("ha.cf names too few nodes: these are {}", names.join(" and "));
            self.add(why, &format!("node {list}"));
        }
        for line in missing {
            self.put("# guess: the line of the other node's file\n", line);
        }
        let serial = |m: &Medium| matches!(m, Medium::Serial(_));
        if ha.media.is_empty() {
            let why = format!("heartbeats go by `{interface}`");
            self.add(why, &format!("bcast {interface}"));
        } else if ha.media.iter().all(|m| serial(&m.value)) {
            let cable = if interface == "eth1" { "eth2" } else { "eth1" };
            let why = format!("a cable on `{cable}` stands for the serial line");
            self.add(why, &format!("bcast {cable}"));
        }
    }

    /// A `haresources` where there is none, or an empty one.
    pub(super) fn resources(&mut self, node: &str, resources: &[String]) {
        let list = resources.join(" ");
        self.add(format!("{node} has {list}"), &format!("{node} {list}"));
    }

    /// Groups of nodes that `ha.cf` does not have become those of nodes that it has: else nobody starts them.
    pub(super) fn owners(&mut self, all: &HaResources, names: &[String]) {
        let has = |name: &str| names.iter().any(|n| n.eq_ignore_ascii_case(name));
        let owns = |n: &&String| all.groups.iter().any(|g| g.node.value.eq_ignore_ascii_case(n));
        let mut spare = names.iter().filter(|n| !owns(n));
        let mut known: Vec<(String, String)> = Vec::new();
        let mut changes = Vec::new();
        for group in &all.groups {
            let name = &group.node.value;
            if has(name) {
                continue;
            }
            let found = known.iter().find(|(n, _)| n == name).map(|(_, as_node)| as_node.clone());
            let node = found.unwrap_or_else(|| {
                let near = nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
                let node = near.or_else(|| spare.next().cloned());
                let node = node.or_else(|| names.first().cloned()).unwrap_or_default();
                known.push((name.clone(), node.clone()));
                node
            });
            changes.push((group.node.place.span.clone(), node));
        }
        for (span, node) in changes.into_iter().rev() {
            self.text.replace_range(span, &node);
        }
        for (name, node) in known {
            self.guess(format!("`{name}` of haresources is no node of ha.cf: {node} is meant"));
        }
    }
}
