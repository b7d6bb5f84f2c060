//! Deleted destinations, and the periodic work.
//!
//! A deleted destination waits so that its connections can end, and so that one added again gets
//! them back (`ip_vs_trash_get_dest`, `ip_vs_dest_trash_expire`).

use super::{Destination, Refused, ServiceTable};
use crate::engine::{Span, Time};
use crate::ipvs::connection::DestinationId;

/// A destination of the trash is forgotten when it was idle for this long
/// (`IP_VS_DEST_TRASH_PERIOD`).
const TRASH_PERIOD: Span = Span::from_secs(120);
/// The trash is looked through this often.
const SWEEP_INTERVAL: Span = Span::from_secs(60);

impl ServiceTable {
    pub(super) fn discard(&mut self, now: Time, id: DestinationId) -> Result<(), Refused> {
        let destination = &mut self.destinations[id.0 as usize];
        destination.available = false;
        destination.idle_since = None;
        let Destination { service, id: Some(name), stats, .. } = *destination else {
            return Err(Refused::NoDestination);
        };
        let service = self.service_mut(service);
        service.scheduler.remove_dest(name)?;
        service.order.retain(|&other| other != id);
        service.past += stats;
        if self.trash.is_empty() {
            self.sweep_at = Some(now + SWEEP_INTERVAL);
            self.plan();
        }
        self.trash.push(id);
        Ok(())
    }

    /// When [`ServiceTable::work`] is to be called.
    #[inline]
    pub(in crate::ipvs) fn work_at(&self) -> Time {
        self.work_at.unwrap_or(Time::NEVER)
    }

    pub(super) fn plan(&mut self) {
        let timers = self.iter().filter_map(|service| service.timer_at);
        self.work_at = timers.chain(self.sweep_at).min();
    }

    /// Runs the schedulers' timers and looks through the trash, as far as it is time.
    pub(in crate::ipvs) fn work(&mut self, now: Time) {
        if self.work_at() > now {
            return;
        }
        for &index in &self.order {
            let service = &mut self.services[index as usize];
            if service.timer_at.is_some_and(|at| at <= now) {
                service.scheduler.run_timer(now.as_nanos());
                service.start_timer(now, self.clock);
            }
        }
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep(now);
        }
        self.plan();
    }

    /// Forgets what was idle in the trash for two minutes (`ip_vs_dest_trash_expire`).
    fn sweep(&mut self, now: Time) {
        for id in core::mem::take(&mut self.trash) {
            if !self.forget(now, id) {
                self.trash.push(id);
            }
        }
        self.sweep_at = (!self.trash.is_empty()).then(|| now + SWEEP_INTERVAL);
    }

    /// Whether the destination is gone for good.
    fn forget(&mut self, now: Time, id: DestinationId) -> bool {
        let Destination { service: index, id: Some(name), idle_since, .. } = *self.destination(id)
        else {
            return true;
        };
        let service = &mut self.services[index as usize];
        let Some(counted) = service.scheduler.pool().get(name) else {
            debug_assert!(false, "the pool keeps what is in the trash");
            return true;
        };
        if counted.active + counted.inactive + counted.persistent > 0 {
            return false;
        }
        let Some(since) = idle_since else {
            self.destinations[id.0 as usize].idle_since = Some(now);
            return false;
        };
        if now.saturating_since(since) < TRASH_PERIOD || service.scheduler.purge(name).is_err() {
            return false;
        }
        service.ids.remove(&name);
        self.free_destinations.push(id.0);
        self.forget_if_empty(index);
        true
    }

    /// Forgets a deleted service when nothing of it is in the trash.
    pub(super) fn forget_if_empty(&mut self, index: u32) {
        let service = self.service(index);
        if !service.live && service.ids.is_empty() {
            let key = service.key;
            self.by_key.remove(&key);
            self.free_services.push(index);
        }
    }
}
