//! Which rules a packet meets, for observers.

use super::{Filter, Target, View};
use crate::config::{FilterChain, FilterTable};
use crate::wire::{Kind, Packet};

impl Filter {
    /// The rules of a chain that do something with a packet, by their numbers as `iptables -L
    /// --line-numbers` counts them, from 1, in the order in which they do. `connection_mark` is the mark
    /// of its connection, if that is tracked. Nothing is changed.
    pub fn met(
        &self,
        (table, chain): (FilterTable, FilterChain),
        view: &View<'_>,
        packet: &Packet,
        connection_mark: Option<u32>,
    ) -> Vec<usize> {
        let mut packet = *packet;
        let v6 = packet.kind == Kind::Ipv6;
        let rules = &self.chains[table as usize][chain as usize];
        let mut met = Vec::new();
        for (number, rule) in (1..).zip(rules.iter().filter(|rule| rule.v6 == v6)) {
            if !rule.matches.iter().all(|(not, what)| what.holds(view, &packet) != *not) {
                continue;
            }
            met.push(number);
            match (&rule.target, connection_mark) {
                (Target::End(_) | Target::Return, _) => break,
                (Target::Mark(value, mask), _) => packet.mark = packet.mark & !mask ^ value,
                (Target::RestoreMark, Some(of)) => packet.mark = of,
                (Target::SaveMark, _) | (Target::RestoreMark, None) => {}
            }
        }
        met
    }
}
