//! Quality of the hash tables, held as figures.

use std::vec::Vec;

use super::{id, server, service, shares};
use crate::{Algorithm, Error, Flags, Service, TableIndex};

#[test]
fn sh_starves_seven_of_ten_servers_of_weight_100() {
    let mut sh = service(Algorithm::Sh, &[100; 10]);
    let shares = shares(&mut sh, 10);
    assert_eq!(shares, [0, 0, 0, 0, 0, 0, 0, 56, 100, 100]);
}

/// Slots that change their owner when server `gone` is removed, although they were not its own.
fn moved(mh: &mut Service, gone: u16) -> (usize, usize) {
    let before = mh.table().expect("mh has a table");
    let dest = id(mh, gone);
    mh.remove_dest(dest).expect("listed");
    let after = mh.table().expect("mh has a table");
    let own = before.iter().filter(|&&s| s == Some(dest)).count();
    let changed = before.iter().zip(&after).filter(|(a, b)| a != b).count();
    (own, changed - own)
}

#[test]
fn mh_moves_few_slots_when_one_server_leaves() {
    for (servers, worst) in [(3, 15), (10, 10), (100, 10)] {
        let mut mh = service(Algorithm::Mh, &std::vec![1; servers]);
        let (own, others) = moved(&mut mh, 1);
        assert!(own.abs_diff(4093 / servers) <= 1, "{servers} servers: {own} own slots");
        assert!(others * 100 <= 4093 * worst, "{servers} servers: {others} other slots moved");
    }
}

#[test]
fn mh_shares_differ_by_one_slot_between_equal_servers() {
    for servers in [3u16, 10, 100, 1000] {
        let mut mh = service(Algorithm::Mh, &std::vec![1; usize::from(servers)]);
        let shares = shares(&mut mh, servers);
        let (least, most) = (shares.iter().min(), shares.iter().max());
        assert!(most.copied() <= least.map(|n| n + 1), "{servers} servers: {least:?} {most:?}");
    }
}

#[test]
fn every_table_size_is_filled() {
    for index in 8..=17 {
        let mut mh = service(Algorithm::Mh, &[1, 2, 3]);
        let index = TableIndex::new(index).expect("an index in range");
        mh.set_table_index(index).expect("three servers fit");
        let table = mh.table().expect("mh has a table");
        assert_eq!(table.len(), index.slots() as usize);
        assert!(table.iter().all(Option::is_some));
    }
    assert_eq!(TableIndex::new(7), Err(Error::TableIndex(7)));
    assert_eq!(TableIndex::new(18), Err(Error::TableIndex(18)));
}

#[test]
fn mh_refuses_more_servers_than_slots_and_keeps_the_table_it_had() {
    let mut mh = Service::new(Algorithm::Mh, Flags::NONE);
    let small = TableIndex::new(8).expect("an index in range");
    mh.set_table_index(small).expect("an empty service");
    for n in 1..=251 {
        mh.add_dest(server(n, 1)).expect("as many servers as slots");
    }
    let refused = Err(Error::TableFull { destinations: 252, slots: 251 });
    assert_eq!(mh.add_dest(server(252, 1)), refused);
    let table: Vec<_> = mh.table().expect("mh has a table");
    assert!(!table.contains(&Some(id(&mh, 251))), "the newcomer has no slot");
    assert_eq!(mh.pool().len(), 252, "but it is in the list");
    // Still one too many after the next change; fine after the removal.
    assert!(mh.edit_dest(id(&mh, 0), server(1, 5).edit()).is_err());
    assert_eq!(mh.table().as_ref(), Some(&table));
    let first = id(&mh, 0);
    assert_eq!(mh.remove_dest(first), Ok(()));
    let table = mh.table().expect("mh has a table");
    assert!(table.contains(&Some(id(&mh, 251))) && !table.contains(&Some(first)));
}

#[test]
fn a_service_with_too_many_servers_is_left_without_scheduler_by_a_change_to_mh() {
    let mut rr = service(Algorithm::Rr, &[1; 252]);
    rr.set_table_index(TableIndex::new(8).expect("in range")).expect("rr has no table");
    assert!(rr.set_algorithm(Algorithm::Mh).is_err());
    assert_eq!(rr.algorithm(), None);
    assert_eq!(rr.schedule(&super::from("10.0.0.1"), 0, &mut crate::NoRandom), None);
}
