//! The options of ipvsadm by their names, and which command takes which.

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

/// The commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Command {
    AddService,
    EditService,
    DeleteService,
    AddServer,
    EditServer,
    DeleteServer,
    Clear,
    Set,
    List,
    Zero,
    Save,
    Restore,
    StartDaemon,
    StopDaemon,
    AddLocal,
    DeleteLocal,
    Help,
    Version,
}

/// What an option is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// A command.
    Command(Command),
    /// Names the service.
    Service,
    /// `-6`, a part of `-f`.
    Family,
    /// A parameter of a service.
    ServiceOption,
    /// Names the real server.
    RealServer,
    /// A parameter of a real server.
    ServerOption,
    /// `-z`, a local address of FULLNAT.
    LocalAddress,
    /// `-F`, the interface of a local address.
    LocalInterface,
    /// `-n`.
    Numeric,
    /// Selects what a listing is about, as a service does.
    Table,
    /// Changes what a listing shows.
    Listing,
    /// `--syncid`.
    SyncId,
    /// A parameter of a daemon.
    DaemonOption,
}

/// Whether a command takes an option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Legality {
    Must,
    May,
    /// At most one of these.
    OneOf,
    Never,
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

const fn command(short: Option<char>, long: &'static str, command: Command) -> Opt {
    Opt {
        short,
        long,
        name: command.name(),
        argument: match command {
            Command::StartDaemon | Command::StopDaemon => Word,
            _ => Nothing,
        },
        role: Role::Command(command),
    }
}

use Argument::{None as Nothing, Optional, Word};
use Role::{
    DaemonOption, Family, Listing, LocalAddress, LocalInterface, Numeric, RealServer, ServerOption,
    Service, ServiceOption, SyncId, Table,
};

/// FULLNAT, of dpvs. Its short form `-b` is one of scheduler flags with `-A` and `-E`.
pub(super) const FULL_NAT: &str = "fullnat";

/// Options that only the ipvsadm of dpvs has: they have no abbreviations, so that those of the others
/// stay as they are.
const OF_DPVS: [&str; 5] = [FULL_NAT, "add-laddr", "del-laddr", "local-address", "ifname"];

/// All options of ipvsadm 1.31, and those of dpvs for FULLNAT.
pub(super) const OPTIONS: &[Opt] = &[
    command(Some('A'), "add-service", Command::AddService),
    command(Some('E'), "edit-service", Command::EditService),
    command(Some('D'), "delete-service", Command::DeleteService),
    command(Some('C'), "clear", Command::Clear),
    command(Some('a'), "add-server", Command::AddServer),
    command(Some('e'), "edit-server", Command::EditServer),
    command(Some('d'), "delete-server", Command::DeleteServer),
    command(Some('L'), "list", Command::List),
    command(Some('l'), "list", Command::List),
    command(Some('Z'), "zero", Command::Zero),
    command(Some('S'), "save", Command::Save),
    command(Some('R'), "restore", Command::Restore),
    command(None, "set", Command::Set),
    command(None, "start-daemon", Command::StartDaemon),
    command(None, "stop-daemon", Command::StopDaemon),
    command(Some('P'), "add-laddr", Command::AddLocal),
    command(Some('Q'), "del-laddr", Command::DeleteLocal),
    command(Some('h'), "help", Command::Help),
    command(Some('v'), "version", Command::Version),
    opt(Some('t'), "tcp-service", "service-address", Word, Service),
    opt(Some('u'), "udp-service", "service-address", Word, Service),
    opt(None, "sctp-service", "service-address", Word, Service),
    opt(Some('f'), "fwmark-service", "service-address", Word, Service),
    opt(Some('6'), "ipv6", "ipv6", Nothing, Family),
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
    opt(None, FULL_NAT, "forwarding-method", Nothing, ServerOption),
    opt(Some('z'), "local-address", "local-address", Word, LocalAddress),
    opt(Some('F'), "ifname", "ifname", Word, LocalInterface),
    opt(Some('w'), "weight", "weight", Word, ServerOption),
    opt(Some('x'), "u-threshold", "u-threshold", Word, ServerOption),
    opt(Some('y'), "l-threshold", "l-threshold", Word, ServerOption),
    opt(None, "tun-type", "tun-type", Word, ServerOption),
    opt(None, "tun-port", "tun-port", Word, ServerOption),
    opt(None, "tun-nocsum", "tun-nocsum", Nothing, ServerOption),
    opt(None, "tun-csum", "tun-csum", Nothing, ServerOption),
    opt(None, "tun-remcsum", "tun-remcsum", Nothing, ServerOption),
    opt(Some('n'), "numeric", "numeric", Nothing, Numeric),
    opt(Some('c'), "connection", "connection", Nothing, Table),
    opt(None, "timeout", "timeout", Nothing, Table),
    opt(None, "daemon", "daemon", Nothing, Table),
    opt(None, "stats", "stats", Nothing, Listing),
    opt(None, "rate", "rate", Nothing, Listing),
    opt(None, "thresholds", "thresholds", Nothing, Listing),
    opt(None, "persistent-conn", "persistent-conn", Nothing, Listing),
    opt(None, "tun-info", "tun-info", Nothing, Listing),
    opt(None, "nosort", "nosort", Nothing, Listing),
    opt(None, "sort", "sort", Nothing, Listing),
    opt(Some('X'), "exact", "exact", Nothing, Listing),
    opt(None, "syncid", "syncid", Word, SyncId),
    opt(None, "mcast-interface", "mcast-interface", Word, DaemonOption),
    opt(None, "mcast-group", "mcast-group", Word, DaemonOption),
    opt(None, "mcast-port", "mcast-port", Word, DaemonOption),
    opt(None, "mcast-ttl", "mcast-ttl", Word, DaemonOption),
    opt(None, "sync-maxlen", "sync-maxlen", Word, DaemonOption),
];

/// The option `-c`.
pub(super) fn by_short(c: char) -> Option<&'static Opt> {
    OPTIONS.iter().find(|o| o.short == Some(c))
}

/// The options that `--long` can mean: the one of this name, or all that begin so.
pub(super) fn by_long(long: &str) -> Vec<&'static Opt> {
    if let Some(opt) = OPTIONS.iter().find(|o| o.long == long) {
        return vec![opt];
    }
    let mut found: Vec<&Opt> = Vec::new();
    let begins = |o: &&Opt| !OF_DPVS.contains(&o.long) && o.long.starts_with(long);
    for opt in OPTIONS.iter().filter(begins).filter(|_| !long.is_empty()) {
        // `-L` and `-l` are both --list
        if !found.iter().any(|f| f.long == opt.long) {
            found.push(opt);
        }
    }
    found
}

impl Command {
    /// The name in messages.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::AddService => "add-service",
            Self::EditService => "edit-service",
            Self::DeleteService => "delete-service",
            Self::AddServer => "add-server",
            Self::EditServer => "edit-server",
            Self::DeleteServer => "delete-server",
            Self::Clear => "flush",
            Self::Set => "set",
            Self::List => "list",
            Self::Zero => "zero",
            Self::Save => "save",
            Self::Restore => "restore",
            Self::StartDaemon => "start-daemon",
            Self::StopDaemon => "stop-daemon",
            Self::AddLocal => "add-laddr",
            Self::DeleteLocal => "del-laddr",
            Self::Help => "help",
            Self::Version => "version",
        }
    }

    /// Whether it takes options of a role.
    pub(super) const fn takes(self, role: Role) -> Legality {
        use Legality::{May, Must, Never, OneOf};
        match (self, role) {
            (
                Self::AddService
                | Self::EditService
                | Self::DeleteService
                | Self::AddServer
                | Self::EditServer
                | Self::DeleteServer
                | Self::AddLocal
                | Self::DeleteLocal,
                Service,
            )
            | (Self::AddLocal | Self::DeleteLocal, LocalAddress)
            | (Self::AddServer | Self::EditServer | Self::DeleteServer, RealServer) => Must,
            (Self::List, Service | Table) => OneOf,
            (_, Role::Command(_) | Family)
            | (Self::AddLocal | Self::DeleteLocal, LocalInterface)
            | (Self::AddService | Self::EditService, ServiceOption)
            | (Self::AddServer | Self::EditServer, ServerOption)
            | (Self::Zero, Service)
            | (Self::List, Numeric | Listing | SyncId)
            | (Self::Save, Numeric)
            | (Self::StartDaemon, DaemonOption | SyncId)
            | (Self::StopDaemon, SyncId) => May,
            _ => Never,
        }
    }

    /// What it takes, for people.
    pub(super) const fn allowed(self) -> &'static str {
        match self {
            Self::AddService => "-A takes -t -u -f --sctp-service and -s -p -M -o -b --pe",
            Self::EditService => "-E takes -t -u -f --sctp-service and -s -p -M -o -b --pe",
            Self::DeleteService => "-D takes -t -u -f --sctp-service",
            Self::AddServer => {
                "-a takes -t -u -f --sctp-service, -r and -g -i -m -b -w -x -y --tun-*"
            }
            Self::EditServer => {
                "-e takes -t -u -f --sctp-service, -r and -g -i -m -b -w -x -y --tun-*"
            }
            Self::DeleteServer => "-d takes -t -u -f --sctp-service and -r",
            Self::AddLocal => "-P takes -t -u -f --sctp-service, -z and -F",
            Self::DeleteLocal => "-Q takes -t -u -f --sctp-service, -z and -F",
            Self::Clear => "-C takes no option",
            Self::Set => "--set takes three timeouts",
            Self::List => {
                "-L takes a service, -c, --timeout or --daemon, and -n -X --stats --rate \
                 --thresholds --persistent-conn --tun-info --nosort"
            }
            Self::Zero => "-Z takes a service",
            Self::Save => "-S takes -n",
            Self::Restore => "-R takes no option",
            Self::StartDaemon => {
                "--start-daemon takes --mcast-interface --syncid --mcast-group --mcast-port \
                 --mcast-ttl --sync-maxlen"
            }
            Self::StopDaemon => "--stop-daemon takes --syncid",
            Self::Help | Self::Version => "it takes no option",
        }
    }
}
