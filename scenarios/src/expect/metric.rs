//! Paths into a variant of `summary.json`.

use crate::format::words;
use crate::results::summary;
use serde_json::Value;
use sim_core::observe::SeriesPoint;

/// The first words of paths.
pub const ROOTS: [&str; 21] = [
    "connections",
    "requests",
    "throughput",
    "latency",
    "clients",
    "servers",
    "directors",
    "director_load",
    "links",
    "busiest_link",
    "drops",
    "packets",
    "hops",
    "events",
    "end",
    "availability",
    "outage",
    "vip",
    "failover",
    "pools",
    "series",
];

/// Below these the keys are names of the scenario.
const NAMED: [&str; 3] = ["availability.clients", "availability.services", "vip.addresses"];

/// The series of all virtual addresses together.
pub const HOLDERS: &str = "vip.holders";

/// Whether a path can lead to a metric: its first word is known, and where every run has the same
/// keys below, so are the others.
///
/// # Errors
/// A sentence that says so.
pub fn check(path: &str) -> Result<(), String> {
    let root = path.split('.').next().unwrap_or("");
    if ROOTS.contains(&root) {
        let below = |n: &str| path.strip_prefix(n).is_some_and(|rest| rest.starts_with('.'));
        if NAMED.into_iter().any(below) {
            return Ok(());
        }
        let fixed = summary::fixed();
        return fixed.get(root).map_or(Ok(()), |_| find(&fixed, path).map(drop));
    }
    let hint = words::nearest(root, ROOTS).map(|n| format!("; did you mean `{n}`?"));
    Err(format!(
        "there is no metric `{path}`{}",
        hint.unwrap_or_else(|| format!("; metrics start with {}", words::list(ROOTS)))
    ))
}

/// The value at a path of keys with dots. Keys may have dots themselves: the longest key that fits
/// is taken. The availability of something is the share of requests served.
///
/// # Errors
/// A sentence that says how far the path led and what there is.
pub fn find<'v>(root: &'v Value, path: &str) -> Result<&'v Value, String> {
    let mut value = root;
    let mut rest = path;
    while !rest.is_empty() {
        let Value::Object(map) = value else {
            return Err(format!("there is no metric `{path}`: nothing below `{rest}`"));
        };
        let fits = |key: &&String| {
            rest.strip_prefix(key.as_str()).is_some_and(|r| r.is_empty() || r.starts_with('.'))
        };
        let Some(key) = map.keys().filter(fits).max_by_key(|k| k.len()) else {
            let near = words::nearest(
                rest.split('.').next().unwrap_or(""),
                map.keys().map(String::as_str),
            );
            if map.is_empty() {
                return Err(format!("there is no metric `{path}`: there is nothing in it"));
            }
            let hint = near.map_or_else(
                || format!("; there are {}", words::list(map.keys().take(12))),
                |n| format!("; did you mean `{n}`?"),
            );
            return Err(format!("there is no metric `{path}`: no `{rest}`{hint}"));
        };
        value = &map[key];
        rest = rest[key.len()..].trim_start_matches('.');
    }
    // availability is the share of requests served
    let share = value.get("share").filter(|_| value.get("nines").is_some());
    Ok(share.unwrap_or(value))
}

/// The points of the series `series.KIND.NAME.METRIC`: seconds and value.
///
/// # Errors
/// There is no such series.
pub fn series(points: &[SeriesPoint], path: &str) -> Result<Vec<(f64, f64)>, String> {
    let wanted = path.strip_prefix("series.").unwrap_or(path);
    let name = |p: &SeriesPoint| format!("{}.{}.{}", p.kind, p.entity, p.metric);
    let all = |p: &SeriesPoint| path == HOLDERS && p.kind == "vip" && p.metric == "holders";
    let found: Vec<(f64, f64)> = points
        .iter()
        .filter(|p| name(p) == wanted || all(p))
        .map(|p| (p.time.as_secs_f64(), p.value))
        .collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let mut known: Vec<String> = points.iter().map(name).collect();
    known.sort();
    known.dedup();
    let near = words::nearest(wanted, known.iter().map(String::as_str));
    let hint = near.map(|n| format!("; did you mean `series.{n}`?")).unwrap_or_default();
    Err(format!("there is no time series `{path}`{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_with_dots_are_found() {
        let v =
            json!({"directors": {"d": {"destinations": {"10.0.0.1:80": {"weight": 3}, "10": 1}}}});
        let found = find(&v, "directors.d.destinations.10.0.0.1:80.weight");
        assert_eq!(found, Ok(&json!(3)));
    }

    #[test]
    fn a_wrong_path_says_where_it_ends() {
        let v = json!({"latency": {"complete": {"p99": 1.0}}});
        assert!(
            find(&v, "latency.complet.p99").is_err_and(|e| e.contains("did you mean `complete`"))
        );
        assert!(find(&v, "latency.complete.p99.x").is_err());
        assert!(check("latncy.x").is_err_and(|e| e.contains("latency")));
        assert!(check("latency.x").is_err_and(|e| e.contains("there are complete")));
        assert_eq!(check("latency.connect.p99"), Ok(()));
    }

    #[test]
    fn availability_and_its_parts_are_found_and_nothing_beside_them() {
        for path in [
            "availability",
            "availability.nines",
            "availability.lost.timed_out",
            "availability.outages.longest",
            "availability.clients.probe.share",
            "availability.services.10.0.0.1:80/tcp",
            "outage.count",
            "outage.longest",
            "vip.holders",
            "vip.holders.max",
            "vip.time_with_more",
            "vip.addresses.10.0.0.1.holders.max",
            "failover.takeover.mean",
            "pools.quorum_lost",
            "series.vip.10.0.0.1.holders",
        ] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
        let wrong = [
            ("availabilty", "did you mean `availability`?"),
            ("availability.nine", "did you mean `nines`?"),
            ("outage.counts", "did you mean `count`?"),
            ("outage.longest.x", "nothing below"),
            ("outages.longest", "did you mean `outage`?"),
            ("vip.holder", "did you mean `holders`?"),
            ("failover.takeovers.mean", "did you mean `takeover`?"),
            ("pools.quorum_losst", "did you mean `quorum_lost`?"),
        ];
        for (path, hint) in wrong {
            assert!(check(path).is_err_and(|e| e.contains(hint)), "{path}: {:?}", check(path));
        }
        let v = json!({"availability": {"share": 0.5, "nines": 0.3, "clients": {}}});
        assert_eq!(find(&v, "availability"), Ok(&json!(0.5)));
    }

    #[test]
    fn the_holders_of_all_addresses_are_one_series() {
        let point = |entity: &str, value| SeriesPoint {
            time: sim_core::engine::Time::ZERO,
            kind: "vip",
            entity: entity.to_owned(),
            metric: "holders",
            value,
        };
        let points = [point("10.0.0.1", 1.0), point("10.0.0.2", 2.0)];
        assert_eq!(series(&points, HOLDERS), Ok(vec![(0.0, 1.0), (0.0, 2.0)]));
        assert_eq!(series(&points, "series.vip.10.0.0.2.holders"), Ok(vec![(0.0, 2.0)]));
        assert!(series(&[], HOLDERS).is_err_and(|e| e.contains("no time series")));
    }
}
