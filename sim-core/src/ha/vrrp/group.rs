//! Sync groups: instances that are master together or not at all (`vrrp_sync.c`).

use super::timers::micros;
use super::{Action, State, Vrrp};
use crate::config::{SyncGroup, VrrpInstance};
use crate::engine::Time;

/// A sync group.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) members: Vec<usize>,
    pub(super) state: State,
}

impl Group {
    pub(super) fn new(config: &SyncGroup, instances: &[VrrpInstance]) -> Self {
        let find = |name: &String| instances.iter().position(|i| i.name == *name);
        Self { members: config.members.iter().filter_map(find).collect(), state: State::Init }
    }
}

impl Vrrp {
    pub(super) fn any_fault(&self, group: usize) -> bool {
        self.groups[group].members.iter().any(|m| self.instances[*m].faults > 0)
    }

    pub(super) fn any_unknown(&self, group: usize) -> bool {
        self.groups[group].members.iter().any(|m| self.instances[*m].unknown > 0)
    }

    /// The state in which a group begins.
    pub(super) fn first_state(&self, group: usize) -> State {
        let owns = |m: &usize| {
            let n = &self.instances[*m];
            n.wants == State::Master && n.is_owner()
        };
        if self.any_fault(group) {
            State::Fault
        } else if self.any_unknown(group) {
            State::Init
        } else if self.groups[group].members.iter().all(owns) {
            State::Master
        } else {
            State::Backup
        }
    }

    /// Whether the others of its group want to be master as well (`vrrp_sync_can_goto_master`); if not, the instance asks
    /// again after the time in which a master is found dead.
    pub(super) fn may_be_master(&mut self, i: usize, now: Time) -> bool {
        let Some(group) = self.instances[i].group else { return true };
        let group = &self.groups[group];
        let willing = |m: &usize| *m == i || self.instances[*m].wants == State::Master;
        if group.state == State::Master || group.members.iter().all(willing) {
            return true;
        }
        let n = &mut self.instances[i];
        n.timer = now + micros(n.master_down_us());
        false
    }

    /// The group follows an instance that has changed its state.
    pub(super) fn synchronise(
        &mut self,
        i: usize,
        before: State,
        now: Time,
        out: &mut Vec<Action>,
    ) {
        let state = self.instances[i].state;
        if state == before {
            return;
        }
        match state {
            State::Master => self.group_master(i, now, out),
            State::Backup => self.group_backup(i, now, out),
            State::Fault => self.group_fault(i, now, out),
            State::Init | State::Stop => {}
        }
    }

    /// The group of an instance, if it has one that is not in this state yet, and the other members.
    fn others(&self, i: usize, state: State) -> Option<(usize, Vec<usize>)> {
        let group = self.instances[i].group.filter(|g| self.groups[*g].state != state)?;
        let others = self.groups[group].members.iter().copied().filter(|m| *m != i);
        Some((group, others.collect()))
    }

    fn group_is(&mut self, group: usize, state: State, out: &mut Vec<Action>) {
        self.groups[group].state = state;
        out.push(Action::Group { group: group as u16, state });
    }

    pub(super) fn group_master(&mut self, i: usize, now: Time, out: &mut Vec<Action>) {
        let Some((group, others)) = self.others(i, State::Master) else { return };
        if !self.may_be_master(i, now) {
            return;
        }
        for m in others {
            if self.instances[m].state != State::Master {
                self.become_master(m, now, out);
            }
        }
        self.group_is(group, State::Master, out);
    }

    pub(super) fn group_backup(&mut self, i: usize, now: Time, out: &mut Vec<Action>) {
        let Some((group, others)) = self.others(i, State::Backup) else { return };
        for m in others {
            match self.instances[m].state {
                State::Backup | State::Stop => {}
                State::Master => {
                    self.instances[m].wants = State::Backup;
                    self.leave_master(m, false, now, out);
                }
                State::Fault | State::Init => {
                    self.instances[m].wants = State::Backup;
                    self.enter(m, State::Backup, now, out);
                }
            }
        }
        self.group_is(group, State::Backup, out);
    }

    pub(super) fn group_fault(&mut self, i: usize, now: Time, out: &mut Vec<Action>) {
        let Some((group, others)) = self.others(i, State::Fault) else { return };
        for m in others {
            match self.instances[m].state {
                State::Fault | State::Stop => {}
                State::Master => {
                    self.instances[m].wants = State::Fault;
                    self.leave_master(m, false, now, out);
                }
                State::Backup | State::Init => {
                    self.instances[m].wants = State::Fault;
                    self.enter(m, State::Fault, now, out);
                }
            }
        }
        self.group_is(group, State::Fault, out);
    }
}
