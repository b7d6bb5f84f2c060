//! The order in which ipvsadm lists services and real servers.

use sim_core::ipvs::rules::ServiceKey;
use sim_core::observe::{DestinationState, ServiceState};
use std::cmp::Ordering;
use std::net::IpAddr;

/// Services by mark, address family, protocol, address and port (`ipvs_cmp_services`).
pub(super) fn services(services: &[ServiceState]) -> Vec<&ServiceState> {
    let key = |s: &ServiceState| match s.rule.key {
        ServiceKey::Address { protocol, vip, port } => {
            (0, vip.is_ipv6(), protocol, Some(vip), port)
        }
        ServiceKey::Fwmark { mark, v6 } => (mark, v6, 0, None, 0),
    };
    sorted(services, |a, b| {
        let (a, b) = (key(a), key(b));
        let by_address = || match (a.3, b.3) {
            (Some(a), Some(b)) => addresses(a, b),
            _ => Ordering::Equal,
        };
        wrapping(a.0, b.0)
            .then(a.1.cmp(&b.1))
            .then(a.2.cmp(&b.2))
            .then_with(by_address)
            .then(a.4.cmp(&b.4))
    })
}

/// Real servers by address and port (`ipvs_cmp_dests`).
pub(super) fn destinations(destinations: &[DestinationState]) -> Vec<&DestinationState> {
    sorted(destinations, |a, b| {
        let (a, b) = (&a.rule, &b.rule);
        addresses(a.rip, b.rip).then(a.port.cmp(&b.port))
    })
}

fn addresses(a: IpAddr, b: IpAddr) -> Ordering {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => wrapping(a.to_bits(), b.to_bits()),
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let words = |a: u128| [96, 64, 32, 0].map(|shift| (a >> shift) as u32);
            let pairs = words(a.to_bits()).into_iter().zip(words(b.to_bits()));
            pairs.map(|(a, b)| wrapping(a, b)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
        }
        (a, b) => a.is_ipv6().cmp(&b.is_ipv6()),
    }
}

/// The sign of the difference as a signed 32-bit number: numbers 2^31 or more apart compare the wrong
/// way round.
fn wrapping(a: u32, b: u32) -> Ordering {
    (a.wrapping_sub(b) as i32).cmp(&0)
}

/// The merge sort of the C library's `qsort`. The standard library's sort must not be given an order
/// with cycles, which that of ipvsadm can have.
fn sorted<T>(items: &[T], compare: impl Fn(&T, &T) -> Ordering + Copy) -> Vec<&T> {
    if items.len() < 2 {
        return items.iter().collect();
    }
    let (left, right) = items.split_at(items.len() / 2);
    let (left, right) = (sorted(left, compare), sorted(right, compare));
    let mut merged = Vec::with_capacity(items.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let from = if compare(a, b).is_le() { &mut left } else { &mut right };
        merged.extend(from.next());
    }
    merged.extend(left);
    merged.extend(right);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::ipvs::rules::ServiceRule;

    fn order(keys: &[ServiceKey]) -> Vec<ServiceKey> {
        let state = |key: &ServiceKey| ServiceState {
            rule: ServiceRule::new(*key),
            stats: sim_core::ipvs::Stats::default(),
            rates: sim_core::ipvs::Stats::default(),
            destinations: Vec::new(),
        };
        let all: Vec<_> = keys.iter().map(state).collect();
        services(&all).into_iter().map(|s| s.rule.key).collect()
    }

    fn key(protocol: u8, vip: &str, port: u16) -> ServiceKey {
        ServiceKey::Address { protocol, vip: vip.parse().unwrap(), port }
    }

    #[test]
    fn services_come_by_mark_family_protocol_address_and_port() {
        let sorted = [
            key(6, "10.0.0.1", 80),
            key(6, "10.0.0.1", 443),
            key(6, "10.0.0.2", 22),
            key(17, "10.0.0.1", 53),
            key(6, "2001:db8::1", 80),
            key(6, "2001:db8::2", 80),
            ServiceKey::Fwmark { mark: 1, v6: false },
            ServiceKey::Fwmark { mark: 1, v6: true },
            ServiceKey::Fwmark { mark: 2, v6: false },
        ];
        let mut shuffled = sorted;
        shuffled.reverse();
        shuffled.swap(2, 7);
        assert_eq!(order(&shuffled), sorted);
    }

    #[test]
    fn addresses_half_the_number_space_apart_come_the_wrong_way_round() {
        let (low, high) = (key(6, "10.0.0.1", 80), key(6, "192.168.0.1", 80));
        assert_eq!(order(&[low, high]), [high, low]);
        // and so an order can have cycles, which must not end the program
        let all: Vec<_> = (0..60).map(|n| key(6, &format!("{}.0.0.1", n * 4 + 1), 80)).collect();
        assert_eq!(order(&all).len(), 60);
    }
}
