//! Hosts that are set up by the commands an administrator types.

use crate::support::Scratch;
use serde_json::Value;

/// Five hosts, nothing about them but their cables and what was typed on them.
const DR: &str = r#"
duration = "1s"
drain = "5s"

[variables]
VIP = "192.168.10.200"
RIP1 = "192.168.10.11"
RIP2 = "192.168.10.12"

[[switch]]
name = "lan"

[[host]]
name = "client"
setup = '''
ip addr add 172.16.0.10/24 dev eth0
ip route add default via 172.16.0.1
'''

[[host]]
name = "router"
setup = '''
[root@router ~]# ifconfig eth0 192.168.10.1 netmask 255.255.255.0 up
[root@router ~]# ifconfig eth1 172.16.0.1/24 up
[root@router ~]# sysctl -w net.ipv4.ip_forward=1
net.ipv4.ip_forward = 1
'''

[[host]]
name = "director"
setup_file = "director.sh"

[[host]]
name = "rs1"
setup = '''
# ifconfig eth0 192.168.10.11
# ifconfig lo:0 $VIP broadcast $VIP netmask 255.255.255.255 up
# route add -host $VIP dev lo:0
# route add default gw 192.168.10.1
# echo "1" >/proc/sys/net/ipv4/conf/lo/arp_ignore
# echo "2" >/proc/sys/net/ipv4/conf/lo/arp_announce
# echo "1" >/proc/sys/net/ipv4/conf/all/arp_ignore
# echo "2" >/proc/sys/net/ipv4/conf/all/arp_announce
'''

[[host]]
name = "rs2"
setup = '''
cat > /etc/sysconfig/network-scripts/ifcfg-eth0 <<EOF
DEVICE=eth0
ONBOOT=yes
IPADDR=192.168.10.12
NETMASK=255.255.255.0
GATEWAY=192.168.10.1
EOF
vim /etc/sysconfig/network-scripts/ifcfg-lo:0
	DEVICE=lo:0
	IPADDR=VIP
	NETMASK=255.255.255.255
service network restart

cat >> /etc/sysctl.conf <<EOF
net.ipv4.conf.all.arp_ignore = 1
net.ipv4.conf.all.arp_announce = 2
EOF
sysctl -p
yum install -y httpd
systemctl start httpd
'''

[[link]]
between = ["client:eth0", "router:eth1"]
[[link]]
between = ["router:eth0", "lan"]
[[link]]
between = ["director:eth0", "lan"]
[[link]]
between = ["rs1:eth0", "lan"]
[[link]]
between = ["rs2:eth0", "lan"]

[server]
hosts = ["rs1", "rs2"]
port = 80
service = "exp(2ms)"

[client]
hosts = "client"
target = "192.168.10.200:80"
load = "poisson(200/s)"

[[expect]]
metric = "connections.failed.total"
is = 0
[[expect]]
metric = "servers.rs1.share"
within = "2% of 0.5"
"#;

const DIRECTOR: &str = r#"#!/bin/bash
# load balancer
VIP=192.168.10.200
. /etc/rc.d/init.d/functions
case "$1" in
start)
    ip addr add 192.168.10.100/24 dev eth0
    /sbin/ifconfig eth0:0 $VIP netmask 255.255.255.255 broadcast $VIP up
    ip ro add default via 192.168.10.1
    echo 1 > /proc/sys/net/ipv4/ip_forward
    ipvsadm -C
    ipvsadm --set 30 5 60
    ipvsadm -A -t $VIP:80 -s rr
    for RIP in RIP1 \
               RIP2; do
        ipvsadm -a -t ${VIP}:80 -r $RIP:80 -g
    done
    ipvsadm -Ln
    ;;
stop)
    ipvsadm -C
    ;;
*)
    echo "Usage: $0 {start|stop}"
    exit 1
esac
"#;

fn scratch(name: &str) -> Scratch {
    let s = Scratch::new(name);
    s.write("dr.toml", DR);
    s.write("director.sh", DIRECTOR);
    s
}

/// What looks like output of `sysctl -w` may be a variable that the next lines need.
#[test]
fn a_variable_behind_a_command_that_prints_is_no_output() {
    let s = Scratch::new("commands-variable");
    s.write(
        "loop.toml",
        r#"
duration = "1s"
[cluster]
[cluster.director]
setup = """
ip addr add 192.168.10.200/32 dev eth0
sysctl -w net.ipv4.ip_forward=1
rips=""
for h in 11 12; do rips="$rips 192.168.10.$h"; done
ipvsadm -A -t 192.168.10.200:80 -s rr
for r in $rips; do ipvsadm -a -t 192.168.10.200:80 -r $r:80 -m; done
iptables -t nat -A POSTROUTING -m ipvs --vaddr 192.168.10.200/32 -j SNAT --to-source 192.168.10.2
sysctl -w net.ipv4.vs.conntrack=1
"""
[server]
[client]
load = "constant(20/s)"
[[expect]]
metric = "connections.failed.total"
is = 0
"#,
    );
    let (code, out, err) = s.lvsim(&["test", "loop.toml"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
}

#[test]
fn a_cluster_of_pasted_commands_serves() {
    let s = scratch("commands");
    let (code, out, err) = s.lvsim(&["run", "dr.toml", "--out", "o"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let summary: Value = serde_json::from_str(&s.read("o/summary.json")).unwrap();
    let servers = &summary["variants"]["dr"]["servers"];
    assert!(servers["rs2"]["share"].as_f64() > Some(0.48), "{summary}");
    let manifest = s.read("o/manifest.json");
    assert!(manifest.contains("\"director.sh\""), "{manifest}");
}

#[test]
fn what_a_script_says_and_does_not_do_is_a_remark_of_check() {
    let s = scratch("commands-check");
    let (code, out, err) = s.lvsim(&["check", "dr.toml"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    for said in ["remark: `yum` changes nothing that is simulated", "remark: output of a command"] {
        assert!(out.contains(said), "{said}:\n{out}");
    }
    let script = "director.sh:4: remark: the script `/etc/rc.d/init.d/functions`";
    assert!(out.contains(script), "{out}");
}

#[test]
fn a_line_that_is_left_out_does_harm() {
    let s = scratch("commands-harm");
    let harmed = DR
        .replace("# ifconfig lo:0 $VIP broadcast $VIP netmask 255.255.255.255 up\n", "")
        .replace("# route add -host $VIP dev lo:0\n", "");
    s.write("dr.toml", &harmed);
    let (code, out, _) = s.lvsim(&["run", "dr.toml", "--out", "o"]);
    assert_eq!(code, 1, "{out}");
    let (code, out, _) = s.lvsim(&["check", "dr.toml"]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("missing on rs1: ip addr add 192.168.10.200/32 dev lo"), "{out}");
}

/// The shorthand for the cluster with the commands of a how-to on its hosts: the network is there, the
/// commands are all that is set up on them.
const NAT: &str = r#"
duration = "1s"
drain = "5s"

[variables]
VIP = "20.20.20.11"
"端口" = "80"

[cluster]
subnet = "10.10.10.0/24"

[cluster.router]
address = "10.10.10.1"

[cluster.director]
address = "10.10.10.2"
setup = '''
# 开启路由转发功能
vi /etc/sysctl.conf
	net.ipv4.ip_forward=1
	net.ipv4.conf.all.send_redirects = 0
	net.ipv4.conf.eth0.send_redirects = 0

sysctl -p
ip addr add VIP/32 dev eth0
ipvsadm –A –t VIP：端口 -s rr
ipvsadm -a -t VIP:端口 -r 10.10.10.11:8080 -m   //第一台
ipvsadm -a -t VIP:端口 -r 10.10.10.12:8080 -m
service ipvsadm save
'''

[cluster.real_servers]
setup = '''
# 指定网关至负载调度器
route add default gw 10.10.10.2
'''

[server]
port = 8080
service = "exp(2ms)"

[client]
target = "20.20.20.11:80"
load = "poisson(200/s)"

[[expect]]
metric = "connections.failed.total"
is = 0
"#;

#[test]
fn a_how_to_for_nat_runs_on_the_hosts_of_a_cluster() {
    let s = Scratch::new("commands-nat");
    s.write("nat.toml", NAT);
    let (code, out, err) = s.lvsim(&["run", "nat.toml", "--out", "o"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    s.write("nat.toml", &NAT.replace("\tnet.ipv4.ip_forward=1\n", ""));
    let (code, out, err) = s.lvsim(&["run", "nat.toml", "--out", "p"]);
    assert_eq!(code, 1, "{out}{err}");
}

/// The marks of a how-to join two ports to one service; the shorthand takes the VIP from `vip`.
const MARKS: &str = r#"
duration = "1s"
drain = "5s"

[variables]
VIP = "192.168.10.8"

[cluster]
vip = "192.168.10.8:80"

[cluster.director]
setup = '''
ip addr add VIP/32 dev eth0 label eth0:0
# 添加一个防火墙规则
iptables -t mangle -A PREROUTING -d VIP -p tcp --dport 80 -j MARK --set-mark 10
iptables -t mangle -A PREROUTING -d VIP -p tcp --dport 443 -j MARK --set-mark 10
service iptables save
ipvsadm -A -f 10 -s rr
ipvsadm -a -f 10 -r 192.168.10.11 -g
ipvsadm -a -f 10 -r 192.168.10.12 -g
'''

[cluster.real_servers]
setup = '''
ifconfig lo:0 VIP netmask 255.255.255.255 broadcast VIP up
sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
'''

[[server]]
port = 80
[[server]]
port = 443

[[client]]
name = "http"
target = "192.168.10.8:80"
load = "poisson(100/s)"
[[client]]
name = "https"
target = "192.168.10.8:443"
load = "poisson(100/s)"
"#;

#[test]
fn a_how_to_for_marks_is_read() {
    let s = Scratch::new("commands-marks");
    s.write("marks.toml", MARKS);
    let (code, out, err) = s.lvsim(&["check", "marks.toml"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("remark: `service` changes nothing"), "{out}");
}

#[test]
fn a_rule_of_the_packet_filter_is_played() {
    let s = scratch("commands-filter");
    let filtered = DR.replace(
        "# route add -host $VIP dev lo:0\n",
        "# iptables -N web\n# iptables -A web -p tcp --dport 80 -j DROP\n# iptables -A INPUT -d VIP -j web\n",
    );
    s.write("dr.toml", &filtered);
    let (code, out, _) = s.lvsim(&["run", "dr.toml", "--out", "o"]);
    assert_eq!(code, 1, "{out}");
    let summary: Value = serde_json::from_str(&s.read("o/summary.json")).unwrap();
    let share = &summary["variants"]["dr"]["servers"]["rs1"]["share"];
    assert_eq!(share.as_f64(), Some(0.0), "{summary}");
}

/// A script of the director, and what must be said about it.
type Wrong = (&'static str, &'static [&'static str]);

const WRONG_ADDRESSES: &[Wrong] = &[
    (
        "ipvsadmm -C",
        &["`ipvsadmm` is not understood", "did you mean `ipvsadm`?", "director.sh:1:1"],
    ),
    ("ip adr add 10.0.0.1/24 dev eth0", &["`adr` is unknown to `ip`", "did you mean `addr"]),
    (
        "ip addr add 10.0.0.1/33 dev eth0",
        &["`10.0.0.1/33` is no address or block", "director.sh:1:13"],
    ),
    (
        "ip addr add 10.0.0.1/24 dev eth7",
        &["Cannot find device \"eth7\"", "interfaces are lo, eth0"],
    ),
    ("ip addr add 10.0.0.1/24", &["`ip address add` is incomplete", "`dev eth0`"]),
    (
        "ip addr add 10.0.0.1/24 dev eth0 lable eth0:0",
        &["`lable` is unknown", "did you mean `label`?"],
    ),
    (
        "ip addr add 10.0.0.1/24 dev eth0\nip addr add 10.0.0.1/24 dev eth0",
        &["File exists", "eth0 has 10.0.0.1/24 already", "director.sh:2:1"],
    ),
    ("ip addr del 10.0.0.1/24 dev eth0", &["Cannot assign requested address"]),
    ("ip link set eth0 mtu 12", &["68 to 65535"]),
    ("ip link set eth0 upp", &["`upp` is unknown to `ip link set`", "did you mean `up`?"]),
    ("ip link add x type vxlan id 5", &["a device of the type vxlan is not simulated"]),
    (
        "ifconfig eth0:0 10.0.0.1 netmask 255.0.255.0",
        &["`255.0.255.0` is no netmask", "255.255.255.0"],
    ),
    ("ifconfig eth0 10.0.0.1 netmsk 255.0.0.0", &["did you mean `netmask`?"]),
    ("arp -s 10.0.0.1 0:1:2", &["`0:1:2` is no Ethernet address"]),
    ("ip addr add VIP/32 dev lo", &["`VIP/32` is no address", "fill it in: [variables] VIP"]),
    ("ip addr add $VIP/32 dev lo", &["`VIP` has no value", "[variables] VIP"]),
    ("ip addr add <VIP>/32 dev lo", &["`VIP` has no value", "[variables] VIP"]),
];

const WRONG_ROUTES: &[Wrong] = &[
    (
        "ip route add default via 10.9.9.9",
        &["Nexthop has invalid gateway", "no interface that is up has a prefix with 10.9.9.9"],
    ),
    ("ip route add 10.1.0.0/16", &["`ip route add` is incomplete", "via GATEWAY"]),
    ("ip route del default", &["No such process"]),
    ("ip rule add fwmark ten lookup 100", &["`ten` is no mark"]),
    (
        "route add -net 10.0.0.1 netmask 255.255.255.0 gw 10.0.0.2",
        &["netmask doesn't match route address"],
    ),
    ("route add default", &["`route add` is incomplete"]),
    ("route add default gw IP", &["`IP` is no address", "[variables] IP"]),
];

const WRONG_SETTINGS: &[Wrong] = &[
    (
        "sysctl -w net.ipv4.conf.all.arp_ignor=1",
        &["there is no setting `arp_ignor`", "did you mean `arp_ignore`?"],
    ),
    ("sysctl -w net.ipv4.conf.all.arp_ignore = 1", &["must be of the form name=value"]),
    ("sysctl -w net.ipv4.conf.eth5.rp_filter=0", &["cannot stat net.ipv4.conf.eth5.rp_filter"]),
    (
        "echo 9 > /proc/sys/net/ipv4/conf/all/arp_ignore",
        &["`9` is no value of arp_ignore", "0 to 8"],
    ),
    ("echo 1 > /proc/sys/net/ipv4/conf/all/arp_anounce", &["did you mean `arp_announce`?"]),
    ("cat > /etc/sysctl.conf <<EOF\nnet.ipv4.ip_forward=1", &["the here-document has no end"]),
    (
        "cat > ifcfg-lo:0 <<EOF\nDEVICE=lo:0\nIPADR=10.0.0.1\nEOF\nifup lo:0",
        &["unknown key `IPADR`", "did you mean `IPADDR`?", "director.sh:3:1"],
    ),
];

const WRONG_FILTERS: &[Wrong] = &[
    (
        "iptables -t mangel -A PREROUTING -j ACCEPT",
        &["Table does not exist", "did you mean `mangle`?"],
    ),
    (
        "iptables -t mangle -A PREROUTNG -j ACCEPT",
        &["No chain/target/match by that name", "did you mean `PREROUTING`?"],
    ),
    (
        "iptables -t mangle -A PREROUTING --dport 80 -j MARK --set-mark 1",
        &["unknown option \"--dport\"", "`-p tcp`"],
    ),
    (
        "iptables -t mangle -A PREROUTING -p tcp --dports 80,443 -j MARK --set-mark 1",
        &["`-m multiport`"],
    ),
    ("iptables -t nat -A POSTROUTING -j SNAT", &["\"--to-source\" must be specified"]),
    ("iptables -A POSTROUTING -j ACCEPT", &["the table filter has INPUT"]),
    (
        "iptables -t nat -A PREROUTING -j SNAT --to-source 10.0.0.1",
        &["the target is not for this chain"],
    ),
    ("iptables -A INPUT -m limit --limit 5/s -j ACCEPT", &["`-m limit` are not simulated"]),
    ("iptables -A INPUT -j ACEPT", &["Couldn't load target `ACEPT'", "did you mean `ACCEPT`?"]),
];

const WRONG_RULES: &[Wrong] = &[
    ("ipvsadm -A -t 10.0.0.1:80 -s rrr", &["rrr", "director.sh:1:"]),
    ("ipvsadm -a -t 10.0.0.1:80 -r 10.0.0.2 -g", &["Service not defined", "director.sh:1:"]),
    ("ipvsadm -A -t VIP:80", &["VIP", "director.sh:1:"]),
    ("ipvsadm -R < rules.txt", &["rules.txt: No such file or directory"]),
];

const WRONG_SHELL: &[Wrong] = &[
    ("echo \"abc", &["a quote is not closed"]),
    ("for i in 1 2; do\nip link set eth0 up", &["`for` without `done`"]),
    (
        "if ping -c 1 10.0.0.1; then\nip link set eth0 up\nfi",
        &["it cannot be told whether this condition holds"],
    ),
    ("f() {\nip link set eth0 up\n}", &["functions are not read"]),
    ("ip addr add $(hostname -i)/24 dev eth0", &["the output of a command is not known here"]),
];

#[test]
fn wrong_commands_are_told_with_their_place_and_what_is_right() {
    let s = Scratch::new("commands-wrong");
    s.write(
        "a.toml",
        "[[host]]\nname = \"director\"\nsetup_file = \"director.sh\"\ninterfaces = {}\n",
    );
    let mut failed = Vec::new();
    let tables =
        [WRONG_ADDRESSES, WRONG_ROUTES, WRONG_SETTINGS, WRONG_FILTERS, WRONG_RULES, WRONG_SHELL];
    for (script, said) in tables.into_iter().flatten() {
        s.write("director.sh", script);
        let (code, out, err) = s.lvsim(&["check", "a.toml"]);
        let missing: Vec<_> = said.iter().filter(|text| !err.contains(**text)).collect();
        if code != 2 || !missing.is_empty() {
            failed.push(format!("{script}\nlacks {missing:?}: {code} {out}{err}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn all_wrong_commands_are_told_at_once() {
    let s = Scratch::new("commands-all");
    s.write("a.toml", "[[host]]\nname = \"a\"\nsetup = '''\nfoo\nip adr\nsysctl -w x\n'''\n");
    let (code, _, err) = s.lvsim(&["check", "a.toml"]);
    assert_eq!(code, 2);
    assert!(err.ends_with("3 problems found\n"), "{err}");
    for place in ["a.toml:4:1", "a.toml:5:4", "a.toml:6:11"] {
        assert!(err.contains(place), "{place}: {err}");
    }
}
