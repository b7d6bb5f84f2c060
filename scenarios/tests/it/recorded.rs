//! Scenarios of recorded networks give the recorded outcome, and the director sees and sends the
//! recorded frames in the recorded order.

use crate::frames::lines;
use crate::support::Scratch;

const DIRECTOR: &str = "02:00:00:00:0a:64";

/// Runs a shipped scenario with a capture at the director; the frames as lines, and who answered.
fn play(name: &str) -> (Vec<String>, Vec<String>) {
    let scratch = Scratch::new(&format!("recorded-{name}"));
    let scenario = format!("path-{name}");
    let (code, _, errors) = scratch.lvsim(&[
        "run",
        &scenario,
        "--capture",
        "director:eth0",
        "--connections",
        "--quiet",
        "--out",
        "results",
    ]);
    assert_ne!(code, 2, "{errors}");
    let files = scratch.files("results");
    let capture = files.iter().find(|f| f.0.ends_with("director.eth0.pcapng")).expect("a capture");
    (lines(&capture.1, DIRECTOR), answers(&scratch.read("results/csv/connections.csv")))
}

/// The answering host of each connection in order of their starts, or how it failed.
fn answers(csv: &str) -> Vec<String> {
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let column = |name: &str| header.iter().position(|h| *h == name).expect("a column");
    let (id, server, outcome) = (column("id"), column("server"), column("outcome"));
    let mut rows: Vec<(u32, String)> = lines
        .map(|l| {
            let cells: Vec<&str> = l.split(',').collect();
            let served = cells[outcome] == "served";
            let answer = if served { cells[server] } else { cells[outcome] };
            (cells[id].parse().expect("a number"), answer.replace('_', " "))
        })
        .collect();
    rows.sort();
    rows.into_iter().map(|r| r.1).collect()
}

fn compare(name: &str, recording: &str) {
    let (frames, answers) = play(name);
    let mut recorded = recording.lines();
    let result = recorded.next().and_then(|l| l.strip_prefix("# result: ")).expect("a result");
    assert_eq!(answers, result.split(", ").collect::<Vec<_>>(), "{name}");
    let recorded: Vec<&str> = recorded.collect();
    for (n, (ours, theirs)) in frames.iter().zip(&recorded).enumerate() {
        assert_eq!(ours, theirs, "{name}: frame {}", n + 1);
    }
    assert_eq!(frames.len(), recorded.len(), "{name}: number of frames");
}

macro_rules! recorded {
    ($($test:ident $name:literal)*) => { $(
        #[test]
        fn $test() {
            compare($name, include_str!(concat!("../golden/paths/", $name, ".frames")));
        }
    )* };
}

recorded! {
    direct_routing "dr-basic"
    masquerading "nat-basic"
    tunnelling "tun-basic"
    masquerading_to_another_port "nat-portmap"
    direct_routing_of_udp "dr-udp"
    masquerading_of_udp "nat-udp"
    real_servers_that_answer_arp_for_the_vip "dr-no-arp-suppression"
    a_nat_real_server_whose_gateway_is_the_router "nat-bad-gateway"
}
