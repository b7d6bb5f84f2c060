//! Shares and stability of the tables of `mh` and `sh`.

use std::fmt::Write;

use schedulers::{Algorithm, DestId, DestSpec, Flags, Service};

fn service(algorithm: Algorithm, servers: u16, weight: u32) -> Service {
    let mut service = Service::new(algorithm, Flags::NONE);
    for n in 1..=servers {
        let addr = [192, 168, (n >> 8) as u8, n as u8].into();
        let added = service.add_dest(DestSpec::new(addr, 80, weight));
        assert!(added.is_ok(), "every server is another one");
    }
    service
}

fn table(service: &mut Service) -> Vec<Option<DestId>> {
    service.table().unwrap_or_default()
}

/// Slots of each server, fewest first.
fn shares(service: &mut Service) -> Vec<usize> {
    let table = table(service);
    let ids: Vec<DestId> = service.pool().iter().map(|d| d.id).collect();
    let count = |id: &DestId| table.iter().filter(|&&slot| slot == Some(*id)).count();
    let mut shares: Vec<usize> = ids.iter().map(count).collect();
    shares.sort_unstable();
    shares
}

/// Slots of servers that stay which get another owner when every `each`-th server, from the first
/// added, leaves; and how many slots the leaving ones had.
fn moved(servers: u16, leave: usize) -> (usize, usize) {
    let mut mh = service(Algorithm::Mh, servers, 1);
    let before = table(&mut mh);
    let each = usize::from(servers) / leave;
    let ids: Vec<DestId> = mh.pool().iter().map(|d| d.id).collect();
    let gone: Vec<DestId> = ids.iter().rev().step_by(each).take(leave).copied().collect();
    for &id in &gone {
        let removed = mh.remove_dest(id);
        assert!(removed.is_ok(), "it is in the list");
    }
    let after = table(&mut mh);
    let left = |slot: &Option<DestId>| slot.is_some_and(|id| gone.contains(&id));
    let own = before.iter().filter(|slot| left(slot)).count();
    let changed = before.iter().zip(&after).filter(|(a, b)| a != b).count();
    (own, changed - own)
}

/// The figures as text.
pub(crate) fn report() -> String {
    let mut out = String::from(
        "mh, 4093 slots, equal weights\n\
         servers  slots each     leaving  their slots  other slots moved\n",
    );
    for servers in [3u16, 10, 100, 1000] {
        let shares = shares(&mut service(Algorithm::Mh, servers, 1));
        let (least, most) = (shares.first().unwrap_or(&0), shares.last().unwrap_or(&0));
        let mut leaves = vec![1, usize::from(servers) / 10];
        leaves.retain(|&n| n > 0);
        leaves.dedup();
        for leave in leaves {
            let (own, others) = moved(servers, leave);
            writeln!(
                out,
                "{servers:>7}  {least:>4} to {most:<4}  {leave:>7}  {own:>11}  {others:>17}"
            )
            .ok();
        }
    }
    out.push_str("\nsh, 256 buckets, ten servers, by weight\n");
    for weight in [1, 10, 25, 26, 50, 100] {
        let shares = shares(&mut service(Algorithm::Sh, 10, weight));
        let starved = shares.iter().filter(|&&n| n == 0).count();
        writeln!(out, "weight {weight:>3}: {starved} never chosen, buckets {shares:?}").ok();
    }
    out
}
