//! heartbeat (version 3.0, resources of `haresources`): membership by status messages, two nodes that share
//! resource groups, and fencing.
//!
//! [`Heartbeat`] is the daemon of one node with its scripts. Time, messages and orders go in; messages,
//! resources started and stopped, and what is to be told come out as [`Action`]s. Messages are text as on the
//! wire of heartbeat, without its binary identifiers.
//!
//! Source: heartbeat `heartbeat.c`, `hb_resource.c`; the order of messages and the pauses were checked with
//! recordings of heartbeat 3.0.6.

mod action;
mod fence;
mod member;
mod message;
mod resource;
mod script;
#[cfg(test)]
mod tests;

use crate::config::HeartbeatConfig;
use crate::engine::{Span, Stream, Time, Uniform};
pub use action::{Action, FencingState, GroupState};
use fence::Fence;
pub use member::NodeState;
use member::{ACKNOWLEDGED, Peer, Ping};
pub use message::Hold;
use message::{History, Message};
use resource::Resources;
use script::{Script, Scripts};

/// A node that has just started announces a dead time that is longer by this.
const START_ALLOWANCE: Span = Span::from_secs(2);
/// So long it does.
const START_TIME: Span = Span::from_secs(5);
/// A node that will restart itself announces a dead time that is longer by this.
const RESTART_ALLOWANCE: Span = Span::from_secs(30);
/// From the return of a node after a partition to the end of the daemon that saw it.
const PARTITION_GRACE: Span = Span::from_secs(2);
/// From the last message about resources to the end of the processes, in two steps.
const FAREWELL: Span = Span::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Life {
    Off,
    /// The init script, or the restart, is at work until then.
    Starting(Time),
    Running,
}

/// The end of a daemon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shutdown {
    None,
    /// From then on, when no script is at work.
    Wanted(Time),
    /// Scripts give up the resources.
    GivingUp,
    /// The others know; the first message after that goes out then.
    Farewell(Time),
    /// The processes end then.
    Ending(Time),
}

/// heartbeat of one node.
#[derive(Debug)]
pub struct Heartbeat {
    config: HeartbeatConfig,
    stream: Stream,
    life: Life,
    shutdown: Shutdown,
    restart: bool,
    generation: u64,
    seq: u64,
    history: History,
    acknowledged: u64,
    /// First status message of this life.
    start: Time,
    state: NodeState,
    next_status: Time,
    last_status: Time,
    /// Dead time it announces, and when another one follows.
    announced: Span,
    change: Time,
    peers: Vec<Peer>,
    pings: Vec<Ping>,
    /// Every other member was heard or declared dead.
    met: bool,
    resources: Resources,
    scripts: Scripts,
    fence: Fence,
    rejected: u64,
}

impl Heartbeat {
    /// A daemon that does not run yet. `stream` decides which messages it acknowledges and which resets
    /// fail.
    pub fn new(config: HeartbeatConfig, stream: Stream) -> Self {
        let links = config.media.len();
        let others = config.nodes.iter().filter(|n| **n != config.node);
        let peers = others.map(|n| Peer::new(n, links, config.deadtime)).collect();
        let scripts = Scripts::new(&config);
        Self {
            stream,
            life: Life::Off,
            shutdown: Shutdown::None,
            restart: false,
            generation: 0,
            seq: 0,
            history: History::default(),
            acknowledged: 0,
            start: Time::ZERO,
            state: NodeState::Unknown,
            next_status: Time::NEVER,
            last_status: Time::ZERO,
            announced: config.deadtime,
            change: Time::NEVER,
            peers,
            pings: vec![Ping::default(); config.pings.len()],
            met: false,
            resources: Resources::default(),
            scripts,
            fence: Fence::new(),
            rejected: 0,
            config,
        }
    }

    /// Its configuration.
    pub const fn config(&self) -> &HeartbeatConfig {
        &self.config
    }

    /// Whether its processes run, be it only the init script.
    pub fn is_running(&self) -> bool {
        self.life != Life::Off
    }

    /// State it announces; [`NodeState::Unknown`] if it announces none.
    pub const fn state(&self) -> NodeState {
        self.state
    }

    /// What it says it holds.
    pub const fn holds(&self) -> Hold {
        self.resources.hold
    }

    /// Messages that were not signed with its key.
    pub const fn rejected(&self) -> u64 {
        self.rejected
    }

    /// When it last sent its status, while it runs.
    pub fn last_status(&self) -> Option<Time> {
        (self.life == Life::Running).then_some(self.last_status)
    }

    /// Whether a resource of a group has been started and not been stopped.
    pub fn has_group(&self, group: usize) -> bool {
        group < self.config.groups.len() && self.scripts.holds(group)
    }

    /// Takes over what the same node remembers after a loss of power.
    pub fn inherit(&mut self, old: &Self) {
        self.generation = old.generation;
        self.scripts.inherit(&old.scripts);
    }

    /// The init script is called. A daemon that ends starts again after it.
    pub fn start(&mut self, now: Time) {
        if self.shutdown != Shutdown::None {
            self.restart = true;
        }
        if self.life == Life::Off {
            let boot = self.scripts.take(&self.config.scripts, Script::Boot);
            self.life = Life::Starting(now + boot);
        }
    }

    /// It is told to end (`heartbeat -k`): it gives up its resources first.
    pub fn stop(&mut self, now: Time, out: &mut Vec<Action>) {
        match self.life {
            Life::Off => return,
            Life::Starting(_) => self.life = Life::Off,
            Life::Running if self.shutdown == Shutdown::None => {
                self.shutdown = Shutdown::Wanted(now);
            }
            Life::Running => {}
        }
        self.restart = false;
        self.wake(now, out);
    }

    /// All its processes and scripts are gone at once; resources stay as they are.
    pub fn kill(&mut self) {
        self.life = Life::Off;
        self.state = NodeState::Unknown;
        self.shutdown = Shutdown::None;
        self.resources = Resources::default();
        self.scripts.kill();
        self.fence.end();
    }

    /// The power is gone, and the resources with it.
    pub fn power_off(&mut self) {
        self.kill();
        self.scripts.power_off();
    }

    /// Its processes go on after they stood still.
    pub fn thaw(&mut self, now: Time, stood: Span, out: &mut Vec<Action>) {
        self.scripts.shift(stood);
        self.fence.shift(stood);
        if let Life::Starting(at) = &mut self.life {
            *at += stood;
        }
        self.wake(now, out);
    }

    /// The fencing device has answered.
    pub fn device_reached(&mut self) {
        self.fence.reached();
    }

    /// A ping node has answered.
    pub fn ping_answered(&mut self, now: Time, node: usize, out: &mut Vec<Action>) {
        let Some(ping) = self.pings.get_mut(node) else { return };
        if self.life != Life::Running {
            return;
        }
        ping.last = now;
        if core::mem::replace(&mut ping.state, NodeState::Up) != NodeState::Up {
            let node = self.config.pings[node].name.clone();
            out.push(Action::Node { node, state: NodeState::Up });
            self.meet(now, out);
        }
    }

    /// The next point at which [`Heartbeat::wake`] has something to do.
    pub fn next_deadline(&self) -> Time {
        // send_arp does not need the daemon
        let scripts = self.scripts.next_deadline();
        match self.life {
            Life::Off => scripts,
            Life::Starting(at) => at.min(scripts),
            Life::Running => {
                let end = match self.shutdown {
                    Shutdown::Wanted(at) if !self.scripts.busy() => at,
                    Shutdown::Farewell(at) | Shutdown::Ending(at) => at,
                    _ => Time::NEVER,
                };
                let first = scripts.min(end).min(self.next_status).min(self.change);
                let fence = self.fence.next_deadline();
                let initial = (!self.met).then_some(self.config.initdead);
                let silent = self.peers.iter().map(|p| p.silent_at(self.start, initial));
                let limit = initial.unwrap_or(self.config.deadping);
                let pings = self.pings.iter().map(|p| p.silent_at(self.start, limit));
                let requests = self.peers.iter().map(|p| p.request);
                let peers = silent.chain(pings).chain(requests).min().unwrap_or(Time::NEVER);
                first.min(fence).min(peers).min(self.resources.next_deadline())
            }
        }
    }

    /// Does what is due.
    pub fn wake(&mut self, now: Time, out: &mut Vec<Action>) {
        while self.next_deadline() <= now {
            match self.life {
                Life::Starting(at) if at <= now => self.begin(now, out),
                Life::Running => self.tick(now, out),
                Life::Off | Life::Starting(_) => {}
            }
            while let Some(said) = self.scripts.run(now, &self.config, out) {
                self.script_said(now, said, out);
            }
        }
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.next_status <= now {
            self.own_heartbeat(now, out);
        }
        if self.change <= now {
            self.change = Time::NEVER;
            self.announced = self.config.deadtime;
            self.send_status(now, out);
        }
        self.look_for_silence(now, out);
        self.look_for_silent_pings(now, out);
        self.resource_deadline(now, out);
        self.fence_deadline(now, out);
        self.shutdown_deadline(now, out);
    }

    /// The periodic status message.
    fn own_heartbeat(&mut self, now: Time, out: &mut Vec<Action>) {
        let interval = now.saturating_since(self.last_status);
        if interval > self.config.warntime {
            out.push(Action::Late { node: self.config.node.clone(), interval });
        }
        self.send_status(now, out);
        out.extend((0..self.pings.len()).map(|node| Action::Ping { node }));
        self.next_status += self.config.keepalive;
        if self.next_status <= now {
            self.next_status = now + self.config.keepalive;
        }
        // who did not answer is asked again
        for i in 0..self.peers.len() {
            let p = &self.peers[i];
            if !self.met && p.state.alive() && !p.answered {
                self.send(&[("t", "reqnodes"), ("dest", &self.peers[i].name.clone())], out);
            }
        }
    }

    /// The daemon begins to send.
    fn begin(&mut self, now: Time, out: &mut Vec<Action>) {
        self.life = Life::Running;
        self.shutdown = Shutdown::None;
        self.restart = false;
        // as the first generation of heartbeat: the time
        self.generation = (self.generation + 1).max(now.as_nanos() / 1_000_000);
        self.seq = 0;
        self.history = History::default();
        self.acknowledged = self.stream.next_u64() % ACKNOWLEDGED;
        self.start = now;
        self.last_status = now;
        self.next_status = now + self.config.keepalive;
        self.announced = self.config.deadtime + START_ALLOWANCE;
        self.change = now + START_TIME;
        self.met = false;
        self.resources = Resources::default();
        let links = self.config.media.len();
        for p in &mut self.peers {
            *p = Peer::new(&p.name, links, self.config.deadtime);
        }
        self.pings.fill(Ping::default());
        out.push(Action::Began);
        self.state = NodeState::Init;
        self.send_status(now, out);
        self.state = NodeState::Up;
        self.send_status(now, out);
        self.send_status(now, out);
        self.meet(now, out);
    }

    fn send_status(&mut self, now: Time, out: &mut Vec<Action>) {
        self.last_status = now;
        let dt = format!("{:x}", self.announced.as_nanos() / 1_000_000);
        let fields = [("t", "status"), ("st", self.state.name()), ("dt", &dt), ("protocol", "1")];
        self.send(&fields, out);
    }

    /// Sends a numbered message.
    fn send(&mut self, fields: &[(&str, &str)], out: &mut Vec<Action>) {
        self.seq += 1;
        if self.seq % ACKNOWLEDGED == self.acknowledged {
            let own = self.config.node.clone();
            self.acknowledge(&own, self.seq, out);
        }
        let (node, key) = (&self.config.node, &self.config.key);
        let bytes = message::compose(fields, node, self.generation, Some(self.seq), key);
        self.history.keep(bytes.clone());
        out.push(Action::Send(bytes));
    }

    /// Sends a message without a number.
    fn send_bare(&self, fields: &[(&str, &str)], out: &mut Vec<Action>) {
        let (node, key) = (&self.config.node, &self.config.key);
        out.push(Action::Send(message::compose(fields, node, self.generation, None, key)));
    }

    fn acknowledge(&self, node: &str, seq: u64, out: &mut Vec<Action>) {
        let seq = format!("{seq:x}");
        self.send_bare(&[("t", "NS_ackmsg"), ("dest", node), ("ackseq", &seq)], out);
    }

    /// A packet came by a medium.
    pub fn receive(&mut self, now: Time, medium: usize, bytes: &[u8], out: &mut Vec<Action>) {
        if self.life != Life::Running {
            return;
        }
        let Some(message) = Message::read(bytes, &self.config.key) else {
            self.rejected += 1;
            return;
        };
        let source = message.get("src").unwrap_or("");
        let (Some(from), Some(generation)) =
            (self.peers.iter().position(|p| p.name == source), message.number("hg"))
        else {
            return;
        };
        if self.peers[from].heard_by(now, medium) {
            out.push(Action::Medium { node: source.to_owned(), medium, up: true });
        }
        if !self.known_generation(now, from, generation) {
            return;
        }
        if let Some(seq) = message.number("seq") {
            if !self.peers[from].number(now, seq) {
                return;
            }
            if seq % ACKNOWLEDGED == self.peers[from].acknowledged {
                self.acknowledge(source, seq, out);
            }
        }
        self.take(now, from, message, out);
        self.wake(now, out);
    }

    /// A message of a start of a member: `false` if that start is over.
    fn known_generation(&mut self, now: Time, from: usize, generation: u64) -> bool {
        let peer = &mut self.peers[from];
        match peer.generation {
            Some(known) if known == generation => return true,
            Some(known) if known > generation => return false,
            _ => {}
        }
        peer.acknowledged = self.stream.next_u64() % ACKNOWLEDGED;
        let restarted = peer.generation.replace(generation).is_some();
        peer.forget_numbers();
        // one that was only taken for dead, as nothing had ever been heard of it, has started late
        if restarted || peer.state == NodeState::Dead {
            // whatever its first message is, it lives
            (peer.state, peer.last) = (NodeState::Unknown, now);
            self.resources.peer_restarted();
        }
        true
    }

    /// A new message of a member.
    fn take(&mut self, now: Time, from: usize, message: Message<'_>, out: &mut Vec<Action>) {
        if message.get("dest").is_some_and(|dest| dest != self.config.node) {
            return;
        }
        match message.kind() {
            "status" => self.take_status(now, from, message, out),
            "reqnodes" => {
                let list = self.config.nodes.join(" ");
                let dest = self.peers[from].name.clone();
                let fields = [("t", "repnodes"), ("dest", dest.as_str()), ("nodelist", &list)];
                self.send(&fields, out);
            }
            "repnodes" => {
                self.peers[from].answered = true;
                self.meet(now, out);
            }
            "NS_rexmit" => {
                let range = message.number("firstseq").zip(message.number("lastseq"));
                let (first, last) = range.unwrap_or((1, 0));
                out.extend(self.history.between(first, last).map(|b| Action::Send(b.clone())));
            }
            // only two nodes share resources
            _ if from == 0 => self.take_resource_message(now, message, out),
            _ => {}
        }
    }

    fn take_status(&mut self, now: Time, from: usize, message: Message<'_>, out: &mut Vec<Action>) {
        let Some(state) = message.get("st").and_then(NodeState::of) else { return };
        let peer = &mut self.peers[from];
        let before = peer.state;
        let interval = now.saturating_since(peer.last);
        if matches!(before, NodeState::Up | NodeState::Active | NodeState::Dead)
            && peer.last >= self.start
            && interval > self.config.warntime
        {
            out.push(Action::Late { node: peer.name.clone(), interval });
        }
        peer.last = now;
        if let Some(dt) = message.number("dt") {
            peer.dead_after = Span::from_millis(dt.min(Span::MAX.as_nanos() / 1_000_000));
        }
        peer.state = state;
        if before == state {
            return;
        }
        if before == NodeState::Dead {
            self.returned(now, from, out);
        }
        let node = self.peers[from].name.clone();
        out.push(Action::Node { node: node.clone(), state });
        if before == NodeState::Unknown && !self.met {
            self.send(&[("t", "reqnodes"), ("dest", &node)], out);
        }
    }

    /// A member that was declared dead did not restart meanwhile: it was alive.
    fn returned(&mut self, now: Time, from: usize, out: &mut Vec<Action>) {
        let node = self.peers[from].name.clone();
        out.push(Action::Partition { node: node.clone() });
        if from == 0 {
            let fields = [("t", "stonith"), ("node", node.as_str()), ("result", "unneeded")];
            self.send(&fields, out);
            self.resources.peer_restarted();
        }
        if self.shutdown == Shutdown::None {
            self.restart = true;
            self.shutdown = Shutdown::Wanted(now + PARTITION_GRACE);
        }
    }

    /// Links and members on which nothing came for too long.
    fn look_for_silence(&mut self, now: Time, out: &mut Vec<Action>) {
        for i in 0..self.peers.len() {
            if let Some((first, last)) = self.peers[i].request(now) {
                let (first, last) = (format!("{first:x}"), format!("{last:x}"));
                let dest = self.peers[i].name.clone();
                let range = [("firstseq", first.as_str()), ("lastseq", &last)];
                let fields = [("t", "NS_rexmit"), ("dest", dest.as_str()), range[0], range[1]];
                self.send_bare(&fields, out);
            }
            let initial = (!self.met).then_some(self.config.initdead);
            let silent = self.peers[i].is_silent(now, self.start, initial);
            if silent {
                let peer = &mut self.peers[i];
                peer.state = NodeState::Dead;
                peer.forget_numbers();
                let node = peer.name.clone();
                out.push(Action::Node { node, state: NodeState::Dead });
                self.meet(now, out);
                if i == 0 {
                    self.peer_died(now, out);
                }
            }
            for medium in self.peers[i].dead_links(now) {
                let node = self.peers[i].name.clone();
                out.push(Action::Medium { node, medium, up: false });
            }
        }
    }

    /// Ping nodes that have not answered for too long.
    fn look_for_silent_pings(&mut self, now: Time, out: &mut Vec<Action>) {
        for (ping, config) in self.pings.iter_mut().zip(&self.config.pings) {
            let limit = if self.met { self.config.deadping } else { self.config.initdead };
            if ping.state != NodeState::Dead && ping.silent_at(self.start, limit) <= now {
                ping.state = NodeState::Dead;
                out.push(Action::Node { node: config.name.clone(), state: NodeState::Dead });
            }
        }
        self.meet(now, out);
    }

    /// Takes part as soon as every other member was heard or declared dead.
    fn meet(&mut self, now: Time, out: &mut Vec<Action>) {
        let known = |p: &Peer| p.answered || p.state == NodeState::Dead;
        let answered = |p: &Ping| p.state != NodeState::Unknown;
        if self.met || !self.peers.iter().all(known) || !self.pings.iter().all(answered) {
            return;
        }
        self.met = true;
        self.state = NodeState::Active;
        self.send_status(now, out);
        self.enter(now, out);
    }

    /// The steps to the end of the daemon.
    fn shutdown_deadline(&mut self, now: Time, out: &mut Vec<Action>) {
        match self.shutdown {
            Shutdown::Wanted(at) if at <= now && !self.scripts.busy() => {
                self.shutdown = Shutdown::GivingUp;
                self.give_up(now, out);
            }
            Shutdown::Farewell(at) if at <= now => {
                if self.restart {
                    self.announced = self.config.deadtime + RESTART_ALLOWANCE;
                }
                self.send_status(now, out);
                self.send_status(now, out);
                self.shutdown = Shutdown::Ending(now + FAREWELL);
            }
            Shutdown::Ending(at) if at <= now => {
                let restart = self.restart;
                self.kill();
                if restart {
                    let span = self.scripts.take(&self.config.scripts, Script::Restart);
                    self.life = Life::Starting(now + span);
                }
                out.push(Action::Ended { restart });
            }
            _ => {}
        }
    }

    /// Every resource was given up: the others are told.
    fn gave_up(&mut self, now: Time, out: &mut Vec<Action>) {
        self.send(&[("t", "shutdone"), ("st", "dead")], out);
        self.shutdown = Shutdown::Farewell(now + FAREWELL);
    }
}
