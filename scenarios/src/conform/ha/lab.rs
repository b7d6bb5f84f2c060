//! The network in which the cases were recorded, as a scenario: a client behind a router, a switch, two
//! directors, two real servers that have the VIP on `lo`.

use crate::model::Files;
use sim_core::engine::Time;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

/// The VIP.
pub const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 10, 200));
/// The router.
pub const ROUTER: &str = "router";
/// The interface of a director on the switch.
pub const INTERFACE: &str = "eth0";
/// The name of the application that makes the requests.
pub const PROBE: &str = "probe";

/// The name of the application with one long connection.
pub const LONG: &str = "long";

/// The network of a case.
#[derive(Clone, Debug)]
pub struct Lab {
    /// Names of the directors, which have 192.168.10.101 and .102.
    pub directors: [String; 2],
    /// Whether `eth1` of one is cabled to `eth1` of the other (10.1.1.1 and .2).
    pub crossover: bool,
    /// Lines that the tables of the directors have besides: keys of `[[host]]`.
    pub keys: [String; 2],
    /// Tables of the scenario besides.
    pub tables: String,
}

/// The MAC of a host: the number is that of its address.
pub fn mac(number: u8) -> [u8; 6] {
    [2, 0, 0, 0, 10, number]
}

/// The link of a host to the switch.
pub fn link_of(host: &str) -> String {
    format!("{host}--sw")
}

/// A point in time as scenarios have it.
pub fn seconds(at: Time) -> String {
    format!("{:.4}s", at.as_secs_f64())
}

impl Lab {
    /// The scenario, which runs for so many seconds.
    pub fn scenario(&self, seconds: f64) -> String {
        // whose VIP does not come up is part of what is tried
        let mut text = format!(
            "allow = [\"vip-nobody-holds\"]\nduration = \"{seconds:.3}s\"\ndrain = \"1s\"\nseries = \"0s\"\n\n\
             [network]\nrate = \"1Gbit/s\"\nlatency = \"20us\"\n\n[[switch]]\nname = \"sw\"\n"
        );
        let forward = "sysctl = { ip_forward = true }\n";
        host(&mut text, "client", &interface(INTERFACE, 10, "172.16.0.10/24"), {
            "routes = [\"default via 172.16.0.1\"]\n"
        });
        let legs = format!(
            "{}{}",
            interface("r_c", 2, "172.16.0.1/24"),
            interface("r_l", 1, "192.168.10.1/24")
        );
        host(&mut text, ROUTER, &legs, forward);
        for (n, name) in self.directors.iter().enumerate() {
            let number = 101 + n as u8;
            let mut all = interface(INTERFACE, number, &format!("192.168.10.{number}/24"));
            if self.crossover {
                all += &interface("eth1", 201 + n as u8, &format!("10.1.1.{}/30", n + 1));
            }
            let keys =
                format!("routes = [\"default via 192.168.10.1\"]\n{forward}{}", self.keys[n]);
            host(&mut text, name, &all, &keys);
        }
        for n in [11, 12] {
            let all = interface(INTERFACE, n, &format!("192.168.10.{n}/24"));
            let keys = format!(
                "routes = [\"default via 192.168.10.1\"]\nloopback = [\"{VIP}/32\"]\n\
                 sysctl = {{ arp_ignore = 1, arp_announce = 2 }}\n"
            );
            host(&mut text, &format!("rs{}", n - 10), &all, &keys);
        }
        link(&mut text, "client--router", "client:eth0", "router:r_c");
        link(&mut text, &link_of(ROUTER), "router:r_l", "sw");
        let others = self.directors.iter().map(String::as_str).chain(["rs1", "rs2"]);
        for name in others {
            link(&mut text, &link_of(name), &format!("{name}:{INTERFACE}"), "sw");
        }
        if self.crossover {
            let [a, b] = &self.directors;
            link(&mut text, "crossover", &format!("{a}:eth1"), &format!("{b}:eth1"));
        }
        text + "\n[[server]]\nhosts = [\"rs1\", \"rs2\"]\nport = 80\nservice = \"1ms\"\nresponse = \"40B\"\n"
            + &self.tables
    }
}

fn interface(name: &str, number: u8, address: &str) -> String {
    let mac = mac(number).map(|b| format!("{b:02x}")).join(":");
    format!("  {{ name = \"{name}\", mac = \"{mac}\", addresses = [\"{address}\"] }},\n")
}

fn host(text: &mut String, name: &str, interfaces: &str, keys: &str) {
    let _infallible =
        write!(text, "\n[[host]]\nname = \"{name}\"\ninterfaces = [\n{interfaces}]\n{keys}");
}

fn link(text: &mut String, name: &str, a: &str, b: &str) {
    let _infallible = write!(text, "\n[[link]]\nname = \"{name}\"\nbetween = [\"{a}\", \"{b}\"]\n");
}

/// Files that a case holds.
#[derive(Clone, Debug, Default)]
pub struct Texts(pub BTreeMap<String, String>);

impl Files for Texts {
    fn read(&self, name: &str) -> Result<String, String> {
        self.0.get(name).cloned().ok_or_else(|| "the case has no such file".to_owned())
    }

    fn names(&self, folder: &str) -> Vec<String> {
        if folder.is_empty() { self.0.keys().cloned().collect() } else { Vec::new() }
    }
}
