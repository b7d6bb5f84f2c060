//! Recorded packet paths: whole networks of real stacks, every frame of every interface.
//!
//! A case is checked twice. As a black box, the frames that came in to the director (and the router)
//! go into a simulated one, and what it sends must be what was recorded: see [`blackbox`]. End to end,
//! its network, set-up and requests must give the recorded results and tables: see [`endtoend`].

pub mod blackbox;
pub mod case;
pub mod endtoend;
mod fields;
mod operate;
pub mod pcap;
mod plan;
mod setup;
mod tables;

pub use blackbox::Outcome;
pub use case::Case;

/// Checks every host of a case that is looked at as a black box: the first that differs or is skipped
/// decides.
pub fn black_box(case: &Case) -> Outcome {
    let mut compared = 0;
    let mut skipped = None;
    for (host, interfaces) in blackbox::boxes(case) {
        match blackbox::judge(case, &host, &interfaces) {
            Outcome::Agrees(n) => compared += n,
            Outcome::Skipped(why) => skipped = skipped.or(Some(why)),
            differs @ Outcome::Differs(_) => return differs,
        }
    }
    match skipped {
        Some(why) => Outcome::Skipped(why),
        None if compared == 0 => Outcome::Skipped("nothing was captured".to_owned()),
        None => Outcome::Agrees(compared),
    }
}

/// Plays a case from its network, its set-up and its requests: results and tables.
pub fn end_to_end(case: &Case) -> Outcome {
    endtoend::judge(case)
}
