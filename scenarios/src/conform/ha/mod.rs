//! Recorded cases of clusters that stay up: real keepalived and real heartbeat on real kernels, whose
//! configurations are run as scenarios and whose every state, message, announcement, pool and interval must
//! come out.

pub mod case;
pub mod course;
pub mod heartbeat;
pub mod interval;
pub mod keepalived;
pub mod lab;
pub mod observed;
pub mod play;
pub mod probes;

pub use case::Case;
pub use interval::{Interval, Report};

/// Plays a case and compares it with what was recorded.
///
/// # Errors
/// Why it cannot be played.
pub fn judge(case: &Case) -> Result<Report, String> {
    match case.subject {
        case::Subject::Keepalived => keepalived::judge(case),
        case::Subject::Heartbeat => heartbeat::judge(case),
    }
}
