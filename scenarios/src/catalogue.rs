//! The scenarios that ship with the program.

/// A shipped scenario with its side files.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// The scenario and the files it names: file name and text, the scenario first.
    pub files: &'static [(&'static str, &'static str)],
}

impl Entry {
    /// The name of the scenario's file.
    pub fn file(&self) -> &'static str {
        self.files.first().map_or("", |f| f.0)
    }

    /// The text of the scenario.
    pub fn text(&self) -> &'static str {
        self.files.first().map_or("", |f| f.1)
    }
}

macro_rules! catalogue {
    ($($name:literal [$($side:literal),*]),* $(,)?) => {
        /// All of them, in the order of `lvsim list`.
        pub const CATALOGUE: &[Entry] = &[$(Entry {
            name: $name,
            files: &[
                (concat!($name, ".toml"), include_str!(concat!("../catalogue/", $name, ".toml"))),
                $(($side, include_str!(concat!("../catalogue/", $side))),)*
            ],
        }),*];
    };
}

catalogue! {
    "nat-dr-tun" ["nat-dr-tun.ipvsadm", "nat-dr-tun-4.ipvsadm"],
    "nat-capacity" ["nat-capacity.ipvsadm"],
    "w1" [],
    "year-of-faults" ["year-of-faults-d1.conf", "year-of-faults-d2.conf"],
    "check-delay" ["check-delay-defaults.conf", "check-delay-howto.conf", "check-delay-http.conf"],
    "flapping-sorry" ["flapping-sorry.conf"],
    "heartbeat-web" [
        "heartbeat-web.cf", "heartbeat-web-failback.cf", "heartbeat-web-fast.cf", "heartbeat-web-stonith.cf",
        "heartbeat-web-two-links.cf", "heartbeat-web.haresources", "heartbeat-web.authkeys"
    ],
    "keepalived-or-heartbeat" [
        "keepalived-or-heartbeat.conf", "keepalived-or-heartbeat.cf", "keepalived-or-heartbeat-30.cf",
        "keepalived-or-heartbeat.haresources", "keepalived-or-heartbeat.authkeys",
        "keepalived-or-heartbeat.ldirectord"
    ],
    "seed-keepalived" [
        "seed-keepalived-1.conf", "seed-keepalived-2.conf", "seed-keepalived-typed-1.conf",
        "seed-keepalived-typed-2.conf"
    ],
    "seed-heartbeat" ["seed-heartbeat.cf", "seed-heartbeat.haresources", "seed-heartbeat.authkeys"],
    "cascade" ["cascade.conf", "cascade-6.conf", "cascade-tcp.conf"],
    "mm1" [],
    "mm16" [],
    "md1" [],
    "howto-dr" [],
    "howto-nat" [],
    "howto-persistent" [],
    "howto-fwmark" [],
    "path-dr-basic" [],
    "path-nat-basic" [],
    "path-tun-basic" [],
    "path-nat-portmap" [],
    "path-dr-udp" [],
    "path-nat-udp" [],
    "path-dr-no-arp-suppression" [],
    "path-nat-bad-gateway" [],
    "failover-clean" ["failover-v2.conf", "failover-v3.conf", "failover.conf", "failover-service.conf"],
    "failover-crash" ["failover-v2.conf", "failover-v3.conf", "failover.conf", "failover-service.conf"],
    "failback" ["failback.conf", "failover-service.conf"],
    "failover-sync" ["failover-sync.conf"],
    "failover-sync-idle" ["failover-sync.conf"],
    "split-brain-link" ["split-brain.conf"],
    "split-brain-one-way" ["split-brain.conf"],
    "split-brain-multicast" ["split-brain.conf"],
    "split-brain-frozen" ["split-brain.conf"],
}

/// The scenario called `name`.
pub fn find(name: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|e| e.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::render;
    use crate::model::{Embedded, Settings, load};

    #[test]
    fn every_shipped_scenario_is_right_and_has_a_question_and_expectations() {
        for entry in CATALOGUE {
            let files = Embedded(entry.files);
            match load(entry.file(), entry.text(), &files, &Settings::default()) {
                Ok(s) => {
                    assert_eq!(s.name, entry.name);
                    assert!(!s.question.is_empty(), "{}", entry.name);
                    assert!(!s.expectations.is_empty(), "{}", entry.name);
                }
                Err(f) => unreachable!("{}", render(&f.sources, &f.problems, false)),
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_ships() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/catalogue");
        for file in std::fs::read_dir(folder).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            let ships = CATALOGUE.iter().flat_map(|e| e.files).any(|f| f.0 == name);
            assert!(ships, "{name} is in no entry");
        }
    }
}
