//! The rules of keepalived, number by number.

use super::super::probe::Page;
use super::*;
use crate::config::*;
use crate::engine::Span;
use crate::ipvs::rules::{Forwarding, ServerRule, ServiceRule};
use crate::wire::proto;

mod pages;
mod pools;
mod random;

const VIP: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, 200));

fn rip(n: u8) -> IpAddr {
    [10, 0, 0, n].into()
}

fn secs(s: f64) -> Span {
    Span::from_secs_f64(s)
}

fn at(s: f64) -> Time {
    Time::ZERO + secs(s)
}

fn key() -> ServiceKey {
    ServiceKey::Address { protocol: proto::TCP, vip: VIP, port: 80 }
}

fn checker(kind: CheckerKind, n: u8) -> CheckerConfig {
    CheckerConfig { phase: Some(Span::ZERO), ..CheckerConfig::new(kind, (rip(n), 80)) }
}

/// A virtual server on port 80 with real servers 10.0.0.11 and so on, each with a TCP check every 2 s.
fn web(servers: u8) -> VirtualServerConfig {
    let server = |n: u8| {
        let mut check = checker(CheckerKind::Tcp, n);
        check.delay_loop = secs(2.0);
        RealServerConfig {
            rule: ServerRule::new(rip(n), 80),
            inhibit: false,
            checkers: vec![check],
        }
    };
    let services = vec![ServiceRule::new(key())];
    VirtualServerConfig::new(services, (11..11 + servers).map(server).collect())
}

/// One virtual server with one real server and this checker.
fn lone(checker: CheckerConfig) -> VirtualServerConfig {
    let mut vs = web(1);
    vs.servers[0].checkers = vec![checker];
    vs
}

fn config(vs: VirtualServerConfig) -> CheckConfig {
    CheckConfig { virtual_servers: vec![vs], ..CheckConfig::default() }
}

/// The machine with a world that answers its questions.
struct Lab {
    checks: Checks,
    now: Time,
    /// What was done to IPVS, and when.
    commands: Vec<(Time, String)>,
    notes: Vec<(Time, Note)>,
    /// When was asked what.
    asked: Vec<(Time, u32, Question)>,
}

use super::super::probe::Question;

impl Lab {
    fn new(config: &CheckConfig) -> Self {
        Self::with_seed(config, 1)
    }

    fn with_seed(config: &CheckConfig, seed: u64) -> Self {
        let mut lab = Self {
            checks: Checks::new(config, seed, "lb1"),
            now: Time::ZERO,
            commands: Vec::new(),
            notes: Vec::new(),
            asked: Vec::new(),
        };
        let mut out = Vec::new();
        lab.checks.start(Time::ZERO, |_| true, &mut out);
        assert!(lab.take(out).is_empty(), "no question before the first second");
        lab
    }

    /// Writes down what the machine wants; its questions.
    fn take(&mut self, out: Vec<Action>) -> Vec<(u32, Inquiry)> {
        let mut questions = Vec::new();
        for action in out {
            match action {
                Action::Ask { checker, inquiry } => {
                    self.asked.push((self.now, checker, inquiry.question));
                    questions.push((checker, inquiry));
                }
                Action::Command(command) => self.commands.push((self.now, words(&command))),
                Action::Note(note) => self.notes.push((self.now, note)),
            }
        }
        questions
    }

    /// Runs until `end`; `answer` tells what comes of a question that is asked now, and how long that takes.
    fn run(&mut self, end: Time, answer: impl Fn(Time, u32) -> (Finding, Span)) {
        let mut answers: Vec<(Time, u32, Finding)> = Vec::new();
        loop {
            let next =
                answers.iter().enumerate().min_by_key(|(i, a)| (a.0, *i)).map(|(i, a)| (a.0, i));
            let due = self.checks.next_deadline();
            let mut out = Vec::new();
            match (next, due) {
                (Some((when, i)), due) if due.is_none_or(|d| when <= d) && when <= end => {
                    self.now = when;
                    let (_, checker, finding) = answers.remove(i);
                    self.checks.found(when, checker, finding, &mut out);
                }
                (_, Some(due)) if due <= end => {
                    self.now = due;
                    self.checks.on_deadline(due, &mut out);
                }
                _ => break,
            }
            for (checker, _) in self.take(out) {
                let (finding, takes) = answer(self.now, checker);
                answers.push((self.now + takes, checker, finding));
            }
        }
        self.now = end;
    }

    fn commands_since(&self, since: Time) -> Vec<&str> {
        self.commands.iter().filter(|c| c.0 >= since).map(|c| c.1.as_str()).collect()
    }

    /// When a server left the pool.
    fn removed(&self) -> Option<Time> {
        let gone = |n: &&(Time, Note)| matches!(n.1, Note::Server { weight: None, .. });
        self.notes.iter().find(gone).map(|n| n.0)
    }
}

fn words(command: &Command) -> String {
    match command {
        Command::AddService(rule) => format!("add {}", rule.key),
        Command::DeleteService(key) => format!("delete {key}"),
        Command::AddServer(_, r) => format!("add {}:{} {}", r.rip, r.port, r.weight),
        Command::EditServer(_, r) => format!("edit {}:{} {}", r.rip, r.port, r.weight),
        Command::DeleteServer(_, rip, port) => format!("delete {rip}:{port}"),
        Command::Clear => "clear".to_owned(),
        other => format!("{other:?}"),
    }
}

/// A server that works until `dies`, and then refuses (`closed`) or says nothing.
fn dying(dies: Time, closed: bool, timeout: Span) -> impl Fn(Time, u32) -> (Finding, Span) {
    move |now, _| match (now < dies, closed) {
        (true, _) => (Finding::Connected, Span::ZERO),
        (false, true) => (Finding::Refused, Span::ZERO),
        (false, false) => (Finding::TimedOut, timeout),
    }
}

/// How long a server that dies `phase` after a good check stays in the pool.
fn stays(check: &CheckerConfig, phase: Span, closed: bool) -> Span {
    let mut lab = Lab::new(&config(lone(check.clone())));
    let dies = Time::ZERO + check.delay_loop + phase;
    lab.run(dies + secs(200.0), dying(dies, closed, check.connect_timeout));
    lab.removed().expect("a dead server is removed") - dies
}

#[test]
fn the_first_check_comes_after_a_second_and_a_random_part_of_the_warmup() {
    let mut sum = 0.0;
    let mut seen = Vec::new();
    for seed in 0..500 {
        let mut check = checker(CheckerKind::Tcp, 11);
        check.phase = None;
        check.warmup = secs(4.0);
        let lab = Lab::with_seed(&config(lone(check)), seed);
        let first = (lab.checks.next_deadline().unwrap() - Time::ZERO).as_secs_f64();
        assert!((1.0..=5.0).contains(&first), "{first}");
        sum += first;
        seen.push(first.to_bits());
    }
    // uniform on [1, 5]: mean 3, standard deviation of the mean 0.052
    assert!((sum / 500.0 - 3.0).abs() < 0.21, "{}", sum / 500.0);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 500);
}

#[test]
fn without_warmup_the_first_check_comes_after_exactly_a_second() {
    let mut check = checker(CheckerKind::Tcp, 11);
    (check.phase, check.warmup) = (None, Span::ZERO);
    let lab = Lab::new(&config(lone(check)));
    assert_eq!(lab.checks.next_deadline(), Some(at(1.0)));
}

#[test]
fn with_defaults_a_silent_server_stays_11_to_71_seconds_and_a_closed_one_1_to_61() {
    // delay_loop 60, connect_timeout 5, retry 1, delay_before_retry 1
    let check = checker(CheckerKind::Tcp, 11);
    let just_before = check.delay_loop;
    let tick = Span::from_nanos(1);
    assert_eq!(stays(&check, just_before, false), secs(11.0));
    assert_eq!(stays(&check, tick, false), secs(71.0).saturating_sub(tick));
    assert_eq!(stays(&check, just_before, true), secs(1.0));
    assert_eq!(stays(&check, tick, true), secs(61.0).saturating_sub(tick));
}

#[test]
fn with_6_3_3_3_a_silent_server_stays_21_to_27_seconds_and_a_closed_one_9_to_15() {
    let mut check = checker(CheckerKind::Tcp, 11);
    check.delay_loop = secs(6.0);
    (check.connect_timeout, check.retry, check.delay_before_retry) = (secs(3.0), 3, secs(3.0));
    let tick = Span::from_nanos(1);
    for (closed, least) in [(false, 21.0), (true, 9.0)] {
        assert_eq!(stays(&check, secs(6.0), closed), secs(least));
        assert_eq!(stays(&check, tick, closed), secs(least + 6.0).saturating_sub(tick));
        let phases = (0..600).map(|i| secs(0.01 * f64::from(i) + 0.005));
        let sum: f64 = phases.map(|p| stays(&check, p, closed).as_secs_f64()).sum();
        assert!((sum / 600.0 - (least + 3.0)).abs() < 0.01, "mean {}", sum / 600.0);
    }
}

#[test]
fn the_very_first_check_that_fails_takes_the_server_down_without_retries() {
    let mut check = checker(CheckerKind::Tcp, 11);
    check.retry = 5;
    let mut lab = Lab::new(&config(lone(check)));
    lab.run(at(30.0), |_, _| (Finding::Refused, Span::ZERO));
    assert_eq!(lab.removed(), Some(Time::ZERO));
}

#[test]
fn one_success_brings_a_server_up_and_one_failure_after_a_success_is_retried() {
    let mut lab = Lab::new(&config(web(1)));
    // down at 0, up at 2, a failure at 4, well again at 5
    let bad = [at(0.0), at(4.0)];
    lab.run(at(20.0), |now, _| {
        let finding = if bad.contains(&now) { Finding::Refused } else { Finding::Connected };
        (finding, Span::ZERO)
    });
    let times: Vec<_> = lab.asked.iter().take(5).map(|a| a.0).collect();
    assert_eq!(times, [0.0, 2.0, 4.0, 5.0, 7.0].map(at));
    assert_eq!(lab.commands_since(at(0.1)), ["add 10.0.0.11:80 1"]);
    let checks: Vec<_> = lab.notes.iter().filter(|n| matches!(n.1, Note::Check { .. })).collect();
    assert_eq!(checks.len(), 2, "{checks:?}");
}

#[test]
fn a_tcp_check_goes_on_with_its_retries_while_the_server_is_down() {
    // recorded with keepalived 2.2.7, delay_loop 2 s, connect_timeout 3 s: with a cable that was cut and with
    // a process that was killed, the check that succeeded again came at such a time
    let mut lab = Lab::new(&config(web(1)));
    lab.run(at(26.0), dying(at(3.0), false, secs(3.0)));
    let times: Vec<_> = lab.asked.iter().map(|a| a.0).collect();
    // 4 and 8 fail; then 13, 17, 22, 26
    assert_eq!(times, [0.0, 2.0, 4.0, 8.0, 13.0, 17.0, 22.0, 26.0].map(at));
    assert_eq!(lab.removed(), Some(at(11.0)));
    let mut lab = Lab::new(&config(web(1)));
    lab.run(at(14.0), dying(at(3.0), true, secs(3.0)));
    let times: Vec<_> = lab.asked.iter().map(|a| a.0).collect();
    assert_eq!(times, [0.0, 2.0, 4.0, 5.0, 7.0, 8.0, 10.0, 11.0, 13.0, 14.0].map(at));
}

#[test]
fn a_dns_check_has_no_retries_while_the_server_is_down() {
    let mut check = checker(CheckerKind::Dns { name: ".".into() }, 11);
    (check.delay_loop, check.delay_before_retry) = (secs(4.0), secs(1.0));
    let mut lab = Lab::new(&config(lone(check)));
    lab.run(at(12.0), |_, _| (Finding::Name(3), Span::ZERO));
    let times: Vec<_> = lab.asked.iter().map(|a| a.0).collect();
    assert_eq!(times, [0.0, 4.0, 8.0, 12.0].map(at));
}

#[test]
fn the_pause_counts_from_the_end_of_a_check() {
    let mut lab = Lab::new(&config(web(1)));
    lab.run(at(9.0), |_, _| (Finding::Connected, secs(0.5)));
    let times: Vec<_> = lab.asked.iter().map(|a| a.0).collect();
    assert_eq!(times, [0.0, 2.5, 5.0, 7.5].map(at));
}

#[test]
fn udp_silence_is_good_unless_a_reply_is_required() {
    for (reply, finding, good) in [
        (None, Finding::TimedOut, true),
        (None, Finding::Datagram(9), true),
        (None, Finding::Refused, false),
        (Some((0, 255)), Finding::TimedOut, false),
        (Some((10, 255)), Finding::Datagram(9), false),
        (Some((9, 9)), Finding::Datagram(9), true),
    ] {
        let check = checker(CheckerKind::Udp { payload: 4, reply }, 11);
        let mut lab = Lab::new(&config(lone(check)));
        lab.run(at(1.0), |_, _| (finding, Span::ZERO));
        assert_eq!(lab.checks.is_up(0, 0), Some(good), "{reply:?} {finding}");
        assert_eq!(lab.asked[0].2, Question::Datagram(4));
    }
}

#[test]
fn dns_needs_rcode_0_and_is_retried_three_times_at_its_usual_pace() {
    let mut check = checker(CheckerKind::Dns { name: "www.example.com".into() }, 11);
    check.delay_loop = secs(10.0);
    check.delay_before_retry = secs(10.0);
    let mut lab = Lab::new(&config(lone(check)));
    lab.run(at(100.0), |now, _| (Finding::Name(if now < at(5.0) { 0 } else { 2 }), Span::ZERO));
    assert_eq!(lab.removed(), Some(at(40.0)));
    // 12 header, 17 name, 4 type and class
    assert_eq!(lab.asked[0].2, Question::Name(33));
}

#[test]
fn smtp_asks_all_its_hosts_and_needs_220_and_250() {
    let hosts = vec![(rip(11), 25), (rip(12), 25)];
    let check = checker(CheckerKind::Smtp { hosts }, 11);
    let mut lab = Lab::new(&config(lone(check)));
    lab.run(at(59.0), |_, _| (Finding::Mail(220, 250), Span::ZERO));
    assert_eq!((lab.asked.len(), lab.checks.is_up(0, 0)), (2, Some(true)));
    lab.run(at(100.0), |_, _| (Finding::Mail(220, 550), Span::ZERO));
    assert_eq!(lab.checks.is_up(0, 0), Some(false));
}

#[test]
fn a_program_is_started_again_so_long_after_its_start_and_is_not_retried() {
    let mut script = ScriptConfig::new(secs(5.0));
    let run = |exit, s| ScriptRun { exit, duration: secs(s) };
    script.runs =
        vec![(Span::ZERO, run(0, 1.5)), (secs(9.0), run(1, 0.5)), (secs(19.0), run(0, 7.0))];
    let mut check = checker(CheckerKind::Misc(script), 11);
    check.delay_loop = secs(5.0);
    let mut lab = Lab::new(&config(lone(check)));
    lab.run(at(40.0), |_, _| unreachable!("a program asks nobody"));
    // started at 0, 5, 10: down at 10.5; from 20 on it is killed after 5 s
    let told: Vec<_> = lab
        .notes
        .iter()
        .filter_map(|(t, n)| match n {
            Note::Check { up, finding, .. } => Some((*t, *up, finding.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(at(10.5), false, "exit 1")]);
    assert_eq!(lab.checks.is_up(0, 0), Some(false));
}

#[test]
fn a_program_that_takes_too_long_has_failed() {
    let mut script = ScriptConfig::new(secs(3.0));
    script.runs = vec![(secs(4.0), ScriptRun { exit: 0, duration: secs(10.0) })];
    let mut check = checker(CheckerKind::Misc(script), 11);
    check.delay_loop = secs(5.0);
    let mut lab = Lab::new(&config(lone(check)));
    lab.run(at(40.0), |_, _| unreachable!("a program asks nobody"));
    assert_eq!(lab.removed(), Some(at(8.0)));
}

#[test]
fn the_exit_status_of_a_dynamic_program_is_the_weight_plus_two() {
    let mut script = ScriptConfig::new(secs(5.0));
    script.dynamic = true;
    let run = |exit| ScriptRun { exit, duration: Span::ZERO };
    script.runs =
        vec![(Span::ZERO, run(12)), (secs(4.0), run(2)), (secs(9.0), run(0)), (secs(14.0), run(1))];
    let mut check = checker(CheckerKind::Misc(script), 11);
    check.delay_loop = secs(5.0);
    let mut lab = Lab::new(&config(lone(check)));
    lab.run(at(18.0), |_, _| unreachable!("a program asks nobody"));
    let edits = [
        "edit 10.0.0.11:80 10",
        "edit 10.0.0.11:80 0",
        "edit 10.0.0.11:80 1",
        "delete 10.0.0.11:80",
    ];
    assert_eq!(lab.commands[2..].iter().map(|c| c.1.as_str()).collect::<Vec<_>>(), edits);
}

#[test]
fn a_bfd_session_and_a_file_take_a_server_down_and_up() {
    let mut vs = web(2);
    vs.servers[0].checkers = vec![checker(CheckerKind::Bfd("peer".into()), 11)];
    let file = CheckerKind::File { file: "load".into(), weight: 0, reverse: false };
    vs.servers[1].checkers = vec![checker(file, 12)];
    let mut config = config(vs);
    let values = vec![(secs(3.0), 7), (secs(5.0), 0)];
    config.files = vec![FileConfig { name: "load".into(), values }];
    let mut lab = Lab::new(&config);
    lab.run(at(10.0), |_, _| unreachable!("nobody is asked"));
    let mut out = Vec::new();
    lab.checks.session("other", false, &mut out);
    assert!(out.is_empty());
    lab.checks.session("peer", false, &mut out);
    lab.checks.session("peer", true, &mut out);
    lab.take(out);
    let changes =
        ["delete 10.0.0.12:80", "add 10.0.0.12:80 1", "delete 10.0.0.11:80", "add 10.0.0.11:80 1"];
    assert_eq!(lab.commands_since(at(1.0)), changes);
}

#[test]
fn a_number_in_a_file_times_its_weight_is_added_to_the_weight_of_the_server() {
    assert_eq!(effect(5, 2, false), (true, 10));
    assert_eq!(effect(5, 2, true), (true, -10));
    assert_eq!(effect(100, -3, false), (false, 0));
    assert_eq!(effect(100, 3, false), (true, 253));
    assert_eq!(effect(0, 0, true), (false, 0));
    assert_eq!(effect(1, 0, true), (true, 0));
}

#[test]
fn checkers_with_ha_suspend_wait_until_the_address_is_there() {
    let mut vs = web(1);
    vs.ha_suspend = true;
    let mut checks = Checks::new(&config(vs), 1, "lb1");
    let mut out = Vec::new();
    checks.start(Time::ZERO, |_| false, &mut out);
    out.clear();
    checks.on_deadline(at(0.0), &mut out);
    assert!(out.is_empty());
    assert_eq!(checks.next_deadline(), Some(at(2.0)));
    checks.address(VIP, true);
    checks.on_deadline(at(2.0), &mut out);
    assert!(matches!(out[..], [Action::Ask { .. }]));
    checks.address(VIP, false);
    checks.found(at(2.1), 0, Finding::Refused, &mut out);
    assert_eq!(checks.is_up(0, 0), Some(false), "what is on its way counts");
    out.clear();
    checks.on_deadline(at(4.1), &mut out);
    assert!(out.is_empty(), "the state stays");
}

#[test]
fn an_answer_that_comes_after_the_end_of_the_process_is_nothing() {
    let mut lab = Lab::new(&config(web(1)));
    let mut out = Vec::new();
    lab.checks.on_deadline(at(0.0), &mut out);
    lab.checks.kill();
    out.clear();
    lab.checks.found(at(0.1), 0, Finding::Refused, &mut out);
    assert!(out.is_empty());
    assert_eq!(lab.checks.next_deadline(), None);
    lab.checks.start(at(5.0), |_| true, &mut out);
    assert_eq!(lab.checks.next_deadline(), Some(at(5.0)));
}
