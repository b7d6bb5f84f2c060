//! Memory of this process, as Linux tells it.

/// Peak resident memory in MB, 0 if the system does not tell.
pub fn peak() -> f64 {
    status("VmHWM:") / 1e6
}

/// Resident memory in bytes, 0 if the system does not tell.
pub fn resident() -> f64 {
    status("VmRSS:")
}

/// A value of `/proc/self/status` in bytes.
fn status(key: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kilobytes.map_or(0.0, |kb| kb * 1_024.0)
}
