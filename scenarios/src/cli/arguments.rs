//! The arguments of the command.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// The wind tunnel for Linux Virtual Server: plays a cluster packet by packet in virtual time.
#[derive(Debug, Parser)]
#[command(name = "lvsim", version, after_help = "Example:\n  lvsim run nat-dr-tun\n  lvsim list")]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a scenario, show the answer, leave a results folder.
    #[command(after_help = "Examples:\n  lvsim run nat-dr-tun\n  \
        lvsim run my.toml --out /tmp/r --set client.load='poisson(100/s)' --capture director")]
    Run(RunArguments),
    /// List the scenarios that ship with the program.
    #[command(after_help = "Example:\n  lvsim list --json")]
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show a scenario, or copy it with its files into a folder to start from.
    #[command(after_help = "Examples:\n  lvsim show nat-dr-tun\n  \
        lvsim show nat-dr-tun --out my-cluster\n  lvsim show w1 --dot | dot -Tsvg > w1.svg")]
    Show {
        /// A shipped scenario; with --dot also a file.
        name: String,
        /// Copy its files into this folder; files that are there stay as they are.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Draw its network in the language of Graphviz.
        #[arg(long, conflicts_with = "out")]
        dot: bool,
        /// The variant to draw, by default the first.
        #[arg(long, requires = "dot")]
        variant: Option<String>,
    },
    /// Print the JSON Schema of scenario files, for editors.
    #[command(after_help = "Example:\n  lvsim schema > lvsim.schema.json")]
    Schema {
        /// Print the reference page for people instead, in Markdown.
        #[arg(long)]
        reference: bool,
    },
    /// Look for mistakes in scenarios, rules, and files of keepalived, heartbeat and ldirectord, without
    /// running anything.
    ///
    /// Files of heartbeat that are given together are compared: those of a folder belong to one node.
    #[command(after_help = "Examples:\n  lvsim check my.toml rules.ipvsadm keepalived.conf\n  \
        lvsim check lvs1/ha.cf lvs1/haresources lvs1/authkeys lvs2/ha.cf lvs2/haresources lvs2/authkeys")]
    Check {
        /// Scenarios, rules of ipvsadm, keepalived.conf, ha.cf, haresources, authkeys or ldirectord.cf,
        /// recognised by their content; of a folder its scenarios, or else all that is known in it.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<String>,
        /// Read every file as this kind.
        #[arg(long = "as", value_name = "KIND")]
        kind: Option<Kind>,
        /// Of a keepalived.conf: lines `@ID ...` count if this is their ID (keepalived -i).
        #[arg(long, value_name = "ID")]
        config_id: Option<String>,
        /// Of a keepalived.conf: list what follows from an unknown block, and what is accepted and
        /// changes nothing.
        #[arg(long, short)]
        verbose: bool,
    },
    /// Run scenarios and judge their expectations.
    #[command(after_help = "Examples:\n  lvsim test mm1 --seeds 10\n  \
        lvsim test my-cluster/ --junit report.xml")]
    Test(TestArguments),
    /// Follow one connection hop by hop: what came in, what was done to it and by which rule, what went
    /// out.
    ///
    /// As a person with tcpdump on every host would tell it, across NAT, tunnels and fragments, with
    /// the ICMP errors about it and the ARP it had to wait for. Times count from its start.
    #[command(after_help = "Examples:\n  lvsim trace path-nat-basic\n  \
        lvsim trace path-tun-basic --flow 2 --hosts director,rs3\n  \
        lvsim trace my.toml --flow 172.16.0.10:40001-192.168.10.200:80 --until 10ms\n  \
        lvsim trace my.toml --client web --json")]
    Trace(TraceArguments),
    /// Make a scenario that runs of what directors are configured with.
    ///
    /// Hosts, addresses and links are derived from services, real servers and virtual addresses; every
    /// guess is a comment in the scenario. The files are copied beside it.
    ///
    /// Files of heartbeat are those of all its nodes; of what differs between two nodes there are two,
    /// and files of one folder are of one node.
    #[command(
        after_help = "Examples:\n  lvsim import /etc/keepalived/keepalived.conf --out my-cluster\n  \
        lvsim import lb1.conf lb2.conf\n  lvsim import rules.ipvsadm\n  \
        lvsim import ha.cf haresources authkeys ldirectord.cf\n  lvsim import lb1/ha.d lb2/ha.d"
    )]
    Import {
        /// A keepalived.conf, rules of ipvsadm or an ldirectord.cf of each director, or ha.cf, haresources,
        /// authkeys of a heartbeat cluster, or folders of them; recognised by their content.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The folder, by default the name of the first file.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Replay recordings of real kernels and real clusters, and compare every decision.
    ///
    /// A line for each recording that differs (its first difference) or is skipped, then the tally.
    /// Exit code 0 if all agree, 1 if not, 2 if something cannot be read.
    ///
    /// A recording of a director goes through the director of the simulator, one of packet paths through
    /// its network. A case of keepalived or heartbeat is run as a scenario made from the recorded
    /// configurations; its intervals are printed, recorded beside simulated.
    #[command(after_help = "Example:\n  lvsim conform recordings/ --verbose")]
    Conform {
        /// Recordings, or folders of them, recognised by their content.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Say what was compared of each recording that agrees, too.
        #[arg(long, short)]
        verbose: bool,
    },
}

/// Kinds of files.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Kind {
    Scenario,
    Ipvsadm,
    Keepalived,
    #[value(name = "ha.cf")]
    HaCf,
    Haresources,
    Authkeys,
    #[value(name = "ldirectord.cf")]
    Ldirectord,
}

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// A shipped scenario (see `lvsim list`) or a file.
    #[arg(value_name = "NAME|FILE")]
    pub(super) scenario: String,
    /// The results folder, by default results/NAME.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Seed of the random streams.
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Replace a key of the scenario, in every variant.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// Capture the packets of a host, an interface, or of all.
    #[arg(long, value_name = "HOST[:IFACE]|all")]
    pub(super) capture: Vec<String>,
    /// Print what the `[[view]]` tables ask for.
    #[arg(long)]
    pub(super) views: bool,
    /// Write a row for each connection.
    #[arg(long)]
    pub(super) connections: bool,
    /// Variants that run at the same time, by default one for each processor.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(super) threads: usize,
    /// First run everything twice, side by side, and stop at the first difference.
    #[arg(long)]
    pub(super) check_determinism: bool,
    /// Show no progress and no table.
    #[arg(long, short)]
    pub(super) quiet: bool,
}

#[derive(Debug, Args)]
pub(super) struct TestArguments {
    /// Scenarios: shipped ones, files, or folders of them.
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<String>,
    /// Replications with consecutive seeds, side by side: means with 99 % confidence intervals.
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(super) seeds: u64,
    /// Write the outcome as `JUnit` XML.
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
    /// Replace a key of every scenario.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// Runs at the same time, by default one for each processor.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(super) threads: usize,
    /// Show no progress and only what failed.
    #[arg(long, short)]
    pub(super) quiet: bool,
}

#[derive(Debug, Args)]
pub(super) struct TraceArguments {
    /// A shipped scenario (see `lvsim list`) or a file.
    #[arg(value_name = "NAME|FILE")]
    pub(super) scenario: String,
    /// Which connection: its number in the order of starts (by default the first), or its ends.
    #[arg(long, value_name = "N|[tcp/|udp/]SOURCE-TARGET")]
    pub(super) flow: Option<String>,
    /// Count only the connections of this client.
    #[arg(long, value_name = "NAME")]
    pub(super) client: Option<String>,
    /// The variant to play, by default the first.
    #[arg(long, value_name = "NAME")]
    pub(super) variant: Option<String>,
    /// Stop this long after the connection starts.
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<String>,
    /// Show only these hosts and switches.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(super) hosts: Vec<String>,
    /// A JSON object a line.
    #[arg(long)]
    pub(super) json: bool,
    /// Seed of the random streams.
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Replace a key of the scenario.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_commands_fit_together_and_each_has_an_example() {
        let command = Cli::command();
        command.clone().debug_assert();
        for sub in command.get_subcommands() {
            let after = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.contains("Example"), "{}", sub.get_name());
        }
    }
}
