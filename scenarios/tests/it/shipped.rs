//! The scenarios that ship: what they expect comes out.

use crate::support::Scratch;
use pcap_parser::{Block, PcapError, PcapNGReader, traits::PcapReaderIterator as _};

/// Tests scenarios, all of whose expectations must hold.
fn holds(arguments: &[&str]) {
    let s = Scratch::new(&format!("shipped-{}", arguments[0]));
    let (code, out, err) = s.lvsim(&[&["test"], arguments].concat());
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("pass") && !out.contains("FAIL"), "{out}");
}

#[test]
fn the_recorded_paths_come_out_as_they_were_recorded() {
    holds(&[
        "path-dr-basic",
        "path-nat-basic",
        "path-tun-basic",
        "path-nat-portmap",
        "path-dr-udp",
        "path-nat-udp",
        "path-dr-no-arp-suppression",
        "path-nat-bad-gateway",
    ]);
}

#[test]
fn the_reference_workload_takes_exactly_the_hops_of_its_packets() {
    holds(&["w1", "--set", "duration=500ms"]);
}

#[test]
fn a_nat_director_feeds_as_many_servers_as_its_cpu_has_time_for() {
    holds(&["nat-capacity"]);
}

#[test]
fn queues_are_those_of_the_formulas() {
    // a tenth of the scenario's time: the confidence interval of the replications is the measure
    holds(&["mm1", "--seeds", "4", "--set", "duration=150s"]);
    holds(&["md1", "--seeds", "4", "--set", "duration=150s"]);
}

#[test]
fn days_of_the_year_of_faults_are_the_same_however_many_run_at_a_time() {
    let s = Scratch::new("shipped-year");
    // a day each, with most faults a hundred times as often
    let often = ["d1-power", "d1-freeze", "d2-keepalived", "rs1-power", "rs2-dead", "rs3-hung"];
    let often: Vec<String> = often.iter().map(|f| format!("fault.{f}.mtbf=8h")).collect();
    let mut arguments = vec!["test", "year-of-faults", "--set", "duration=1d", "--seeds", "3"];
    arguments.extend(often.iter().flat_map(|set| ["--set", set.as_str()]));
    let played = |threads: &str| s.lvsim(&[&arguments[..], &["--threads", threads]].concat());
    let (code, alone, err) = played("1");
    assert_eq!((code, err.as_str()), (1, ""), "{alone}");
    let line = alone.lines().find(|l| l.contains(": availability: ")).unwrap();
    assert!(line.contains("FAIL") && line.contains("(99 %, 3 runs)"), "{line}");
    assert!(line.ends_with(" nines"), "{line}");
    assert_eq!(played("3").1, alone);
}

#[test]
fn a_quiet_day_of_the_year_of_faults_loses_nothing_that_is_not_expected() {
    holds(&["year-of-faults", "--set", "duration=1d"]);
}

#[test]
fn captures_are_read_back_with_nanoseconds_and_names() {
    let s = Scratch::new("shipped-captures");
    let (code, _, err) = s.lvsim(&["run", "path-tun-basic", "--capture", "director", "--out", "o"]);
    assert_eq!(code, 0, "{err}");
    let files = s.files("o/captures/path-tun-basic");
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].0, "director.eth0.pcapng");
    let mut reader = PcapNGReader::new(65_536, &files[0].1[..]).unwrap();
    let (mut frames, mut resolution) = (0, 0);
    loop {
        match reader.next() {
            Ok((read, block)) => {
                if let pcap_parser::PcapBlockOwned::NG(block) = block {
                    match block {
                        Block::InterfaceDescription(i) => resolution = i.if_tsresol,
                        Block::EnhancedPacket(_) => frames += 1,
                        _ => {}
                    }
                }
                reader.consume(read);
            }
            Err(PcapError::Eof) => break,
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(e) => panic!("{e:?}"),
        }
    }
    // 11 packets in and out, and ARP
    assert!(frames >= 22, "{frames} frames");
    assert_eq!(resolution, 9);
}
