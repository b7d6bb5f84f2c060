//! Members as a node sees them: who is alive, by which links, with which numbers.

use super::message::Numbers;
use crate::engine::{Span, Time};

/// Every so often a node looks who has fallen silent.
const TICK: Span = Span::from_millis(250);
/// Pause between two requests for missing messages.
const REQUEST_PAUSE: Span = Span::from_secs(1);
/// Every so many messages of a node one is acknowledged (`ACK_MSG_DIV`).
pub(super) const ACKNOWLEDGED: u64 = 10;

/// State of a member (`st`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum NodeState {
    /// Nothing was heard of it.
    #[default]
    Unknown,
    /// It has started.
    Init,
    /// It looks for the others.
    Up,
    /// It takes part.
    Active,
    /// Nothing was heard for its dead time.
    Dead,
}

impl NodeState {
    /// The word on the wire and in what is told.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Init => "init",
            Self::Up => "up",
            Self::Active => "active",
            Self::Dead => "dead",
        }
    }

    /// What a word on the wire means.
    pub(super) fn of(word: &str) -> Option<Self> {
        [Self::Init, Self::Up, Self::Active].into_iter().find(|s| s.name() == word)
    }

    /// Whether messages come from it.
    pub(super) fn alive(self) -> bool {
        matches!(self, Self::Init | Self::Up | Self::Active)
    }
}

/// A way from a member to here.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Link {
    last: Time,
    up: bool,
}

/// Another member.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) state: NodeState,
    /// Number of the start of its heartbeat.
    pub(super) generation: Option<u64>,
    /// When its last status message came.
    pub(super) last: Time,
    /// Dead time it announced.
    pub(super) dead_after: Span,
    /// Of its messages those with this last digit are acknowledged.
    pub(super) acknowledged: u64,
    pub(super) numbers: Numbers,
    pub(super) links: Vec<Link>,
    /// It has answered the question for its list of nodes.
    pub(super) answered: bool,
    /// When missing messages may be asked for again.
    pub(super) request: Time,
}

impl Peer {
    pub(super) fn new(name: &str, links: usize, deadtime: Span) -> Self {
        Self {
            name: name.to_owned(),
            state: NodeState::Unknown,
            generation: None,
            last: Time::ZERO,
            dead_after: deadtime,
            acknowledged: 0,
            numbers: Numbers::default(),
            links: vec![Link::default(); links],
            answered: false,
            request: Time::NEVER,
        }
    }

    /// A packet came by a link; whether the link was dead.
    pub(super) fn heard_by(&mut self, now: Time, link: usize) -> bool {
        let Some(l) = self.links.get_mut(link) else { return false };
        l.last = now;
        !core::mem::replace(&mut l.up, true)
    }

    /// Links that are up and on which nothing came for the dead time; they count as dead from now on.
    pub(super) fn dead_links(&mut self, now: Time) -> Vec<usize> {
        let limit = self.dead_after;
        let dead = |l: &Link| l.up && now.saturating_since(l.last) > limit;
        let all: Vec<_> = (0..self.links.len()).filter(|i| dead(&self.links[*i])).collect();
        for i in &all {
            self.links[*i].up = false;
        }
        all
    }

    /// When the next link or the member itself counts as dead, if nothing comes. `initial`: instead of the
    /// dead time of the member.
    pub(super) fn silent_at(&self, start: Time, initial: Option<Span>) -> Time {
        let links = self.links.iter().filter(|l| l.up).map(|l| l.last + self.dead_after);
        let first = links.min().unwrap_or(Time::NEVER);
        if self.state == NodeState::Dead {
            return tick_after(start, first);
        }
        let limit = initial.unwrap_or(self.dead_after);
        tick_after(start, first.min(self.last.max(start) + limit))
    }

    /// Whether the member counts as dead from now on.
    pub(super) fn is_silent(&self, now: Time, start: Time, initial: Option<Span>) -> bool {
        let limit = initial.unwrap_or(self.dead_after);
        self.state != NodeState::Dead && now.saturating_since(self.last.max(start)) > limit
    }

    /// A numbered message came: whether it is new.
    pub(super) fn number(&mut self, now: Time, seq: u64) -> bool {
        let new = self.numbers.accept(seq);
        if self.numbers.missing().is_none() {
            self.request = Time::NEVER;
        } else if self.request == Time::NEVER {
            self.request = now + TICK;
        }
        new
    }

    /// The missing numbers, if they are to be asked for now.
    pub(super) fn request(&mut self, now: Time) -> Option<(u64, u64)> {
        if self.request > now {
            return None;
        }
        self.request = now + REQUEST_PAUSE;
        self.numbers.missing()
    }

    /// Nothing that was sent before counts any more.
    pub(super) fn forget_numbers(&mut self) {
        self.numbers = Numbers::default();
        self.request = Time::NEVER;
    }
}

/// A ping node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ping {
    pub(super) state: NodeState,
    /// Its last answer.
    pub(super) last: Time,
}

impl Ping {
    /// When it counts as dead, if it does not answer before.
    pub(super) fn silent_at(&self, start: Time, limit: Span) -> Time {
        if self.state == NodeState::Dead {
            return Time::NEVER;
        }
        tick_after(start, self.last.max(start) + limit)
    }
}

/// The first look at the members after a point.
fn tick_after(start: Time, point: Time) -> Time {
    if point == Time::NEVER {
        return point;
    }
    let ticks = point.saturating_since(start).as_nanos() / TICK.as_nanos() + 1;
    start + TICK * ticks
}
