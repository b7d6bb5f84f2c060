//! Any text: no panic, and every problem stands in the text and can be shown.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run commands fuzz/corpus/commands tests/fuzz-seeds/commands` in `scenarios/`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/it/parsers.rs"]
mod parsers;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        parsers::parse(parsers::Parser::Commands, text);
    }
});
