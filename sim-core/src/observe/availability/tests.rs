use super::*;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;
const MILLI: u64 = 1_000_000;

fn ms(n: u64) -> Time {
    Time::from_nanos(n * MILLI)
}

fn s(n: u64) -> Time {
    ms(n * 1000)
}

fn stream() -> Stream {
    Stream::new(OutageRule::default())
}

fn times(seen: &Availability) -> Vec<(Time, Time, u64)> {
    seen.outages.iter().map(|o| (o.begin, o.end, o.lost())).collect()
}

#[test]
fn probes_that_time_out_one_by_one_are_one_outage() {
    let mut st = stream();
    for n in 0..10 {
        if (3..6).contains(&n) {
            st.lose(s(n), Failure::TimedOut);
        } else {
            st.serve(s(n));
        }
    }
    let seen = st.finish("probe", s(10));
    assert_eq!(times(&seen), [(s(3), s(6), 3)]);
    assert_eq!((seen.offered(), seen.served, seen.isolated), (10, 7, 0));
    assert!(seen.share().is_some_and(|share| (share - 0.7).abs() < 1e-12));
    assert_eq!(seen.downtime(), Span::from_secs(3));
}

#[test]
fn an_answer_that_comes_late_ends_an_outage_where_its_request_started() {
    let mut st = stream();
    st.serve(s(1));
    st.serve(s(9));
    for n in [2, 3, 5, 6] {
        st.lose(s(n), Failure::TimedOut);
    }
    st.serve(s(4));
    let seen = st.finish("probe", s(10));
    assert_eq!(times(&seen), [(s(2), s(4), 2), (s(5), s(9), 2)]);
}

#[test]
fn a_failure_among_successes_is_isolated() {
    let mut st = stream();
    for n in 0..1000 {
        // one of three real servers is gone
        if n % 3 == 0 {
            st.lose(ms(10 * n), Failure::Refused);
        } else {
            st.serve(ms(10 * n));
        }
    }
    let seen = st.finish("web", s(10));
    assert_eq!((seen.isolated, seen.outages.len()), (334, 0));
}

#[test]
fn many_failures_in_a_row_are_an_outage_however_short() {
    let mut st = stream();
    st.serve(ms(1));
    for n in 0..20 {
        st.lose(ms(2 + n), Failure::Refused);
    }
    st.serve(ms(30));
    for n in 0..19 {
        st.lose(ms(31 + n), Failure::Refused);
    }
    st.serve(ms(60));
    let seen = st.finish("web", s(1));
    assert_eq!(times(&seen), [(ms(2), ms(30), 20)]);
    assert_eq!(seen.isolated, 19);
}

#[test]
fn what_is_never_served_again_lasts_until_the_end() {
    let mut st = stream();
    st.lose(s(0), Failure::Refused);
    st.serve(s(1));
    st.lose(s(2), Failure::Unreachable);
    st.leave(s(3), s(4));
    st.leave(ms(3900), s(4));
    let seen = st.finish("web", s(4));
    assert_eq!(times(&seen), [(s(0), s(1), 1), (s(2), s(4), 2)]);
    assert_eq!(seen.outages.iter().map(|o| o.lasting).collect::<Vec<_>>(), [false, true]);
    assert_eq!((seen.undecided, seen.failed[Failure::Unfinished as usize]), (1, 1));
}

#[test]
fn a_broken_connection_belongs_to_the_outage_it_lived_through() {
    let mut st = stream();
    for n in [0, 1, 5, 20, 21] {
        st.serve(s(n));
    }
    st.lose(s(2), Failure::TimedOut);
    st.reset(s(0), s(6));
    st.reset(s(1), s(3));
    // opened after it, and broken before it
    st.reset(s(5), s(7));
    st.reset(s(0), s(1));
    let seen = st.finish("web", s(22));
    assert_eq!((seen.reset, seen.outages[0].reset), (4, 2));
}

#[test]
fn outages_of_several_clients_that_overlap_are_one() {
    let one = |begin, end| {
        let mut st = stream();
        st.serve(s(begin - 1));
        st.lose(s(begin), Failure::TimedOut);
        st.serve(s(end));
        st.finish("x", s(100))
    };
    let all = [one(10, 20), one(15, 25), one(40, 41)];
    let sum = Availability::union("all", &all);
    assert_eq!(times(&sum), [(s(10), s(25), 2), (s(40), s(41), 1)]);
    assert_eq!((sum.served, sum.lost()), (6, 3));
}

#[test]
fn a_year_of_probes_takes_little_memory_and_forgets_no_outage() {
    let mut st = stream();
    for n in 0..400_000 {
        // the loss is known five seconds later
        if n >= 5 && (n - 5) % 10_000 < 3 {
            st.lose(s(n - 5), Failure::TimedOut);
        }
        if n % 10_000 >= 3 {
            st.serve(s(n));
        }
    }
    assert!(st.gaps.len() <= st.most_gaps && st.most_gaps <= GAPS);
    let seen = st.finish("probe", s(400_000));
    assert_eq!(seen.outages.len(), 40);
    assert!(seen.outages.iter().all(|o| o.lost() == 3 && o.length() == Span::from_secs(3)));
}

#[test]
fn losses_beyond_counting_are_counted_together() {
    let mut st = stream();
    st.serve(s(0));
    for n in 0..100_000 {
        st.lose(ms(1000 + n), Failure::TimedOut);
    }
    assert!(st.tail.len() <= LOSSES);
    st.serve(s(200));
    let seen = st.finish("web", s(201));
    assert_eq!(times(&seen), [(s(1), s(200), 100_000)]);
}

#[test]
fn of_very_many_losses_the_times_are_rounded_and_none_is_forgotten() {
    let mut ledger = Ledger::new(OutageRule::default(), &[(0, "x".to_owned())]).0;
    for n in 0..200_000 {
        ledger.lose([0, NONE], ms(n * 2), Failure::TimedOut, ms(n * 2));
    }
    // ten milliseconds before the end there is no knowing
    ledger.lose([0, NONE], ms(10), Failure::Unfinished, ms(20));
    let losses = ledger.losses();
    assert!(losses.len() <= BREAKS && losses.is_sorted_by(|a, b| a.0 < b.0));
    assert_eq!(losses.iter().map(|l| l.1).sum::<u32>(), 200_000);
    assert_eq!(losses[1].0, ms(32));
}

#[test]
fn a_stream_serves_a_client_and_a_service_if_they_are_alone_with_each_other() {
    let name = |n: u32, s: &str| (n, s.to_owned());
    let alone = [name(0, "a"), name(1, "b"), name(1, "b")];
    assert_eq!(Ledger::new(OutageRule::default(), &alone).1, [[0, NONE], [1, NONE], [1, NONE]]);
    let shared = [name(0, "a"), name(1, "a"), name(1, "b")];
    assert_eq!(Ledger::new(OutageRule::default(), &shared).1, [[0, 2], [1, 2], [1, 3]]);
}

/// The definition, word by word.
fn defined(requests: &[(u64, u64, bool)], rule: OutageRule, end: u64) -> Vec<(Time, Time, u64)> {
    let mut served: Vec<u64> = requests.iter().filter(|r| r.2).map(|r| r.0).collect();
    served.sort_unstable();
    let mut edges: Vec<(u64, u64)> = Vec::new();
    let mut after = None;
    for at in served.into_iter().map(Some).chain([None]) {
        edges.push((after.map_or(0, |a: u64| a + 1), at.map_or(u64::MAX, |a| a + 1)));
        after = at;
    }
    let mut outages = Vec::new();
    for (after, before) in edges {
        let inside = |r: &&(u64, u64, bool)| !r.2 && r.0 + 1 > after && r.0 + 1 < before;
        let lost: Vec<u64> = requests.iter().filter(inside).map(|r| r.0).collect();
        let Some(&first) = lost.iter().min() else { continue };
        let until = if before == u64::MAX { end } else { before - 1 };
        let long = until - first >= rule.gap.as_nanos() || lost.len() >= rule.requests as usize;
        if long && (before == u64::MAX || before - after > FINEST_NS) {
            let count = lost.len() as u64;
            outages.push((Time::from_nanos(first), Time::from_nanos(until), count));
        }
    }
    outages
}

proptest! {
    #[test]
    fn whatever_the_order_of_ends_the_outages_are_those_of_the_definition(
        requests in prop::collection::vec((0..400u64, 0..3000u64, prop::bool::weighted(0.6)), 0..120),
        gap in 5..400u64,
        count in 1..30u32,
    ) {
        let rule = OutageRule { gap: Span::from_millis(gap), requests: count };
        // starts ten milliseconds apart at the least, or at once
        let mut requests: Vec<(u64, u64, bool)> = requests
            .into_iter()
            .map(|(start, life, served)| (start * 10 * MILLI, start * 10 * MILLI + life * MILLI, served))
            .collect();
        requests.sort_by_key(|r| r.1);
        let mut st = Stream::new(rule);
        for &(start, _, served) in &requests {
            let start = Time::from_nanos(start);
            if served { st.serve(start) } else { st.lose(start, Failure::TimedOut) }
        }
        let end = 20 * SECOND;
        let seen = st.finish("x", Time::from_nanos(end));
        prop_assert_eq!(times(&seen), defined(&requests, rule, end));
        prop_assert_eq!(seen.isolated + seen.outages.iter().map(Outage::lost).sum::<u64>(), seen.lost());
    }
}
