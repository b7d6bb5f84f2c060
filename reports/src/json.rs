//! JSON files with the same bytes for the same value.

use std::io::{self, Write};

use serde::Serialize;

/// Writes a value as indented JSON with a newline at the end. Fields come in the order of the
/// type, NaN and infinities as `null`.
///
/// # Errors
/// What the writer reports, or a value that JSON cannot hold (a map with keys that are not
/// strings).
///
/// ```
/// let mut out = Vec::new();
/// reports::json::write_pretty(&[("p50", 0.5)], &mut out)?;
/// assert_eq!(String::from_utf8_lossy(&out), "[\n  [\n    \"p50\",\n    0.5\n  ]\n]\n");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn write_pretty<T: Serialize + ?Sized>(value: &T, mut out: impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from)?;
    out.write_all(b"\n")
}
