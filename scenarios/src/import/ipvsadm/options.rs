//! The options of ipvsadm by their names.

/// What follows an option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Argument {
    /// Nothing.
    None,
    /// One word.
    Word,
    /// One word unless the next one starts with `-`.
    Optional,
}

/// What an option is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// A command that rules can have.
    Command,
    /// A command that has no place in rules.
    OtherCommand,
    /// Names the service.
    Service,
    /// A parameter of a service.
    ServiceOption,
    /// Names the real server.
    RealServer,
    /// A parameter of a real server.
    ServerOption,
    /// Changes what a listing shows.
    Listing,
    /// Wrong in rules, but known.
    Other,
}

/// An option.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opt {
    pub(super) short: Option<char>,
    pub(super) long: &'static str,
    /// The name ipvsadm uses in its messages.
    pub(super) name: &'static str,
    pub(super) argument: Argument,
    pub(super) role: Role,
}

const fn opt(
    short: Option<char>,
    long: &'static str,
    name: &'static str,
    argument: Argument,
    role: Role,
) -> Opt {
    Opt { short, long, name, argument, role }
}

use Argument::{None as Nothing, Optional, Word};
use Role::{
    Command, Listing, Other, OtherCommand, RealServer, ServerOption, Service, ServiceOption,
};

/// All options of ipvsadm 1.31.
pub(super) const OPTIONS: &[Opt] = &[
    opt(Some('A'), "add-service", "add-service", Nothing, Command),
    opt(Some('a'), "add-server", "add-server", Nothing, Command),
    opt(Some('C'), "clear", "flush", Nothing, Command),
    opt(None, "set", "set", Word, Command),
    opt(Some('E'), "edit-service", "edit-service", Nothing, OtherCommand),
    opt(Some('D'), "delete-service", "delete-service", Nothing, OtherCommand),
    opt(Some('e'), "edit-server", "edit-server", Nothing, OtherCommand),
    opt(Some('d'), "delete-server", "delete-server", Nothing, OtherCommand),
    opt(Some('L'), "list", "list", Nothing, OtherCommand),
    opt(Some('l'), "list", "list", Nothing, OtherCommand),
    opt(Some('Z'), "zero", "zero", Nothing, OtherCommand),
    opt(Some('S'), "save", "save", Nothing, OtherCommand),
    opt(Some('R'), "restore", "restore", Nothing, OtherCommand),
    opt(None, "start-daemon", "start-daemon", Word, OtherCommand),
    opt(None, "stop-daemon", "stop-daemon", Word, OtherCommand),
    opt(Some('t'), "tcp-service", "service-address", Word, Service),
    opt(Some('u'), "udp-service", "service-address", Word, Service),
    opt(None, "sctp-service", "service-address", Word, Service),
    opt(Some('f'), "fwmark-service", "service-address", Word, Service),
    opt(Some('6'), "ipv6", "ipv6", Nothing, ServiceOption),
    opt(Some('s'), "scheduler", "scheduler", Word, ServiceOption),
    opt(Some('p'), "persistent", "persistent", Optional, ServiceOption),
    opt(Some('M'), "netmask", "netmask", Word, ServiceOption),
    opt(None, "pe", "pe", Word, ServiceOption),
    opt(Some('o'), "ops", "ops", Nothing, ServiceOption),
    opt(Some('b'), "sched-flags", "sched-flags", Word, ServiceOption),
    opt(Some('r'), "real-server", "real-server", Word, RealServer),
    opt(Some('g'), "gatewaying", "forwarding-method", Nothing, ServerOption),
    opt(Some('i'), "ipip", "forwarding-method", Nothing, ServerOption),
    opt(Some('m'), "masquerading", "forwarding-method", Nothing, ServerOption),
    opt(Some('w'), "weight", "weight", Word, ServerOption),
    opt(Some('x'), "u-threshold", "u-threshold", Word, ServerOption),
    opt(Some('y'), "l-threshold", "l-threshold", Word, ServerOption),
    opt(None, "tun-type", "tun-type", Word, ServerOption),
    opt(None, "tun-port", "tun-port", Word, ServerOption),
    opt(None, "tun-nocsum", "tun-nocsum", Nothing, ServerOption),
    opt(None, "tun-csum", "tun-csum", Nothing, ServerOption),
    opt(None, "tun-remcsum", "tun-remcsum", Nothing, ServerOption),
    opt(Some('n'), "numeric", "numeric", Nothing, Listing),
    opt(Some('c'), "connection", "connection", Nothing, Other),
    opt(None, "timeout", "timeout", Nothing, Other),
    opt(None, "daemon", "daemon", Nothing, Other),
    opt(None, "stats", "stats", Nothing, Other),
    opt(None, "rate", "rate", Nothing, Other),
    opt(None, "thresholds", "thresholds", Nothing, Other),
    opt(None, "persistent-conn", "persistent-conn", Nothing, Other),
    opt(None, "tun-info", "tun-info", Nothing, Other),
    opt(None, "nosort", "nosort", Nothing, Other),
    opt(None, "sort", "sort", Nothing, Other),
    opt(Some('X'), "exact", "exact", Nothing, Other),
    opt(None, "mcast-interface", "mcast-interface", Word, Other),
    opt(None, "syncid", "syncid", Word, Other),
    opt(None, "mcast-group", "mcast-group", Word, Other),
    opt(None, "mcast-port", "mcast-port", Word, Other),
    opt(None, "mcast-ttl", "mcast-ttl", Word, Other),
    opt(None, "sync-maxlen", "sync-maxlen", Word, Other),
];

/// The option `-c` or `--long`.
pub(super) fn by_short(c: char) -> Option<&'static Opt> {
    OPTIONS.iter().find(|o| o.short == Some(c))
}

/// The option `--long`.
pub(super) fn by_long(long: &str) -> Option<&'static Opt> {
    OPTIONS.iter().find(|o| o.long == long)
}
