//! A check of a real server.

use super::{Action, Ldirectord, Step, Waiting};
use crate::config::{CheckKind, Exchange, RealConfig};
use crate::engine::Time;
use crate::ha::probe::{Finding, Inquiry, Question, name};

/// What came of a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Checked {
    Works,
    Fails(&'static str),
    /// Another echo request goes out.
    Again,
}

impl RealConfig {
    /// Whether an external check that ends now fails.
    pub(super) fn fails_external(&self, now: Time) -> bool {
        let since = now.saturating_since(Time::ZERO);
        self.external_failures.iter().any(|[begin, end]| *begin <= since && since < *end)
    }
}

impl Ldirectord {
    /// Begins the check of a real server.
    pub(super) fn check(
        &mut self,
        number: usize,
        (v, s): (usize, usize),
        now: Time,
        out: &mut Vec<Action>,
    ) {
        let config = &self.config.virtuals[v];
        let server = &config.servers[s];
        let state = &mut self.services[v].servers[s];
        let (question, timeout) = match &config.check {
            CheckKind::External(span) => {
                let lane = &mut self.lanes[number];
                lane.waiting = Waiting::External(v, s);
                lane.due = now + *span;
                return;
            }
            CheckKind::Connect => (Question::Connect, config.check_timeout),
            CheckKind::Ping => (Question::Echo, config.check_timeout),
            CheckKind::Negotiate(exchange) => {
                let exchange = server.exchange.as_ref().unwrap_or(exchange);
                (question(exchange), config.negotiate_timeout)
            }
            CheckKind::Combined(every, exchange) => {
                state.connects += 1;
                if state.connects < *every {
                    (Question::Connect, config.check_timeout)
                } else {
                    state.connects = 0;
                    let exchange = server.exchange.as_ref().unwrap_or(exchange);
                    (question(exchange), config.negotiate_timeout)
                }
            }
            CheckKind::On | CheckKind::Off => return,
        };
        let port = config.check_port.unwrap_or(server.rule.port);
        let target = (server.rule.rip, port);
        let inquiry = Inquiry { question, target, source: None, source_port: None, timeout };
        self.lanes[number].waiting = Waiting::Answer(v, s);
        out.push(Action::Ask { lane: number as u32, inquiry });
    }

    /// What an answer means.
    pub(super) fn judge(&mut self, v: usize, s: usize, finding: Finding) -> Checked {
        let config = &self.config.virtuals[v];
        let state = &mut self.services[v].servers[s];
        let works = match finding {
            Finding::Page(page) => (200..300).contains(&page.status) && page.found,
            Finding::Mail(greeting, hello) => greeting == 220 && hello == 250,
            Finding::Name(code) => code == 0,
            Finding::Connected | Finding::Answered(_) | Finding::Datagram(_) | Finding::Echo => {
                true
            }
            _ => false,
        };
        if works {
            state.echoes = 0;
            return Checked::Works;
        }
        if config.check == CheckKind::Ping && state.echoes + 1 < config.check_count {
            state.echoes += 1;
            return Checked::Again;
        }
        state.echoes = 0;
        Checked::Fails(match finding {
            Finding::TimedOut => "timed out",
            Finding::Refused => "refused",
            Finding::Reset => "reset",
            Finding::Closed => "closed",
            Finding::Unreachable => "unreachable",
            Finding::NoPort => "no local port",
            _ => "wrong answer",
        })
    }

    /// A real server works.
    pub(super) fn worked(&mut self, number: usize, v: usize, s: usize, out: &mut Vec<Action>) {
        let config = &self.config.virtuals[v];
        let server = &mut self.services[v].servers[s];
        server.failures = 0;
        if core::mem::take(&mut server.failed) {
            out.push(Action::Check(config.service.key, config.servers[s].rule, None));
        }
        if !server.up {
            let steps = &mut self.lanes[number].steps;
            steps.push_front(Step::Fallback(v));
            steps.push_front(Step::Up(v, s));
        }
    }

    /// A check of a real server has failed.
    pub(super) fn failed(
        &mut self,
        number: usize,
        v: usize,
        s: usize,
        why: &'static str,
        out: &mut Vec<Action>,
    ) {
        let config = &self.config.virtuals[v];
        let server = &mut self.services[v].servers[s];
        server.failures = server.failures.saturating_add(1);
        if !core::mem::replace(&mut server.failed, true) {
            out.push(Action::Check(config.service.key, config.servers[s].rule, Some(why)));
        }
        if server.up && server.failures >= config.failure_count {
            let steps = &mut self.lanes[number].steps;
            steps.push_front(Step::Fallback(v));
            steps.push_front(Step::Down(v, s));
        }
    }
}

/// What is asked in an exchange.
fn question(exchange: &Exchange) -> Question {
    match exchange {
        Exchange::Page { path, virtualhost, tls } => Question::Page {
            path: name(path),
            virtualhost: virtualhost.as_deref().map_or(0, name),
            tls: *tls,
        },
        Exchange::Mail => Question::Mail,
        Exchange::Name(bytes) => Question::Name(*bytes),
        Exchange::Request(bytes) => Question::Exchange(*bytes),
        Exchange::Datagram(bytes) => Question::Datagram(*bytes),
    }
}
