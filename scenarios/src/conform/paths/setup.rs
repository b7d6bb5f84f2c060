//! What was typed on a host, as its configuration.

use super::case::Case;
use crate::build::setup::configure;
use crate::diagnostic::{Problem, Sources};
use crate::import::commands::{self, Context, Findings};
use crate::import::ipvsadm::Names;
use sim_core::config::{HostConfig, InterfaceConfig, InterfaceSysctl};

/// The configuration of a host of a case, with nothing running on it.
///
/// # Errors
/// The first command that is not understood or cannot be played.
pub(super) fn host(case: &Case, name: &str, interfaces: &[String]) -> Result<HostConfig, String> {
    host_after(case, name, interfaces, &[])
}

/// The same after more commands.
///
/// # Errors
/// As [`host`].
pub(super) fn host_after(
    case: &Case,
    name: &str,
    interfaces: &[String],
    more: &[String],
) -> Result<HostConfig, String> {
    let mut base = HostConfig {
        name: name.to_owned(),
        interfaces: interfaces.iter().map(|i| interface(case, name, i)).collect(),
        ..HostConfig::default()
    };
    let mut text = String::new();
    for command in case.typed_on(name).chain(more.iter().map(String::as_str)) {
        text.push_str(command);
        text.push('\n');
    }
    let mut sources = Sources::default();
    let file = sources.add(name, text.as_str());
    let mut findings = Findings::default();
    let mut context = Context { variables: &[], open: &mut |_| None };
    let read = commands::read(file, 0, &text, &mut context, &mut findings);
    let rules = commands::rules(&read, Names::NONE, &mut findings.problems);
    base.ipvs = rules.map(|r| r.config);
    let configured = configure(&base, &read, &mut findings);
    match findings.problems.first() {
        Some(problem) => Err(format!("{name}: {}", told(problem, &text))),
        None => Ok(configured.host),
    }
}

/// A problem with the line that it is about.
fn told(problem: &Problem, text: &str) -> String {
    let line = problem.place.as_ref().and_then(|place| {
        let before = text.get(..place.span.start)?.rfind('\n').map_or(0, |n| n + 1);
        text.get(before..)?.lines().next()
    });
    format!("{}: {}", line.unwrap_or_default(), problem.message)
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
