//! What services and destinations have counted.

use super::{Destination, Refused, Service, ServiceTable};
use crate::ipvs::connection::DestinationId;
use crate::ipvs::rules::ServiceKey;
use crate::ipvs::statistics::{Estimator, Stats};
use schedulers::{Counting, DestId};

impl ServiceTable {
    /// Counts a connection's beginning.
    pub(in crate::ipvs) fn begin(&mut self, id: DestinationId) {
        self.destinations[id.0 as usize].stats.connections += 1;
        self.pool(id, |scheduler, name| scheduler.bind(name, Counting::Inactive));
    }

    /// Counts the beginning of a template, or of a connection that was not scheduled.
    pub(in crate::ipvs) fn bind(&mut self, id: DestinationId, counting: Counting) {
        self.pool(id, |scheduler, name| scheduler.bind(name, counting));
    }

    /// Counts a change between active and inactive.
    #[inline(never)]
    pub(in crate::ipvs) fn flip(&mut self, id: DestinationId, to_active: bool) {
        self.pool(id, |scheduler, name| {
            if to_active { scheduler.activate(name) } else { scheduler.deactivate(name) }
        });
    }

    /// Counts the end of a connection or template.
    pub(in crate::ipvs) fn end(&mut self, id: DestinationId, counting: Counting) {
        self.pool(id, |scheduler, name| scheduler.release(name, counting));
    }

    fn pool(
        &mut self,
        id: DestinationId,
        count: impl FnOnce(&mut schedulers::Service, DestId) -> Result<(), schedulers::Error>,
    ) {
        let Destination { service, id: Some(name), .. } = *self.destination(id) else { return };
        let counted = count(&mut self.service_mut(service).scheduler, name);
        debug_assert!(counted.is_ok(), "a connection is counted where it was bound: {counted:?}");
    }

    /// Everything a service has counted: its destinations, and those it once had.
    pub(in crate::ipvs) fn counted_by(&self, service: &Service) -> Stats {
        let mut sum = service.past;
        for &id in &service.order {
            sum += self.destination(id).stats;
        }
        sum
    }

    /// Everything that was ever counted.
    pub(in crate::ipvs) fn counted(&self) -> Stats {
        self.iter().fold(self.past, |sum, service| sum + self.counted_by(service))
    }

    pub(in crate::ipvs) fn estimator(&self, id: DestinationId) -> &Estimator {
        &self.estimators[id.0 as usize]
    }

    pub(in crate::ipvs) const fn total_estimator(&self) -> &Estimator {
        &self.estimator
    }

    pub(in crate::ipvs) const fn service_estimator(service: &Service) -> &Estimator {
        &service.estimator
    }

    /// Estimates all rates, `due` times.
    pub(in crate::ipvs) fn estimate(&mut self, due: u64) {
        for (destination, estimator) in self.destinations.iter().zip(&mut self.estimators) {
            if destination.available {
                estimator.estimate(destination.stats, due);
            }
        }
        for index in self.order.clone() {
            let counted = self.counted_by(self.service(index));
            self.service_mut(index).estimator.estimate(counted, due);
        }
        let counted = self.counted();
        self.estimator.estimate(counted, due);
    }

    /// `ipvsadm -Z` of one service: its counters and those of its destinations start at zero again.
    pub(in crate::ipvs) fn zero(&mut self, key: ServiceKey) -> Result<(), Refused> {
        let index = self.live(key).ok_or(Refused::NoService)?;
        for id in self.service(index).order.clone() {
            let counted = self.destination(id).stats;
            self.estimators[id.0 as usize].set_zero(counted);
        }
        let counted = self.counted_by(self.service(index));
        self.service_mut(index).estimator.set_zero(counted);
        Ok(())
    }

    /// `ipvsadm -Z`: all counters start at zero again.
    pub(in crate::ipvs) fn zero_all(&mut self) {
        for key in self.iter().map(|service| service.key).collect::<Vec<_>>() {
            let zeroed = self.zero(key);
            debug_assert!(zeroed.is_ok(), "what is listed is live");
        }
        let counted = self.counted();
        self.estimator.set_zero(counted);
    }

    /// Bytes of memory held for services and destinations, without the schedulers' own.
    pub(in crate::ipvs) fn memory_bytes(&self) -> usize {
        self.services.capacity() * size_of::<Service>()
            + self.destinations.capacity() * size_of::<Destination>()
            + self.estimators.capacity() * size_of::<Estimator>()
    }
}
