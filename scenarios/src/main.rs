//! The command `lvsim`.

fn main() {}
