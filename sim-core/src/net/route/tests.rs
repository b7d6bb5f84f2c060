use super::*;

fn hop(interface: u16) -> Route {
    Route::unicast(vec![Hop { interface, via: None }])
}

fn net(text: &str, len: u8) -> Net {
    Net::new(text.parse().unwrap(), len)
}

/// The interface, or -1 for the host itself, -2 for anything else.
fn way(routes: &Routes, book: &AddressBook, query: &Query) -> i32 {
    match routes.lookup(book, query) {
        Lookup::Unicast(route) => i32::from(route.hops[0].interface),
        Lookup::Local => -1,
        _ => -2,
    }
}

#[test]
fn the_longest_prefix_wins_and_among_equals_the_lowest_metric() {
    let mut r = Routes::new();
    r.add(MAIN_TABLE, Net::ALL, hop(0));
    r.add(MAIN_TABLE, net("10.0.0.0", 8), Route { metric: 10, ..hop(1) });
    r.add(MAIN_TABLE, net("10.0.0.0", 8), Route { metric: 5, ..hop(2) });
    r.add(MAIN_TABLE, net("10.0.0.0", 8), Route { metric: 5, ..hop(7) });
    r.add(MAIN_TABLE, net("10.1.0.0", 16), hop(3));
    r.add_local(net("10.1.0.1", 32));
    let book = AddressBook::new();
    let to = |a, b, c, d| way(&r, &book, &Query::to(Ip::new(a, b, c, d)));
    assert_eq!(to(8, 8, 8, 8), 0);
    assert_eq!(to(10, 2, 0, 1), 2);
    assert_eq!(to(10, 1, 9, 9), 3);
    assert_eq!(to(10, 1, 0, 1), -1);
    assert_eq!(to(127, 0, 0, 1), -1);
    assert_eq!(r.interface_towards(&book, Ip::new(10, 1, 0, 7)), Some(3));
    assert!(r.is_local(&book, Ip::new(127, 9, 9, 9)));
    assert!(!r.is_local(&book, Ip::new(10, 1, 0, 2)));
}

#[test]
fn without_a_route_there_is_none() {
    let (r, book) = (Routes::new(), AddressBook::new());
    assert_eq!(r.lookup(&book, &Query::to(Ip::new(1, 2, 3, 4))), Lookup::None);
    assert_eq!(r.lookup(&book, &Query::to(Ip::BROADCAST)), Lookup::Broadcast);
}

#[test]
fn ipv6_prefixes_are_matched_by_bits_not_by_numbers() {
    let (mut r, mut book) = (Routes::new(), AddressBook::new());
    // numbered in the opposite order of their bits
    let far = book.number("2001:db8:ffff::1".parse().unwrap());
    let near = book.number("fd00:10::7".parse().unwrap());
    let own = book.number("fd00:10::100".parse().unwrap());
    let one = book.number("::1".parse().unwrap());
    r.add(MAIN_TABLE, net("fd00:10::", 64), hop(1));
    r.add(MAIN_TABLE, Net::ALL_V6, hop(2));
    r.add_local(Net::host("fd00:10::100".parse().unwrap()));
    assert_eq!(way(&r, &book, &Query::to(near)), 1);
    assert_eq!(way(&r, &book, &Query::to(far)), 2);
    assert_eq!(way(&r, &book, &Query::to(own)), -1);
    assert!(r.is_local(&book, one));
    // the default route of one family is none of the other
    assert_eq!(r.lookup(&book, &Query::to(Ip::new(9, 9, 9, 9))), Lookup::None);
}

#[test]
fn link_local_prefixes_of_several_interfaces_are_told_apart_by_the_interface() {
    let (mut r, mut book) = (Routes::new(), AddressBook::new());
    let peer = book.number("fe80::2".parse().unwrap());
    r.add(MAIN_TABLE, net("fe80::", 64), hop(0));
    r.add(MAIN_TABLE, net("fe80::", 64), hop(1));
    for out in 0..2 {
        let query = Query { output: Some(out), ..Query::to(peer) };
        assert_eq!(way(&r, &book, &query), i32::from(out));
    }
    let nowhere = Query { output: Some(2), ..Query::to(peer) };
    assert_eq!(r.lookup(&book, &nowhere), Lookup::None);
}

#[test]
fn a_marked_packet_is_for_this_host_when_its_table_says_so() {
    // golden/paths/fwmark-transparent-cache: `ip rule add fwmark 1 lookup 100` and
    // `ip route add local default dev lo table 100`
    let (mut r, book) = (Routes::new(), AddressBook::new());
    r.add(MAIN_TABLE, Net::ALL, hop(0));
    assert!(r.is_plain());
    r.add(100, Net::ALL, Route::without_hops(Action::Local));
    let all = Rule::all(32_765, false, 100);
    r.add_rule(Rule { mark: Some((1, u32::MAX)), ..all });
    assert!(!r.is_plain());
    let dst = Ip::new(198, 51, 100, 7);
    assert_eq!(way(&r, &book, &Query { mark: 1, ..Query::to(dst) }), -1);
    assert_eq!(way(&r, &book, &Query { mark: 2, ..Query::to(dst) }), 0);
    // such an address is not one of the host's own
    assert!(!r.is_local(&book, dst));
}

#[test]
fn rules_are_asked_by_priority_until_a_table_has_a_route() {
    let (mut r, book) = (Routes::new(), AddressBook::new());
    r.add(MAIN_TABLE, Net::ALL, hop(0));
    r.add(7, net("10.0.0.0", 8), hop(7));
    r.add(8, Net::ALL, hop(8));
    let rule = |priority, table| Rule::all(priority, false, table);
    r.add_rule(Rule { from: Some(net("192.168.1.0", 24)), ..rule(200, 8) });
    r.add_rule(Rule { from: Some(net("192.168.0.0", 16)), ..rule(100, 7) });
    r.add_rule(Rule { input: Some(3), ..rule(300, 8) });
    r.add_rule(Rule { to: Some(net("9.0.0.0", 8)), ..rule(400, 8) });
    let from = |src, dst| Query { src, ..Query::to(dst) };
    let (ten, nine, one) = (Ip::new(10, 0, 0, 9), Ip::new(9, 0, 0, 9), Ip::new(1, 1, 1, 1));
    assert_eq!(way(&r, &book, &from(Ip::new(192, 168, 1, 5), ten)), 7);
    assert_eq!(way(&r, &book, &from(Ip::new(192, 168, 1, 5), one)), 8);
    assert_eq!(way(&r, &book, &from(Ip::new(192, 168, 2, 5), one)), 0);
    assert_eq!(way(&r, &book, &Query { input: 3, ..Query::to(one) }), 8);
    assert_eq!(way(&r, &book, &Query::to(one)), 0);
    assert_eq!(way(&r, &book, &Query::to(nine)), 8);
}

#[test]
fn a_rule_on_the_destination_leaves_the_destination_deciding() {
    let mut r = Routes::new();
    r.add_rule(Rule { to: Some(net("9.0.0.0", 8)), ..Rule::all(5, false, 8) });
    assert!(r.is_plain());
}

#[test]
fn routes_refuse_in_three_ways() {
    let (mut r, book) = (Routes::new(), AddressBook::new());
    let kinds = [RouteKind::Blackhole, RouteKind::Unreachable, RouteKind::Prohibit];
    for (n, kind) in (1..).zip(kinds) {
        r.add(MAIN_TABLE, Net::new(crate::config::v4(n, 0, 0, 0), 8), {
            Route::without_hops(kind.into())
        });
    }
    let code = |n| match r.lookup(&book, &Query::to(Ip::new(n, 1, 1, 1))) {
        Lookup::Refused(how) => how.code(),
        other => panic!("{other:?}"),
    };
    assert_eq!([code(1), code(2), code(3)], [None, Some(1), Some(13)]);
}

fn sysctl(rp_filter: u8, accept_local: bool) -> InterfaceSysctl {
    InterfaceSysctl { rp_filter, accept_local, ..InterfaceSysctl::default() }
}

#[test]
fn the_reverse_path_is_strict_or_loose() {
    let (mut r, book) = (Routes::new(), AddressBook::new());
    r.add(MAIN_TABLE, net("10.0.0.0", 8), hop(1));
    let judge = |src, interface, rp_filter| {
        let pair = (src, Ip::new(20, 0, 0, 1));
        r.judge_source(&book, pair, interface, &sysctl(rp_filter, false))
    };
    let (known, unknown) = (Ip::new(10, 0, 0, 1), Ip::new(11, 0, 0, 1));
    assert_eq!(judge(known, 1, 1), Source::Accepted);
    assert_eq!(judge(known, 2, 1), Source::ReversePath);
    assert_eq!(judge(known, 2, 2), Source::Accepted);
    assert_eq!(judge(unknown, 1, 2), Source::ReversePath);
    assert_eq!(judge(unknown, 1, 0), Source::Accepted);
}

#[test]
fn own_addresses_are_no_sources_unless_they_are_allowed() {
    let (mut r, book) = (Routes::new(), AddressBook::new());
    r.add(MAIN_TABLE, Net::ALL, hop(0));
    r.add_local(net("10.0.0.1", 32));
    r.add_local(net("10.9.0.0", 24));
    let judge = |r: &Routes, src, rp_filter, accept_local| {
        let pair = (src, Ip::new(10, 0, 0, 1));
        r.judge_source(&book, pair, 0, &sysctl(rp_filter, accept_local))
    };
    let (own, of_prefix) = (Ip::new(10, 0, 0, 1), Ip::new(10, 9, 0, 5));
    for rp_filter in 0..=2 {
        assert_eq!(judge(&r, own, rp_filter, false), Source::Own);
        assert_eq!(judge(&r, own, rp_filter, true), Source::Accepted);
    }
    // the rest of a prefix on `lo` is judged by routes, if these are asked
    assert_eq!(judge(&r, of_prefix, 0, false), Source::Accepted);
    assert_eq!(judge(&r, of_prefix, 1, false), Source::Own);
    r.add(LOCAL_TABLE, net("10.10.0.0", 24), Route::without_hops(Action::Local));
    assert_eq!(judge(&r, of_prefix, 0, false), Source::Own);
}

#[test]
fn a_gateway_is_on_a_link_whatever_prefix_is_on_lo() {
    let (mut r, book) = (Routes::new(), AddressBook::new());
    r.add(MAIN_TABLE, net("10.0.0.0", 24), hop(1));
    r.add_local(net("10.0.0.7", 32));
    r.add_local(net("10.0.0.0", 24));
    assert_eq!(r.interface_towards(&book, Ip::new(10, 0, 0, 1)), Some(1));
    assert_eq!(r.interface_towards(&book, Ip::new(10, 0, 0, 7)), None);
    assert_eq!(r.interface_towards(&book, Ip::new(10, 0, 1, 1)), None);
}

#[test]
fn learned_ways_expire() {
    let mut r = Routes::new();
    let (at, dst) = (|s| Time::ZERO + Span::from_secs(s), Ip::new(10, 0, 0, 1));
    assert_eq!((r.learned_mtu(dst), r.next_deadline()), (None, None));
    assert!(r.learn_mtu(at(0), dst, 1400, 1500));
    assert!(!r.learn_mtu(at(1), dst, 1500, 1400), "a path does not grow by such a message");
    let hop = Hop { interface: 0, via: Some(Ip::new(10, 0, 0, 2)) };
    r.learn_redirect(at(0), dst, hop);
    assert_eq!((r.learned_mtu(dst), r.redirected(dst)), (Some(1400), Some(hop)));
    assert_eq!(r.next_deadline(), Some(at(300)));
    r.expire(at(300));
    assert_eq!((r.learned_mtu(dst), r.redirected(dst)), (Some(1400), None));
    assert_eq!(r.next_deadline(), Some(at(600)));
    r.expire(at(600));
    assert_eq!((r.learned_mtu(dst), r.next_deadline()), (None, None));
}

#[test]
fn tiny_path_mtus_are_not_believed() {
    let (mut r, mut book) = (Routes::new(), AddressBook::new());
    let (v4, v6) = (Ip::new(10, 0, 0, 1), book.number("fd00::1".parse().unwrap()));
    r.learn_mtu(Time::ZERO, v4, 68, 1500);
    r.learn_mtu(Time::ZERO, v6, 68, 1500);
    assert_eq!((r.learned_mtu(v4), r.learned_mtu(v6)), (Some(552), Some(1280)));
}

#[test]
fn flows_spread_over_equal_hops_and_each_keeps_its_own() {
    let hops: Vec<_> = (0..4).map(|i| Hop { interface: i, via: None }).collect();
    let mut counts = [0; 4];
    for port in 0..4000 {
        let mut p = Packet::ipv4(Ip::new(10, 0, 0, 1), Ip::new(10, 9, 9, 9), proto::TCP, 40);
        p.sport = port;
        p.dport = 80;
        assert_eq!(choose(&hops, flow_hash(&p)), choose(&hops, flow_hash(&p)));
        counts[choose(&hops, flow_hash(&p)).interface as usize] += 1;
    }
    // 1000 expected, standard deviation 27: five of them
    assert!(counts.iter().all(|c| (865..=1135).contains(c)), "{counts:?}");
}
