//! Sequences computed with an independent program from the kernel's rules. Servers A, B, C, ... are
//! added in this order; connections stay unless said otherwise.

use std::string::String;

use super::{from, id, letter, picks, server, service, shares};
use crate::{Algorithm, DestEdit, DestSpec, Flags, Flow, NoRandom, Service};

#[test]
fn rr_takes_turns_from_the_last_added_and_passes_a_newcomer_by_until_the_head() {
    assert_eq!(picks(&mut service(Algorithm::Rr, &[1, 7, 3]), 7), "CBACBAC");
    let mut rr = service(Algorithm::Rr, &[1, 1, 1]);
    assert_eq!(picks(&mut rr, 2), "CB");
    rr.add_dest(server(4, 1)).expect("a new destination");
    assert_eq!(picks(&mut rr, 4), "ADCB");
}

#[test]
fn wrr_filled_one_by_one_begins_with_the_sweep_for_weight_1() {
    let mut wrr = service(Algorithm::Wrr, &[4, 3, 2]);
    assert_eq!(picks(&mut wrr, 20), "CBAABACBACBAABACBACB");
    assert_eq!(picks(&mut service(Algorithm::Wrr, &[5, 1, 1]), 14), "CBAAAAACBAAAAA");
    assert_eq!(picks(&mut service(Algorithm::Wrr, &[100, 200, 300]), 12), "CBACCBCBACCB");
}

#[test]
fn wrr_set_later_begins_with_the_largest_weight() {
    let mut service = service(Algorithm::Rr, &[4, 3, 2]);
    service.set_algorithm(Algorithm::Wrr).expect("wrr always starts");
    assert_eq!(picks(&mut service, 12), "ABACBACBAABA");
}

#[test]
fn least_connection_rules_follow_their_sequences() {
    let expected = [
        (Algorithm::Lc, [1, 1, 1], "CBACBA"),
        (Algorithm::Wlc, [1, 2, 3], "CBACBCCBACBC"),
        (Algorithm::Wlc, [5, 0, 1], "CAAAAACAAAAA"),
        (Algorithm::Sed, [1, 2, 3], "CBCCBACBCCBA"),
        (Algorithm::Sed, [5, 0, 1], "AAAACAAAAAC"),
        (Algorithm::Nq, [1, 2, 3], "CBACCBCBCCBA"),
        (Algorithm::Ovf, [1, 2, 3], "CCCCBBBAA--"),
    ];
    for (algorithm, weights, sequence) in expected {
        let mut service = service(algorithm, &weights);
        assert_eq!(picks(&mut service, sequence.len()), sequence, "{algorithm} {weights:?}");
    }
}

#[test]
fn fo_stays_with_the_heaviest_until_it_leaves() {
    let mut fo = service(Algorithm::Fo, &[3, 9, 9]);
    assert_eq!(picks(&mut fo, 3), "CCC");
    fo.remove_dest(id(&fo, 2)).expect("listed");
    assert_eq!(picks(&mut fo, 2), "BB");
    let idle = DestEdit { weight: 0, upper_threshold: 0, lower_threshold: 0 };
    fo.edit_dest(id(&fo, 1), idle).expect("listed");
    assert_eq!(picks(&mut fo, 2), "AA");
}

const CLIENTS: [&str; 4] = ["10.0.0.1", "10.0.0.2", "192.168.1.1", "203.0.113.7"];

fn by_client(service: &mut Service) -> String {
    let pick = |client| service.schedule(&from(client), 0, &mut NoRandom);
    let found = CLIENTS.map(pick);
    found.into_iter().map(|dest| dest.map_or('-', |d| letter(service, d))).collect()
}

#[test]
fn sh_gives_buckets_by_weight_and_the_tail_what_is_left() {
    let mut sh = service(Algorithm::Sh, &[3, 2, 1]);
    assert_eq!(shares(&mut sh, 3), [127, 86, 43]);
    assert_eq!(by_client(&mut sh), "AAAA");
    let mut sh = service(Algorithm::Sh, &[1, 1, 1]);
    assert_eq!(shares(&mut sh, 3), [85, 85, 86]);
    assert_eq!(by_client(&mut sh), "CABB");
    assert_eq!(shares(&mut service(Algorithm::Sh, &[100, 200, 0]), 3), [55, 200, 1]);
}

fn owners(service: &mut Service, count: usize) -> String {
    let table = service.table().expect("a rule with a table");
    table.iter().take(count).map(|slot| slot.map_or('-', |d| letter(service, d))).collect()
}

#[test]
fn mh_fills_its_4093_slots_as_the_kernel_does() {
    let mut mh = service(Algorithm::Mh, &[1, 1, 1]);
    assert_eq!(shares(&mut mh, 3), [1364, 1364, 1365]);
    assert_eq!(owners(&mut mh, 16), "ACBACCBCCACBBCAC");
    assert_eq!(by_client(&mut mh), "BBAC");
    let mut mh = service(Algorithm::Mh, &[3, 2, 1]);
    assert_eq!(shares(&mut mh, 3), [2046, 1364, 683]);
    assert_eq!(owners(&mut mh, 16), "AABACCBBAAABBAAA");
    let mut mh = service(Algorithm::Mh, &[100, 200, 0]);
    assert_eq!(shares(&mut mh, 3), [1364, 2729, 0]);
    assert_eq!(owners(&mut mh, 16), "ABBABABBBAABBBAB");
}

#[test]
fn mh_keeps_the_slots_of_a_quiesced_server() {
    let mut mh = service(Algorithm::Mh, &[1, 1, 1]);
    let before = mh.table();
    let (b, quiesced) = (id(&mh, 1), server(2, 0).edit());
    mh.edit_dest(b, quiesced).expect("listed");
    assert_eq!(mh.table(), before);
    assert_eq!(by_client(&mut mh), "--AC");
    mh.set_flags(Flags { fallback: true, port: false });
    assert!(!by_client(&mut mh).contains(['-', 'B']));
}

#[test]
fn dh_looks_at_the_destination_and_at_no_weight() {
    let mut dh = service(Algorithm::Dh, &[5, 1, 9]);
    assert_eq!(shares(&mut dh, 3), [85, 85, 86]);
    let mut to = |dst: [u8; 4]| {
        let flow = Flow { dst: dst.into(), ..from("10.0.0.1") };
        let dest = dh.schedule(&flow, 0, &mut NoRandom);
        dest.map(|d| letter(&dh, d))
    };
    // Buckets 39 and 137; the buckets go C, B, A, C, ...
    assert_eq!(to([10, 0, 0, 1]), Some('C'));
    assert_eq!(to([10, 0, 0, 2]), Some('A'));
}

#[test]
fn sh_port_hashes_the_port_and_an_icmp_error_swaps_the_ends() {
    let mut sh = service(Algorithm::Sh, &[1, 1, 1]);
    sh.set_flags(Flags { fallback: false, port: true });
    // Bucket 134 with the port.
    let pick = sh.schedule(&from("10.0.0.1"), 0, &mut NoRandom);
    assert_eq!(pick.map(|d| letter(&sh, d)), Some('A'));
    let there = from("10.0.0.1");
    let back = Flow::new(there.dst, there.dport, there.src, there.sport).in_icmp_error();
    assert_eq!(sh.schedule(&back, 0, &mut NoRandom), pick);
}

#[test]
fn a_destination_can_have_an_ipv6_address() {
    let mut lc = Service::new(Algorithm::Lc, Flags::NONE);
    let six = "fd00:10::b".parse().expect("an address");
    let dest = lc.add_dest(DestSpec::new(six, 80, 1)).expect("new");
    assert_eq!(lc.schedule(&from("fd00:7::1"), 0, &mut NoRandom), Some(dest));
}
