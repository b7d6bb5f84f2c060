//! `timing.json`: how long it took. The only file that may differ between two runs.

use super::Study;
use serde_json::{Value, json};

pub(super) fn timing(study: &Study<'_>) -> Value {
    let variants: Vec<Value> = study
        .outcomes
        .iter()
        .map(|o| {
            let wall = o.timing.wall_s.max(1e-9);
            let per_s = |n: u64| n as f64 / wall;
            json!({
                "name": o.variant.name,
                "wall_s": o.timing.wall_s,
                "events_per_s": per_s(o.observations.events),
                "hops_per_s": per_s(o.observations.ip_hops),
                "simulated_s_per_s": o.observations.end.as_secs_f64() / wall,
            })
        })
        .collect();
    json!({ "variants": variants, "peak_memory_bytes": peak_memory() })
}

/// The largest resident set of the process so far (`VmHWM`), where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
