//! Recordings of real kernels and of real clusters, replayed: does lvsim decide as they did?
//!
//! A recording holds every operation on a director with one virtual service and everything that the
//! kernel (Linux 6.1.176) did: the destination of each packet or the ICMP error or RST instead of
//! it, the state of the connection, the counters and the order of the destinations, dumps of the
//! connection table. A replay compares all of it. Another kind of recording holds the states and
//! timers of single connections, a third the packets of whole networks ([`paths`]), a fourth clusters with
//! keepalived or heartbeat ([`ha`]).

mod director;
pub mod ha;
mod line;
pub mod paths;
mod read;
mod recording;
mod replay;
mod simulated;
mod timers;

pub use recording::Recording;
pub use replay::Difference;

use crate::diagnostic::{FileId, Problem};
use recording::{Admin, Op};
use schedulers::Algorithm;
use sim_core::engine::Span;
use sim_core::ipvs::Clock;
use simulated::Simulated;

/// What a text is, by its first line that is not blank.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    /// A recording of a director with one virtual service.
    Service,
    /// Recordings of the timers of connections.
    Timers,
    /// JSON lines of another kind.
    Foreign,
    /// No JSON lines.
    Other,
}

/// What a replay came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// No difference.
    Agrees {
        /// How many operations were replayed.
        operations: usize,
    },
    /// The first difference.
    Differs(Difference),
    /// It was not replayed; why.
    Skipped(String),
}

/// What a text is.
pub fn recognise(text: &str) -> Content {
    read::recognise(text)
}

/// Reads the recordings of a text. Everything that is wrong is added to `problems`; then there is
/// none.
pub fn read(file: FileId, text: &str, problems: &mut Vec<Problem>) -> Option<Vec<Recording>> {
    match recognise(text) {
        Content::Timers => timers::read(file, text, problems),
        _ => read::read(file, text, problems).map(|recording| vec![recording]),
    }
}

/// Replays recordings up to the first that does not agree.
pub fn judge(recordings: &[Recording]) -> Verdict {
    let mut all = 0;
    for recording in recordings {
        match judge_one(recording) {
            Verdict::Agrees { operations } => all += operations,
            verdict => return verdict,
        }
    }
    Verdict::Agrees { operations: all }
}

/// Replays a recording through the director of the simulator.
///
/// A recording does not tell at which phase of its clock the kernel was, which decides when timers
/// of a few seconds run, up to 80 ms late. If exact timers make a difference, there must be a phase
/// that makes none.
fn judge_one(recording: &Recording) -> Verdict {
    let chance = chance(recording);
    if !chance.is_empty() {
        return Verdict::Skipped(chance.join(", "));
    }
    let mut best = match play(recording, Clock::Exact) {
        Ok(operations) => return Verdict::Agrees { operations },
        Err(difference) => difference,
    };
    for phase in (0..80).map(Span::from_millis) {
        match play(recording, Clock::Ticks { phase }) {
            Ok(operations) => return Verdict::Agrees { operations },
            Err(difference) if difference.line > best.line => best = difference,
            Err(_) => {}
        }
    }
    Verdict::Differs(best)
}

fn play(recording: &Recording, clock: Clock) -> Result<usize, Difference> {
    let director = Simulated::new(&recording.header, clock);
    let mut director = director.map_err(|text| Difference { line: 1, text })?;
    replay::replay(recording, &mut director)
}

/// The settings of a recording.
fn settings(recording: &Recording) -> impl Iterator<Item = (&str, u64)> {
    recording.steps.iter().filter_map(|step| match &step.op {
        Op::Admin(Admin::Sysctl(key, value), _) => Some((key.as_str(), *value)),
        _ => None,
    })
}

/// The settings, `net.ipv4.vs.*`, that a replay understands.
const KNOWN: [&str; 11] = [
    "am_droprate",
    "conn_reuse_mode",
    "drop_entry",
    "drop_packet",
    "expire_nodest_conn",
    "expire_quiescent_template",
    "lblc_expiration",
    "lblcr_expiration",
    "secure_tcp",
    "sloppy_sctp",
    "sloppy_tcp",
];

/// What the kernel did by chance, or what nobody here knows.
fn chance(recording: &Recording) -> Vec<String> {
    let mut reasons = Vec::new();
    let twos = |op: &Op| {
        matches!(op, Op::Admin(Admin::EditService { scheduler, .. }, _)
            if *scheduler == Algorithm::Twos)
    };
    if recording.header.scheduler == Algorithm::Twos || recording.steps.iter().any(|s| twos(&s.op))
    {
        reasons.push("twos draws random numbers".to_owned());
    }
    for (key, _) in settings(recording) {
        if !KNOWN.contains(&key) {
            reasons.push(format!("the setting {key} is not replayed"));
        }
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Sources, render};
    use std::path::Path;

    fn recording(name: &str) -> Recording {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/sched");
        let text = std::fs::read_to_string(folder.join(name).with_extension("jsonl")).unwrap();
        assert_eq!(recognise(&text), Content::Service);
        parse(&text)
    }

    fn parse(text: &str) -> Recording {
        let mut sources = Sources::default();
        let file = sources.add("x.jsonl", text);
        let mut problems = Vec::new();
        let recordings = read(file, text, &mut problems);
        let first = recordings.and_then(|all| all.into_iter().next());
        first.unwrap_or_else(|| panic!("{}", render(&sources, &problems, false)))
    }

    #[test]
    fn timers_that_run_late_are_found_by_the_phase_of_the_clock() {
        let recording = recording("x-lblcr-idle0");
        let operations = recording.steps.len();
        assert_eq!(play(&recording, Clock::Exact).unwrap_err().line, 37);
        assert_eq!(judge_one(&recording), Verdict::Agrees { operations });
    }

    #[test]
    fn what_nobody_can_foresee_is_skipped() {
        let header = r#"{"op":"header","format":1,"hz":100,"sh_tab_bits":8,"mh_tab_index":12,
            "scheduler":"twos","sched_flags":[],"forwarding":"Route","family":4,"persist":null,
            "service":{"proto":"tcp","vip":"10.1.1.100","port":80},"netmask":null,"ops":false}"#;
        let header = header.replace('\n', "");
        let skipped = |text: &str| match judge_one(&parse(text)) {
            Verdict::Skipped(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(skipped(&header), "twos draws random numbers");
        let cache = r#"{"op":"sysctl","key":"net.ipv4.vs.cache_bypass","value":1,"t_ms":0}"#;
        let text = format!("{}\n{cache}\n", header.replace("twos", "rr"));
        assert_eq!(skipped(&text), "the setting cache_bypass is not replayed");
        let edit = r#"{"op":"edit_service","scheduler":"twos","cmd":"ipvsadm -E","t_ms":5}"#;
        let text = format!("{}\n{edit}\n", header.replace("twos", "rr"));
        assert_eq!(skipped(&text), "twos draws random numbers");
    }

    #[test]
    fn texts_are_recognised_by_their_first_line() {
        assert_eq!(recognise("{\"op\":\"header\",\"case\":\"x\"}\n"), Content::Foreign);
        assert_eq!(recognise("# Recordings\n{\"op\":\"header\"}"), Content::Other);
        assert_eq!(recognise("\n{\"op\":\"x\"}\n"), Content::Foreign);
        assert_eq!(recognise(""), Content::Other);
        assert_eq!(recognise("[1]\n"), Content::Other);
    }
}
