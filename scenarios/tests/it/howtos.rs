//! The how-tos that ship, whole and each with one line left out: `lvsim check` names the line, and the run
//! shows what it is there for.

use crate::support::Scratch;
use scenarios::catalogue;
use serde_json::Value;

/// A shipped how-to in a folder of its own.
struct HowTo {
    scratch: Scratch,
    name: &'static str,
    text: String,
}

impl HowTo {
    fn new(name: &'static str, case: &str) -> Self {
        let scratch = Scratch::new(&format!("{name}-{case}"));
        let text = catalogue::find(name).unwrap().text().to_owned();
        Self { scratch, name, text }
    }

    /// Leaves out every line that says this.
    fn without(mut self, said: &str) -> Self {
        let kept: Vec<&str> = self.text.lines().filter(|l| !l.contains(said)).collect();
        assert!(kept.len() < self.text.lines().count(), "{said} is in no line of {}", self.name);
        self.text = kept.join("\n");
        self
    }

    /// Leaves out what the last host to have this text says.
    fn without_last(mut self, said: &str) -> Self {
        let at = self.text.rfind(said).unwrap_or_else(|| panic!("{said} is not in {}", self.name));
        self.text.replace_range(at..at + said.len(), "");
        self
    }

    fn with(mut self, from: &str, to: &str) -> Self {
        assert!(self.text.contains(from), "{from} is not in {}", self.name);
        self.text = self.text.replace(from, to);
        self
    }

    fn file(&self) -> String {
        let file = format!("{}.toml", self.name);
        self.scratch.write(&file, &self.text);
        file
    }

    /// `lvsim check` finds something, and its help says this.
    #[track_caller]
    fn check_says(&self, help: &[&str]) {
        let (code, out, err) = self.scratch.lvsim(&["check", &self.file()]);
        assert_eq!((code, err.as_str()), (1, ""), "{out}");
        let helps: Vec<&str> =
            out.lines().filter_map(|l| l.trim().strip_prefix("help: ")).collect();
        for line in help {
            assert!(helps.contains(line), "`{line}` is not in the help:\n{out}");
        }
        assert_eq!(helps.len(), help.len(), "nothing else is the matter:\n{out}");
    }

    /// The results of a run with this exit code.
    #[track_caller]
    fn run(&self, exit: i32) -> Value {
        let (code, out, err) = self.scratch.lvsim(&["run", &self.file(), "--out", "o"]);
        assert_eq!((code, err.as_str()), (exit, ""), "{out}");
        let summary: Value = serde_json::from_str(&self.scratch.read("o/summary.json")).unwrap();
        summary["variants"][self.name].clone()
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Connections that clients of a name started, and how many were served.
fn served(summary: &Value, clients: &str) -> (u64, u64) {
    let connections = &summary["clients"][clients]["connections"];
    (number(&connections["served"]), number(&connections["offered"]))
}

/// Connections that a server answered.
fn answered(summary: &Value, server: &str) -> u64 {
    number(&summary["servers"][server]["connections"])
}

const NAMES: [&str; 4] = ["howto-dr", "howto-nat", "howto-persistent", "howto-fwmark"];

#[test]
fn how_tos_as_written_run_and_nothing_is_the_matter() {
    let s = Scratch::new("howtos");
    for name in NAMES {
        let (code, out, err) = s.lvsim(&["check", name]);
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        assert!(out.contains("0 findings"), "{out}");
        let (code, out, err) = s.lvsim(&["run", name, "--out", name]);
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
    }
    let (code, out, err) = s.lvsim(&[&["test"], &NAMES[..]].concat());
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(!out.contains("FAIL"), "{out}");
}

#[test]
fn dr_without_arp_ignore_goes_past_the_director() {
    let howto = HowTo::new("howto-dr", "arp-ignore").without("net.ipv4.conf.all.arp_ignore");
    howto.check_says(&[
        "missing on rs1: echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore",
        "missing on rs2: echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore",
    ]);
    let summary = howto.run(1);
    let (rs1, rs2) = (answered(&summary, "rs1"), answered(&summary, "rs2"));
    let passed = number(&summary["directors"]["director"]["connections"]);
    assert!(rs1.min(rs2) == 0 && rs1.max(rs2) > 490, "one answers ARP first: {rs1} and {rs2}");
    assert!(passed < 5, "{passed} connections pass the director");
}

#[test]
fn dr_without_arp_announce_draws_the_vip_to_a_real_server() {
    let howto = HowTo::new("howto-dr", "arp-announce").without("net.ipv4.conf.all.arp_announce");
    howto.check_says(&[
        "missing on rs1: echo 2 > /proc/sys/net/ipv4/conf/all/arp_announce",
        "missing on rs2: echo 2 > /proc/sys/net/ipv4/conf/all/arp_announce",
    ]);
    let summary = howto.run(1);
    let (rs1, rs2) = (answered(&summary, "rs1"), answered(&summary, "rs2"));
    assert!(rs1.min(rs2) <= 1 && rs1.max(rs2) > 490, "{rs1} and {rs2}");
}

#[test]
fn dr_without_the_vip_on_lo_loses_the_connections_of_a_server() {
    let howto = HowTo::new("howto-dr", "lo").without_last("\tIPADDR=192.168.10.100\n");
    howto.check_says(&["missing on rs2: ip addr add 192.168.10.100/32 dev lo"]);
    let summary = howto.run(1);
    assert_eq!(answered(&summary, "rs2"), 0);
    let (good, offered) = served(&summary, "clients");
    assert!(good * 2 <= offered + 1 && offered > 490, "{good} of {offered} are served");
    // without the file, `ifup` has nothing to bring up
    let file = "\tDEVICE=lo:0\n\tIPADDR=192.168.10.100\n\tNETMASK=255.255.255.255\n";
    let howto = HowTo::new("howto-dr", "lo-file").without_last(file);
    let (code, _, err) = howto.scratch.lvsim(&["check", &howto.file()]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("no command before wrote ifcfg-lo:0"), "{err}");
}

#[test]
fn nat_without_the_gateway_loses_all_answers() {
    let howto = HowTo::new("howto-nat", "gateway").without("route add default gw");
    howto.check_says(&[
        "missing on rs1: ip route replace default via 10.10.10.11",
        "missing on rs2: ip route replace default via 10.10.10.11",
    ]);
    let summary = howto.run(1);
    let (good, offered) = served(&summary, "visitors");
    assert!(good == 0 && offered > 490, "{good} of {offered} are served");
    // the requests still come, the answers have no way
    let requests = number(&summary["directors"]["director"]["connections"]);
    assert!(requests > 490, "{requests}");
}

#[test]
fn nat_without_forwarding_loses_all_answers() {
    let howto = HowTo::new("howto-nat", "forwarding").without("net.ipv4.ip_forward=1");
    howto.check_says(&["missing on director: echo 1 > /proc/sys/net/ipv4/ip_forward"]);
    let summary = howto.run(1);
    let (good, offered) = served(&summary, "visitors");
    assert!(good == 0 && offered > 490, "{good} of {offered} are served");
}

#[test]
fn nat_without_the_snat_rule_serves_but_its_servers_reach_nobody() {
    let howto = HowTo::new("howto-nat", "snat").without("-j SNAT");
    let summary = howto.run(1);
    let (good, offered) = served(&summary, "visitors");
    assert!(good == offered && offered > 490, "{good} of {offered} are served");
    let (good, offered) = served(&summary, "downloads");
    assert!(good == 0 && offered > 40, "{good} of {offered} are served");
}

#[test]
fn persistence_without_the_vip_on_a_server_fails_those_who_stay_with_it() {
    let line = "ifconfig  lo:0  192.168.10.40/32  up\n";
    let howto = HowTo::new("howto-persistent", "vip").without_last(line);
    howto.check_says(&["missing on rs2: ip addr add 192.168.10.40/32 dev lo"]);
    let summary = howto.run(1);
    let (good, offered) = served(&summary, "rare");
    assert!(good == 0 && offered == 2, "the template outlives what is never answered: {good}");
    assert_eq!(served(&summary, "frequent"), (7, 7));
}

#[test]
fn persistence_without_arp_announce_is_passed_by() {
    let howto = HowTo::new("howto-persistent", "announce").without("conf/all/arp_announce");
    howto.check_says(&[
        "missing on rs1: echo 2 > /proc/sys/net/ipv4/conf/all/arp_announce",
        "missing on rs2: echo 2 > /proc/sys/net/ipv4/conf/all/arp_announce",
    ]);
    let summary = howto.run(1);
    let passed = number(&summary["directors"]["director"]["connections"]);
    assert!(passed < 9, "{passed} connections pass the director");
}

#[test]
fn without_short_timeouts_a_closed_connection_keeps_the_template() {
    let howto = HowTo::new("howto-persistent", "timeouts").without("--set 30 5 60");
    let summary = howto.run(1);
    // the entry of the first visit is kept for two minutes, and the template with it
    assert_eq!((answered(&summary, "rs1"), answered(&summary, "rs2")), (7, 2));
}

#[test]
fn without_persistence_the_visits_take_turns() {
    let howto = HowTo::new("howto-persistent", "off").with("-s rr -p 20", "-s rr");
    let summary = howto.run(1);
    assert_eq!((answered(&summary, "rs1"), answered(&summary, "rs2")), (5, 4));
}

#[test]
fn a_port_without_its_mark_is_refused() {
    for (port, clients) in [(443, "https"), (80, "http")] {
        let howto = HowTo::new("howto-fwmark", clients).without(&format!("--dport {port} "));
        let line = format!(
            "missing on director: iptables -t mangle -A PREROUTING -d 172.16.0.8 -p tcp --dport \
             {port} -j MARK --set-mark 10"
        );
        // for anna and for bert
        howto.check_says(&[&line, &line]);
        let summary = howto.run(1);
        for name in ["anna", "bert"] {
            let refused = &summary["clients"][format!("{name}-{clients}")]["connections"];
            assert_eq!(refused["failed"]["refused"], refused["offered"], "{refused}");
            assert!(number(&refused["offered"]) > 0);
        }
        let failed = number(&summary["connections"]["failed"]["total"]);
        assert_eq!(failed, if port == 443 { 7 } else { 4 }, "the other port is served");
    }
}

#[test]
fn two_services_part_what_the_mark_joins() {
    let servers = |summary: &Value| {
        ["rs1:80", "rs1:443", "rs2:80", "rs2:443"].map(|name| answered(summary, name))
    };
    // three and five connections of one visitor, one and two of the other
    let joined = HowTo::new("howto-fwmark", "joined").run(0);
    assert_eq!(servers(&joined), [1, 2, 3, 5]);
    let mut parted = HowTo::new("howto-fwmark", "parted")
        .without("-j MARK")
        .with("ipvsadm -A -f 10 -s wlc -p 120\n", "");
    for (rip, line) in [
        ("12", "ipvsadm -a -f 10 -r 172.16.0.12 -g\n"),
        ("13", "ipvsadm -a -f 10 -r 172.16.0.13 -g\n"),
    ] {
        let service = |port: u16| {
            let first = format!("ipvsadm -A -t 172.16.0.8:{port} -s wlc -p 120\n");
            let first = if rip == "12" { first } else { String::new() };
            format!("{first}ipvsadm -a -t 172.16.0.8:{port} -r 172.16.0.{rip}:{port} -g\n")
        };
        parted = parted.with(line, &(service(80) + &service(443)));
    }
    assert_eq!(servers(&parted.run(1)), [1, 5, 3, 2]);
}
