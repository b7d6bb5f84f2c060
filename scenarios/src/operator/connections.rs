//! The connection table in the layout of `ipvsadm -L -c`.

use super::name::{endpoint, protocol_name};
use crate::import::ipvsadm::Names;
use sim_core::observe::{ConnectionState, DirectorSnapshot};
use std::fmt::Write as _;

/// The table; with `engine` the data of persistence engines too.
pub(super) fn table(snapshot: &DirectorSnapshot, engine: bool, names: Option<&Names>) -> String {
    let mut out = String::from("IPVS connection entries\n");
    let (state, source, service) = ("state", "source", "virtual");
    let _infallible = if engine {
        let (server, name) = ("destination", "pe name");
        writeln!(
            out,
            "pro expire {state:<11} {source:<18} {service:<18} {server:<18} {name:<16} pe_data"
        )
    } else {
        writeln!(out, "pro expire {state:<11} {source:<18} {service:<18} destination")
    };
    for connection in &snapshot.connections {
        row(&mut out, connection, engine, names);
    }
    out
}

fn row(out: &mut String, c: &ConnectionState, engine: bool, names: Option<&Names>) {
    let [client, vip, server] =
        [c.client, c.vip, c.server].map(|address| endpoint(address, c.protocol, names));
    let seconds = c.expires.as_nanos() / 1_000_000_000;
    let expire = format!("{:02}:{:02}", seconds / 60, seconds % 60);
    let (protocol, state) = (protocol_name(c.protocol), c.state);
    let _infallible = write!(out, "{protocol:<3} {expire:<6} {state:<11} {client:<18} {vip:<18} ");
    let _infallible = match &c.call_id {
        Some(id) if engine => writeln!(out, "{server:<16} {:<18} {id}", "sip"),
        _ => writeln!(out, "{server}"),
    };
}
