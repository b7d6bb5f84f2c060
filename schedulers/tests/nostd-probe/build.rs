//! Links with the C library's memcpy and its like, without its start code; nothing unwinds.

fn main() {
    for argument in ["-nostartfiles", "-Wl,--defsym=rust_eh_personality=0", "-lc"] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}
