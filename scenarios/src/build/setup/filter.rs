//! Rules of the packet filter that commands left.

use crate::diagnostic::{Place, Problem};
use crate::import::commands::Findings;
use crate::import::commands::action::Family;
use crate::import::commands::netfilter::{Match, Range, Rule, Table, Target};
use crate::import::commands::setup::{Chain, Netfilter};
use core::ops::RangeInclusive;
use sim_core::config::{
    FilterChain, FilterCondition, FilterConfig, FilterMatch, FilterTable, FilterTarget, Net,
    RejectWith,
};

/// Most calls of chains within one another.
const DEEPEST: usize = 8;

/// The rules of the built-in chains in the order in which they are looked at: a chain of the user stands
/// where it is called, and a policy that drops is a rule at the end.
pub(super) fn rules(netfilter: &Netfilter, findings: &mut Findings) -> Vec<FilterConfig> {
    let mut filters = Vec::new();
    for chain in netfilter.chains.iter().filter(|c| c.built_in()) {
        let Some(name) = chain_of(&chain.name) else { continue };
        let table = table_of(chain.table);
        let stub = FilterConfig {
            v6: chain.family == Family::V6,
            table,
            chain: name,
            matches: Vec::new(),
            target: FilterTarget::Accept,
        };
        let mut flat = Flat { netfilter, stub: &stub, filters: &mut filters, findings };
        flat.chain(chain, &[], 0);
        if !chain.accept {
            filters.push(FilterConfig { target: FilterTarget::Drop, ..stub });
        }
    }
    filters
}

fn chain_of(name: &str) -> Option<FilterChain> {
    Some(match name {
        "PREROUTING" => FilterChain::Prerouting,
        "INPUT" => FilterChain::Input,
        "FORWARD" => FilterChain::Forward,
        "OUTPUT" => FilterChain::Output,
        "POSTROUTING" => FilterChain::Postrouting,
        _ => return None,
    })
}

const fn table_of(table: Table) -> FilterTable {
    match table {
        Table::Raw => FilterTable::Raw,
        Table::Mangle => FilterTable::Mangle,
        Table::Nat => FilterTable::Nat,
        Table::Filter => FilterTable::Filter,
    }
}

fn unplayed(place: &Place, what: &str) -> Problem {
    Problem::new(place, format!("{what}: not simulated"), "this cannot be played")
}

struct Flat<'a> {
    netfilter: &'a Netfilter,
    stub: &'a FilterConfig,
    filters: &'a mut Vec<FilterConfig>,
    findings: &'a mut Findings,
}

impl Flat<'_> {
    /// Adds the rules of a chain, each with the conditions of the rules that called it.
    fn chain(&mut self, chain: &Chain, conditions: &[FilterMatch], depth: usize) {
        for rule in &chain.rules {
            let mut matches = conditions.to_vec();
            for condition in &rule.matches {
                match conditions_of(condition) {
                    Ok(found) => matches.extend(found),
                    Err(what) => self.findings.problems.push(unplayed(&rule.place, what)),
                }
            }
            self.rule(chain, rule, matches, depth);
        }
    }

    fn rule(&mut self, chain: &Chain, rule: &Rule, matches: Vec<FilterMatch>, depth: usize) {
        if let Target::Chain(name) = &rule.target {
            let called = self.netfilter.chain(chain.family, chain.table, name);
            match called {
                Some(called) if depth < DEEPEST => self.chain(&called.clone(), &matches, depth + 1),
                _ => self
                    .findings
                    .problems
                    .push(unplayed(&rule.place, "chains that call one another without end")),
            }
            return;
        }
        if rule.target == Target::Return && depth > 0 {
            self.findings.problems.push(unplayed(&rule.place, "RETURN in a chain of the user"));
            return;
        }
        match target(&rule.target) {
            Ok(Some(target)) => {
                self.filters.push(FilterConfig { matches, target, ..self.stub.clone() });
            }
            Ok(None) => {}
            Err(what) => self.findings.problems.push(unplayed(&rule.place, what)),
        }
    }
}

fn ports(ranges: &[RangeInclusive<u16>]) -> Vec<(u16, u16)> {
    ranges.iter().map(|r| (*r.start(), *r.end())).collect()
}

/// What a condition is to the simulator; the name of what it cannot do.
fn conditions_of(condition: &Match) -> Result<Vec<FilterMatch>, &'static str> {
    use FilterCondition as C;
    let net = |n: &crate::import::commands::action::Net| Net::new(n.address, n.len);
    let (what, not) = match condition {
        Match::Source(n, not) => (C::Source(net(n)), *not),
        Match::Destination(n, not) => (C::Destination(net(n)), *not),
        Match::Protocol(p, not) => (C::Protocol(*p), *not),
        Match::Input(name, not) => (C::Input(name.clone()), *not),
        Match::Output(name, not) => (C::Output(name.clone()), *not),
        Match::SourcePorts(r, not) => (C::SourcePorts(ports(r)), *not),
        Match::DestinationPorts(r, not) => (C::DestinationPorts(ports(r)), *not),
        Match::Ports(r, not) => (C::Ports(ports(r)), *not),
        Match::TcpFlags(0x17, 0x02, not) => (C::Syn, *not),
        Match::TcpFlags(mask, set, not) => (C::TcpFlags(*mask, *set), *not),
        Match::Icmp(kind, code, not) => (C::Icmp(*kind, *code), *not),
        Match::Mark(value, mask, not) => (C::Mark(*value, *mask), *not),
        Match::State(names, not) => (state(names)?, *not),
        Match::Ipvs(ipvs) => return ipvs_conditions(ipvs),
        Match::SourceRange(r, not) => (C::SourceRange(*r.start(), *r.end()), *not),
        Match::DestinationRange(r, not) => (C::DestinationRange(*r.start(), *r.end()), *not),
        Match::DestinationIsLocal(not) => (C::DestinationLocal, *not),
    };
    Ok(vec![FilterMatch { not, what }])
}

fn state(names: &[String]) -> Result<FilterCondition, &'static str> {
    let has = |name: &str| names.iter().any(|n| n == name);
    if has("UNTRACKED") || has("SNAT") || has("DNAT") {
        return Err("the states UNTRACKED, SNAT and DNAT");
    }
    Ok(FilterCondition::State {
        new: has("NEW"),
        established: has("ESTABLISHED"),
        related: has("RELATED"),
        invalid: has("INVALID"),
    })
}

fn ipvs_conditions(
    ipvs: &crate::import::commands::netfilter::Ipvs,
) -> Result<Vec<FilterMatch>, &'static str> {
    if ipvs.original.is_some() {
        return Err("the direction of an IPVS connection");
    }
    let mut found = Vec::new();
    if let Some(not) = ipvs.any {
        found.push(FilterMatch { not, what: FilterCondition::Ipvs(None) });
    }
    if let Some((port, not)) = ipvs.port {
        found.push(FilterMatch { not, what: FilterCondition::Ipvs(Some(port)) });
    }
    if let Some((block, not)) = ipvs.address {
        let net = Net::new(block.address, block.len);
        found.push(FilterMatch { not, what: FilterCondition::VirtualAddress(net) });
    }
    if let Some((protocol, not)) = ipvs.protocol {
        found.push(FilterMatch { not, what: FilterCondition::Protocol(protocol) });
    }
    Ok(found)
}

/// One address and at most one port of a translation.
fn translation(range: &Range) -> Result<(core::net::IpAddr, Option<u16>), &'static str> {
    let one = |r: &RangeInclusive<u16>| (r.start() == r.end()).then(|| *r.start());
    let address = range.addresses.as_ref().filter(|a| a.start() == a.end()).map(|a| *a.start());
    let address = address.ok_or("translation to several addresses, or to none")?;
    match &range.ports {
        None => Ok((address, None)),
        Some(ports) => {
            one(ports).map(|p| (address, Some(p))).ok_or("translation to a range of ports")
        }
    }
}

/// What a target is to the simulator; `None` if it does nothing.
fn target(target: &Target) -> Result<Option<FilterTarget>, &'static str> {
    Ok(Some(match target {
        Target::Accept => FilterTarget::Accept,
        Target::Drop => FilterTarget::Drop,
        Target::Reject(with) => FilterTarget::Reject(reject(with.as_deref())?),
        Target::Return => FilterTarget::Return,
        Target::Mark { value, mask } => FilterTarget::Mark(*value, *mask),
        Target::Snat(range) => {
            let (address, port) = translation(range)?;
            FilterTarget::SourceNat(address, port)
        }
        Target::Dnat(range) => {
            let (address, port) = translation(range)?;
            FilterTarget::DestinationNat(address, port)
        }
        Target::Masquerade(None) => FilterTarget::Masquerade,
        Target::Masquerade(Some(_)) => return Err("MASQUERADE with ports"),
        Target::Redirect(ports) => FilterTarget::Redirect(ports.as_ref().map(|p| *p.start())),
        Target::Notrack => FilterTarget::NoTrack,
        Target::SaveMark => FilterTarget::SaveMark,
        Target::RestoreMark => FilterTarget::RestoreMark,
        Target::Chain(_) | Target::Nothing => return Ok(None),
    }))
}

/// `--reject-with`: by default port unreachable.
fn reject(with: Option<&str>) -> Result<RejectWith, &'static str> {
    Ok(match with {
        None | Some("icmp-port-unreachable" | "icmp6-port-unreachable" | "port-unreach") => {
            RejectWith::Unreachable(3)
        }
        Some("icmp-net-unreachable" | "net-unreach") => RejectWith::Unreachable(0),
        Some("icmp-host-unreachable" | "host-unreach" | "icmp6-addr-unreachable") => {
            RejectWith::Unreachable(1)
        }
        Some("icmp-proto-unreachable" | "proto-unreach") => RejectWith::Unreachable(2),
        Some("icmp-net-prohibited" | "net-prohib") => RejectWith::Unreachable(9),
        Some("icmp-host-prohibited" | "host-prohib") => RejectWith::Unreachable(10),
        Some("icmp-admin-prohibited" | "admin-prohib" | "icmp6-adm-prohibited") => {
            RejectWith::Unreachable(13)
        }
        Some("tcp-reset" | "tcp-rst") => RejectWith::Reset,
        Some(_) => return Err("this answer to a rejected packet"),
    })
}
