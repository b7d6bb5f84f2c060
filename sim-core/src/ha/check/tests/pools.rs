//! Pools: who is in, quorum, sorry server.

use super::*;

const SORRY: u8 = 99;

fn sorry(inhibit: bool) -> SorryConfig {
    SorryConfig { rule: ServerRule::new(rip(SORRY), 80), inhibit }
}

/// Answers by a table of servers that are down.
fn down(who: &[u32]) -> impl Fn(Time, u32) -> (Finding, Span) {
    let who = who.to_vec();
    move |_, c| (if who.contains(&c) { Finding::Refused } else { Finding::Connected }, Span::ZERO)
}

#[test]
fn at_the_start_all_are_added_in_the_order_of_the_file() {
    let lab = Lab::new(&config(web(2)));
    let all = ["add TCP 10.0.0.200:80", "add 10.0.0.11:80 1", "add 10.0.0.12:80 1"];
    assert_eq!(lab.commands_since(Time::ZERO), all);
    let gained = Note::Quorum { pool: 0, gained: true };
    assert!(lab.notes.iter().any(|n| n.1 == gained));
}

#[test]
fn with_alpha_a_server_is_added_by_its_first_success() {
    let mut vs = web(2);
    vs.servers[0].checkers[0].alpha = true;
    vs.servers[1].checkers[0].alpha = true;
    vs.servers[1].inhibit = true;
    let mut lab = Lab::new(&config(vs));
    let before = ["add TCP 10.0.0.200:80", "add 10.0.0.12:80 0"];
    assert_eq!(lab.commands_since(Time::ZERO), before);
    lab.run(at(1.0), down(&[]));
    assert_eq!(lab.commands_since(Time::ZERO)[2..], ["add 10.0.0.11:80 1", "edit 10.0.0.12:80 1"]);
}

#[test]
fn with_alpha_the_sorry_server_stands_in_from_the_start() {
    let mut vs = web(1);
    vs.servers[0].checkers[0].alpha = true;
    vs.sorry = Some(sorry(false));
    let mut lab = Lab::new(&config(vs));
    lab.run(at(1.0), down(&[]));
    let all = [
        "add TCP 10.0.0.200:80",
        "add 10.0.0.99:80 1",
        "delete 10.0.0.99:80",
        "add 10.0.0.11:80 1",
    ];
    assert_eq!(lab.commands_since(Time::ZERO), all);
}

#[test]
fn when_the_last_server_goes_the_sorry_server_comes_and_leaves_before_the_first_is_back() {
    let mut vs = web(2);
    vs.sorry = Some(sorry(false));
    let mut lab = Lab::new(&config(vs));
    lab.run(at(0.5), down(&[]));
    lab.run(at(9.5), down(&[0, 1]));
    let gone = ["delete 10.0.0.11:80", "delete 10.0.0.12:80", "add 10.0.0.99:80 1"];
    assert_eq!(lab.commands_since(at(0.5)), gone);
    lab.run(at(20.0), down(&[0]));
    assert_eq!(lab.commands_since(at(9.5)), ["delete 10.0.0.99:80", "add 10.0.0.12:80 1"]);
}

#[test]
fn an_inhibited_sorry_server_and_inhibited_servers_only_change_their_weights() {
    let mut vs = web(1);
    vs.servers[0].inhibit = true;
    vs.sorry = Some(sorry(true));
    let mut lab = Lab::new(&config(vs));
    lab.run(at(0.5), down(&[]));
    lab.run(at(9.5), down(&[0]));
    lab.run(at(20.0), down(&[]));
    let all = [
        "add TCP 10.0.0.200:80",
        "add 10.0.0.11:80 1",
        "add 10.0.0.99:80 0",
        "edit 10.0.0.11:80 0",
        "edit 10.0.0.99:80 1",
        "edit 10.0.0.99:80 0",
        "edit 10.0.0.11:80 1",
    ];
    assert_eq!(lab.commands_since(Time::ZERO), all);
}

#[test]
fn a_quorum_is_lost_below_its_hysteresis_and_gained_above_it() {
    // quorum 3, hysteresis 1: lost below 2, gained from 4 on
    let mut vs = web(5);
    (vs.quorum, vs.hysteresis, vs.sorry) = (3, 1, Some(sorry(false)));
    let mut lab = Lab::new(&config(vs));
    let quorums = |lab: &Lab| {
        let quorum = |n: &(Time, Note)| match n.1 {
            Note::Quorum { gained, .. } => Some(gained),
            _ => None,
        };
        lab.notes.iter().filter_map(quorum).collect::<Vec<_>>()
    };
    lab.run(at(0.5), down(&[]));
    lab.run(at(9.5), down(&[0, 1, 2]));
    assert_eq!(quorums(&lab), [true], "2 are enough to keep it");
    lab.run(at(19.5), down(&[0, 1, 2, 3]));
    assert_eq!(quorums(&lab), [true, false]);
    let lost = ["delete 10.0.0.14:80", "add 10.0.0.99:80 1", "delete 10.0.0.15:80"];
    assert_eq!(lab.commands_since(at(9.5)), lost, "the last one is taken out though it is alive");
    lab.run(at(29.5), down(&[0, 1]));
    assert_eq!(quorums(&lab), [true, false], "3 are not enough to gain it");
    assert!(lab.commands_since(at(19.5)).is_empty(), "IPVS is not touched meanwhile");
    lab.run(at(39.5), down(&[0]));
    assert_eq!(quorums(&lab), [true, false, true]);
    let gained = [
        "delete 10.0.0.99:80",
        "add 10.0.0.12:80 1",
        "add 10.0.0.13:80 1",
        "add 10.0.0.14:80 1",
        "add 10.0.0.15:80 1",
    ];
    assert_eq!(lab.commands_since(at(29.5)), gained);
}

#[test]
fn at_the_start_too_few_servers_give_way_to_the_sorry_server() {
    let mut vs = web(2);
    (vs.quorum, vs.hysteresis, vs.sorry) = (2, 1, Some(sorry(false)));
    let lab = Lab::new(&config(vs));
    let all = [
        "add TCP 10.0.0.200:80",
        "add 10.0.0.11:80 1",
        "add 10.0.0.12:80 1",
        "add 10.0.0.99:80 1",
        "delete 10.0.0.11:80",
        "delete 10.0.0.12:80",
    ];
    assert_eq!(lab.commands_since(Time::ZERO), all);
}

#[test]
fn a_server_is_up_only_if_all_its_checkers_are() {
    let mut vs = web(1);
    let second = vs.servers[0].checkers[0].clone();
    vs.servers[0].checkers.push(second);
    let mut lab = Lab::new(&config(vs));
    lab.run(at(0.5), down(&[]));
    lab.run(at(9.5), down(&[0]));
    lab.run(at(19.5), down(&[0, 1]));
    lab.run(at(29.5), down(&[0]));
    assert_eq!(lab.commands_since(at(0.5)), ["delete 10.0.0.11:80"]);
    lab.run(at(39.5), down(&[]));
    assert_eq!(lab.commands_since(at(29.5)), ["add 10.0.0.11:80 1"]);
}

#[test]
fn with_nat_a_server_keeps_its_port_in_every_service_of_a_group_otherwise_it_has_that_of_the_service()
 {
    let mut vs = web(2);
    let second = ServiceKey::Address { protocol: proto::TCP, vip: VIP, port: 443 };
    vs.services.push(ServiceRule::new(second));
    let nat = ServerRule { forwarding: Forwarding::Nat, ..ServerRule::new(rip(11), 8080) };
    vs.servers[0].rule = nat;
    let lab = Lab::new(&config(vs));
    let all = [
        "add TCP 10.0.0.200:80",
        "add TCP 10.0.0.200:443",
        "add 10.0.0.11:8080 1",
        "add 10.0.0.11:8080 1",
        "add 10.0.0.12:80 1",
        "add 10.0.0.12:443 1",
    ];
    assert_eq!(lab.commands_since(Time::ZERO), all);
}

#[test]
fn a_clean_stop_takes_out_servers_and_services_and_a_kill_nothing() {
    let stopped = |how, flush| {
        let mut vs = web(2);
        vs.sorry = Some(sorry(true));
        let mut lab = Lab::new(&CheckConfig { flush_on_stop: how, flush, ..config(vs) });
        let begun = lab.commands.len();
        let mut out = Vec::new();
        lab.checks.stop(&mut out);
        lab.take(out);
        assert_eq!(lab.commands[0].1 == "clear", flush);
        lab.commands.split_off(begun).into_iter().map(|c| c.1).collect::<Vec<_>>()
    };
    let one_by_one = [
        "delete 10.0.0.99:80",
        "delete 10.0.0.11:80",
        "delete 10.0.0.12:80",
        "delete TCP 10.0.0.200:80",
    ];
    assert_eq!(stopped(FlushOnStop::No, false), one_by_one);
    assert_eq!(stopped(FlushOnStop::VirtualServers, true), ["delete TCP 10.0.0.200:80"]);
    assert_eq!(stopped(FlushOnStop::All, false), ["clear"]);
    let mut lab = Lab::new(&config(web(2)));
    lab.checks.kill();
    let mut out = Vec::new();
    lab.checks.stop(&mut out);
    assert!(out.is_empty(), "there is nobody left to be stopped");
}
