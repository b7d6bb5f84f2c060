//! Recordings of a real kernel, replayed.
//!
//! `tests/golden/*.jsonl` were recorded from Linux 6.1.176 (Debian user-mode-linux, HZ=100), one
//! network namespace per trace; every `chosen` was read from the frame that left the director and
//! every counter from `/proc/net/ip_vs`. They are a selection: one or more per rule.

use std::path::{Path, PathBuf};

use crate::trace::replay;

fn traces() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = std::fs::read_dir(folder).expect("the folder of the recordings");
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("a readable folder").path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "jsonl"));
    paths.sort();
    paths
}

#[test]
fn every_recorded_choice_order_and_counter_is_reproduced() {
    let mut choices = 0;
    let mut differences = Vec::new();
    for path in traces() {
        let text = std::fs::read_to_string(&path).expect("a readable recording");
        match replay(&text) {
            Ok(n) => choices += n,
            Err(e) => differences.push(format!("{}: {e}", path.display())),
        }
    }
    assert!(differences.is_empty(), "{}\n({choices} choices agreed)", differences.join("\n"));
    assert!(choices > 1000, "only {choices} choices were compared");
}
