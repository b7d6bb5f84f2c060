//! Entries come, are found, and leave.

use super::*;
use crate::ipvs::connection::DestinationId;
use crate::ipvs::rules::Forwarding;
use crate::wire::Ip;

const RIP: (Ip, u16) = (Ip::new(10, 0, 0, 1), 80);

fn at(seconds: u64) -> Time {
    Time::ZERO + Span::from_secs(seconds)
}

fn tuple(client: u32, vip: u8) -> Tuple {
    let port = 1024 + (client % 1000) as u16;
    Tuple::new((Ip(0xac10_0000 + client / 1000), port), (Ip::new(192, 168, 0, vip), 80), 6)
}

fn expire(table: &mut Table, now: Time) -> Option<Connection> {
    table.expire(now, &Timeouts::default()).map(|(_, entry)| entry)
}

fn add(table: &mut Table, tuple: Tuple, forwarding: Forwarding, expires: Time) -> Slot {
    let new = Connection::new(tuple, DestinationId(0), RIP, forwarding, State::None);
    table.insert(new, expires)
}

#[test]
fn both_directions_find_the_connection() {
    let mut table = Table::new();
    let dr = add(&mut table, tuple(1, 1), Forwarding::Dr, at(3));
    let nat = add(&mut table, tuple(2, 1), Forwarding::Nat, at(3));
    assert_eq!(table.find_request(tuple(1, 1)), Some(dr));
    assert_eq!(table.find_request(tuple(2, 1)), Some(nat));
    assert_eq!(table.find_request(tuple(3, 1)), None);
    assert_eq!(table.find_reply(tuple(1, 1).reversed()), Some(dr));
    assert_eq!(table.find_reply(tuple(2, 1).reversed()), None, "NAT replies come from the RIP");
    let reply = Tuple::new(RIP, tuple(2, 1).from(), 6);
    assert_eq!(table.find_reply(reply), Some(nat));
}

#[test]
fn entries_leave_in_the_order_of_their_deadlines() {
    let mut table = Table::new();
    for (client, expires) in [(1, 30), (2, 10), (3, 20), (4, 10)] {
        add(&mut table, tuple(client, 1), Forwarding::Nat, at(expires));
    }
    assert_eq!(table.next(), at(10));
    let mut order = Vec::new();
    while let Some(gone) = expire(&mut table, at(25)) {
        order.push(gone.client().1 - 1024);
    }
    assert_eq!(order, [2, 4, 3]);
    assert_eq!((table.len(), table.max()), (1, 4));
    assert_eq!(table.next(), at(30));
}

#[test]
fn a_renewed_entry_needs_one_event_however_often_it_is_renewed() {
    let mut table = Table::new();
    let slot = add(&mut table, tuple(1, 1), Forwarding::Dr, at(10));
    for second in 0..1000 {
        table.renew(slot, at(60 + second));
    }
    assert_eq!(table.timers.len(), 1);
    assert!(expire(&mut table, at(10)).is_none());
    assert_eq!(table.timers.len(), 1);
    assert_eq!(table.next(), at(1059));
    assert!(expire(&mut table, at(1058)).is_none());
    assert!(expire(&mut table, at(1059)).is_some());
    assert!(table.timers.is_empty());
}

#[test]
fn a_shorter_deadline_is_kept_and_the_outlived_event_does_nothing() {
    let mut table = Table::new();
    let slot = add(&mut table, tuple(1, 1), Forwarding::Dr, at(900));
    table.renew(slot, at(10));
    assert_eq!(table.next(), at(10));
    assert!(expire(&mut table, at(10)).is_some());
    let again = add(&mut table, tuple(2, 1), Forwarding::Dr, at(1000));
    assert_eq!(again, slot, "the slot is used again");
    assert!(expire(&mut table, at(900)).is_none(), "the event of the former owner means nothing");
    assert!(expire(&mut table, at(1000)).is_some());
}

#[test]
fn the_newest_of_two_equal_tuples_is_found() {
    let mut table = Table::new();
    let old = add(&mut table, tuple(1, 1), Forwarding::Dr, at(1));
    let new = add(&mut table, tuple(1, 1), Forwarding::Dr, at(60));
    assert_ne!(old, new);
    assert_eq!(table.find_request(tuple(1, 1)), Some(new));
    assert!(expire(&mut table, at(1)).is_some());
    assert_eq!(table.find_request(tuple(1, 1)), Some(new));
}

#[test]
fn a_reply_finds_the_older_connection_when_the_newer_has_gone() {
    // One client port to two VIPs that both map to one real server.
    let reply = Tuple::new(RIP, tuple(1, 1).from(), 6);
    for expiry in [[5, 20, 30], [20, 5, 30], [20, 30, 5], [5, 5, 30]] {
        let mut table = Table::new();
        let slots: Vec<_> = (0..3_u8)
            .map(|i| {
                let expires = at(expiry[usize::from(i)]);
                add(&mut table, tuple(1, i), Forwarding::Nat, expires)
            })
            .collect();
        for now in [0, 5, 20, 30] {
            while expire(&mut table, at(now)).is_some() {}
            let newest = (0..3).rev().find(|&i| expiry[i] > now).map(|i| slots[i]);
            assert_eq!(table.find_reply(reply), newest, "{expiry:?} at {now} s");
        }
        assert_eq!((table.replies.len(), table.requests.len()), (0, 0));
    }
}

#[test]
fn a_template_waits_a_minute_longer_while_it_holds_connections() {
    let mut table = Table::new();
    let client = Ip::new(172, 16, 0, 0);
    let key = Tuple::template(client, (Ip::new(192, 168, 0, 1), 80), 6, false);
    let ten = Span::from_secs(10);
    let new = Connection::template(key, DestinationId(1), RIP, Forwarding::Nat, ten);
    let template = table.insert(new, at(10));
    let mut held =
        Connection::new(tuple(1, 1), DestinationId(1), RIP, Forwarding::Nat, State::None);
    held.control = template;
    table.insert(held, at(65));
    assert_eq!(table.get(template).controls(), 1);
    assert!(expire(&mut table, at(10)).is_none());
    assert_eq!(table.get(template).expires(), at(70));
    assert_eq!(expire(&mut table, at(69)).map(|c| c.cport), Some(held.cport));
    assert_eq!(table.get(template).template_timeout(), Span::from_secs(60), "for good");
    assert!(expire(&mut table, at(69)).is_none());
    assert!(expire(&mut table, at(70)).is_some_and(|c| c.is_template()));
    assert_eq!(table.len(), 0);
}

#[test]
fn a_retired_template_is_never_found_and_ends_by_itself() {
    let mut table = Table::new();
    let key = Tuple::template(Ip(1), (Ip(2), 80), 6, false);
    let new = || Connection::template(key, DestinationId(1), RIP, Forwarding::Dr, Span::ZERO);
    let old = table.insert(new(), at(10));
    assert_eq!(table.find_request(key), Some(old));
    table.retire_template(old);
    assert_eq!(table.find_request(key), None);
    assert_eq!(table.get(old).vip(), (Ip(2), 0xffff));
    let young = table.insert(new(), at(20));
    assert_eq!(table.find_request(key), Some(young));
    assert!(table.age(old) > table.age(young));
    assert!(expire(&mut table, at(10)).is_some());
    assert_eq!(table.find_request(key), Some(young));
}

#[test]
fn passive_ftp_learns_the_port_of_the_client_from_its_first_packet() {
    let mut table = Table::new();
    let data = Tuple::new((Ip(1), 0), (Ip(2), 5000), 6);
    let mut new = Connection::new(data, DestinationId(1), RIP, Forwarding::Nat, State::Listen);
    new.flags |= flag::NO_CPORT;
    let slot = table.insert(new, at(120));
    let first = Tuple::new((Ip(1), 40_000), (Ip(2), 5000), 6);
    assert_eq!(table.find_request(first), None);
    assert_eq!(table.find_without_client_port(first), Some(slot));
    table.fill_client_port(slot, 40_000);
    assert_eq!(table.find_request(first), Some(slot));
    assert_eq!(table.find_without_client_port(first), None);
    assert_eq!(table.find_reply(Tuple::new(RIP, (Ip(1), 40_000), 6)), Some(slot));
    assert_eq!(table.find_reply(Tuple::new(RIP, (Ip(1), 0), 6)), None);
}

#[test]
fn a_wheel_keeps_an_entry_until_its_bucket_runs() {
    let mut table = Table::new();
    table.set_clock(Clock::Ticks { phase: Span::ZERO });
    add(&mut table, tuple(1, 1), Forwarding::Dr, at(2));
    assert!(expire(&mut table, at(2)).is_none());
    assert_eq!(table.next(), Time::ZERO + Span::from_millis(2_080));
    assert!(expire(&mut table, Time::ZERO + Span::from_millis(2_080)).is_some());
}

#[test]
fn a_connection_takes_at_most_128_bytes() {
    for (forwarding, count, limit) in [
        (Forwarding::Nat, 100_000, 128),
        (Forwarding::Dr, 100_000, 108),
        (Forwarding::Nat, 1_000_000, 128),
    ] {
        let mut table = Table::new();
        for client in 0..count {
            add(&mut table, tuple(client, 1), forwarding, at(60));
        }
        let each = table.memory_bytes() as f64 / f64::from(count);
        assert!(each <= f64::from(limit), "{each} bytes a connection ({forwarding}, {count})");
    }
}
