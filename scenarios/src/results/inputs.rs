//! `manifest.json`: what it takes to get the same results again.

use super::Study;
use super::folder::PROGRAM;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// The SHA-256 of a text in hex.
pub fn sha256(text: &str) -> String {
    let mut hex = String::new();
    for byte in Sha256::digest(text.as_bytes()) {
        let _infallible = write!(hex, "{byte:02x}");
    }
    hex
}

/// The digest of all variants: the first one's if there is one, else a fold in their order.
pub(super) fn digest(study: &Study<'_>) -> u64 {
    let mut digests = study.outcomes.iter().map(|o| o.observations.digest);
    let first = digests.next().unwrap_or(0);
    digests.fold(first, |sum, d| (sum.rotate_left(7) ^ d).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// The files that were read, by name.
pub(super) fn files<'a>(study: &'a Study<'_>) -> impl Iterator<Item = (&'a str, String)> {
    let sources: Vec<_> = study.scenario.sources.iter().collect();
    // a part of a text that is read by itself has the name of the text
    let first = |n: usize| !sources[..n].iter().any(|(name, _)| *name == sources[n].0);
    let first: Vec<bool> = (0..sources.len()).map(first).collect();
    sources
        .into_iter()
        .zip(first)
        .filter_map(|(source, first)| first.then_some(source))
        .filter(|(name, _)| !matches!(*name, "--set" | "rules" | "setup" | "keepalived"))
        .map(|(name, text)| (name.rsplit('/').next().unwrap_or(name), sha256(text)))
}

pub(super) fn manifest(study: &Study<'_>) -> Value {
    let inputs: Vec<Value> =
        files(study).map(|(name, hash)| json!({ "file": name, "sha256": hash })).collect();
    let variants: Vec<Value> = study
        .outcomes
        .iter()
        .map(|o| {
            json!({
                "name": o.variant.name,
                "seed": o.variant.config.seed,
                "digest": format!("{:016x}", o.observations.digest),
            })
        })
        .collect();
    json!({
        "program": PROGRAM,
        "version": env!("CARGO_PKG_VERSION"),
        "scenario": study.scenario.name,
        "seed": study.scenario.seed,
        "digest": format!("{:016x}", digest(study)),
        "variants": variants,
        "inputs": inputs,
        "command": study.command,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_sha256() {
        // FIPS 180-2, appendix B.1
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256("abc"), abc);
    }
}
