//! `keepalived.conf`, as keepalived 2.x reads it.
//!
//! The language: comments with `#` and `!`, included files, `$NAME=` definitions, `@ID` conditions, `~SEQ`
//! and `~LST` sequences, quotes, and braces anywhere. Every keyword is known; what matters for virtual
//! servers and virtual routers becomes typed, the rest is accepted and can be listed
//! ([`Configuration::passed_over`]). What keepalived reports and ignores is reported and ignored.
//!
//! ```
//! use scenarios::diagnostic::Sources;
//! use scenarios::import::keepalived::{Options, read};
//! use scenarios::model::Embedded;
//! let text = "virtual_server 192.0.2.1 80 {\n lvs_sched rr\n lvs_method DR\n protocol TCP\n
//!     real_server 10.0.0.2 80 { wieght 3 }\n}\n";
//! let mut sources = Sources::default();
//! let file = sources.add("keepalived.conf", text);
//! let (configuration, findings) = read(&mut sources, file, &Embedded(&[]), &Options::default());
//! assert_eq!(configuration.servers[0].servers[0].weight, 1);
//! assert_eq!(findings.problems[0].message, "Unknown keyword 'wieght'");
//! assert_eq!(findings.problems[0].help.as_deref(), Some("did you mean `weight`?"));
//! ```

mod checker;
mod complete;
mod entries;
mod files;
mod garp;
mod global;
mod grammar;
mod instance;
mod letters;
mod passed_over;
mod reader;
mod rules;
mod service_group;
mod together;
mod tracking;
mod tree;
mod values;
mod virtual_server;

pub use checker::{Check, Checker, Page, Source, Url};
pub use garp::{Garp, GarpGroup};
pub use global::{Global, SyncDaemon};
pub use instance::{Address, Instance, Peer, Vmac};
pub use letters::Word;
pub use service_group::Group;
pub use together::SyncGroup;
pub use tracking::{Bfd, InterfaceDelay, Script, Track, TrackFile, TrackProcess, Tracker};
pub use tree::Node;
pub use virtual_server::{RealServer, VirtualServer};

use crate::diagnostic::{FileId, Place, Problem, Sources};
use crate::import::commands::Remark;
use crate::model::Files;
use letters::{Token, bare, tokens};
use reader::Reader;
use std::net::IpAddr;
use tracking::Known;

/// What the program is told besides its file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// `-i`: lines `@ID ...` count if this is their ID; by default keepalived takes the first part of
    /// the host's name.
    pub config_id: Option<String>,
}

/// What a service listens to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// Address and port; port 0 is any port.
    Address {
        /// VIP.
        ip: IpAddr,
        /// Port.
        port: u16,
    },
    /// A firewall mark.
    Fwmark {
        /// The mark.
        mark: u32,
        /// `inet6`; `None` if it follows from the real servers.
        v6: Option<bool>,
    },
}

impl Target {
    /// Its port; 0 for any port and for a mark.
    pub const fn port(self) -> u16 {
        match self {
            Self::Address { port, .. } => port,
            Self::Fwmark { .. } => 0,
        }
    }
}

/// A configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Configuration {
    /// `global_defs`.
    pub global: Global,
    /// `vrrp_instance`.
    pub instances: Vec<Instance>,
    /// `vrrp_sync_group`.
    pub sync_groups: Vec<SyncGroup>,
    /// `vrrp_script`.
    pub scripts: Vec<Script>,
    /// `track_file`.
    pub files: Vec<TrackFile>,
    /// `vrrp_track_process`.
    pub processes: Vec<TrackProcess>,
    /// `bfd_instance`.
    pub bfd: Vec<Bfd>,
    /// `interface_up_down_delays`.
    pub delays: Vec<InterfaceDelay>,
    /// `garp_group`.
    pub garp_groups: Vec<GarpGroup>,
    /// `virtual_server_group`.
    pub groups: Vec<Group>,
    /// `virtual_server`.
    pub servers: Vec<VirtualServer>,
    /// Everything that was accepted, block by block.
    pub nodes: Vec<Node>,
}

/// What was noticed while a configuration was read.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Findings {
    /// What keepalived reports, and goes on.
    pub problems: Vec<Problem>,
    /// What it reports because of an unknown keyword with a block before.
    pub consequences: Vec<Problem>,
    /// What is understood and has no effect here.
    pub remarks: Vec<Remark>,
}

impl Findings {
    fn error(&mut self, place: &Place, message: impl Into<String>, label: impl Into<String>) {
        self.problems.push(Problem::new(place, message, label));
    }

    fn remark(&mut self, place: &Place, message: impl Into<String>) {
        self.remarks.push(Remark { place: place.clone(), message: message.into() });
    }
}

/// Reads a file of the sources. Files that it includes are looked for in `files`, relative to it, and join
/// the sources.
///
/// No text is refused: as in keepalived, what is wrong is reported and left out.
pub fn read(
    sources: &mut Sources,
    file: FileId,
    files: &dyn Files,
    options: &Options,
) -> (Configuration, Findings) {
    let mut findings = Findings::default();
    let mut reader = Reader::new(sources, files, options, &mut findings);
    reader.file(file, "", 0);
    let tokens = std::mem::take(&mut reader.tokens);
    let nodes = tree::Blocks::read(&tokens, &mut findings);
    (interpret(nodes, &mut findings), findings)
}

fn interpret(nodes: Vec<Node>, findings: &mut Findings) -> Configuration {
    let global = global::read(&nodes, findings);
    let mut all = Configuration { global, ..Configuration::default() };
    let mut tracked = Vec::new();
    let mut known = Known::default();
    for node in &nodes {
        match node.name() {
            "vrrp_instance" => {
                let mut instance = instance::read(node, &all.global, &known, findings);
                complete::complete(node, &mut instance, findings);
                all.instances.push(instance);
            }
            "vrrp_sync_group" => tracked.push(tracking::trackers(node, &known, findings)),
            "virtual_server_group" => all.groups.extend(service_group::read(node, findings)),
            "interface_up_down_delays" => all.delays.extend(tracking::delays(node)),
            "garp_group" => all.garp_groups.push(garp::group(node)),
            _ => all.learn(node, &mut known, findings),
        }
    }
    together::read(&nodes, tracked, &mut all, findings);
    let named = virtual_server::Named::of(&all);
    let services = nodes.iter().filter(|n| n.name() == "virtual_server");
    all.servers = services.filter_map(|n| virtual_server::read(n, &named, findings)).collect();
    all.nodes = nodes;
    all
}

impl Configuration {
    /// Reads a block that may be tracked.
    fn learn(&mut self, node: &Node, known: &mut Known, findings: &mut Findings) {
        match node.name() {
            "vrrp_script" => {
                if let Some(script) = tracking::script(node, findings) {
                    known.add(Track::Script, &script.name, script.weight, script.reverse);
                    self.scripts.push(script);
                }
            }
            "track_file" | "vrrp_track_file" => {
                if let Some(file) = tracking::file(node, findings) {
                    known.add(Track::File, &file.name, file.weight, file.reverse);
                    self.files.push(file);
                }
            }
            "vrrp_track_process" | "track_process" => {
                if let Some(process) = tracking::process(node, findings) {
                    known.add(Track::Process, &process.name, process.weight, process.reverse);
                    self.processes.push(process);
                }
            }
            "bfd_instance" => {
                if let Some(bfd) = tracking::bfd(node, findings) {
                    known.add(Track::Bfd, &bfd.name, bfd.weight, bfd.reverse);
                    self.bfd.push(bfd);
                }
            }
            _ => {}
        }
    }
}

/// Whether a text looks like a `keepalived.conf`: outside braces stands the name of one of its blocks
/// with a `{` behind it, or all it does is to include files.
pub fn looks_like(text: &str) -> bool {
    let (mut before, mut depth, mut offset, mut continued) = (String::new(), 0_usize, 0, false);
    for raw in text.split_inclusive('\n') {
        let (letters, _) = bare(raw, offset);
        offset += raw.len();
        let left_out = continued || letters.first().is_some_and(|l| l.c == '$');
        continued = letters.last().is_some_and(|l| l.c == '\\');
        if left_out {
            continue;
        }
        for token in tokens(FileId::default(), &letters) {
            match token {
                Token::Words(words) if depth == 0 => {
                    let first = usize::from(words[0].text.starts_with(['@', '~']));
                    let word = words.get(first).unwrap_or(&words[0]).text.as_str();
                    if word.starts_with('[') || words.get(1).is_some_and(|w| w.text == "=") {
                        return false;
                    }
                    word.clone_into(&mut before);
                }
                Token::Words(_) => {}
                Token::Open(_) if depth == 0 && grammar::is_block(&before) => return true,
                Token::Open(_) => depth += 1,
                Token::Close(_) => depth = depth.saturating_sub(1),
            }
        }
    }
    before.starts_with("include") && !text.contains('=')
}

#[cfg(test)]
mod tests;
