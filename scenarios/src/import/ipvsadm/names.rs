//! Names that stand for addresses and ports.

use sim_core::wire::proto;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The hosts that have names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Names {
    hosts: BTreeMap<String, IpAddr>,
}

impl Names {
    /// No host has a name.
    pub const NONE: &'static Self = &Self { hosts: BTreeMap::new() };

    /// Gives an address a name. Of several addresses of a name the first one counts.
    pub fn add(&mut self, name: impl Into<String>, address: IpAddr) {
        self.hosts.entry(name.into()).or_insert(address);
    }

    /// The address of a host.
    pub fn address(&self, name: &str) -> Option<IpAddr> {
        self.hosts.get(name).copied()
    }

    /// The name of an address, the first one in the order of the alphabet.
    pub fn name(&self, address: IpAddr) -> Option<&str> {
        self.hosts.iter().find(|(_, a)| **a == address).map(|(n, _)| n.as_str())
    }

    /// The names of all hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.keys().map(String::as_str)
    }
}

const T: &[u8] = &[proto::TCP];
const U: &[u8] = &[proto::UDP];
const TU: &[u8] = &[proto::TCP, proto::UDP];
const TUS: &[u8] = &[proto::TCP, proto::UDP, proto::SCTP];

/// Ports as `/etc/services` of the usual distributions names them: name, port, protocols. Of
/// several names of a port the first one is shown.
const SERVICES: &[(&str, u16, &[u8])] = &[
    ("echo", 7, TU),
    ("discard", 9, TU),
    ("daytime", 13, TU),
    ("chargen", 19, TU),
    ("ftp-data", 20, T),
    ("ftp", 21, T),
    ("ssh", 22, T),
    ("telnet", 23, T),
    ("smtp", 25, T),
    ("mail", 25, T),
    ("time", 37, TU),
    ("whois", 43, T),
    ("tacacs", 49, TU),
    ("domain", 53, TU),
    ("bootps", 67, U),
    ("bootpc", 68, U),
    ("tftp", 69, U),
    ("gopher", 70, T),
    ("finger", 79, T),
    ("http", 80, TUS),
    ("www", 80, T),
    ("kerberos", 88, TU),
    ("pop2", 109, T),
    ("pop3", 110, T),
    ("sunrpc", 111, TU),
    ("portmapper", 111, TU),
    ("auth", 113, T),
    ("nntp", 119, T),
    ("ntp", 123, U),
    ("netbios-ns", 137, U),
    ("netbios-dgm", 138, U),
    ("netbios-ssn", 139, T),
    ("imap2", 143, T),
    ("imap", 143, T),
    ("snmp", 161, TU),
    ("snmp-trap", 162, TU),
    ("snmptrap", 162, TU),
    ("bgp", 179, TUS),
    ("irc", 194, TU),
    ("ldap", 389, TU),
    ("https", 443, TUS),
    ("microsoft-ds", 445, TU),
    ("submissions", 465, T),
    ("smtps", 465, T),
    ("syslog", 514, U),
    ("shell", 514, T),
    ("printer", 515, T),
    ("rtsp", 554, TU),
    ("nntps", 563, T),
    ("submission", 587, T),
    ("ipp", 631, T),
    ("ldaps", 636, TU),
    ("rsync", 873, T),
    ("ftps-data", 989, T),
    ("ftps", 990, T),
    ("telnets", 992, T),
    ("imaps", 993, T),
    ("pop3s", 995, T),
    ("socks", 1080, T),
    ("openvpn", 1194, TU),
    ("ms-sql-s", 1433, T),
    ("radius", 1812, TU),
    ("radius-acct", 1813, TU),
    ("mqtt", 1883, T),
    ("cisco-sccp", 2000, T),
    ("nfs", 2049, TU),
    ("iscsi-target", 3260, T),
    ("mysql", 3306, T),
    ("svn", 3690, T),
    ("epmd", 4369, T),
    ("sip", 5060, TU),
    ("sip-tls", 5061, TU),
    ("xmpp-client", 5222, T),
    ("xmpp-server", 5269, T),
    ("postgresql", 5432, T),
    ("amqps", 5671, T),
    ("amqp", 5672, TUS),
    ("x11", 6000, T),
    ("redis", 6379, T),
    ("ircd", 6667, T),
    ("http-alt", 8080, TU),
    ("webcache", 8080, TU),
    ("puppet", 8140, T),
    ("git", 9418, T),
    ("zabbix-agent", 10050, T),
    ("zabbix-trapper", 10051, T),
    ("amanda", 10080, T),
    ("webmin", 10000, T),
];

/// The port that a service name stands for with a protocol (`getservbyname`).
pub fn port_of(name: &str, protocol: u8) -> Option<u16> {
    SERVICES.iter().find(|s| s.0 == name && s.2.contains(&protocol)).map(|s| s.1)
}

/// The service name of a port (`getservbyport`).
pub fn service_of(port: u16, protocol: u8) -> Option<&'static str> {
    SERVICES.iter().find(|s| s.1 == port && s.2.contains(&protocol)).map(|s| s.0)
}

/// The service names of a protocol.
pub(super) fn services(protocol: u8) -> impl Iterator<Item = &'static str> {
    SERVICES.iter().filter(move |s| s.2.contains(&protocol)).map(|s| s.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_name_is_read_as_the_port_it_was_shown_for() {
        for (_, port, protocols) in SERVICES {
            for &protocol in *protocols {
                let name = service_of(*port, protocol).unwrap();
                assert_eq!(port_of(name, protocol), Some(*port));
            }
        }
        assert_eq!(port_of("https", proto::TCP), Some(443));
        assert_eq!(port_of("smtp", proto::UDP), None);
        assert_eq!(service_of(1, proto::TCP), None);
    }

    #[test]
    fn the_first_address_of_a_name_counts() {
        let mut names = Names::default();
        let ip = |s: &str| s.parse::<IpAddr>().unwrap();
        names.add("web1", ip("10.0.0.1"));
        names.add("web1", ip("10.0.0.2"));
        assert_eq!(names.address("web1"), Some(ip("10.0.0.1")));
        assert_eq!(names.name(ip("10.0.0.1")), Some("web1"));
        assert_eq!(names.name(ip("10.0.0.2")), None);
    }
}
