//! How well the hash tables share: `cargo run --release -p schedulers --example table_quality`.
#![expect(clippy::print_stdout, reason = "a command that prints")]

mod report;

fn main() {
    print!("{}", report::report());
}
