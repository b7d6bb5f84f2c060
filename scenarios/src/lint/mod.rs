//! Judgements on a set-up: what can be built and run, and yet will not do what its owner wants.
//!
//! Every judgement names the rule it rests on, and where a line is missing in the configuration of a
//! host, that line. Each has a test in which the simulation shows the harm.

mod cluster;
mod delivery;
mod limits;
mod scheduling;

use crate::build::keepalived::settled;
use crate::import::ipvsadm::PortMapping;
use cluster::Cluster;
use sim_core::config::WorldConfig;

/// Something doubtful about a set-up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Judgement {
    /// Short name for filters: `vip-missing`.
    pub name: &'static str,
    /// Where: a host, or the director and its service.
    pub place: String,
    /// What was found and what it leads to.
    pub message: String,
    /// The rule behind it.
    pub reason: &'static str,
    /// The line that is missing, or what to do.
    pub help: String,
}

/// Everything doubtful about the directors, real servers and clients of a world, each once, in order.
pub fn judge(config: &WorldConfig) -> Vec<Judgement> {
    let config = &settled(config);
    let cluster = Cluster::new(config);
    let mut found = Vec::new();
    delivery::judge(&cluster, &mut found);
    scheduling::judge(&cluster, &mut found);
    limits::judge(&cluster, &mut found);
    found.sort();
    found.dedup();
    found
}

/// The judgement on a port that rules ask of a method that cannot map it.
pub fn judge_mapping(mapping: &PortMapping) -> Judgement {
    delivery::asked(mapping)
}

/// The names of all judgements.
pub const NAMES: &[&str] = &[
    "active-connections-of-udp",
    "client-beside-server",
    "client-without-service",
    "cluster-not-on-link",
    "forwarding-off",
    "gateway-is-director",
    "gateway-not-director",
    "local-address-missing",
    "one-destination-address",
    "one-packet-by-nat",
    "port-nobody-serves",
    "port-mapping",
    "quiesced-persistence",
    "redirects-to-servers",
    "servers-without-slots",
    "threshold-full-of-closed",
    "tunnel-filtered",
    "tunnel-missing",
    "tunnel-too-narrow",
    "vip-announced",
    "vip-answered",
    "vip-missing",
];
