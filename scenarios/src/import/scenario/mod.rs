//! Configurations of directors as a scenario that runs.
//!
//! A `keepalived.conf`, rules saved by ipvsadm, an `ldirectord.cf`, the files of heartbeat, or the files of two
//! directors tell which services there are and which addresses they have. The rest of a cluster is derived from them: networks and interfaces,
//! a router and a client, the real servers set up as the forwarding methods need. What is no more
//! than a guess stands in the scenario as a comment.

mod facts;
mod heartbeat;
mod kind;
mod ldirectord;
mod network;
mod text;

pub use kind::Kind;

use super::{ipvsadm, keepalived};
use crate::diagnostic::Sources;
use crate::format::words::nearest;
use crate::model::{Failure, Files};
use facts::Facts;
use network::Network;
use text::Keys;

/// A file of a director.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "a trait object of files has none")]
pub struct Input<'a> {
    /// Its name without folders.
    pub name: &'a str,
    /// Its folder, if files of several are given: those of one folder are of one node.
    pub folder: &'a str,
    /// Its text.
    pub text: &'a str,
    /// Where the files are that it includes.
    pub files: &'a dyn Files,
}

/// A scenario and the files beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Imported {
    /// Name of the scenario.
    pub name: String,
    /// Its text.
    pub scenario: String,
    /// Files beside it: name and text.
    pub files: Vec<(String, String)>,
    /// What was guessed, as the comments in the text say it.
    pub guesses: Vec<String>,
}

/// The scenario of one or more directors, each with a file of its own, or of a heartbeat cluster: its files are
/// those of all nodes, or there are two of those that differ.
///
/// # Errors
/// A file is nothing that is understood here, or has no service.
pub fn import(inputs: &[Input<'_>]) -> Result<Imported, Box<Failure>> {
    let mut all = Imported {
        name: stem(inputs.first().map_or("cluster", |i| i.name)),
        scenario: String::new(),
        files: Vec::new(),
        guesses: Vec::new(),
    };
    let mut kinds = Vec::new();
    for input in inputs {
        match Kind::of(input.name, input.text) {
            Some(kind) => kinds.push((kind, *input)),
            None => return Err(Box::new(unknown(input))),
        }
    }
    let (mut directors, mut keys, mut supposed) = (Vec::new(), Vec::new(), Vec::new());
    if kinds.iter().any(|(kind, _)| kind.is_of_heartbeat()) {
        "heartbeat".clone_into(&mut all.name);
        if !kinds.iter().any(|(kind, _)| matches!(kind, Kind::HaCf | Kind::Haresources)) {
            let message = "authkeys tells no node: ha.cf or haresources is needed, too";
            return Err(Failure::nowhere(message));
        }
        let cluster = heartbeat::cluster(&kinds, &mut all.files)?;
        supposed = cluster.guesses;
        (directors, keys) = cluster.nodes.into_iter().unzip();
    } else {
        for (kind, input) in &kinds {
            let names: Vec<String> = directors.iter().map(|f: &Facts| f.name.clone()).collect();
            let (facts, key) = director(*kind, input, &names, &mut all.files)?;
            keys.push(key);
            directors.push(facts);
        }
    }
    directors.iter_mut().for_each(Facts::complete);
    if directors.iter().all(|f| f.services.is_empty() && f.virtual_addresses.is_empty()) {
        return Err(Failure::nowhere("the files have neither a service nor a virtual address"));
    }
    let network = Network::new(&directors);
    let writer = text::Writer {
        name: &all.name,
        directors: &directors,
        network: &network,
        keys: &keys,
        supposed: &supposed,
        text: String::new(),
        guesses: Vec::new(),
    };
    let (scenario, guesses) = writer.write();
    Ok(Imported { scenario, guesses, ..all })
}

/// Reads the file of a director: its facts, and how the scenario names it. `taken` are names of other
/// directors.
fn director(
    kind: Kind,
    input: &Input<'_>,
    taken: &[String],
    files: &mut Vec<(String, String)>,
) -> Result<(Facts, Keys), Box<Failure>> {
    let mut sources = Sources::default();
    if kind == Kind::Keepalived {
        return Ok(of_keepalived(input, taken, files));
    }
    let file = sources.add(input.name, input.text);
    let name = free_name("director", taken);
    if kind == Kind::Ldirectord {
        let (all, findings) = super::ldirectord::read(&sources, file);
        if !findings.errors.is_empty() {
            return Err(Box::new(Failure { sources, problems: findings.errors }));
        }
        let file = put(files, &format!("{name}.cf"), input.text);
        let host = vec![format!("ldirectord = \"{file}\"")];
        let mut facts = Facts { name, ..Facts::default() };
        facts.add_ldirectord(&all);
        return Ok((facts, Keys { host, rules: None }));
    }
    let mut problems = Vec::new();
    let rules = ipvsadm::read_file(&sources, file, ipvsadm::Names::NONE, &mut problems);
    if !problems.is_empty() {
        return Err(Box::new(Failure { sources, problems }));
    }
    let file = put(files, &format!("{name}.ipvsadm"), input.text);
    Ok((Facts::of_rules(name, &rules.config), Keys { host: Vec::new(), rules: Some(file) }))
}

/// Nothing that can be imported.
fn unknown(input: &Input<'_>) -> Failure {
    let message = format!(
        "`{}` is neither a keepalived.conf nor rules of ipvsadm nor a file of heartbeat or ldirectord: nothing to import",
        input.name
    );
    let mut failure = *Failure::nowhere(message);
    if let (Some(problem), Some(near)) = (failure.problems.first_mut(), near(input.text)) {
        problem.help = Some(format!("did you mean the block `{near}`?"));
    }
    failure
}

/// The block that the first word of a text may have meant.
fn near(text: &str) -> Option<&'static str> {
    let first = text.split_whitespace().find(|w| !w.starts_with(['#', '!']))?;
    nearest(first, ["global_defs", "vrrp_instance", "virtual_server", "vrrp_sync_group"])
}

fn of_keepalived(
    input: &Input<'_>,
    taken: &[String],
    files: &mut Vec<(String, String)>,
) -> (Facts, Keys) {
    let read = |id: Option<String>| {
        let mut sources = Sources::default();
        let file = sources.add(input.name, input.text);
        let options = keepalived::Options { config_id: id };
        let (all, _) = keepalived::read(&mut sources, file, input.files, &options);
        (all, sources)
    };
    // the router id may name the host, and the host decides which lines count
    let (first, _) = read(None);
    let id = first.global.router_id.as_deref().and_then(host_name);
    let name =
        free_name(&id.unwrap_or_else(|| host_name(&stem(input.name)).unwrap_or_default()), taken);
    let (all, sources) = read(name.split('.').next().map(str::to_owned));
    let file = put(files, &format!("{name}.conf"), input.text);
    for (included, text) in sources.iter().skip(1) {
        if is_beside(included) && !files.iter().any(|(n, _)| n == included) {
            files.push((included.to_owned(), text.to_owned()));
        }
    }
    let host = vec![format!("keepalived = \"{file}\"")];
    (Facts::of_keepalived(name, &all), Keys { host, rules: None })
}

/// Whether a name stays below the folder of the scenario.
fn is_beside(name: &str) -> bool {
    !name.starts_with('/') && !name.split('/').any(|part| part == ".." || part.is_empty())
}

fn put(files: &mut Vec<(String, String)>, name: &str, text: &str) -> String {
    files.push((name.to_owned(), text.to_owned()));
    name.to_owned()
}

/// The name of a file without its ending.
fn stem(name: &str) -> String {
    let stem = name.split('.').next().unwrap_or_default();
    let kept: String =
        stem.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
    if kept.is_empty() { "cluster".to_owned() } else { kept.chars().take(60).collect() }
}

/// A text as the name of a host, if it can be one.
fn host_name(text: &str) -> Option<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let name: String = text.split('.').next()?.chars().filter(|c| good(*c)).take(40).collect();
    (!name.is_empty()).then_some(name)
}

/// A name that no other host has.
fn free_name(wanted: &str, taken: &[String]) -> String {
    let wanted = if wanted.is_empty() { "director" } else { wanted };
    let reserved = |name: &str| {
        let server = name.strip_prefix("rs").is_some_and(|n| n.chars().all(|c| c.is_ascii_digit()));
        let wire = name.strip_prefix("lan").is_some_and(|n| n.chars().all(|c| c.is_ascii_digit()));
        server || wire || ["client", "router"].contains(&name)
    };
    let free = |name: &str| !reserved(name) && !taken.iter().any(|t| t == name);
    if free(wanted) {
        return wanted.to_owned();
    }
    let mut names = (2..).map(|n| format!("{wanted}-{n}"));
    names.find(|n| free(n)).unwrap_or_default()
}
