//! The process against servers of two lines. Sequences are those of recordings of ldirectord 4.12 (fork=no,
//! checkinterval 2 s, time-outs 3 s); only `ipvsadm` is faster.

use super::*;
use crate::config::{Exchange, RealConfig, Runs, v4};
use crate::ha::probe::Page;
use crate::ipvs::rules::ServiceRule;
use crate::wire::proto;

const CALL: Span = Span::from_millis(10);

fn virtual_service() -> VirtualConfig {
    let vip = v4(192, 168, 10, 200);
    let key = ServiceKey::Address { protocol: proto::TCP, vip, port: 80 };
    let real = |last| RealConfig {
        rule: ServerRule { weight: 5, ..ServerRule::new(v4(192, 168, 10, last), 80) },
        exchange: None,
        external_failures: Vec::new(),
    };
    VirtualConfig {
        servers: vec![real(11), real(12)],
        check: CheckKind::Negotiate(Exchange::page("/index.html")),
        check_timeout: Span::from_secs(3),
        negotiate_timeout: Span::from_secs(3),
        check_interval: Span::from_secs(2),
        quiescent: true,
        ..VirtualConfig::new(ServiceRule::new(key))
    }
}

/// How a server answers.
#[derive(Clone, Copy)]
enum Mood {
    Well,
    Refusing,
    Silent,
}

struct Bench {
    now: Time,
    process: Ldirectord,
    moods: [Mood; 2],
    asked: Vec<(Time, u32, Finding)>,
    questions: Vec<(Time, Question)>,
    /// When, and what became of a server (its last number), or of the service (0).
    log: Vec<(Time, u8, &'static str, u16)>,
}

use crate::ha::probe::Question;

impl Bench {
    fn new(virtuals: Vec<VirtualConfig>) -> Self {
        let config = LdirectordConfig {
            virtuals,
            load: Runs::each(Span::from_millis(100)),
            command: Runs::each(CALL),
            ..LdirectordConfig::default()
        };
        let mut process = Ldirectord::new(config);
        process.start(Time::ZERO);
        let moods = [Mood::Well; 2];
        Self {
            now: Time::ZERO,
            process,
            moods,
            asked: Vec::new(),
            questions: Vec::new(),
            log: Vec::new(),
        }
    }

    fn take(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Ask { lane, inquiry } => {
                    self.questions.push((self.now, inquiry.question));
                    let IpAddr::V4(ip) = inquiry.target.0 else { unreachable!() };
                    let mood = self.moods[usize::from(ip.octets()[3] - 11)];
                    let well = match inquiry.question {
                        Question::Page { .. } => {
                            Finding::Page(Page { status: 200, digest: None, found: true })
                        }
                        Question::Echo => Finding::Echo,
                        _ => Finding::Connected,
                    };
                    let (span, finding) = match mood {
                        Mood::Well => (Span::from_millis(2), well),
                        Mood::Refusing => (Span::from_millis(1), Finding::Refused),
                        Mood::Silent => (inquiry.timeout, Finding::TimedOut),
                    };
                    self.asked.push((self.now + span, lane, finding));
                }
                Action::Service(_, true) => self.log.push((self.now, 0, "added", 0)),
                Action::Service(_, false) => self.log.push((self.now, 0, "removed", 0)),
                Action::Server(_, rule, weight) => {
                    let IpAddr::V4(ip) = rule.rip else { unreachable!() };
                    let what = if weight.is_some() { "weight" } else { "removed" };
                    self.log.push((self.now, ip.octets()[3], what, weight.unwrap_or(0)));
                }
                Action::Command(_) | Action::Check(..) => {}
            }
        }
    }

    fn run(&mut self, seconds: f64) {
        let end = self.now + Span::from_secs_f64(seconds);
        loop {
            let answer = self.asked.iter().map(|a| a.0).min().unwrap_or(Time::NEVER);
            let next = answer.min(self.process.next_deadline());
            if next > end {
                self.now = end;
                return;
            }
            self.now = next;
            let mut out = Vec::new();
            if let Some(at) = self.asked.iter().position(|a| a.0 == next) {
                let (_, lane, finding) = self.asked.remove(at);
                self.process.found(next, lane, finding, &mut out);
            } else {
                self.process.wake(next, &mut out);
                assert!(self.process.next_deadline() > next, "a deadline is done with");
            }
            self.take(out);
        }
    }

    /// What happened since the last look, without times.
    fn history(&mut self) -> Vec<(u8, &'static str, u16)> {
        self.log.drain(..).map(|(_, who, what, weight)| (who, what, weight)).collect()
    }
}

use core::net::IpAddr;

#[test]
fn at_the_start_each_server_comes_with_weight_1_is_quiesced_and_then_restored() {
    let mut bench = Bench::new(vec![VirtualConfig { start_order: vec![1], ..virtual_service() }]);
    bench.run(0.099);
    assert!(bench.log.is_empty());
    bench.run(1.0);
    let up = [(11, "weight", 5), (12, "weight", 5)];
    let start = [(0, "added", 0), (12, "weight", 1), (12, "weight", 0)];
    let start = [start.as_slice(), &[(11, "weight", 1), (11, "weight", 0)], &up].concat();
    assert_eq!(bench.history(), start);
}

#[test]
fn servers_are_removed_and_added_again_unless_quiescent_is_stated() {
    let given = virtual_service();
    let quiescent = VirtualConfig::new(given.service.clone()).quiescent;
    let config = VirtualConfig { quiescent, ..given };
    let mut bench = Bench::new(vec![config]);
    bench.run(1.0);
    let start = [(0, "added", 0), (11, "weight", 1), (11, "removed", 0), (12, "weight", 1)];
    let start = [start.as_slice(), &[(12, "removed", 0), (11, "weight", 5), (12, "weight", 5)]];
    assert_eq!(bench.history(), start.concat());
    bench.moods[0] = Mood::Refusing;
    bench.run(4.0);
    bench.moods[0] = Mood::Well;
    bench.run(4.0);
    assert_eq!(bench.history(), [(11, "removed", 0), (11, "weight", 5)]);
}

#[test]
fn the_fallback_stands_in_when_nobody_else_is_there() {
    let fallback = ServerRule::new(v4(127, 0, 0, 1), 80);
    let config = VirtualConfig { fallback: Some(fallback), ..virtual_service() };
    let mut bench = Bench::new(vec![config]);
    bench.run(1.0);
    let come = (1, "weight", 1);
    let go = (1, "removed", 0);
    let with = |s: u8| [(s, "weight", 1), go, (s, "weight", 0), come];
    let end = [(11, "weight", 5), go, (12, "weight", 5)];
    let start = [[(0, "added", 0), come].as_slice(), &with(11), &with(12), &end].concat();
    assert_eq!(bench.history(), start);
    bench.moods = [Mood::Refusing; 2];
    bench.run(4.0);
    assert_eq!(bench.history(), [(11, "weight", 0), (12, "weight", 0), come]);
    bench.moods[1] = Mood::Well;
    bench.run(4.0);
    assert_eq!(bench.history(), [(12, "weight", 5), go]);
}

#[test]
fn a_hanging_server_delays_the_checks_of_the_others() {
    let mut bench = Bench::new(vec![virtual_service()]);
    bench.run(1.0);
    bench.questions.clear();
    bench.moods[0] = Mood::Silent;
    bench.run(20.0);
    let times: Vec<_> = bench.questions.iter().map(|q| q.0).collect();
    let period = times[4] - times[2];
    // both checks, and the pause between two rounds
    assert_eq!(period, Span::from_millis(3_000 + 2 + 2_000));
    assert_eq!(bench.history().last(), Some(&(11, "weight", 0)));
}

#[test]
fn with_fork_each_service_is_checked_by_itself() {
    let mut second = virtual_service();
    let vip = v4(192, 168, 10, 201);
    second.service.key = ServiceKey::Address { protocol: proto::TCP, vip, port: 80 };
    second.servers.remove(0);
    let mut config = virtual_service();
    config.servers.pop();
    let mut bench = Bench::new(vec![config, second]);
    let mut forked = bench.process.config().clone();
    forked.fork = true;
    bench.process = Ldirectord::new(forked);
    bench.process.start(Time::ZERO);
    bench.moods[0] = Mood::Silent;
    bench.run(1.0);
    bench.questions.clear();
    bench.run(12.0);
    // every 5 s and every 2 s
    assert!((2 + 5..=3 + 6).contains(&bench.questions.len()), "{}", bench.questions.len());
}

#[test]
fn a_server_has_failed_after_failurecount_failures_in_a_row() {
    let config = VirtualConfig { failure_count: 3, ..virtual_service() };
    let mut bench = Bench::new(vec![config]);
    bench.run(1.0);
    bench.history();
    bench.moods[0] = Mood::Refusing;
    let begin = bench.now;
    bench.run(20.0);
    let after = bench.log[0].0 - begin;
    assert!(after > Span::from_secs(5) && after < Span::from_millis(6_100), "{after}");
}

#[test]
fn a_number_as_check_type_connects_and_asks_each_nth_time() {
    let check = CheckKind::Combined(3, Exchange::page("/"));
    let mut config = VirtualConfig { check, ..virtual_service() };
    config.servers.pop();
    let mut bench = Bench::new(vec![config]);
    bench.run(20.0);
    let pages: Vec<_> =
        bench.questions.iter().map(|q| matches!(q.1, Question::Page { .. })).collect();
    assert_eq!(pages[..7], [false, false, true, false, false, true, false]);
}

#[test]
fn of_checkcount_echoes_one_must_be_answered() {
    let mut config = VirtualConfig { check: CheckKind::Ping, check_count: 3, ..virtual_service() };
    config.servers.pop();
    let mut bench = Bench::new(vec![config]);
    bench.run(1.0);
    bench.history();
    bench.questions.clear();
    bench.moods[0] = Mood::Silent;
    bench.run(11.5);
    assert_eq!(bench.questions.len(), 3);
    assert_eq!(bench.history(), [(11, "weight", 0)]);
}

#[test]
fn external_checks_fail_when_the_scenario_says_so() {
    let check = CheckKind::External(Span::from_millis(500));
    let mut config = VirtualConfig { check, ..virtual_service() };
    config.servers[1].external_failures = vec![[Span::from_secs(10), Span::from_secs(20)]];
    let mut bench = Bench::new(vec![config]);
    bench.run(5.0);
    bench.history();
    bench.run(25.0);
    let times: Vec<_> = bench.log.iter().map(|l| l.0.as_secs_f64()).collect();
    assert_eq!(bench.history(), [(12, "weight", 0), (12, "weight", 5)]);
    assert!((10.0..13.1).contains(&times[0]) && (20.0..23.1).contains(&times[1]), "{times:?}");
    assert!(bench.questions.is_empty());
}

#[test]
fn on_adds_all_servers_and_off_none() {
    let mut bench = Bench::new(vec![VirtualConfig { check: CheckKind::On, ..virtual_service() }]);
    bench.run(60.0);
    assert_eq!(bench.history(), [(0, "added", 0), (11, "weight", 5), (12, "weight", 5)]);
    assert!(bench.questions.is_empty());
    let fallback = Some(ServerRule::new(v4(127, 0, 0, 1), 80));
    let config = VirtualConfig { check: CheckKind::Off, fallback, ..virtual_service() };
    let mut bench = Bench::new(vec![config]);
    bench.run(60.0);
    assert_eq!(bench.history(), [(0, "added", 0)]);
}

#[test]
fn a_clean_stop_removes_the_services_unless_told_otherwise() {
    for clean_stop in [true, false] {
        let mut bench = Bench::new(vec![virtual_service()]);
        bench.process.config.clean_stop = clean_stop;
        bench.run(1.0);
        bench.history();
        let mut out = Vec::new();
        bench.process.stop(&mut out);
        assert_eq!(bench.process.next_deadline(), Time::NEVER);
        let deleted = out.iter().any(|a| matches!(a, Action::Command(Command::DeleteService(_))));
        assert_eq!(deleted, clean_stop);
    }
}
