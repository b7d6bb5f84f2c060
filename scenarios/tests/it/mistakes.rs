//! Wrong scenarios and rules: each has its own message, exit code 2 and no results folder.

use crate::support::Scratch;

/// What is put where into a good scenario, and what must be said.
struct Mistake {
    name: &'static str,
    /// Text that replaces the first one in the scenario (empty: is added at the end).
    old: &'static str,
    new: &'static str,
    said: &'static [&'static str],
}

const GOOD: &str = r#"duration = "1s"

[network]
rate = "1Gbit/s"

[cluster]
[cluster.clients]
count = 2

[director]
rules = """
-A -t 192.168.10.200:80 -s rr
-a -t 192.168.10.200:80 -r 192.168.10.11:80 -g -w 1
-a -t 192.168.10.200:80 -r 192.168.10.12:80 -g -w 1
"""

[server]
service = "exp(5ms)"

[client]
load = "poisson(100/s)"

[[run]]
name = "DR"

[[expect]]
metric = "connections.failed.total"
is = 0
"#;

const fn mistake(
    name: &'static str,
    old: &'static str,
    new: &'static str,
    said: &'static [&'static str],
) -> Mistake {
    Mistake { name, old, new, said }
}

const SERVICE: &str = "-A -t 192.168.10.200:80 -s rr\n";
const FIRST: &str = "-r 192.168.10.11:80 -g -w 1";

const MISTAKES: &[Mistake] = &[
    // TOML itself
    mistake("syntax", "[network]", "[network", &["TOML:", "bad.toml:3:"]),
    mistake("twice", "rate = ", "rate = \"1Mbit/s\"\nrate = ", &["TOML: duplicate key"]),
    mistake("quotes", "\"1Gbit/s\"", "1Gbit/s", &["TOML:", "bad.toml:4:"]),
    // keys
    mistake(
        "key",
        "rate = ",
        "ratte = ",
        &["unknown key `ratte` in [network]", "did you mean `rate`?", "bad.toml:4:1"],
    ),
    mistake(
        "table",
        "[network]",
        "[netwrok]",
        &["unknown key `netwrok`", "did you mean `network`?"],
    ),
    mistake("missing", "load = \"poisson(100/s)\"", "", &["[client] lacks the key `load`"]),
    mistake("far", "rate = ", "colour = ", &["unknown key `colour`", "known are rate, latency"]),
    // values
    mistake(
        "no unit",
        "\"1s\"",
        "1",
        &["the number 1 is not right here", "the unit is missing", "bad.toml:1:12"],
    ),
    mistake("unit", "\"1s\"", "\"1 parsec\"", &["`parsec` is no such unit"]),
    mistake("no duration", "\"1s\"", "\"0s\"", &["the run has no duration"]),
    mistake("long", "\"1s\"", "\"900000d\"", &["at most 100 years"]),
    mistake("rate", "1Gbit/s", "0bit/s", &["a rate from 1bit/s"]),
    mistake("rate unit", "1Gbit/s", "1Gbyte/s", &["`Gbyte/s` is no such unit"]),
    mistake("bool", "[server]", "[server]\ncloses = \"yes\"", &["expected true or false"]),
    mistake("range", "count = 2", "count = 0", &["a whole number from 1 to 4096"]),
    mistake("type", "count = 2", "count = \"two\"", &["\"two\" is not right here"]),
    mistake(
        "table type",
        "[network]\nrate = \"1Gbit/s\"",
        "network = 5",
        &["expected a table [network]"],
    ),
    mistake("date", "count = 2", "count = 2020-01-01", &["a date is not right here"]),
    mistake("loss", "[network]", "[network]\nloss = 1.5", &["a share such as"]),
    mistake(
        "queue",
        "[network]",
        "[network]\nqueue = \"many\"",
        &["\"1000 packets\" or \"256KiB\""],
    ),
    mistake(
        "word",
        "[server]",
        "[server]\ndiscipline = \"fiffo\"",
        &["one of fifo, ps; did you mean `fifo`?"],
    ),
    // distributions and loads
    mistake("dist", "exp(5ms)", "expo(5ms)", &["did you mean `exp`?"]),
    mistake("dist unit", "exp(5ms)", "exp(5)", &["exp(MEAN)", "the unit is missing"]),
    mistake("dist parts", "exp(5ms)", "uniform(5ms)", &["expected uniform(LOW, HIGH)"]),
    mistake("dist order", "exp(5ms)", "uniform(5ms, 1ms)", &["LOW not above HIGH"]),
    mistake(
        "empirical",
        "\"exp(5ms)\"",
        "{ empirical = [[\"1ms\", 0]] }",
        &["at least one above 0"],
    ),
    mistake("load", "poisson(100/s)", "poison(100/s)", &["one of poisson(2000/s)"]),
    mistake("load rate", "poisson(100/s)", "poisson(100)", &["a frequency such as"]),
    mistake("load users", "poisson(100/s)", "closed(0 users)", &["from 1 to 10000000 users"]),
    // addresses
    mistake(
        "address",
        "[cluster]",
        "[cluster]\nrouter.address = \"192.168.10\"",
        &["an IP address such as"],
    ),
    mistake("subnet", "[cluster]", "[cluster]\nsubnet = \"192.168.10.5/24\"", &["192.168.10.0/24"]),
    mistake(
        "taken",
        "[cluster]",
        "[cluster]\nreal_servers.count = 2\ndirector.address = \"192.168.10.11\"",
        &["the RIP 192.168.10.11 is taken", "the director has it"],
    ),
    mistake(
        "outside",
        "192.168.10.12:80",
        "192.168.99.12:80",
        &["192.168.99.12 is not in the cluster's subnet"],
    ),
    mistake(
        "vip taken",
        "[cluster]",
        "[cluster]\ndirector.address = \"192.168.10.200\"",
        &["the VIP 192.168.10.200 is taken"],
    ),
    mistake(
        "no rip",
        "[cluster]\n",
        "[cluster]\nreal_servers.count = 1\n",
        &["no host has the address 192.168.10.12", "bad.toml:15:1"],
    ),
    // references
    mistake(
        "host",
        "[server]",
        "[server]\nhosts = \"rs3\"",
        &["there is no host `rs3`", "did you mean `rs1`?"],
    ),
    mistake(
        "director",
        "[director]",
        "[director]\nhost = \"dirctor\"",
        &["there is no host `dirctor`", "did you mean `director`?"],
    ),
    mistake(
        "switch",
        "",
        "[[host]]\nname = \"x\"\ninterfaces = {}\n[[link]]\nbetween = [\"x:eth0\", \"swich\"]\n",
        &["there is no switch `swich`"],
    ),
    mistake(
        "interface",
        "",
        "[[link]]\nbetween = [\"rs1:eth9\", \"switch\"]\n",
        &["host `rs1` has no interface `eth9`"],
    ),
    mistake("ends", "", "[[link]]\nbetween = [\"switch\"]\n", &["a link has two ends, not 1"]),
    mistake(
        "cable",
        "",
        "[[link]]\nbetween = [\"rs1:eth0\", \"switch\"]\n",
        &["two links end at `rs1:eth0`"],
    ),
    mistake(
        "event",
        "",
        "[[link_event]]\nat = \"1s\"\nlink = \"x\"\nup = false\n",
        &["there is no link `x`"],
    ),
    mistake(
        "gateway",
        "",
        "[[host]]\nname = \"rs1\"\nroutes = \"default via 10.9.9.9\"\n",
        &["the gateway 10.9.9.9 of `rs1` is in none of its networks"],
    ),
    mistake(
        "route",
        "",
        "[[host]]\nname = \"rs1\"\nroutes = \"default 10.9.9.9\"\n",
        &["a route as `ip route add` has it"],
    ),
    mistake(
        "address twice",
        "",
        "[[host]]\nname = \"rs2\"\ninterfaces = { addresses = \"192.168.10.200/24\" }\n",
        &["192.168.10.200:", "duplicate-address"],
    ),
    mistake(
        "loop",
        "",
        "[[switch]]\nname = \"s2\"\n[[link]]\nbetween = [\"switch\", \"s2\"]\nname = \"l1\"\n[[link]]\nbetween = [\"switch\", \"s2\"]\nname = \"l2\"\n",
        &["form a loop"],
    ),
    mistake(
        "no rules",
        "rules = \"\"\"\n-A -t 192.168.10.200:80 -s rr\n-a -t 192.168.10.200:80 -r 192.168.10.11:80 -g -w 1\n-a -t 192.168.10.200:80 -r 192.168.10.12:80 -g -w 1\n\"\"\"",
        "",
        &["the cluster has no service"],
    ),
    mistake(
        "rules file",
        "[director]\nrules",
        "[director]\nrules_file = \"none.ipvsadm\"\n[x]\nrules",
        &["cannot read the rules file `none.ipvsadm`"],
    ),
    mistake(
        "warmup",
        "duration",
        "warmup = \"2s\"\nduration",
        &["nothing is left after the warm-up"],
    ),
    // variants and expectations
    mistake("variant twice", "", "[[run]]\nname = \"DR\"\n", &["two variants are called `DR`"]),
    mistake("variant name", "name = \"DR\"", "name = \"D/R\"", &["no name for a variant"]),
    mistake("no name", "name = \"DR\"", "forwarding = \"DR\"", &["[run] lacks the key `name`"]),
    mistake(
        "variant key",
        "name = \"DR\"",
        "name = \"DR\"\nclients.count = 3",
        &["unknown key `clients`", "did you mean `client`?"],
    ),
    mistake(
        "variant deep",
        "name = \"DR\"",
        "name = \"DR\"\ncluster.clients.cuont = 3",
        &["unknown key `cuont` in [cluster.clients]"],
    ),
    mistake(
        "forwarding",
        "name = \"DR\"",
        "name = \"DR\"\nforwarding = \"nat\"",
        &["one of NAT, DR, TUN, FULLNAT; did you mean `NAT`?"],
    ),
    mistake(
        "metric",
        "connections.failed",
        "conections.failed",
        &["there is no metric `conections.failed.total`; did you mean `connections`?"],
    ),
    mistake(
        "of",
        "is = 0",
        "is = 0\nof = \"DRR\"",
        &["there is no variant `DRR`", "did you mean `DR`?"],
    ),
    mistake(
        "metric below",
        "metric = \"connections.failed.total\"",
        "metric = \"latency.complete.p98\"",
        &["there is no metric `latency.complete.p98`", "did you mean `p90`?"],
    ),
    mistake("nothing expected", "is = 0", "", &["this expectation expects nothing"]),
    mistake("below", "is = 0", "below = \"little\"", &["cannot be compared"]),
    mistake("within", "is = 0", "within = \"5%\"", &["\"TOLERANCE of VALUE\""]),
    // what fits together only at first sight
    mistake(
        "allow",
        "duration",
        "allow = [\"duplicate-adress\"]\nduration",
        &["\"duplicate-adress\" is not right here", "did you mean `duplicate-address`?"],
    ),
    mistake(
        "allowed too much",
        "duration",
        "allow = [\"duplicate-name\"]\nduration",
        &["\"duplicate-name\" is not right here", "expected one of switch-loop"],
    ),
    mistake(
        "one gateway for two methods",
        "-r 192.168.10.11:80 -g -w 1",
        "-r 192.168.10.11:80 -g -w 1\n-A -t 192.168.10.200:81\n-a -t 192.168.10.200:81 -r 192.168.10.11:81 -m",
        &["rs1 is reached by NAT here and by DR elsewhere", "bad.toml:15:1"],
    ),
    mistake(
        "sources elsewhere",
        "[client]",
        "[client]\nsources = \"10.9.9.1-10.9.9.9\"",
        &["the address 10.9.9.1 is in no network of client1", "is 172.16.0.0/24"],
    ),
    mistake(
        "points",
        "duration",
        "series = \"1us\"\nduration",
        &["11000000 points of time", "at most 100000"],
    ),
    mistake(
        "too many real servers",
        "[cluster]\n",
        "[cluster]\nreal_servers = { count = 300 }\n",
        &["300 real servers from 192.168.10.11 on do not fit in 192.168.10.0/24", "at most 245"],
    ),
    mistake("group", "name = \"DR\"", "name = \"DR\"\ngroup = 5", &["this is no name for a group"]),
    // rules
    mistake(
        "scheduler",
        "-s rr\n",
        "-s rrr\n",
        &["`rrr` is no scheduler", "did you mean `rr`?", "bad.toml:12:28"],
    ),
    mistake(
        "flag of another scheduler",
        "-s rr\n",
        "-s rr -b mh-port\n",
        &["incompatible scheduler flag `mh-port'", "needs the scheduler mh, not rr"],
    ),
    mistake(
        "no flag",
        "-s rr\n",
        "-s sh -b sh-prot\n",
        &["`sh-prot` is no scheduler flag", "did you mean `sh-port`?"],
    ),
    mistake(
        "scheduler of the cluster",
        "[cluster]\n",
        "[cluster]\nscheduler = \"wllc\"\n",
        &["\"wllc\" is not right here", "did you mean `wlc`?"],
    ),
    mistake(
        "scheduler without vip",
        "[cluster]\n",
        "[cluster]\nscheduler = \"wlc\"\n",
        &["`scheduler` is for the service that `vip` makes"],
    ),
    mistake("persistence", "-s rr\n", "-s rr -p 0\n", &["invalid timeout value `0' specified"]),
    mistake(
        "port",
        "-t 192.168.10.200:80 -s",
        "-t 192.168.10.200 -s",
        &["Zero port specified for non-persistent service"],
    ),
    mistake(
        "name in rules",
        "-t 192.168.10.200:80 -s",
        "-t www:http -s",
        &["illegal virtual server address", "no host has a name here"],
    ),
    mistake("ipv6", "-t 192.168.10.200:80 -s", "-t [2001:db8::1]:80 -s", &["Service not defined"]),
    mistake(
        "service twice",
        SERVICE,
        "-A -t 192.168.10.200:80 -s rr\n-A -t 192.168.10.200:80 -s rr\n",
        &["Service already exists", "bad.toml:13:1"],
    ),
    mistake(
        "no service",
        "-a -t 192.168.10.200:80 -r 192.168.10.11",
        "-a -t 192.168.10.201:80 -r 192.168.10.11",
        &["Service not defined"],
    ),
    mistake(
        "weight",
        FIRST,
        "-r 192.168.10.11:80 -g -w 66000",
        &["illegal weight specified", "a number from 0 to 65535"],
    ),
    mistake(
        "method twice",
        FIRST,
        "-r 192.168.10.11:80 -g -m",
        &["multiple 'forwarding-method' options specified"],
    ),
    mistake("no real server", FIRST, "-g", &["You need to supply the 'real-server' option"]),
    mistake(
        "option",
        FIRST,
        "-r 192.168.10.11:80 --wieght 3",
        &["--wieght: unknown option", "did you mean `--weight`?"],
    ),
    mistake(
        "command",
        SERVICE,
        "-D -t 192.168.10.200:80\n",
        &["No such service", "services so far: none"],
    ),
    mistake("destination twice", "192.168.10.12", "192.168.10.11", &["Destination already exists"]),
];

#[test]
fn the_scenario_without_a_mistake_runs() {
    let s = Scratch::new("no-mistake");
    s.write("good.toml", GOOD);
    let (code, out, err) = s.lvsim(&["run", "good.toml", "--set", "client.load=at(0s)"]);
    assert_eq!(code, 0, "{out}{err}");
}

#[test]
fn every_mistake_has_its_message_and_leaves_nothing() {
    let s = Scratch::new("mistakes");
    let mut messages = Vec::new();
    for m in MISTAKES {
        let text = if m.old.is_empty() {
            format!("{GOOD}{}", m.new)
        } else {
            assert!(GOOD.contains(m.old), "{}", m.name);
            GOOD.replacen(m.old, m.new, 1)
        };
        s.write("bad.toml", &text);
        let (code, out, err) = s.lvsim(&["run", "bad.toml", "--out", "out"]);
        assert_eq!((code, out.as_str()), (2, ""), "{}: {err}", m.name);
        for part in m.said {
            assert!(err.contains(part), "{}: `{part}` is not in\n{err}", m.name);
        }
        assert!(err.starts_with("error: ") && err.contains("found\n"), "{}: {err}", m.name);
        let left: Vec<_> = std::fs::read_dir(s.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{}: something was left", m.name);
        messages.push(err);
    }
    assert!(messages.len() >= 40);
    messages.sort();
    messages.dedup();
    assert_eq!(messages.len(), MISTAKES.len(), "two mistakes have one message");
}

#[test]
fn all_mistakes_are_said_at_once_and_in_order() {
    let s = Scratch::new("at-once");
    let text = GOOD
        .replacen("\"1s\"", "5", 1)
        .replacen("1Gbit/s", "1Gbyte/s", 1)
        .replacen("-s rr\n", "-s rrr\n", 1)
        .replacen("-w 1\n", "-w x\n", 1)
        .replacen("exp(5ms)", "exp(5)", 1)
        .replacen("load", "laod", 1)
        .replacen("is = 0", "is = 0\nof = \"X\"", 1);
    s.write("bad.toml", &text);
    let (code, _, err) = s.lvsim(&["run", "bad.toml"]);
    assert_eq!(code, 2);
    assert!(err.ends_with("7 problems found\n"), "{err}");
    let lines: Vec<usize> = err
        .lines()
        .filter_map(|l| l.split("bad.toml:").nth(1)?.split(':').next()?.parse().ok())
        .collect();
    assert!(lines.is_sorted() && lines.len() == 7, "{lines:?} {err}");
}

#[test]
fn a_mistake_in_a_rules_file_is_shown_in_that_file() {
    let s = Scratch::new("rules-file");
    s.write("a/rules.ipvsadm", "# saved\n-A -t 192.168.10.200:80 -s wlcc\n");
    s.write(
        "a/x.toml",
        "[cluster]\n[director]\nrules_file = \"rules.ipvsadm\"\n[client]\nload = \"at(0s)\"\n",
    );
    let (code, _, err) = s.lvsim(&["run", "a/x.toml"]);
    assert_eq!(code, 2);
    assert!(err.contains("rules.ipvsadm:2:28") && err.contains("did you mean `wlc`?"), "{err}");
}
