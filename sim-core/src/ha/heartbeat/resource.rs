//! The resource protocol of two nodes (`hb_resource.c`): who takes which groups when a node starts, ends, dies
//! or comes back.

use super::fence::Outcome;
use super::message::{Hold, Message};
use super::script::{Purpose, Said, foreign_groups, own_groups};
use super::{Action, FencingState, Heartbeat, Shutdown};
use crate::config::Failback;
use crate::engine::{Span, Time};

/// How long a node that starts waits for another one that starts too (`RQSTDELAY`).
const REQUEST_DELAY: Span = Span::from_secs(10);
/// How long a request to go standby waits for its answer (`HB_STANDBY` time-out).
const STANDBY_REPLY: Span = Span::from_secs(10);
/// How long the other node may take to release or to acquire.
const STANDBY_MOVE: Span = Span::from_secs(3_600);
/// Failback is tried again after this time if the nodes were not ready.
const FAILBACK_RETRY: Span = Span::from_secs(1);

/// What a node knows about its part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Phase {
    /// It does not take part yet.
    #[default]
    Init,
    /// It has told that it starts.
    Starting,
    /// It knows what is its own.
    Settled,
}

/// The request of a node to go standby.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Standby {
    #[default]
    None,
    /// This node has asked.
    Asked(Time),
    /// This node releases.
    Releasing,
    /// The other node acquires what this one released.
    Waiting(Time),
    /// The other node releases.
    Promised(Time),
    /// This node acquires.
    Acquiring,
}

/// Who holds what.
#[derive(Debug)]
pub(super) struct Resources {
    phase: Phase,
    pub(super) hold: Hold,
    stable: bool,
    peer: Hold,
    peer_stable: bool,
    /// The other node has told that it starts.
    peer_started: bool,
    /// The other node was heard about its resources, and holds none.
    peer_free: bool,
    standby: Standby,
    timer: Time,
    failback: Time,
    /// The node has started without the other one and has not yet told what it holds.
    alone: bool,
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            phase: Phase::Init,
            hold: Hold::default(),
            stable: false,
            peer: Hold::default(),
            peer_stable: false,
            peer_started: false,
            peer_free: false,
            standby: Standby::None,
            timer: Time::NEVER,
            failback: Time::NEVER,
            alone: false,
        }
    }
}

impl Resources {
    /// The other node holds nothing any more, whatever it said.
    pub(super) fn peer_restarted(&mut self) {
        self.peer = Hold::default();
        self.peer_stable = false;
        self.peer_started = false;
    }

    pub(super) fn next_deadline(&self) -> Time {
        let standby = match self.standby {
            Standby::Asked(at) | Standby::Waiting(at) | Standby::Promised(at) => at,
            Standby::None | Standby::Releasing | Standby::Acquiring => Time::NEVER,
        };
        self.timer.min(self.failback).min(standby)
    }
}

impl Heartbeat {
    fn legacy(&self) -> bool {
        self.config.failback == Failback::Legacy
    }

    fn ending(&self) -> bool {
        self.shutdown != Shutdown::None
    }

    /// Whether it gives up everything, or has.
    fn gives_up(&self) -> bool {
        !matches!(self.shutdown, Shutdown::None | Shutdown::Wanted(_))
    }

    fn peer_alive(&self) -> bool {
        self.peers.first().is_some_and(|p| p.state.alive())
    }

    /// The node takes part from now on.
    pub(super) fn enter(&mut self, now: Time, out: &mut Vec<Action>) {
        self.resources.phase = Phase::Starting;
        if self.legacy() {
            self.resources.phase = Phase::Settled;
            if self.peer_alive() || self.peers.is_empty() {
                self.scripts.query(now, &self.config);
            }
            return;
        }
        self.send(&[("t", "starting")], out);
        if self.peers.is_empty() {
            self.take_own(now, out);
        } else if self.resources.peer_started {
            self.answer_start(now, out);
        }
    }

    /// The other node has told that it starts.
    fn answer_start(&mut self, now: Time, out: &mut Vec<Action>) {
        self.send_hold("", out);
        let r = &mut self.resources;
        if r.phase == Phase::Starting && r.timer == Time::NEVER {
            r.timer = now + REQUEST_DELAY;
        }
    }

    /// Says what this node holds.
    fn send_hold(&mut self, info: &str, out: &mut Vec<Action>) {
        let stable = if self.resources.stable { "1" } else { "0" };
        let hold = self.resources.hold.name();
        let fields = [("t", "resource"), ("rsc_hold", hold), ("rtype", "full")];
        let fields = [fields[0], fields[1], fields[2], ("isstable", stable), ("info", info)];
        let count = if info.is_empty() { 4 } else { 5 };
        self.send(&fields[..count], out);
    }

    /// The node takes what prefers it.
    fn take_own(&mut self, now: Time, out: &mut Vec<Action>) {
        let r = &mut self.resources;
        (r.phase, r.stable, r.hold.local, r.timer) = (Phase::Settled, true, true, Time::NEVER);
        self.send_hold("", out);
        self.scripts.query(now, &self.config);
    }

    /// A message about resources came from the other node.
    pub(super) fn take_resource_message(
        &mut self,
        now: Time,
        message: Message<'_>,
        out: &mut Vec<Action>,
    ) {
        match message.kind() {
            "starting" => {
                self.resources.peer_restarted();
                self.resources.peer_started = true;
                self.resources.peer_free = true;
                if self.resources.phase != Phase::Init && !self.ending() && !self.legacy() {
                    self.answer_start(now, out);
                }
            }
            "resource" => self.take_hold(now, message, out),
            "ask_resources" => self.take_standby(now, message, out),
            "shutdone" => self.peer_ended(now),
            "ip-request" => self.take_request(now, message),
            "ip-request-resp" => self.take_response(now, message),
            _ => {}
        }
    }

    /// The other node says what it holds.
    fn take_hold(&mut self, now: Time, message: Message<'_>, out: &mut Vec<Action>) {
        let said = Hold::of(message.get("rsc_hold").unwrap_or(""));
        let ending = self.ending();
        let r = &mut self.resources;
        if message.get("rtype").is_none() {
            // only what was added
            r.peer.local |= said.local;
            r.peer.foreign |= said.foreign;
            r.peer_free = false;
            return;
        }
        r.peer = said;
        r.peer_free = said == Hold::default();
        let stable = message.get("isstable") == Some("1");
        let became = stable && !r.peer_stable;
        r.peer_stable = stable;
        if ending || !became || r.phase == Phase::Init {
            return;
        }
        let starting = r.phase == Phase::Starting;
        if matches!(r.standby, Standby::Waiting(_)) {
            // the other node has what this one released
            r.stable = true;
        }
        self.send_hold("", out);
        if starting && !said.foreign {
            self.take_own(now, out);
        } else if starting {
            let r = &mut self.resources;
            (r.phase, r.stable, r.timer) = (Phase::Settled, true, Time::NEVER);
            self.send_hold("", out);
        } else {
            self.offer_failback(now, out);
        }
    }

    /// `auto_failback on`: what prefers the other node goes back to it when both are ready.
    fn offer_failback(&mut self, now: Time, out: &mut Vec<Action>) {
        let r = &mut self.resources;
        r.failback = Time::NEVER;
        let wanted = r.hold.foreign && !r.peer.local;
        if self.config.failback != Failback::On || !wanted || self.ending() || !self.peer_alive() {
            return;
        }
        if !self.resources.peer_stable || !self.ask_standby(now, out) {
            self.resources.failback = now + FAILBACK_RETRY;
        }
    }

    /// Asks the other node to take the foreign groups; `false` if this node is not ready.
    fn ask_standby(&mut self, now: Time, out: &mut Vec<Action>) -> bool {
        let r = &mut self.resources;
        if r.standby != Standby::None || !r.stable || self.scripts.busy() {
            return false;
        }
        r.standby = Standby::Asked(now + STANDBY_REPLY);
        self.send_ask("foreign", "me", out);
        true
    }

    fn send_ask(&mut self, what: &str, info: &str, out: &mut Vec<Action>) {
        self.send(&[("t", "ask_resources"), ("rsc_hold", what), ("info", info)], out);
    }

    /// A step of going standby.
    fn take_standby(&mut self, now: Time, message: Message<'_>, out: &mut Vec<Action>) {
        if self.ending() {
            return;
        }
        let r = &mut self.resources;
        match (message.get("info"), r.standby) {
            (Some("me"), Standby::None) if r.stable => {
                r.standby = Standby::Promised(now + STANDBY_MOVE);
                self.send_ask("foreign", "other", out);
            }
            (Some("other"), Standby::Asked(_)) => {
                r.standby = Standby::Releasing;
                (r.hold.local, r.hold.foreign) = (true, false);
                (r.stable, r.peer_stable) = (false, false);
                self.send_hold("standby", out);
                let groups = foreign_groups(&self.config);
                self.scripts.release(now, Purpose::StandbyRelease, groups);
            }
            (Some("done"), Standby::Promised(_)) => {
                r.standby = Standby::Acquiring;
                let purpose = Purpose::StandbyAcquire(false);
                self.scripts.acquire(now, &self.config, purpose, own_groups(&self.config));
            }
            (Some("done"), Standby::Waiting(_)) => {
                r.standby = Standby::None;
                r.stable = true;
                self.send_hold("", out);
            }
            // heartbeat says "Ignored standby message"
            _ => {}
        }
    }

    /// The other node has given up everything and ends.
    fn peer_ended(&mut self, now: Time) {
        self.resources.peer_restarted();
        self.resources.peer_free = true;
        if self.ending() || self.resources.phase == Phase::Init {
            return;
        }
        let r = &mut self.resources;
        r.standby = Standby::None;
        r.failback = Time::NEVER;
        (r.phase, r.stable, r.timer) = (Phase::Settled, true, Time::NEVER);
        r.hold = Hold { local: true, foreign: true };
        let purpose = Purpose::StandbyAcquire(true);
        self.scripts.acquire(now, &self.config, purpose, own_groups(&self.config));
        self.scripts.query(now, &self.config);
    }

    /// `legacy`: the other node wants a group.
    fn take_request(&mut self, now: Time, message: Message<'_>) {
        let text = message.get("ipaddr").unwrap_or("");
        let wanted = |g: &usize| {
            let first = self.config.groups[*g].resources.first();
            first.is_some_and(|r| r.text == text)
        };
        let group = foreign_groups(&self.config).find(wanted);
        if let Some(group) = group
            && !self.ending()
        {
            self.scripts.give(now, group);
        }
    }

    /// `legacy`: the other node has given a group, or did not have it.
    fn take_response(&mut self, now: Time, message: Message<'_>) {
        let text = message.get("ipaddr").unwrap_or("");
        let groups: Vec<_> = own_groups(&self.config).collect();
        let named =
            |g: &usize| self.config.groups[*g].resources.first().is_some_and(|r| r.text == text);
        if let Some(group) = groups.into_iter().find(named)
            && !self.ending()
        {
            let group = core::iter::once(group);
            self.scripts.acquire(now, &self.config, Purpose::Acquire, group);
        }
    }

    /// The other node is dead.
    pub(super) fn peer_died(&mut self, now: Time, out: &mut Vec<Action>) {
        let r = &mut self.resources;
        let free = core::mem::replace(&mut r.peer_free, false);
        let took = r.hold == Hold { local: true, foreign: true } && r.phase == Phase::Settled;
        r.peer_restarted();
        r.standby = Standby::None;
        r.failback = Time::NEVER;
        if free {
            self.send_stonith("unneeded", out);
            if !took {
                self.take_over(now);
            }
        } else if self.config.stonith.is_some() {
            self.fence.begin(now);
        } else {
            self.send_stonith("n_stnth", out);
            self.take_over(now);
        }
    }

    fn send_stonith(&mut self, result: &str, out: &mut Vec<Action>) {
        let Some(peer) = self.peers.first() else { return };
        let node = peer.name.clone();
        self.send(&[("t", "stonith"), ("node", &node), ("result", result)], out);
    }

    /// Takes everything.
    fn take_over(&mut self, now: Time) {
        if self.ending() {
            return;
        }
        let r = &mut self.resources;
        r.alone = r.phase == Phase::Starting;
        (r.phase, r.stable) = (Phase::Settled, true);
        r.hold = Hold { local: true, foreign: true };
        self.scripts.query(now, &self.config);
        self.mach_down(now);
    }

    fn mach_down(&mut self, now: Time) {
        let Some(peer) = self.peers.first() else { return };
        let config = &self.config;
        let groups = foreign_groups(config).filter(|g| config.groups[*g].node == peer.name);
        self.scripts.acquire(now, config, Purpose::TakeOver, groups);
    }

    /// Everything is given up because the daemon ends.
    pub(super) fn give_up(&mut self, now: Time, out: &mut Vec<Action>) {
        let legacy = self.legacy();
        let r = &mut self.resources;
        *r = Resources { phase: r.phase, ..Default::default() };
        if !legacy {
            self.send_hold("shutdown", out);
        }
        self.scripts.release(now, Purpose::GiveUp, 0..self.config.groups.len());
    }

    /// A script has something to say.
    pub(super) fn script_said(&mut self, now: Time, said: Said, out: &mut Vec<Action>) {
        match said {
            Said::Stopped(group) if !self.ending() => self.request(now, group, out),
            Said::Given(group, gave) => {
                let Some(peer) = self.peers.first() else { return };
                let (dest, text) = (peer.name.clone(), self.text(group));
                let own = if gave { "yes" } else { "no" };
                let fields = [("t", "ip-request-resp"), ("dest", dest.as_str())];
                let answer = [("ipaddr", text.as_str()), ("weown", own), ("ok", "OK")];
                self.send(&[fields.as_slice(), &answer].concat(), out);
            }
            Said::Standby if !self.ending() => {
                self.ask_standby(now, out);
            }
            Said::Stopped(_) | Said::Standby => {}
            Said::Ended(purpose) => self.job_ended(now, purpose, out),
        }
    }

    fn text(&self, group: usize) -> String {
        self.config.groups[group].resources.first().map(|r| r.text.clone()).unwrap_or_default()
    }

    /// An own group does not run: it is requested, by the old protocol from the other node and else from this
    /// one.
    fn request(&mut self, now: Time, group: usize, out: &mut Vec<Action>) {
        let text = self.text(group);
        if self.legacy() && self.peer_alive() {
            self.send(&[("t", "ip-request"), ("ipaddr", &text)], out);
            return;
        }
        let own = self.config.node.clone();
        let fields = [("t", "ip-request-resp"), ("dest", own.as_str()), ("ipaddr", &text)];
        let fields = [fields[0], fields[1], fields[2], ("weown", "yes"), ("ok", "OK")];
        self.send(&fields, out);
        self.scripts.acquire(now, &self.config, Purpose::Acquire, core::iter::once(group));
    }

    fn job_ended(&mut self, now: Time, purpose: Purpose, out: &mut Vec<Action>) {
        let first = core::mem::take(&mut self.resources.alone);
        if first && !self.legacy() {
            // said once more when the pause for another node is over
            self.resources.timer = now + REQUEST_DELAY;
        }
        match purpose {
            // an end that is only wanted waits for this
            Purpose::Query if !self.legacy() && !self.gives_up() => {
                self.send_hold("req_our_resources()", out);
            }
            Purpose::TakeOver if !self.legacy() => {
                let fields = [("t", "resource"), ("rsc_hold", "foreign"), ("info", "mach_down")];
                self.send(&fields, out);
            }
            Purpose::StandbyAcquire(all) => self.acquired(now, all, out),
            Purpose::StandbyRelease => {
                self.resources.standby = Standby::Waiting(now + STANDBY_MOVE);
                self.send_ask("foreign", "done", out);
            }
            Purpose::GiveUp => self.gave_up(now, out),
            Purpose::Query | Purpose::TakeOver | Purpose::Acquire | Purpose::Give(_) => {}
        }
    }

    /// What the other node gave up is here.
    fn acquired(&mut self, now: Time, all: bool, out: &mut Vec<Action>) {
        if all {
            if !self.legacy() {
                self.send_hold("", out);
                self.send_ask("all", "done", out);
            }
            if !self.ending() {
                self.mach_down(now);
            }
            return;
        }
        self.resources.standby = Standby::None;
        self.resources.hold.local = true;
        self.resources.stable = true;
        self.send_hold("", out);
        self.send_ask("foreign", "done", out);
    }

    /// Pauses of the resource protocol that are over.
    pub(super) fn resource_deadline(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.resources.timer <= now {
            self.resources.timer = Time::NEVER;
            if self.resources.phase == Phase::Starting {
                self.take_own(now, out);
            } else if !self.ending() {
                self.send_hold("", out);
            }
        }
        if self.resources.failback <= now {
            self.offer_failback(now, out);
        }
        match self.resources.standby {
            Standby::Asked(at) if at <= now => {
                self.resources.standby = Standby::None;
                self.resources.failback = now + FAILBACK_RETRY;
            }
            Standby::Promised(at) if at <= now => self.resources.standby = Standby::None,
            Standby::Waiting(at) if at <= now => {
                self.resources.standby = Standby::None;
                self.resources.stable = true;
                self.send_hold("", out);
            }
            _ => {}
        }
    }

    /// Steps of fencing.
    pub(super) fn fence_deadline(&mut self, now: Time, out: &mut Vec<Action>) {
        loop {
            let Some((device, peer)) = self.config.stonith.as_ref().zip(self.peers.first()) else {
                return;
            };
            let node = peer.name.clone();
            let Some(outcome) = self.fence.run(now, &node, device, &mut self.stream) else {
                return;
            };
            let state = match outcome {
                Outcome::Begun => {
                    if device.address.is_some() {
                        out.push(Action::Reach);
                    }
                    FencingState::Begun
                }
                Outcome::Cut => {
                    let outlet = device.outlets.iter().find(|(name, _)| *name == node);
                    if let Some(host) = outlet.and_then(|(_, host)| host.clone()) {
                        out.push(Action::Cut { host });
                    }
                    continue;
                }
                Outcome::Done => FencingState::Done,
                Outcome::Failed => FencingState::Failed,
            };
            out.push(Action::Fencing { node, state });
            match state {
                FencingState::Begun => {}
                FencingState::Done => {
                    self.send_stonith("OK", out);
                    if !self.peer_alive() {
                        self.take_over(now);
                    }
                }
                FencingState::Failed => self.send_stonith("bad", out),
            }
        }
    }
}
