//! Two daemons on a table. The sequences and pauses are those of recordings of heartbeat 3.0.6 (keepalive 1 s,
//! deadtime 5 s, warntime 3 s, initdead 10 s); only scripts are faster.

use super::*;
use crate::config::{
    Announce, AuthKey, AuthMethod, Failback, Medium, Net, ResetFailure, Resource, ResourceGroup,
    ResourceKind, StonithConfig, v4,
};

const DELAY: Span = Span::from_micros(100);

fn secs(s: f64) -> Span {
    Span::from_secs_f64(s)
}

fn node(name: &str) -> HeartbeatConfig {
    let resource = Resource {
        text: "IPaddr::192.168.10.200/24/eth0".to_owned(),
        kind: ResourceKind::Address {
            net: Net::new(v4(192, 168, 10, 200), 24),
            interface: Some("eth0".to_owned()),
            announce: Announce::IPADDR,
        },
        fails: false,
    };
    let link = |i: &str| Medium::Bcast { interface: i.to_owned() };
    HeartbeatConfig {
        node: name.to_owned(),
        nodes: vec!["lvs1".to_owned(), "lvs2".to_owned()],
        media: vec![link("eth0"), link("eth1")],
        deadtime: secs(5.0),
        warntime: secs(3.0),
        initdead: secs(10.0),
        failback: Failback::Off,
        groups: vec![ResourceGroup { node: "lvs1".to_owned(), resources: vec![resource] }],
        key: AuthKey { method: AuthMethod::Sha1, secret: "lvs-secret".to_owned() },
        ..HeartbeatConfig::default()
    }
}

/// Two nodes, what is on the way between them, and what happened.
#[derive(Debug)]
struct Pair {
    now: Time,
    nodes: [Heartbeat; 2],
    frozen: [Option<Time>; 2],
    /// `cut[to][medium]`: nothing arrives there.
    cut: [[bool; 2]; 2],
    wire: Vec<(Time, usize, usize, Vec<u8>)>,
    /// Time, node, what: messages but acknowledgements and periodic status, and actions.
    log: Vec<(Time, usize, String)>,
}

impl Pair {
    fn new(configs: [HeartbeatConfig; 2]) -> Self {
        Self::seeded(configs, 1)
    }

    fn seeded(configs: [HeartbeatConfig; 2], seed: u64) -> Self {
        let nodes = configs.map(|c| {
            let stream = Stream::new(seed, &c.node, "heartbeat");
            Heartbeat::new(c, stream)
        });
        Self {
            now: Time::ZERO,
            nodes,
            frozen: [None; 2],
            // only the first link by default
            cut: [[false, true]; 2],
            wire: Vec::new(),
            log: Vec::new(),
        }
    }

    fn plain() -> Self {
        Self::new([node("lvs1"), node("lvs2")])
    }

    /// With other settings of both.
    fn with(change: impl Fn(&mut HeartbeatConfig)) -> Self {
        Self::new(["lvs1", "lvs2"].map(|name| {
            let mut config = node(name);
            change(&mut config);
            config
        }))
    }

    /// Both started and at rest, with the address at the first node.
    fn settled(mut self) -> Self {
        self.start(0);
        self.start(1);
        self.run(30.0);
        assert_eq!(self.holders(), [true, false]);
        self.log.clear();
        self
    }

    fn start(&mut self, n: usize) {
        self.nodes[n].start(self.now);
    }

    fn act(&mut self, n: usize, f: impl FnOnce(&mut Heartbeat, Time, &mut Vec<Action>)) {
        let mut out = Vec::new();
        f(&mut self.nodes[n], self.now, &mut out);
        self.done(n, out);
    }

    fn done(&mut self, n: usize, out: Vec<Action>) {
        for action in out {
            if let Action::Send(bytes) = action {
                let text = String::from_utf8(bytes.clone()).unwrap();
                self.note(n, &text);
                for medium in 0..2 {
                    self.wire.push((self.now + DELAY, 1 - n, medium, bytes.clone()));
                }
            } else if let Action::Cut { host } = &action {
                let host = usize::from(host == "lvs2");
                self.log.push((self.now, n, "cut".to_owned()));
                self.power_off(host);
            } else {
                self.log.push((self.now, n, format!("{action:?}")));
            }
        }
    }

    fn note(&mut self, n: usize, text: &str) {
        let get = |name: &str| {
            let line = text.lines().find_map(|l| l.strip_prefix(name));
            line.map(str::to_owned).unwrap_or_default()
        };
        let what = match get("t=").as_str() {
            "NS_ackmsg" => return,
            "status" => format!("status {} {}", get("st="), get("dt=")),
            "resource" => {
                format!("resource {} {} {}", get("rsc_hold="), get("isstable="), get("info="))
            }
            "ask_resources" => format!("ask {} {}", get("rsc_hold="), get("info=")),
            "stonith" => format!("stonith {} {}", get("node="), get("result=")),
            "ip-request-resp" => format!("response {}", get("weown=")),
            other => other.to_owned(),
        };
        self.log.push((self.now, n, what.trim_end().to_owned()));
    }

    fn power_off(&mut self, n: usize) {
        self.nodes[n].power_off();
        self.cut[n] = [true; 2];
        self.wire.retain(|w| w.1 != n);
    }

    fn freeze(&mut self, n: usize) {
        self.frozen[n] = Some(self.now);
    }

    fn thaw(&mut self, n: usize) {
        let since = self.frozen[n].take().unwrap();
        let stood = self.now - since;
        self.act(n, |h, now, out| h.thaw(now, stood, out));
    }

    fn run(&mut self, seconds: f64) {
        let end = self.now + secs(seconds);
        loop {
            let awake = |n: usize| self.frozen[n].is_none();
            let mut next = Time::NEVER;
            for n in (0..2).filter(|n| awake(*n)) {
                next = next.min(self.nodes[n].next_deadline());
            }
            let arrivals = self.wire.iter().filter(|w| awake(w.1)).map(|w| w.0);
            next = next.min(arrivals.min().unwrap_or(Time::NEVER).max(self.now));
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            for n in 0..2 {
                if self.frozen[n].is_some() {
                    continue;
                }
                self.act(n, Heartbeat::wake);
                assert!(self.nodes[n].next_deadline() > self.now, "a deadline is done with");
            }
            loop {
                let (now, frozen) = (self.now, self.frozen);
                let due = self.wire.iter().position(|w| w.0 <= now && frozen[w.1].is_none());
                let Some(at) = due else { break };
                let (_, to, medium, bytes) = self.wire.remove(at);
                if !self.cut[to][medium] {
                    self.act(to, |h, now, out| h.receive(now, medium, &bytes, out));
                }
            }
        }
    }

    fn holders(&self) -> [bool; 2] {
        [self.nodes[0].has_group(0), self.nodes[1].has_group(0)]
    }

    /// When a node did something first after `from`.
    fn when(&self, n: usize, what: &str) -> f64 {
        let found = self.log.iter().find(|l| l.1 == n && l.2.starts_with(what));
        let found = found.unwrap_or_else(|| panic!("{n} never did {what}: {:#?}", self.log));
        found.0.as_secs_f64()
    }

    fn did(&self, n: usize, what: &str) -> bool {
        self.log.iter().any(|l| l.1 == n && l.2.starts_with(what))
    }

    /// Messages about resources and fencing of a node in order.
    fn said(&self, n: usize) -> Vec<&str> {
        let kinds = ["starting", "resource", "ask", "stonith", "response", "ip-", "shutdone"];
        let of_node = self.log.iter().filter(|l| l.1 == n).map(|l| l.2.as_str());
        of_node.filter(|w| kinds.iter().any(|k| w.starts_with(k))).collect()
    }

    /// Cuts the heartbeats between the nodes in both directions, or heals the cut.
    fn split(&mut self, cut: bool) {
        self.cut[0][0] = cut;
        self.cut[1][0] = cut;
    }
}

#[test]
fn two_nodes_that_start_together_wait_ten_seconds_and_the_preferred_one_takes_the_address() {
    let mut pair = Pair::plain();
    pair.start(1);
    pair.run(0.5);
    pair.start(0);
    pair.run(20.0);
    let first = ["status init 1b58", "status up 1b58", "status up 1b58"];
    let of_second = pair.log.iter().filter(|l| l.1 == 1 && l.2.starts_with("status"));
    assert_eq!(of_second.take(3).map(|l| l.2.as_str()).collect::<Vec<_>>(), first);
    assert!(pair.did(0, "reqnodes") && pair.did(0, "repnodes") && pair.did(1, "repnodes"));
    let pause = pair.when(0, "resource local").min(pair.when(1, "resource local"))
        - pair.when(0, "starting").max(pair.when(1, "starting"));
    assert!((pause - 10.0).abs() < 0.01, "{pause}");
    // who hears of the other's decision before its own says once more that it holds nothing
    let heard = |n: usize| {
        let mut said = pair.said(n);
        said.dedup();
        said
    };
    let both = ["starting", "resource none 0", "resource local 1"];
    let taken = ["response yes", "resource local 1 req_our_resources()"];
    assert_eq!(heard(0), [both.as_slice(), &taken].concat());
    assert_eq!(heard(1), [both.as_slice(), &taken[1..]].concat());
    assert_eq!(pair.holders(), [true, false]);
}

#[test]
fn the_longer_dead_time_of_a_start_is_announced_for_five_seconds() {
    let mut pair = Pair::plain();
    pair.start(0);
    pair.run(9.0);
    let begun = pair.when(0, "status init 1b58");
    assert!((pair.when(0, "status up 1388") - begun - 5.0).abs() < 1e-6);
    let long = pair.log.iter().filter(|l| l.2 == "status up 1b58").count();
    // at 0 s twice, then each second; at 5 s the shorter one
    assert!((6..=7).contains(&long), "{long}");
}

#[test]
fn a_node_alone_takes_everything_after_initdead() {
    for n in [0, 1] {
        let mut pair = Pair::plain();
        pair.start(n);
        pair.run(30.0);
        let dead = pair.when(n, "stonith") - pair.when(n, "status init");
        assert!((10.0..=10.25).contains(&dead), "{dead}");
        assert!(pair.when(n, "starting") <= pair.when(n, "stonith"));
        assert!(pair.nodes[n].has_group(0));
        assert_eq!(pair.nodes[n].holds(), Hold { local: true, foreign: true });
        // and says so again ten seconds after the first word about it
        assert!(pair.said(n).ends_with(&["resource all 1"]));
    }
}

#[test]
fn a_node_that_starts_late_was_never_parted() {
    for failback in [Failback::Off, Failback::On, Failback::Legacy] {
        let mut pair = Pair::with(|c| c.failback = failback);
        pair.start(1);
        pair.run(20.0);
        assert_eq!(pair.holders(), [false, true]);
        pair.log.clear();
        pair.start(0);
        pair.run(30.0);
        assert!(!pair.did(1, "Partition") && !pair.did(1, "Ended"), "{:?}", pair.log);
        let stays = failback == Failback::Off;
        assert_eq!(pair.holders(), [!stays, stays], "{failback:?}");
    }
}

#[test]
fn the_other_node_takes_over_when_the_holder_loses_power() {
    let mut pair = Pair::plain().settled();
    let cut = pair.now.as_secs_f64();
    pair.power_off(0);
    pair.run(12.0);
    let dead = pair.when(1, "stonith lvs1 n_stnth") - cut;
    assert!((4.0..=5.26).contains(&dead), "{dead}");
    let said = ["stonith lvs1 n_stnth", "resource all 1 req_our_resources()"];
    assert_eq!(pair.said(1), [said.as_slice(), &["resource foreign  mach_down"]].concat());
    assert_eq!(pair.holders(), [false, true]);
    // ten requests and ten replies in turn, 250 ms apart
    let frames: Vec<_> = pair.log.iter().filter(|l| l.2.starts_with("Announce")).collect();
    assert_eq!(frames.len(), 20);
    assert!(frames.windows(2).all(|w| w[1].0 - w[0].0 == Span::from_millis(250)));
    assert!(frames[0].2.contains("reply: false") && frames[1].2.contains("reply: true"));
}

#[test]
fn nothing_changes_hands_when_the_standby_node_loses_power() {
    let mut pair = Pair::plain().settled();
    pair.power_off(1);
    pair.run(20.0);
    assert!(!pair.did(0, "Stop") && !pair.did(0, "Start"));
    let said = ["stonith lvs2 n_stnth", "resource all 1 req_our_resources()"];
    assert!(said.iter().all(|s| pair.said(0).contains(s)));
}

#[test]
fn a_clean_stop_hands_over_at_once_and_is_not_fenced() {
    let mut pair = Pair::with(|c| c.stonith = Some(device(ResetFailure::Never))).settled();
    let stop = pair.now.as_secs_f64();
    pair.act(0, Heartbeat::stop);
    pair.run(15.0);
    assert_eq!(pair.said(0), ["resource none 0 shutdown", "shutdone"]);
    let said = ["resource all 1", "ask all done", "resource all 1 req_our_resources()"];
    let said =
        [said.as_slice(), &["resource foreign  mach_down", "stonith lvs1 unneeded"]].concat();
    assert_eq!(pair.said(1), said);
    assert!(pair.when(1, "Start") - stop < 1.0);
    assert!(pair.when(1, "stonith") - pair.when(0, "Ended") > 4.0);
    assert!((pair.when(0, "Ended") - pair.when(0, "shutdone") - 2.0).abs() < 1e-6);
    assert!(!pair.did(1, "Fencing") && !pair.nodes[0].is_running());
    assert_eq!(pair.holders(), [false, true]);
}

/// The first node goes and comes back with its heartbeat started anew.
fn returned(failback: Failback) -> Pair {
    let mut pair = Pair::with(|c| c.failback = failback).settled();
    pair.power_off(0);
    pair.run(15.0);
    assert_eq!(pair.holders(), [false, true]);
    pair.log.clear();
    pair.cut[0][0] = false;
    pair.start(0);
    pair.run(20.0);
    pair
}

#[test]
fn with_auto_failback_off_the_address_stays_and_the_start_costs_no_pause() {
    let pair = returned(Failback::Off);
    assert_eq!(pair.holders(), [false, true]);
    assert_eq!(pair.said(0), ["starting", "resource none 0", "resource none 1"]);
    assert_eq!(pair.said(1), ["resource all 1", "resource all 1"]);
    assert!(pair.when(0, "resource none 1") - pair.when(0, "status init") < 1.0);
}

#[test]
fn whichever_messages_it_acknowledges_a_node_that_restarts_is_no_partition() {
    for seed in 0..40 {
        let mut pair = Pair::seeded([node("lvs1"), node("lvs2")], seed).settled();
        pair.power_off(0);
        pair.run(15.0);
        pair.cut[0][0] = false;
        pair.start(0);
        pair.run(10.0);
        assert!(!pair.did(1, "Partition"), "seed {seed}");
        assert_eq!(pair.holders(), [false, true]);
    }
}

#[test]
fn with_auto_failback_on_the_address_goes_back_by_request_and_answer() {
    let pair = returned(Failback::On);
    assert_eq!(pair.holders(), [true, false]);
    let own = ["starting", "resource none 0", "resource none 1", "ask foreign other"];
    let own =
        [own.as_slice(), &["resource local 1", "ask foreign done", "resource local 1"]].concat();
    assert_eq!(pair.said(0), own);
    let other = ["resource all 1", "resource all 1", "ask foreign me", "resource local 0 standby"];
    let end = ["ask foreign done", "resource local 1", "resource local 1"];
    assert_eq!(pair.said(1), [other.as_slice(), &end].concat());
    assert!(pair.when(1, "Stop") < pair.when(0, "Start"));
}

#[test]
fn with_auto_failback_legacy_the_preferred_node_requests_its_address() {
    let pair = returned(Failback::Legacy);
    assert_eq!(pair.holders(), [true, false]);
    assert_eq!(pair.said(0), ["ip-request"]);
    assert_eq!(pair.said(1), ["response yes"]);
    assert!(pair.when(0, "Start") - pair.when(0, "status init") < 3.0);
}

#[test]
fn after_a_split_both_restart_and_the_address_is_away_for_a_while() {
    for failback in [Failback::Off, Failback::On] {
        let mut pair = Pair::with(|c| c.failback = failback).settled();
        pair.split(true);
        pair.run(10.0);
        assert_eq!(pair.holders(), [true, true]);
        assert!(pair.did(0, "stonith lvs2 n_stnth") && pair.did(1, "stonith lvs1 n_stnth"));
        pair.log.clear();
        let healed = pair.now.as_secs_f64();
        pair.split(false);
        pair.run(40.0);
        for n in [0, 1] {
            let end = pair.when(n, "resource none 0 shutdown") - pair.when(n, "stonith");
            assert!((end - 2.0).abs() < 1e-6, "{end}");
            assert!(pair.did(n, "status active 88b8") && pair.did(n, "Ended { restart: true }"));
        }
        // 1 s to hear, 2 s grace, 2 s farewell, 1 s restart, 1 s to meet, 10 s pause, scripts
        let back = pair.when(0, "Start") - healed;
        assert!((15.0..19.0).contains(&back), "{back}");
        assert_eq!(pair.holders(), [true, false]);
        assert!(!pair.did(1, "Start"));
    }
}

#[test]
fn with_one_way_loss_only_the_deaf_node_takes_over_and_restarts() {
    let mut pair = Pair::plain().settled();
    pair.cut[1][0] = true;
    pair.run(15.0);
    assert_eq!(pair.holders(), [true, true]);
    pair.cut[1][0] = false;
    pair.run(40.0);
    assert_eq!(pair.holders(), [true, false]);
    assert!(pair.did(1, "Ended { restart: true }") && !pair.did(0, "Ended"));
    assert!(!pair.did(0, "Stop"));
}

#[test]
fn one_of_two_links_is_enough() {
    let mut pair = Pair::plain();
    pair.cut = [[false; 2]; 2];
    let mut pair = pair.settled();
    pair.split(true);
    pair.run(15.0);
    pair.split(false);
    pair.run(15.0);
    let told: Vec<_> = pair.log.iter().filter(|l| !l.2.starts_with("status")).collect();
    assert_eq!(told.len(), 4, "both links dead, both up: {told:?}");
    let down = Action::Medium { node: "lvs2".to_owned(), medium: 0, up: false };
    assert!(pair.did(0, &format!("{down:?}")));
    assert_eq!(pair.holders(), [true, false]);
}

#[test]
fn a_node_frozen_beyond_its_dead_time_makes_both_restart() {
    let mut pair = Pair::plain().settled();
    pair.freeze(0);
    pair.run(12.0);
    assert_eq!(pair.holders(), [true, true]);
    pair.log.clear();
    pair.thaw(0);
    let said = pair.said(0);
    assert_eq!(said[0], "stonith lvs2 n_stnth", "its clock has jumped");
    pair.run(40.0);
    assert_eq!(pair.said(0)[1], "stonith lvs2 unneeded");
    assert!(pair.did(0, "Ended { restart: true }") && pair.did(1, "Ended { restart: true }"));
    assert_eq!(pair.holders(), [true, false]);
}

#[test]
fn a_node_frozen_for_less_than_its_dead_time_is_only_late() {
    let mut pair = Pair::plain().settled();
    pair.freeze(0);
    pair.run(4.0);
    pair.thaw(0);
    pair.run(5.0);
    assert!(pair.did(0, "Late { node: \"lvs1\"") && pair.did(1, "Late { node: \"lvs1\""));
    assert!(!pair.did(1, "Node"));
}

#[test]
fn nodes_with_different_keys_both_take_the_address() {
    let mut configs = [node("lvs1"), node("lvs2")];
    configs[1].key.secret = "other".to_owned();
    let mut pair = Pair::new(configs);
    pair.start(0);
    pair.start(1);
    pair.run(30.0);
    assert_eq!(pair.holders(), [true, true]);
    assert!(pair.nodes[0].rejected() > 20);
}

#[test]
fn a_killed_daemon_leaves_its_address_and_the_other_node_takes_it_too() {
    let mut pair = Pair::plain().settled();
    pair.nodes[0].kill();
    pair.run(10.0);
    assert_eq!(pair.holders(), [true, true]);
}

#[test]
fn a_group_that_does_not_start_is_held_by_nobody() {
    let mut configs = [node("lvs1"), node("lvs2")];
    configs[0].groups[0].resources[0].fails = true;
    let mut pair = Pair::new(configs);
    pair.start(0);
    pair.start(1);
    pair.run(80.0);
    assert_eq!(pair.holders(), [false, false]);
    assert!(pair.did(0, "Group { group: 0, state: Failed }"));
    let standby = pair.when(0, "ask foreign me") - pair.when(0, "Group { group: 0, state: Failed");
    assert!((30.0..30.5).contains(&standby), "{standby}");
    assert!(pair.said(1).ends_with(&["ask foreign done", "resource local 1"]));
    assert_eq!(pair.nodes[0].holds(), Hold { local: true, foreign: false });
}

fn device(failure: ResetFailure) -> StonithConfig {
    let outlet = |n: &str| (n.to_owned(), Some(n.to_owned()));
    StonithConfig {
        device: "external/switch".to_owned(),
        outlets: vec![outlet("lvs1"), outlet("lvs2")],
        reset: secs(1.5),
        cut: secs(0.5),
        failure,
        power_back: None,
        address: None,
    }
}

#[test]
fn a_fenced_node_is_taken_over_from_when_the_device_says_so() {
    let mut pair = Pair::with(|c| c.stonith = Some(device(ResetFailure::Never))).settled();
    pair.power_off(0);
    pair.run(15.0);
    let ok = pair.when(1, "stonith lvs1 OK");
    let dead = pair.when(1, "Node { node: \"lvs1\", state: Dead");
    assert!((ok - dead - 1.5).abs() < 1e-6);
    assert!(pair.when(1, "Start") > ok);
    assert_eq!(pair.holders(), [false, true]);
}

#[test]
fn a_reset_that_fails_is_tried_for_ever_even_when_the_node_is_back() {
    let mut pair = Pair::with(|c| c.stonith = Some(device(ResetFailure::Always))).settled();
    pair.power_off(0);
    pair.run(40.0);
    assert_eq!(pair.holders(), [false, false]);
    pair.cut[0][0] = false;
    pair.start(0);
    pair.run(40.0);
    assert_eq!(pair.holders(), [true, false]);
    assert_eq!(
        pair.said(0),
        [
            "starting",
            "resource none 0",
            "resource local 1",
            "response yes",
            "resource local 1 req_our_resources()"
        ]
    );
    let bad: Vec<_> = pair.log.iter().filter(|l| l.2 == "stonith lvs1 bad").map(|l| l.0).collect();
    assert!(bad.len() >= 11 && bad.windows(2).all(|w| w[1] - w[0] == secs(6.5)), "{bad:?}");
}

#[test]
fn in_a_split_with_a_power_switch_the_first_to_fire_lives() {
    let mut pair = Pair::with(|c| c.stonith = Some(device(ResetFailure::Never))).settled();
    pair.split(true);
    pair.run(20.0);
    let running = [pair.nodes[0].is_running(), pair.nodes[1].is_running()];
    assert!(running[0] != running[1], "{running:?}");
    assert_eq!(pair.holders(), running);
    assert_eq!(pair.log.iter().filter(|l| l.2 == "cut").count(), 1);
}

#[test]
fn a_lost_message_is_asked_for_and_sent_again() {
    let mut pair = returned_lossy();
    pair.run(30.0);
    assert_eq!(pair.holders(), [true, false]);
}

#[test]
fn a_node_that_has_restarted_is_not_dead_whatever_is_heard_of_it_first() {
    let mut pair = Pair::with(|c| c.stonith = Some(device(ResetFailure::Never))).settled();
    pair.power_off(0);
    pair.run(15.0);
    assert_eq!(pair.holders(), [false, true]);
    pair.log.clear();
    pair.cut[0][0] = false;
    pair.start(0);
    // its status messages are lost at first, the answers to what it hears are not
    while !pair.did(1, "repnodes") {
        pair.run(0.000_05);
        let status = |w: &[u8]| String::from_utf8_lossy(w).contains("t=status\n");
        pair.wire.retain(|w| w.1 == 0 || !status(&w.3));
    }
    pair.run(20.0);
    assert!(!pair.did(1, "Partition") && !pair.did(1, "Fencing"), "{:?}", pair.log);
    assert_eq!(pair.holders(), [false, true]);
}

/// Failback, with a loss of what is sent while the nodes agree on it.
fn returned_lossy() -> Pair {
    let mut pair = Pair::with(|c| c.failback = Failback::On).settled();
    pair.power_off(0);
    pair.run(15.0);
    pair.cut[0][0] = false;
    pair.start(0);
    for _ in 0..200_000 {
        if pair.did(1, "ask foreign me") {
            break;
        }
        pair.run(0.000_05);
    }
    // the question is on the way
    let before = pair.wire.len();
    pair.wire.retain(|w| !String::from_utf8_lossy(&w.3).contains("t=ask_resources"));
    assert!(pair.wire.len() < before);
    pair
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(24))]

    /// Whatever happens to one link, or to one node, with a second link that works there are never two
    /// holders.
    #[test]
    fn with_a_second_link_a_single_fault_never_makes_two_holders(
        fault in 0usize..6,
        at in 0u64..20_000,
        lasts in 0u64..20_000,
        failback in 0usize..3,
    ) {
        let failback = [Failback::On, Failback::Off, Failback::Legacy][failback];
        let mut pair = Pair::with(|c| c.failback = failback);
        pair.cut = [[false; 2]; 2];
        pair.start(0);
        pair.start(1);
        let mut two = false;
        let mut watch = |pair: &mut Pair, ms: u64| {
            for _ in 0..ms / 50 {
                pair.run(0.05);
                two |= pair.holders() == [true, true];
            }
        };
        watch(&mut pair, 25_000 + at);
        match fault {
            0 => pair.split(true),
            1 => pair.cut[0][0] = true,
            2 => pair.cut[1][0] = true,
            3 => pair.power_off(0),
            4 => pair.power_off(1),
            _ => pair.act(0, Heartbeat::stop),
        }
        watch(&mut pair, lasts);
        match fault {
            0..=2 => pair.cut = [[false; 2]; 2],
            n => {
                pair.cut = [[false; 2]; 2];
                pair.start(usize::from(n == 4));
            }
        }
        watch(&mut pair, 40_000);
        proptest::prop_assert!(!two);
        let holders = pair.holders().iter().filter(|h| **h).count();
        proptest::prop_assert_eq!(holders, 1, "{:?} {:?}", fault, pair.nodes[0].state());
    }
}
