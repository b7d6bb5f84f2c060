//! The shipped scenarios of two directors: what they expect comes out, and does not when its cause is gone or the
//! mistake is made.

use crate::support::Scratch;

/// A shipped scenario whose expectations hold, and one change after another with which one does not: what is set,
/// and what is then told of a variant.
fn tells(name: &str, changes: &[(&str, &str)]) {
    let s = Scratch::new(&format!("catalogue-{name}"));
    let (code, out, err) = s.lvsim(&["test", name]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(!out.contains("FAIL"), "{out}");
    for (set, told) in changes {
        let (code, out, err) = s.lvsim(&["test", name, "--set", set]);
        assert_eq!((code, err.as_str()), (1, ""), "{set}: {out}");
        let failed = out.lines().any(|l| l.contains("FAIL") && l.contains(told));
        assert!(failed, "{set}, {told}: {out}");
    }
}

#[test]
fn who_is_told_to_stop_is_followed_after_the_skew_time() {
    tells(
        "failover-clean",
        &[
            ("fault.stop.what=\"program frozen\"", "v2: failover.takeover.max"),
            ("fault.stop.at=\"1d\"", "v2: failover.takeover.max"),
        ],
    );
}
