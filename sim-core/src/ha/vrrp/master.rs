//! Being master: how it begins, what it hears, how it ends.

use super::instance::{Heard, Rival};
use super::timers::{OWNER, micros, skew_us};
use super::{Action, State, Vrrp};
use crate::engine::{Span, Time};
use core::cmp::Ordering;

/// An owner sends so many adverts before it expects another one to have become silent.
const ADVERTS_TO_A_RIVAL: u8 = 2;

impl Vrrp {
    /// An instance becomes master, if its sync group lets it (`vrrp_state_goto_master`).
    pub(super) fn become_master(&mut self, i: usize, now: Time, out: &mut Vec<Action>) {
        self.instances[i].wants = State::Master;
        if !self.may_be_master(i, now) {
            return;
        }
        self.instances[i].state = State::Master;
        self.master_advert(i, now, out);
    }

    /// A master sends its advert. A new one does so before it sets its addresses, so that the old one has removed them
    /// when they are announced (`vrrp_state_master_tx`).
    pub(super) fn master_advert(&mut self, i: usize, now: Time, out: &mut Vec<Action>) {
        self.send(i, now, out);
        let n = &mut self.instances[i];
        n.timer = now + micros(n.interval_us);
        if !n.holds {
            self.take_addresses(i, now, out);
        }
    }

    fn send(&mut self, i: usize, now: Time, out: &mut Vec<Action>) {
        let n = &mut self.instances[i];
        n.last_sent = now;
        out.push(Action::Advert { instance: i as u16, priority: n.priority });
        if let Rival::Heard(left, theirs) = n.rival {
            // "a bit more than" the longer interval, as keepalived has it
            let wait = theirs.max(n.interval_us) * 12 / 10;
            n.rival = if left > 1 {
                Rival::Heard(left - 1, theirs)
            } else {
                Rival::Awaited(now + micros(wait))
            };
        }
    }

    /// `vrrp_state_become_master`.
    fn take_addresses(&mut self, i: usize, now: Time, out: &mut Vec<Action>) {
        let instance = i as u16;
        let n = &mut self.instances[i];
        if n.is_owner() {
            n.priority = OWNER;
        }
        n.master_interval_us = n.interval_us;
        n.holds = true;
        let garp = *n.garp();
        if garp.delay > Span::ZERO {
            n.bursts.push((now + garp.delay, garp.repeat));
        }
        if garp.refresh > Span::ZERO {
            n.refresh_at = now + garp.delay + garp.refresh;
        }
        out.push(Action::State { instance, state: State::Master });
        out.push(Action::Add { instance });
        self.announce(i, garp.repeat, false, now, out);
        if self.leads_sync == Some(i) {
            out.push(Action::Sync { master: true });
        }
    }

    /// Announces every address of an instance that holds them, at its pace (`vrrp_send_link_update`).
    pub(super) fn announce(
        &mut self,
        i: usize,
        repeat: u32,
        routine: bool,
        now: Time,
        out: &mut Vec<Action>,
    ) {
        if !self.instances[i].holds || repeat == 0 {
            return;
        }
        let instance = i as u16;
        let paces = &self.pace_of[i];
        if paces.iter().all(Option::is_none) {
            out.push(Action::Announce { instance, repeat, routine });
            return;
        }
        for _ in 0..repeat {
            for (address, pace) in paces.iter().enumerate() {
                let address = address as u16;
                let which = (instance, address);
                if pace.is_none_or(|p| self.paces[p].offer(now, which, repeat)) {
                    out.push(Action::AnnounceOne { instance, address });
                }
            }
        }
    }

    /// A master becomes what it wants, backup or fault (`vrrp_state_leave_master`).
    pub(super) fn leave_master(&mut self, i: usize, stop: bool, now: Time, out: &mut Vec<Action>) {
        let instance = i as u16;
        let n = &mut self.instances[i];
        if n.holds && self.leads_sync == Some(i) {
            out.push(Action::Sync { master: false });
        }
        let n = &mut self.instances[i];
        if n.wants == State::Fault {
            out.push(Action::Advert { instance, priority: 0 });
        } else {
            n.preempt_at = None;
        }
        if stop {
            out.push(Action::Advert { instance, priority: 0 });
        }
        for pace in &mut self.paces {
            pace.forget(instance);
        }
        if n.holds {
            out.push(Action::Remove { instance });
        }
        n.holds = false;
        n.refresh_at = Time::NEVER;
        n.rival = Rival::None;
        n.state = if n.wants == State::Fault { State::Fault } else { State::Backup };
        n.timer = match n.state {
            State::Backup => now + micros(n.master_down_us()),
            _ => Time::NEVER,
        };
        out.push(Action::State { instance, state: n.state });
    }

    /// A master hears an advert (`vrrp_state_master_rx`).
    pub(super) fn master_hears(
        &mut self,
        i: usize,
        heard: &Heard<'_>,
        now: Time,
        out: &mut Vec<Action>,
    ) {
        let n = &self.instances[i];
        if !n.accepts(heard) {
            return;
        }
        let theirs = heard.advert.priority;
        let order = theirs.cmp(&n.priority).then(n.compare(heard.from));
        let higher = order == Ordering::Greater;
        if theirs == 0 {
            self.send(i, now, out);
            return;
        }
        if higher && n.config.higher_prio_send_advert {
            self.send(i, now, out);
        }
        if theirs == OWNER && self.instances[i].priority == OWNER && order == Ordering::Less {
            self.hear_rival(i, heard);
        }
        // an owner that has just made way for another is below it now
        let n = &mut self.instances[i];
        let order = theirs.cmp(&n.priority).then(n.compare(heard.from));
        match order {
            Ordering::Less => self.stay_master(i, now, out),
            Ordering::Greater => {
                n.adopt_interval(heard.advert);
                n.wants = State::Backup;
                self.leave_master(i, false, now, out);
            }
            // an equal priority from the own address: it is only logged
            Ordering::Equal => {}
        }
    }

    /// Two owners of the same addresses: the one with the higher address waits for the other to become silent, and makes
    /// way if it does not.
    fn hear_rival(&mut self, i: usize, heard: &Heard<'_>) {
        let n = &mut self.instances[i];
        match n.rival {
            Rival::None => {
                let unit = if heard.advert.version == 2 { 1_000_000 } else { 10_000 };
                let theirs = u64::from(heard.advert.interval) * unit;
                n.rival = Rival::Heard(ADVERTS_TO_A_RIVAL, theirs);
            }
            Rival::Heard(..) => {}
            Rival::Awaited(_) => {
                n.rival = Rival::None;
                n.priority = OWNER - 1;
            }
        }
    }

    /// A master has heard one that is below it: it says so, and announces the addresses again, as the other may have
    /// done. The other members of its sync group do too.
    fn stay_master(&mut self, i: usize, now: Time, out: &mut Vec<Action>) {
        if !self.instances[i].config.lower_prio_no_advert {
            self.send(i, now, out);
        }
        self.announce_again(i, now, out);
        let Some(group) = self.instances[i].group else { return };
        for m in 0..self.groups[group].members.len() {
            let member = self.groups[group].members[m];
            if member != i {
                self.announce_again(member, now, out);
            }
        }
    }

    fn announce_again(&mut self, i: usize, now: Time, out: &mut Vec<Action>) {
        let garp = *self.instances[i].garp();
        if garp.lower_repeat == 0 {
            return;
        }
        self.announce(i, garp.lower_repeat, false, now, out);
        if garp.lower_delay > Span::ZERO {
            self.instances[i].bursts.push((now + garp.lower_delay, garp.lower_repeat));
        }
    }

    /// Masters that have not been running for so long that another has taken over know it (`timer_expired_backup`).
    pub(super) fn give_up_late(&mut self, now: Time, out: &mut Vec<Action>) {
        for i in 0..self.instances.len() {
            let n = &mut self.instances[i];
            let Some(other) = n.config.timer_expired_backup else { continue };
            let taken_over = 3 * n.interval_us + skew_us(n.config.version, other, n.interval_us);
            if n.state == State::Master && n.last_sent + micros(taken_over) <= now {
                n.wants = State::Backup;
                self.leave_master(i, false, now, out);
                self.synchronise(i, State::Master, now, out);
            }
        }
    }
}
