//! The options of `-L`.

use super::action::{Listing, View};
use super::line::Line;
use super::service::target;
use crate::diagnostic::Problem;

/// What a `-L` line shows.
pub(super) fn listing(line: &Line<'_>, problems: &mut Vec<Problem>) -> Option<Listing> {
    let given = |long: &str| line.given(long).is_some();
    let table = ["connection", "timeout", "daemon"].into_iter().find_map(|o| line.given(o));
    if let Some(table) = table {
        let engine = table.opt.long != "connection";
        let others = ["stats", "rate", "thresholds"].into_iter();
        for other in others.chain(engine.then_some("persistent-conn")) {
            if let Some(given) = line.given(other) {
                let message = "options conflicts in the list command";
                let label = format!("cannot be listed with --{}", table.opt.long);
                problems.push(Problem::new(&given.place, message, label));
            }
        }
    }
    let service = match line.service() {
        Some(_) => Some(target(line, problems)?),
        None => None,
    };
    let view = match table.map(|g| g.opt.long) {
        Some("connection") => View::Connections { engine: given("persistent-conn") },
        Some("timeout") => View::Timeout,
        Some(_) => View::Daemon,
        None if given("stats") => View::Stats,
        None if given("rate") => View::Rate,
        None if given("thresholds") => View::Thresholds,
        None if given("persistent-conn") => View::PersistentConn,
        None if given("tun-info") => View::TunInfo,
        None => View::Services,
    };
    Some(Listing {
        view,
        service,
        numeric: given("numeric"),
        exact: given("exact"),
        unsorted: given("nosort"),
    })
}
