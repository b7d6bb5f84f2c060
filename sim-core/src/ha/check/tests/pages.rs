//! Checks of pages.

use super::*;

fn http(urls: usize) -> CheckerConfig {
    let urls = (0..urls).map(|n| UrlConfig::new(&format!("/{n}"))).collect();
    let kind = CheckerKind::Http(HttpConfig { tls: false, urls, fast_recovery: false });
    CheckerConfig { delay_loop: secs(10.0), ..checker(kind, 11) }
}

fn page(status: u16) -> (Finding, Span) {
    (Finding::Page(Page { status, digest: None, found: true }), Span::ZERO)
}

fn paths(lab: &Lab) -> Vec<(f64, u64)> {
    let path = |q| match q {
        Question::Page { path, .. } => path,
        _ => 0,
    };
    lab.asked.iter().map(|a| ((a.0 - Time::ZERO).as_secs_f64(), path(a.2))).collect()
}

fn of(n: usize) -> u64 {
    crate::ha::probe::name(&format!("/{n}"))
}

#[test]
fn a_list_of_three_pages_takes_three_times_the_pause() {
    let mut lab = Lab::new(&config(lone(http(3))));
    lab.run(at(35.0), |_, _| page(200));
    let all = [(0.0, of(0)), (10.0, of(1)), (20.0, of(2)), (30.0, of(0))];
    assert_eq!(paths(&lab), all);
}

#[test]
fn a_page_that_fails_is_retried_then_polled_and_then_all_are_looked_at_again() {
    let mut check = http(2);
    check.delay_before_retry = secs(3.0);
    let mut lab = Lab::new(&config(lone(check)));
    // page 1 is bad from 25 to 50
    lab.run(at(69.0), |now, _| page(if now > at(25.0) && now < at(50.0) { 503 } else { 200 }));
    // the first to fail is page 1 at 30, down at 33; it is well at 53, the other at 63, itself at 73
    let seen: Vec<_> = paths(&lab).into_iter().filter(|p| p.0 >= 25.0).collect();
    let all = [(30.0, of(1)), (33.0, of(1)), (43.0, of(1)), (53.0, of(1)), (63.0, of(0))];
    assert_eq!(seen, all);
    assert_eq!(lab.removed(), Some(at(33.0)));
    assert_eq!(lab.checks.is_up(0, 0), Some(false), "not before all pages are good");
    lab.run(at(74.0), |_, _| page(200));
    assert_eq!(lab.checks.is_up(0, 0), Some(true));
}

#[test]
fn with_fast_recovery_there_is_no_pause_between_the_pages_of_a_server_that_is_down() {
    let mut check = http(3);
    let CheckerKind::Http(h) = &mut check.kind else { unreachable!("it is one of pages") };
    h.fast_recovery = true;
    let mut lab = Lab::new(&config(lone(check)));
    lab.run(at(29.0), |now, _| (page(if now < at(5.0) { 500 } else { 200 }).0, secs(0.5)));
    // down at 0.5; at 10.5 the first page is good, the others follow at once
    let all = [(0.0, of(0)), (10.5, of(0)), (11.0, of(1)), (11.5, of(2)), (22.0, of(0))];
    assert_eq!(paths(&lab), all);
}

#[test]
fn a_page_is_good_by_status_digest_and_expression() {
    let mut check = http(1);
    let CheckerKind::Http(h) = &mut check.kind else { unreachable!("it is one of pages") };
    h.urls[0].statuses = vec![(200, 200), (301, 302)];
    h.urls[0].digest = Some("9b3a0c85a887a256d6939da88aabd8cd".into());
    h.urls[0].regex = Some(RegexConfig { absent: true });
    let right = crate::ha::probe::name("9b3a0c85a887a256d6939da88aabd8cd");
    for (status, digest, found, good) in [
        (200, None, false, true),
        (302, Some(right), false, true),
        (302, Some(right + 1), false, false),
        (300, None, false, false),
        (200, None, true, false),
    ] {
        let mut lab = Lab::new(&config(lone(check.clone())));
        lab.run(at(1.0), |_, _| (Finding::Page(Page { status, digest, found }), Span::ZERO));
        assert_eq!(lab.checks.is_up(0, 0), Some(good), "{status} {digest:?} {found}");
    }
}

#[test]
fn a_page_that_does_not_come_has_failed() {
    for finding in [Finding::TimedOut, Finding::Closed, Finding::Reset, Finding::NoPort] {
        let mut lab = Lab::new(&config(lone(http(1))));
        lab.run(at(1.0), |_, _| (finding, Span::ZERO));
        assert_eq!(lab.checks.is_up(0, 0), Some(false), "{finding}");
    }
}
