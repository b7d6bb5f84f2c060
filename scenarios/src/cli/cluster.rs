//! `lvsim check` of the files of heartbeat and ldirectord.

use super::arguments::Kind;
use super::check::{counted, shown};
use super::output::Output;
use super::{Answer, io};
use crate::diagnostic::{FileId, Sources};
use crate::import::findings::Findings;
use crate::import::heartbeat::authkeys::{self, AuthKeys};
use crate::import::heartbeat::ha_cf::{self, HaCf};
use crate::import::heartbeat::haresources::{self, HaResources};
use crate::import::heartbeat::{Side, compare};
use crate::import::ldirectord;
use std::path::{Path, PathBuf};

/// The files of heartbeat that were given, node by node.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    sources: Sources,
    nodes: Vec<Node>,
}

/// What a folder holds.
#[derive(Debug, Default)]
struct Node {
    folder: PathBuf,
    ha: Option<HaCf>,
    resources: Option<HaResources>,
    keys: Option<AuthKeys>,
}

impl Cluster {
    /// Checks a file of its own, and keeps it for [`Cluster::together`].
    pub(super) fn file(
        &mut self,
        kind: Kind,
        file: &str,
        text: &str,
        verbose: bool,
        out: &mut Output,
    ) -> io::Result<Answer> {
        let id = self.sources.add(file, text);
        match kind {
            Kind::HaCf => {
                let (ha, findings) = ha_cf::read(&self.sources, id);
                let mut counts =
                    vec![counted(ha.nodes.len(), "node"), medium_count(ha.media.len())];
                for other in ha.others.iter().filter(|_| verbose) {
                    let line = self.sources.line(&other.place);
                    let what = &other.value;
                    out.line(&format!("{file}:{line}: accepted, not simulated: {what}"))?;
                }
                self.node(file, |n| n.ha.is_some()).ha = Some(ha);
                self.tell(file, findings, &mut counts, out)
            }
            Kind::Haresources => {
                let (resources, findings) = haresources::read(&self.sources, id);
                let all = resources.groups.iter().map(|g| g.resources.len()).sum();
                let mut counts =
                    vec![counted(resources.groups.len(), "group"), counted(all, "resource")];
                self.node(file, |n| n.resources.is_some()).resources = Some(resources);
                self.tell(file, findings, &mut counts, out)
            }
            Kind::Authkeys => {
                let (keys, findings) = authkeys::read(&self.sources, id);
                let mut counts = vec![counted(keys.keys.len(), "key")];
                self.node(file, |n| n.keys.is_some()).keys = Some(keys);
                self.tell(file, findings, &mut counts, out)
            }
            _ => self.ldirectord(file, id, verbose, out),
        }
    }

    fn ldirectord(
        &self,
        file: &str,
        id: FileId,
        verbose: bool,
        out: &mut Output,
    ) -> io::Result<Answer> {
        let (all, findings) = ldirectord::read(&self.sources, id);
        let servers = all.virtuals.iter().map(|v| v.real.len()).sum();
        let mut counts =
            vec![counted(all.virtuals.len(), "service"), counted(servers, "real server")];
        for (name, place) in all.global.others.iter().filter(|_| verbose) {
            let line = self.sources.line(place);
            out.line(&format!("{file}:{line}: accepted, not simulated: {name}"))?;
        }
        self.tell(file, findings, &mut counts, out)
    }

    /// The node whose folder a file lies in; a new one if it has such a file already.
    fn node(&mut self, file: &str, full: impl Fn(&Node) -> bool) -> &mut Node {
        let folder = Path::new(file).parent().unwrap_or(Path::new("")).to_owned();
        let at = self.nodes.iter().rposition(|n| n.folder == folder && !full(n));
        let at = at.unwrap_or_else(|| {
            self.nodes.push(Node { folder, ..Node::default() });
            self.nodes.len() - 1
        });
        &mut self.nodes[at]
    }

    fn tell(
        &self,
        file: &str,
        findings: Findings,
        counts: &mut Vec<String>,
        out: &mut Output,
    ) -> io::Result<Answer> {
        let mut problems = findings.errors;
        problems.extend(findings.warnings);
        shown(&self.sources, &mut problems, out)?;
        for remark in findings.remarks {
            let line = self.sources.line(&remark.place);
            out.line(&format!("{file}:{line}: remark: {}", remark.message))?;
        }
        counts.push(counted(problems.len(), "finding"));
        out.line(&format!("{file}: {}", counts.join(", ")))?;
        Ok(Answer::of(problems.is_empty()))
    }

    /// Compares the files of a node, and those of two nodes.
    pub(super) fn together(&self, out: &mut Output) -> io::Result<Answer> {
        let sides: Vec<Side<'_>> = self
            .nodes
            .iter()
            .map(|n| Side {
                node: None,
                ha: n.ha.as_ref(),
                resources: n.resources.as_ref(),
                keys: n.keys.as_ref(),
            })
            .collect();
        let mut problems = compare(&sides);
        shown(&self.sources, &mut problems, out)?;
        if !problems.is_empty() {
            let between = counted(problems.len(), "finding");
            out.line(&format!("between the files of heartbeat: {between}"))?;
        }
        Ok(Answer::of(problems.is_empty()))
    }
}

fn medium_count(n: usize) -> String {
    if n == 1 { "1 medium".to_owned() } else { format!("{n} media") }
}
