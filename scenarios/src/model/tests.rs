use super::*;
use crate::diagnostic::render;
use sim_core::config::v4;
use sim_core::config::{HostConfig, LinkEnd, Transport};
use sim_core::ipvs::rules::Forwarding;

fn load_text(text: &str) -> Scenario {
    load_set(text, &[])
}

fn load_set(text: &str, set: &[&str]) -> Scenario {
    let settings = Settings { set: set.iter().map(|s| (*s).to_owned()).collect(), seed: None };
    match load("test.toml", text, &Embedded(&[]), &settings) {
        Ok(scenario) => scenario,
        Err(f) => unreachable!("{}", render(&f.sources, &f.problems, false)),
    }
}

fn host<'a>(config: &'a WorldConfig, name: &str) -> &'a HostConfig {
    config.hosts.iter().find(|h| h.name == name).unwrap()
}

const SMALL: &str =
    "[cluster]\nvip = \"192.168.10.200:80\"\n[server]\n[client]\nload = \"poisson(10/s)\"\n";

#[test]
fn a_small_scenario_is_small() {
    let scenario = load_text(SMALL);
    let config = &scenario.variants[0].config;
    let names: Vec<&str> = config.hosts.iter().map(|h| h.name.as_str()).collect();
    assert_eq!(names, ["client", "router", "director", "rs1", "rs2"]);
    assert_eq!(config.links.len(), 5);
    assert_eq!(scenario.name, "test");
    let director = host(config, "director").ipvs.as_ref().unwrap();
    assert_eq!(director.services[0].servers.len(), 2);
    assert_eq!(host(config, "rs1").servers[0].port, 80);
    let client = &host(config, "client").clients[0];
    assert_eq!(client.target, (v4(192, 168, 10, 200), 80));
    assert_eq!(client.transport, Transport::Tcp);
}

#[test]
fn real_servers_are_set_up_for_the_forwarding_method() {
    let vip = v4(192, 168, 10, 200);
    let with = |method: &str| {
        let text = format!("forwarding = \"{method}\"\n{SMALL}");
        load_text(&text).variants.remove(0).config
    };
    let nat = with("NAT");
    let rs = host(&nat, "rs1");
    assert_eq!(rs.routes[0].hops[0].via, Some(v4(192, 168, 10, 2)));
    assert!(rs.loopback.is_empty() && rs.sysctl.all.arp_ignore == 0);
    let dr = with("DR");
    let rs = host(&dr, "rs1");
    assert_eq!(rs.routes[0].hops[0].via, Some(v4(192, 168, 10, 1)));
    assert_eq!((rs.loopback[0].addr, rs.loopback[0].len), (vip, 32));
    assert_eq!((rs.sysctl.all.arp_ignore, rs.sysctl.all.arp_announce), (1, 2));
    let tun = with("TUN");
    assert_eq!(host(&tun, "rs1").tunnels[0].addresses[0].addr, vip);
    let director = host(&tun, "director");
    assert!(director.sysctl.ip_forward);
    assert_eq!(director.interfaces[0].addresses[1].addr, vip);
    assert_eq!(director.ipvs.as_ref().unwrap().services[0].servers[0].forwarding, Forwarding::Tun);
}

#[test]
fn manual_setup_leaves_everything_to_the_person() {
    let text = SMALL.replace("[cluster]\n", "[cluster]\nsetup = \"manual\"\n");
    let failure = load("a", &text, &Embedded(&[]), &Settings::default()).unwrap_err();
    assert!(failure.problems[0].message.contains("does not hold it"));
    let vip = "interfaces = { addresses = \"192.168.10.200/32\" }";
    let text = format!("{text}[[host]]\nname = \"director\"\n{vip}\n");
    let config = load_text(&text).variants.remove(0).config;
    assert!(host(&config, "rs1").loopback.is_empty());
    assert_eq!(host(&config, "director").interfaces[0].addresses.len(), 2);
    assert!(!host(&config, "director").sysctl.ip_forward);
}

#[test]
fn a_host_table_changes_a_host_of_the_cluster() {
    let text = format!("{SMALL}[[host]]\nname = \"rs2\"\nsysctl.arp_ignore = 0\ntcp.mss = 1000\n");
    let config = load_text(&text).variants.remove(0).config;
    assert_eq!(host(&config, "rs2").sysctl.all.arp_ignore, 0);
    assert_eq!(host(&config, "rs2").sysctl.all.arp_announce, 2);
    assert_eq!(host(&config, "rs2").tcp.mss, 1000);
    assert_eq!(host(&config, "rs1").sysctl.all.arp_ignore, 1);
}

#[test]
fn variants_and_settings_override_by_path() {
    let text = format!(
        "{SMALL}[[run]]\nname = \"two\"\n[[run]]\nname = \"four\"\ncluster.real_servers.count = 4\n\
         \"client.load\" = \"constant(5/s)\"\nforwarding = \"NAT\"\n"
    );
    let scenario = load_set(&text, &["server.workers=3", "seed=9"]);
    let [two, four] = &scenario.variants[..] else { unreachable!("two variants") };
    assert_eq!(two.config.hosts.len(), 5);
    assert_eq!(four.config.hosts.len(), 7);
    assert_eq!(host(&four.config, "rs4").servers[0].workers, 3);
    assert_eq!((two.config.seed, four.config.seed, scenario.seed), (9, 9, 9));
}

#[test]
fn a_setting_of_the_command_is_stronger_than_a_variant() {
    let text = format!("{SMALL}[[run]]\nname = \"a\"\nforwarding = \"NAT\"\n");
    let config = load_set(&text, &["forwarding=TUN"]).variants.remove(0).config;
    assert!(host(&config, "rs1").tunnels.len() == 1);
}

#[test]
fn rules_point_to_their_line_inside_the_scenario() {
    let text = "[cluster]\n[director]\nrules = \"\"\"\n-A -t 192.168.10.200:80 -s rrr\n\"\"\"\n[client]\nload = \"at(0s)\"\n";
    let failure = load("a.toml", text, &Embedded(&[]), &Settings::default()).unwrap_err();
    let shown = render(&failure.sources, &failure.problems, false);
    assert!(shown.contains("a.toml:4:28"), "{shown}");
    assert!(shown.contains("-A -t 192.168.10.200:80 -s rrr"), "{shown}");
}

#[test]
fn explicit_hosts_need_no_cluster() {
    let text = r#"
[[switch]]
name = "sw"
[[host]]
name = "web"
count = 3
interfaces = [{ name = "eth0", mac = "02:00:00:00:00:fe", addresses = ["10.0.0.11/24"] }]
[[host]]
name = "c"
interfaces = { addresses = "10.0.0.1/24" }
[[link]]
between = ["web:eth0", "sw"]
[[link]]
between = ["c:eth0", "sw"]
name = "uplink"
rate = "10Mbit/s"
back = { rate = "1Mbit/s" }
[[server]]
hosts = "web"
port = 80
[[client]]
hosts = "c"
target = "10.0.0.12:80"
sources = "10.0.0.100-10.0.0.103"
load = "closed(3 users)"
[[link_event]]
at = "1s"
link = "uplink"
up = false
"#;
    let config = load_text(text).variants.remove(0).config;
    let web = host(&config, "web3");
    assert_eq!(web.interfaces[0].addresses[0].addr, v4(10, 0, 0, 13));
    assert_eq!(web.interfaces[0].mac.map(|m| m.0), Some([2, 0, 0, 0, 1, 0]));
    assert_eq!(config.links.len(), 4);
    let uplink = &config.links[3];
    assert_eq!(uplink.ends[1], LinkEnd::Switch("sw".into()));
    assert_eq!(uplink.directions[0].rate_bps, 10_000_000);
    assert_eq!(uplink.directions[1].rate_bps, 1_000_000);
    assert_eq!(host(&config, "c").interfaces[0].addresses.len(), 5);
    assert_eq!(config.link_events[0].link, "uplink");
}

#[test]
fn clients_on_links_of_their_own_give_the_router_as_many_legs() {
    let text = format!("{SMALL}[cluster.clients]\ncount = 64\n");
    let config = load_text(&text).variants.remove(0).config;
    let router = host(&config, "router");
    assert_eq!(router.interfaces.len(), 65);
    assert_eq!(host(&config, "client64").interfaces[0].addresses[0].addr, v4(172, 16, 63, 2));
    assert_eq!(config.links.len(), 64 + 4);
}

/// The shipped scenarios, all notation there is.
fn shipped(index: usize) -> (&'static str, Embedded) {
    let entry = crate::catalogue::CATALOGUE[index % crate::catalogue::CATALOGUE.len()];
    (entry.text(), Embedded(entry.files))
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]
    #[test]
    fn no_change_to_a_scenario_ends_the_reader(
        index in 0_usize..20,
        edits in proptest::collection::vec((0.0..1.0_f64, 0_usize..12, "[a-z0-9\"\\[\\]{}=.,/:() -]{0,8}"), 1..4),
    ) {
        let (text, files) = shipped(index);
        let mut text: Vec<char> = text.chars().collect();
        for (at, cut, put) in edits {
            let start = (at * text.len() as f64) as usize;
            let end = (start + cut).min(text.len());
            text.splice(start..end, put.chars());
        }
        let text: String = text.into_iter().collect();
        match load("x.toml", &text, &files, &Settings::default()) {
            Ok(scenario) => proptest::prop_assert!(!scenario.variants.is_empty()),
            Err(f) => {
                proptest::prop_assert!(!f.problems.is_empty());
                proptest::prop_assert!(render(&f.sources, &f.problems, false).contains("error: "));
            }
        }
    }
}
