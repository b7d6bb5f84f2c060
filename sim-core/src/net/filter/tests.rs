use super::*;
use crate::config::FilterMatch;

const CLIENT: Ip = Ip::new(172, 16, 0, 10);
const VIP: Ip = Ip::new(192, 168, 10, 200);

fn rule(
    table: FilterTable,
    chain: FilterChain,
    conditions: &[(bool, FilterCondition)],
    target: FilterTarget,
) -> FilterConfig {
    let matches =
        conditions.iter().map(|(not, what)| FilterMatch { not: *not, what: what.clone() });
    FilterConfig { v6: false, table, chain, matches: matches.collect(), target }
}

fn input(conditions: &[(bool, FilterCondition)], target: FilterTarget) -> FilterConfig {
    rule(FilterTable::Filter, FilterChain::Input, conditions, target)
}

fn syn(port: u16) -> Packet {
    let mut p = Packet::ipv4(CLIENT, VIP, proto::TCP, 60);
    (p.sport, p.dport, p.flags) = (40_000, port, Flags::SYN);
    p
}

const NAMES: [&str; 3] = ["eth0", "eth1", "tun0"];

fn numbers(pattern: &str) -> Vec<u16> {
    let found = |name: &str| match pattern.strip_suffix('+') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    };
    (0..3).filter(|i| found(NAMES[usize::from(*i)])).collect()
}

/// The verdict of table filter, chain INPUT, on a packet that came in by `eth0`.
fn judge(rules: &[FilterConfig], packet: &Packet, state: Option<State>) -> Verdict {
    let mut book = AddressBook::new();
    let filter = Filter::new(rules, &mut book, numbers);
    let book = &book;
    let view = View { book, input: Some(0), output: None, state, ipvs: None, local: true };
    let mut packet = *packet;
    filter.run(FilterTable::Filter, FilterChain::Input, &view, &mut packet, None)
}

fn holds_for(condition: FilterCondition, packet: &Packet) -> bool {
    judge(&[input(&[(false, condition)], FilterTarget::Drop)], packet, None) == Verdict::Drop
}

#[test]
fn the_first_rule_that_agrees_decides_and_the_policy_is_the_last() {
    let rules = [
        input(&[(false, FilterCondition::DestinationPorts(vec![(80, 80)]))], FilterTarget::Accept),
        input(&[], FilterTarget::Drop),
    ];
    assert_eq!(judge(&rules, &syn(80), None), Verdict::Accept);
    assert_eq!(judge(&rules, &syn(81), None), Verdict::Drop);
    assert_eq!(judge(&[], &syn(81), None), Verdict::Accept);
}

#[test]
fn return_leaves_it_to_the_policy() {
    let back = input(&[(false, FilterCondition::Protocol(proto::TCP))], FilterTarget::Return);
    let drop_web =
        input(&[(false, FilterCondition::DestinationPorts(vec![(80, 80)]))], FilterTarget::Drop);
    let policy = input(&[], FilterTarget::Accept);
    assert_eq!(judge(&[back.clone(), drop_web.clone(), policy], &syn(80), None), Verdict::Accept);
    assert_eq!(judge(&[back.clone(), drop_web.clone()], &syn(80), None), Verdict::Accept);
    let policy = input(&[], FilterTarget::Drop);
    assert_eq!(judge(&[back, drop_web, policy], &syn(80), None), Verdict::Drop);
}

#[test]
fn addresses_protocols_and_interfaces_are_matched() {
    let p = syn(80);
    let net = |text: &str, len| Net::new(text.parse().unwrap(), len);
    assert!(holds_for(FilterCondition::Source(net("172.16.0.0", 24)), &p));
    assert!(!holds_for(FilterCondition::Source(net("172.16.1.0", 24)), &p));
    assert!(holds_for(FilterCondition::Destination(net("192.168.10.200", 32)), &p));
    assert!(holds_for(FilterCondition::Protocol(proto::TCP), &p));
    assert!(holds_for(FilterCondition::Protocol(0), &p));
    assert!(!holds_for(FilterCondition::Protocol(proto::UDP), &p));
    assert!(holds_for(FilterCondition::Input("eth0".into()), &p));
    assert!(holds_for(FilterCondition::Input("eth+".into()), &p));
    assert!(!holds_for(FilterCondition::Input("eth1".into()), &p));
    assert!(!holds_for(FilterCondition::Output("eth0".into()), &p));
    assert!(holds_for(FilterCondition::DestinationLocal, &p));
    let range = |a: &str, b: &str| (a.parse().unwrap(), b.parse().unwrap());
    let (first, last) = range("172.16.0.9", "172.16.0.10");
    assert!(holds_for(FilterCondition::SourceRange(first, last), &p));
    let (first, last) = range("172.16.0.11", "172.16.0.20");
    assert!(!holds_for(FilterCondition::SourceRange(first, last), &p));
    let (first, last) = range("192.168.10.1", "192.168.10.255");
    assert!(holds_for(FilterCondition::DestinationRange(first, last), &p));
}

#[test]
fn ports_flags_and_icmp_types_are_matched() {
    let p = syn(443);
    assert!(holds_for(FilterCondition::DestinationPorts(vec![(80, 80), (440, 443)]), &p));
    assert!(!holds_for(FilterCondition::DestinationPorts(vec![(80, 442)]), &p));
    assert!(holds_for(FilterCondition::SourcePorts(vec![(40_000, 40_000)]), &p));
    assert!(holds_for(FilterCondition::Ports(vec![(443, 443)]), &p));
    assert!(holds_for(FilterCondition::Ports(vec![(40_000, 40_000)]), &p));
    assert!(holds_for(FilterCondition::Syn, &p));
    assert!(holds_for(FilterCondition::TcpFlags(0x17, 0x02), &p));
    let ack = Packet { flags: Flags::SYN.with(Flags::ACK), ..p };
    assert!(!holds_for(FilterCondition::Syn, &ack));
    // a later fragment shows no ports
    let fragment = Packet { frag: 185, ..p };
    assert!(!holds_for(FilterCondition::DestinationPorts(vec![(443, 443)]), &fragment));
    let mut ping = Packet::ipv4(CLIENT, VIP, proto::ICMP, 84);
    ping.sport = 8;
    assert!(holds_for(FilterCondition::Icmp(8, None), &ping));
    assert!(holds_for(FilterCondition::Icmp(255, None), &ping));
    assert!(!holds_for(FilterCondition::Icmp(8, Some(1)), &ping));
    assert!(!holds_for(FilterCondition::Icmp(8, None), &p));
}

#[test]
fn an_exclamation_mark_turns_a_condition_round() {
    let not_web = (true, FilterCondition::DestinationPorts(vec![(80, 80)]));
    let rules = [input(&[not_web], FilterTarget::Drop)];
    assert_eq!(judge(&rules, &syn(80), None), Verdict::Accept);
    assert_eq!(judge(&rules, &syn(81), None), Verdict::Drop);
}

#[test]
fn states_are_those_of_connection_tracking() {
    let answers =
        FilterCondition::State { new: false, established: true, related: true, invalid: false };
    let rules = [input(&[(false, answers)], FilterTarget::Drop)];
    assert_eq!(judge(&rules, &syn(80), Some(State::Established)), Verdict::Drop);
    assert_eq!(judge(&rules, &syn(80), Some(State::Related)), Verdict::Drop);
    assert_eq!(judge(&rules, &syn(80), Some(State::New)), Verdict::Accept);
    assert_eq!(judge(&rules, &syn(80), Some(State::Invalid)), Verdict::Accept);
    assert_eq!(judge(&rules, &syn(80), None), Verdict::Accept);
}

#[test]
fn rules_of_one_family_do_not_see_the_other() {
    let rules = [FilterConfig { v6: true, ..input(&[], FilterTarget::Drop) }];
    assert_eq!(judge(&rules, &syn(80), None), Verdict::Accept);
    assert_eq!(judge(&rules, &Packet { kind: Kind::Ipv6, ..syn(80) }, None), Verdict::Drop);
}

#[test]
fn marks_are_set_and_the_next_rules_go_on() {
    let mangle = |matches: &[(bool, FilterCondition)], target| {
        rule(FilterTable::Mangle, FilterChain::Prerouting, matches, target)
    };
    let rules = [
        mangle(&[], FilterTarget::Mark(0x10, u32::MAX)),
        mangle(&[(false, FilterCondition::Mark(0x10, 0xf0))], FilterTarget::Mark(1, 0x0f)),
        mangle(&[], FilterTarget::SaveMark),
        mangle(&[], FilterTarget::Mark(0, u32::MAX)),
        mangle(&[], FilterTarget::RestoreMark),
    ];
    let mut book = AddressBook::new();
    let filter = Filter::new(&rules, &mut book, numbers);
    assert!(filter.needs_tracking() && !filter.is_empty());
    let view =
        View { book: &book, input: Some(0), output: None, state: None, ipvs: None, local: true };
    let (mut packet, mut connection) = (syn(80), 7);
    let (table, chain) = (FilterTable::Mangle, FilterChain::Prerouting);
    let verdict = filter.run(table, chain, &view, &mut packet, Some(&mut connection));
    assert_eq!((verdict, packet.mark, connection), (Verdict::Accept, 0x11, 0x11));
    // without a connection nothing is saved, nothing restored
    let verdict = filter.run(table, chain, &view, &mut packet, None);
    assert_eq!((verdict, packet.mark), (Verdict::Accept, 0));
}

#[test]
fn packets_of_ipvs_are_told_by_their_virtual_service() {
    // golden/paths/nat-snat-conntrack: -m ipvs --vaddr VIP/32 --vport 80 -j SNAT
    let vip = "192.168.10.200".parse().unwrap();
    let rules = [rule(
        FilterTable::Nat,
        FilterChain::Postrouting,
        &[
            (false, FilterCondition::VirtualAddress(Net::host(vip))),
            (false, FilterCondition::Ipvs(Some(80))),
        ],
        FilterTarget::SourceNat("192.168.10.100".parse().unwrap(), None),
    )];
    let mut book = AddressBook::new();
    let filter = Filter::new(&rules, &mut book, numbers);
    let ask = |ipvs| {
        let view =
            View { book: &book, input: None, output: Some(0), state: None, ipvs, local: false };
        let (table, chain) = (FilterTable::Nat, FilterChain::Postrouting);
        filter.run(table, chain, &view, &mut syn(80), None)
    };
    let translate = Verdict::Translate(Translation::Source(Ip::new(192, 168, 10, 100), None));
    assert_eq!(ask(Some((VIP, 80))), translate);
    assert_eq!(ask(Some((VIP, 81))), Verdict::Accept);
    assert_eq!(ask(Some((CLIENT, 80))), Verdict::Accept);
    assert_eq!(ask(None), Verdict::Accept);
}
