//! Path MTU discovery.

use super::*;

fn payloads(net: &Net, from: usize) -> Vec<u16> {
    let sent = net.sent.iter().filter(|s| s.from == from && s.packet.payload() > 0);
    sent.map(|s| s.packet.payload()).collect()
}

#[test]
fn an_oversized_segment_is_sent_again_in_smaller_ones_as_recorded_in_dr_pmtu_client() {
    let mut net = Net::linux();
    net.path_mtu = 1400;
    let (_, served) = net.established();
    net.write(SERVER, served, 1448 + 1094);
    net.run(secs(1));
    assert_eq!(
        net.packets()[3..],
        [
            "< A 1 1 1448",
            "< PA 1449 1 1094",
            "< A 1 1 1348",
            "< A 1349 1 100",
            "> A 1 1 0",
            "> A 1 1349 0",
            "> A 1 2543 0",
        ]
    );
    assert_eq!(net.sent[5].at - net.sent[3].at, net.delay, "at once, without a time-out");
    assert_eq!(net.hosts[SERVER].counters().timeouts, 0);
}

#[test]
fn a_whole_window_of_oversized_segments_gets_through() {
    let mut net = Net::linux();
    net.path_mtu = 1000;
    let (_, served) = net.established();
    net.write(SERVER, served, 20_000);
    net.run(secs(1));
    assert_eq!(net.notes_of(CLIENT).last(), Some(&Note::MessageComplete { total: 20_000 }));
    assert_eq!(net.hosts[SERVER].counters().timeouts, 0);
    assert_eq!(net.hosts[SERVER].counters().fast_retransmits, 0);
    let oversized = payloads(&net, SERVER).into_iter().filter(|&n| n > 948).count();
    assert_eq!(oversized, 10, "only those that were on their way");
}

#[test]
fn a_new_connection_knows_the_path_for_ten_minutes() {
    let mut net = Net::linux();
    net.path_mtu = 1400;
    net.apps[CLIENT].request = Some(1448);
    net.connect(0);
    net.run(secs(1));
    net.sent.clear();
    net.connect(1);
    net.run(secs(1));
    assert_eq!(payloads(&net, CLIENT), [1348, 100]);
    assert_eq!(net.sent[0].packet.mss, 1460, "the announcement is that of the link");
    net.run(secs(600));
    net.sent.clear();
    net.connect(2);
    net.run(secs(1));
    assert_eq!(payloads(&net, CLIENT), [1448, 1348, 100]);
}

#[test]
fn below_552_bytes_packets_may_be_fragmented() {
    let mut net = Net::linux();
    net.path_mtu = 300;
    let (_, served) = net.established();
    net.write(SERVER, served, 2000);
    net.run(secs(1));
    assert_eq!(payloads(&net, SERVER), [1448, 552, 500, 500, 448, 500, 52]);
    assert!(net.sent[5..].iter().all(|s| s.from == CLIENT || !s.packet.dont_fragment()));
}

#[test]
fn an_icmp_error_about_a_segment_that_was_never_sent_is_ignored() {
    let mut net = Net::linux();
    let (_, served) = net.established();
    net.write(SERVER, served, 100);
    let mut forged = net.sent.last().expect("sent").packet;
    forged.seq = forged.seq.wrapping_add(100_000);
    net.with(SERVER, |s, now, out| {
        s.on_icmp_error(now, &forged, icmp::UNREACHABLE, icmp::FRAG_NEEDED, 600, out);
    });
    net.write(SERVER, served, 1448);
    assert_eq!(payloads(&net, SERVER), [100, 1448]);
}

#[test]
fn what_was_too_large_is_not_taken_for_lost_to_congestion() {
    let mut net = Net::linux();
    net.path_mtu = 1400;
    let (_, served) = net.established();
    for bytes in [1448, 100, 100, 100, 100] {
        net.write(SERVER, served, bytes);
    }
    net.run(secs(1));
    assert_eq!(payloads(&net, SERVER), [1448, 100, 100, 100, 100, 1348, 100]);
    assert_eq!(net.hosts[SERVER].counters().fast_retransmits, 0);
}
