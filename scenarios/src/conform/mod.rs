//! Recordings of a real kernel, replayed: does lvsim decide as it did?
//!
//! A recording holds every operation on a director with one virtual service and everything that the
//! kernel (Linux 6.1.176) did: the destination of each packet or the ICMP error or RST instead of
//! it, the state of the connection, the counters and the order of the destinations, dumps of the
//! connection table. A replay compares all of it.

mod director;
mod line;
mod read;
mod recording;
mod replay;
mod simulated;

pub use recording::Recording;
pub use replay::Difference;

use crate::diagnostic::{FileId, Problem};
use recording::{Admin, Key, Op, Protocol};
use simulated::Simulated;

/// What a replay came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// No difference in so many operations.
    Agrees(usize),
    /// The first difference.
    Differs(Difference),
    /// It was not replayed; why.
    Skipped(String),
}

/// Whether a text is a recording, by its first line.
pub fn looks_like(text: &str) -> bool {
    read::looks_like(text)
}

/// Reads a recording. Everything that is wrong with it is added to `problems`; then there is none.
pub fn read(file: FileId, text: &str, problems: &mut Vec<Problem>) -> Option<Recording> {
    read::read(file, text, problems)
}

/// Replays a recording.
pub fn judge(recording: &Recording) -> Verdict {
    let needs = needs(recording);
    if !needs.is_empty() {
        return Verdict::Skipped(needs.join(", "));
    }
    let mut director = match Simulated::new(&recording.header) {
        Ok(director) => director,
        Err(why) => return Verdict::Skipped(why),
    };
    match replay::replay(recording, &mut director) {
        Ok(compared) => Verdict::Agrees(compared),
        Err(difference) => Verdict::Differs(difference),
    }
}

/// What a recording needs that the simulator's director does not have.
fn needs(recording: &Recording) -> Vec<String> {
    let header = &recording.header;
    let mut needs = Vec::new();
    match header.key {
        Key::Mark(_) => needs.push("firewall marks".to_owned()),
        Key::Address(Protocol::Sctp, _) => needs.push("SCTP".to_owned()),
        Key::Address(_, at) if at.is_ipv6() => needs.push("IPv6".to_owned()),
        Key::Address(..) => {}
    }
    if header.persistence.is_some() {
        needs.push("persistence".to_owned());
    }
    if header.one_packet {
        needs.push("one-packet scheduling".to_owned());
    }
    for step in &recording.steps {
        if let Op::Admin(Admin::Sysctl(key, value), _) = &step.op {
            match (key.as_str(), value) {
                ("conn_reuse_mode" | "expire_nodest_conn" | "sloppy_tcp" | "secure_tcp", _)
                | ("drop_packet" | "drop_entry", 0..=2) => {}
                _ => needs.push(format!("{key} = {value}")),
            }
        }
    }
    needs
}
