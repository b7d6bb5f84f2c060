//! Defences against floods (`ip_vs_ctl.c`, `update_defense_level`; `ip_vs_conn.c`,
//! `ip_vs_random_dropentry`).

use super::connection::{Connection, Slot, flag};
use super::director::Ipvs;
use super::listing::BUCKETS;
use super::state::State;
use crate::engine::{Span, Time};
use crate::wire::proto;
use schedulers::RandomSource;
use std::collections::BTreeMap;

/// The defences are looked at once a second.
const PERIOD: Span = Span::from_secs(1);
/// This part of the buckets is looked through each time.
const SCANNED: u32 = 32;
/// Entries that got a packet in the last minute are never dropped by `todrop_entry`.
const IDLE: Span = Span::from_secs(60);

/// What the defences do at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Defence {
    /// When they are looked at next; [`Time::NEVER`] if nothing can change.
    pub(super) at: Time,
    /// One in this many new connections is dropped; 0: none.
    rate: u64,
    /// New connections until the next one is dropped.
    countdown: i64,
    /// Old entries are dropped.
    drops_entries: bool,
    /// Pages of memory that are free.
    free: u32,
    /// By number of packets: entries until the next one is dropped.
    todrop: [i8; 9],
}

impl Default for Defence {
    fn default() -> Self {
        Self {
            at: Time::NEVER,
            rate: 0,
            countdown: 0,
            drops_entries: false,
            free: u32::MAX,
            todrop: [0; 9],
        }
    }
}

impl Defence {
    /// Whether the new connection that begins now is dropped (`ip_vs_todrop`).
    #[inline]
    pub(super) const fn drops_packet(&mut self) -> bool {
        if self.rate == 0 {
            return false;
        }
        self.countdown -= 1;
        if self.countdown > 0 {
            return false;
        }
        self.countdown = self.rate as i64;
        true
    }

    /// Whether an entry of much traffic or of none is dropped: of those with n packets every n-th
    /// (`todrop_entry`).
    fn drops_entry(&mut self, idle: Span, packets: u32) -> bool {
        if idle < IDLE || packets == 0 {
            return false;
        }
        let Some(countdown) = self.todrop.get_mut(packets as usize) else { return false };
        *countdown -= 1;
        if *countdown > 0 {
            return false;
        }
        *countdown = packets as i8;
        true
    }
}

impl Ipvs {
    /// Tells how many pages of memory are free: below `amemthresh` the automatic defences act. By
    /// default memory is never short.
    pub fn set_free_memory(&mut self, now: Time, pages: u32) {
        self.defence.free = pages;
        self.defend_later(now);
    }

    /// The settings or the memory have changed: the defences notice at the next whole second.
    pub(super) fn defend_later(&mut self, now: Time) {
        let seconds = now.as_nanos() / PERIOD.as_nanos() + 1;
        self.defence.at = self.defence.at.min(Time::from_nanos(seconds * PERIOD.as_nanos()));
    }

    /// The settings of a fresh director: noticed already.
    pub(super) fn start_defence(&mut self) {
        self.update_defence();
        if self.defence.drops_entries {
            self.defend_later(Time::ZERO);
        }
    }

    /// What is done every second while a defence acts, and once after a change.
    pub(super) fn defend(&mut self, now: Time) {
        self.defence.at = Time::NEVER;
        self.update_defence();
        if self.defence.drops_entries {
            self.drop_random_entries(now);
            self.defend_later(now);
        }
    }

    /// Compares the modes with the memory (`update_defense_level`).
    fn update_defence(&mut self) {
        let short = self.defence.free < self.sysctl.amemthresh;
        // Modes 1 and 2 are the same but for what they say: automatic, and whether it acts now.
        let acts = |mode: &mut u8| {
            if matches!(*mode, 1 | 2) {
                *mode = if short { 2 } else { 1 };
            }
            *mode >= 2
        };
        self.defence.drops_entries = acts(&mut self.sysctl.drop_entry);
        self.secure = acts(&mut self.sysctl.secure_tcp);
        let before = self.defence.rate;
        let lacking = self.sysctl.amemthresh.saturating_sub(self.defence.free).max(1);
        let automatic = self.sysctl.drop_packet != 3;
        self.defence.rate = match (acts(&mut self.sysctl.drop_packet), automatic) {
            (false, _) => 0,
            (true, true) => u64::from(self.sysctl.amemthresh / lacking),
            (true, false) => u64::from(self.sysctl.am_droprate),
        };
        if automatic && self.defence.rate != before {
            self.defence.countdown = self.defence.rate as i64;
        }
    }

    /// Looks through a part of the table, bucket by bucket, newest entries first.
    fn drop_random_entries(&mut self, now: Time) {
        let mut buckets: BTreeMap<u32, Vec<Slot>> = BTreeMap::new();
        for (slot, entry) in self.table.iter() {
            buckets.entry(super::listing::bucket(entry)).or_default().push(slot);
        }
        for slots in buckets.values_mut() {
            slots.sort_by_key(|&slot| self.table.age(slot));
        }
        for _ in 0..BUCKETS / SCANNED {
            let bucket = self.random.next_u32() & (BUCKETS - 1);
            for &slot in buckets.get(&bucket).into_iter().flatten() {
                let Some(entry) = self.table.lookup(slot).copied() else { continue };
                if entry.controls == 0 && self.drops(now, &entry) {
                    self.drop_connection(slot);
                }
            }
        }
    }

    fn drops(&mut self, now: Time, entry: &Connection) -> bool {
        let timeout = if entry.has(flag::TEMPLATE) {
            entry.template_timeout()
        } else {
            self.timeouts.get(entry.state)
        };
        let left = entry.expires.saturating_since(now);
        let idle = Span::from_nanos(timeout.as_nanos().saturating_sub(left.as_nanos()));
        let worn = |defence: &mut Defence| defence.drops_entry(idle, entry.packets_in);
        match (entry.protocol, entry.state) {
            _ if entry.has(flag::TEMPLATE) => {
                if self.services.is_one_packet(entry.destination) {
                    worn(&mut self.defence)
                } else {
                    entry.state == State::Template
                }
            }
            (proto::TCP, State::SynRecv | State::SynAck)
            | (proto::SCTP, State::SctpInit1 | State::SctpInit) => true,
            (_, State::Established | State::SctpEstablished | State::Udp) => {
                worn(&mut self.defence)
            }
            _ => false,
        }
    }
}
