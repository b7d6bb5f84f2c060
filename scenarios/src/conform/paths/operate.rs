//! Commands typed on a host while a case goes on.

use super::tables;
use crate::import::ipvsadm::{self as import, Action, Names};
use core::fmt;
use sim_core::engine::{Span, Time};
use sim_core::hosts::fabric::Reason;
use sim_core::hosts::script::{Act, Outcome, Script};
use sim_core::wire::{Kind, MacId};
use sim_core::world::World;
use std::net::IpAddr;

/// Identifier of the echo requests of `ping`.
const IDENTIFIER: u16 = 0x368;

/// A command that was started, and what it is waiting for.
#[derive(Clone, Debug)]
pub(super) struct Started {
    command: String,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// It changed something and prints nothing.
    Change,
    /// `ip neigh show ADDRESS`: what it printed.
    Neighbours(Vec<String>),
    /// `ip addr show dev NAME`.
    Addresses(String),
    /// `ip -s link show`: the errors of a tunnel device by now.
    Errors(u64),
    /// `ping`: the script.
    Ping(u32),
    /// `arping`: the address asked for.
    Arping(IpAddr, Time),
}

impl fmt::Display for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.command)
    }
}

/// A command that has changed the packet filter.
pub(super) fn changed(command: &str) -> Started {
    Started { command: command.to_owned(), what: What::Change }
}

/// Starts a command on a host.
///
/// # Errors
/// The command is not understood.
pub(super) fn start(world: &mut World, host: usize, command: &str) -> Result<Started, String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let unknown = || format!("not understood: {command}");
    let address = |text: &str| text.parse::<IpAddr>().map_err(|_| unknown());
    let what = match &words[..] {
        ["ip", "neigh", "show", ip] => {
            let of = format!("{ip} ");
            let lines = tables::neighbour_lines(world, host);
            What::Neighbours(lines.into_iter().filter(|l| l.starts_with(&of)).collect())
        }
        ["ip", "addr", "show", "dev", name] => What::Addresses((*name).to_owned()),
        // of what a device counts, only packets with a wrong checksum are simulated
        ["ip", "-s", "link", "show", _] => {
            What::Errors(world.dropped(host, Reason::TunnelChecksum).packets)
        }
        ["ipvsadm", ..] => {
            ipvsadm(world, host, command)?;
            What::Change
        }
        ["ping", options @ .., ip] => {
            let count = options.iter().find_map(|o| o.strip_prefix("-c")?.parse().ok());
            What::Ping(ping(world, host, address(ip)?, count.unwrap_or(1)))
        }
        ["arping", options @ .., ip] => {
            let name = options.iter().position(|o| *o == "-I").and_then(|at| options.get(at + 1));
            let ip = address(ip)?;
            arping(world, host, name.ok_or_else(unknown)?, ip);
            What::Arping(ip, world.now())
        }
        _ => return Err(unknown()),
    };
    Ok(Started { command: command.to_owned(), what })
}

/// Compares what a command has printed by now with the recorded lines: how many things were compared.
///
/// # Errors
/// What differs.
pub(super) fn compare(
    world: &mut World,
    host: usize,
    started: &Started,
    recorded: &[&str],
) -> Result<usize, String> {
    let (theirs, ours) = match &started.what {
        What::Change => return Ok(1),
        What::Neighbours(lines) => {
            (recorded.iter().map(|l| l.trim_end().to_owned()).collect(), lines.clone())
        }
        What::Addresses(name) => (inet(recorded), addresses(world, host, name)),
        What::Errors(errors) => (vec![received_errors(recorded)], vec![errors.to_string()]),
        What::Ping(script) => (received(recorded), answers(world, host, *script)),
        What::Arping(ip, since) => {
            let line = recorded.iter().find(|l| l.starts_with("Received ")).copied();
            (vec![line.unwrap_or_default().to_owned()], vec![responses(world, *ip, *since)])
        }
    };
    if theirs == ours {
        return Ok(theirs.len());
    }
    Err(format!("recorded {}, ours {}", theirs.join("; "), ours.join("; ")))
}

/// Changes the rules of a director.
fn ipvsadm(world: &mut World, host: usize, command: &str) -> Result<(), String> {
    let action = import::line(crate::diagnostic::FileId::default(), 0, command, Names::NONE);
    let action = action.map_err(|problems| {
        let first = problems.first().map_or("", |p| p.message.as_str());
        format!("{command}: {first}")
    })?;
    let Some(Action::Change(change)) = action else {
        return Err(format!("not a change of rules: {command}"));
    };
    world.change_rules(host, &change).map_err(|why| format!("{command}: {why}"))
}

fn ping(world: &mut World, host: usize, to: IpAddr, count: usize) -> u32 {
    let target = (world.book().number(to), 0);
    let mut acts = Vec::new();
    for n in 0..count {
        if n > 0 {
            acts.push(Act::Sleep(Span::from_secs(1)));
        }
        acts.push(Act::Echo(56));
    }
    let patience = Span::from_secs(1);
    let script = Script { target, source: None, port: IDENTIFIER, patience, acts, gives_up: false };
    world.at_host(host, |h, fab| h.begin_script(fab, script)).unwrap_or_default()
}

/// Asks for an address without looking into the table of neighbours.
fn arping(world: &mut World, host: usize, name: &str, ip: IpAddr) {
    let target = world.book().number(ip);
    world.at_host(host, |h, fab| {
        let Some(number) = h.ip.interfaces.iter().position(|i| i.name == name) else { return };
        let Some(own) = h.ip.interfaces[number].addresses.first().map(|a| a.ip) else { return };
        // the program writes the address it sends to into the place of the unknown one
        let all = MacId::BROADCAST;
        h.ip.send_arp(fab, number as u16, Kind::ArpRequest, (own, target), all, all);
    });
}

/// How many ARP replies for an address came in since the question; the frames of the host are kept.
fn responses(world: &mut World, ip: IpAddr, since: Time) -> String {
    let target = world.book().number(ip);
    let kept = world.take_kept();
    let of = |k: &&sim_core::observe::capture::Kept| {
        k.at >= since && k.frame.packet.kind == Kind::ArpReply && k.frame.packet.src == target
    };
    format!("Received {} response(s)", kept.iter().filter(of).count())
}

/// The third number below `RX:`.
fn received_errors(recorded: &[&str]) -> String {
    let title = recorded.iter().position(|l| l.trim_start().starts_with("RX:"));
    let numbers = title.and_then(|at| recorded.get(at + 1)).copied().unwrap_or_default();
    numbers.split_whitespace().nth(2).unwrap_or_default().to_owned()
}

/// The summary of a ping: `2 packets transmitted, 2 received`.
fn received(recorded: &[&str]) -> Vec<String> {
    let line = recorded.iter().find(|l| l.contains("packets transmitted"));
    let parts = line.map(|l| l.split(", ").take(2).collect::<Vec<_>>().join(", "));
    vec![parts.unwrap_or_default()]
}

fn answers(world: &World, host: usize, script: u32) -> Vec<String> {
    let Some(progress) = world.hosts()[host].scripts.get(script) else { return Vec::new() };
    let echoes = progress.results.iter().filter(|r| r.1 != Outcome::Done);
    let came = echoes.clone().filter(|r| matches!(r.1, Outcome::Received { .. })).count();
    vec![format!("{} packets transmitted, {came} received", echoes.count())]
}

/// The IPv4 addresses among the lines of `ip addr`, with `secondary` where it says so.
fn inet(recorded: &[&str]) -> Vec<String> {
    let lines = recorded.iter().filter_map(|l| l.trim_start().strip_prefix("inet "));
    lines
        .map(|line| {
            let address = line.split_whitespace().next().unwrap_or_default();
            let kind = if line.contains(" secondary ") { " secondary" } else { "" };
            format!("{address}{kind}")
        })
        .collect()
}

/// The same of a simulated interface: an address is secondary if an earlier one has its prefix.
fn addresses(world: &mut World, host: usize, name: &str) -> Vec<String> {
    let book = world.book().clone();
    let interfaces = &world.hosts()[host].ip.interfaces;
    let Some(interface) = interfaces.iter().find(|i| i.name == name) else { return Vec::new() };
    let nets: Vec<_> = interface
        .addresses
        .iter()
        .filter(|a| !a.ip.is_v6())
        .map(|a| sim_core::config::Net::new(book.address(a.ip), a.len))
        .collect();
    nets.iter()
        .enumerate()
        .map(|(n, net)| {
            let earlier = nets[..n].iter().any(|e| e.network() == net.network());
            format!("{net}{}", if earlier { " secondary" } else { "" })
        })
        .collect()
}
