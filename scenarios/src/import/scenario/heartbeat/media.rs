//! The addresses of nodes, as the `ucast` lines of their files tell them.

use crate::format::units::later;
use crate::import::heartbeat::ha_cf::{HaCf, Medium};
use std::net::IpAddr;

/// What `ucast` lines tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Ways {
    /// Each node's own addresses with their interfaces.
    pub(super) own: Vec<Vec<(IpAddr, String)>>,
    /// Lines without which a node does not reach another one.
    pub(super) missing: Vec<String>,
    /// What was guessed.
    pub(super) guesses: Vec<String>,
}

/// The `ucast` lines of an interface.
type Link = (String, Vec<String>);

fn links(ha: &HaCf) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    for medium in &ha.media {
        let Medium::Ucast { interface, peer } = &medium.value else { continue };
        match links.iter_mut().find(|(i, _)| i == interface) {
            Some((_, peers)) if peers.contains(peer) => {}
            Some((_, peers)) => peers.push(peer.clone()),
            None => links.push((interface.clone(), vec![peer.clone()])),
        }
    }
    links
}

impl Ways {
    /// The ways between nodes whose `ha.cf` are `sets`: one for all, or one for each of two nodes. `busy` are
    /// addresses of others.
    pub(super) fn new(sets: &[HaCf], names: &[String], busy: &[IpAddr]) -> Self {
        let mut ways = Self { own: vec![Vec::new(); names.len()], ..Self::default() };
        let all: Vec<Vec<Link>> = sets.iter().map(links).collect();
        let most = all.iter().map(Vec::len).max().unwrap_or(0);
        for k in 0..most {
            let here: Vec<Option<&Link>> = all.iter().map(|l| l.get(k)).collect();
            match here[..] {
                [Some((one, to_two)), Some((two, to_one))] if to_two != to_one => {
                    ways.apart((one, to_two), (two, to_one));
                }
                _ => {
                    if let Some((interface, peers)) = here.into_iter().flatten().next() {
                        ways.together(interface, peers, names, busy);
                    }
                }
            }
        }
        ways
    }

    /// Two files that name the other node each.
    fn apart(&mut self, one: (&String, &[String]), two: (&String, &[String])) {
        let only = |of: &[String], not: &[String]| {
            of.iter().filter(|p| !not.contains(p)).find_map(|p| p.parse::<IpAddr>().ok())
        };
        let first = only(two.1, one.1);
        let second = only(one.1, two.1);
        for (node, (ip, interface)) in [(first, one.0), (second, two.0)].into_iter().enumerate() {
            if let (Some(ip), Some(own)) = (ip, self.own.get_mut(node)) {
                own.push((ip, interface.clone()));
            }
        }
    }

    /// One file for all nodes: it has a line for each of them, or the line of the first one is missing, as it is
    /// the file of the first one.
    fn together(&mut self, interface: &str, peers: &[String], names: &[String], busy: &[IpAddr]) {
        let named = |name: &String| peers.iter().any(|p| p.eq_ignore_ascii_case(name));
        let ips: Vec<IpAddr> = peers.iter().filter_map(|p| p.parse().ok()).collect();
        let free: Vec<usize> = (0..names.len()).filter(|n| !named(&names[*n])).collect();
        if ips.is_empty() {
            for n in free {
                let name = &names[n];
                self.guesses.push(format!("ha.cf of the others has `ucast {interface} {name}`"));
                self.missing.push(format!("ucast {interface} {name}"));
            }
            return;
        }
        let behind = free.len().saturating_sub(ips.len());
        let turned = behind == 1 && ips.len() == 1 && is_of(ips[0], &free, names);
        let mut with: Vec<usize> = free.iter().copied().skip(behind).collect();
        let mut without: Vec<usize> = free.iter().copied().take(behind).collect();
        if turned {
            std::mem::swap(&mut with, &mut without);
        }
        for (n, ip) in with.into_iter().zip(&ips) {
            self.guesses.push(format!("{} has {ip} on `{interface}`, as `ucast` has it", names[n]));
            self.own[n].push((*ip, interface.to_owned()));
        }
        for n in without {
            let Some(ip) = self.beside(ips[0], busy, &ips) else { continue };
            let name = &names[n];
            self.guesses.push(format!(
                "{name} has {ip} on `{interface}`, and ha.cf of the others `ucast {interface} {ip}`"
            ));
            self.missing.push(format!("ucast {interface} {ip}"));
            self.own[n].push((ip, interface.to_owned()));
        }
    }

    /// A free address beside one.
    fn beside(&self, ip: IpAddr, busy: &[IpAddr], ips: &[IpAddr]) -> Option<IpAddr> {
        let last = match ip {
            IpAddr::V4(ip) => u128::from(ip.octets()[3]),
            IpAddr::V6(ip) => ip.to_bits() & 0xff,
        };
        let base = later(ip, last.wrapping_neg());
        let below = (1..last).rev();
        let mut all = below.chain(last + 1..255).map(|n| later(base, n));
        let own = |ip: &IpAddr| self.own.iter().flatten().any(|(o, _)| o == ip);
        all.find(|ip| !busy.contains(ip) && !ips.contains(ip) && !own(ip))
    }
}

/// Whether an address ends like the name of the first of two nodes, and not like that of the second: 10.1.0.41 is of
/// web1, not of web2.
fn is_of(ip: IpAddr, free: &[usize], names: &[String]) -> bool {
    let [one, two] = free else { return false };
    let shown = ip.to_string();
    let like = |n: usize| {
        let name = names[n].split('.').next().unwrap_or_default();
        let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        digits > 0 && shown.ends_with(&name[name.len() - digits..])
    };
    like(*one) && !like(*two)
}
