//! What server applications say to health checks: those are requests like others, but some have to be
//! understood.

use super::Host;
use super::fabric::Fabric;
use super::server::ServerApplication;
use crate::config::PageConfig;
use crate::engine::Time;
use crate::ha::probe::{Finding, Page, Question, name};
use crate::tcp::Conn;
use crate::wire::Packet;

/// Bytes of a TLS 1.3 server hello with a certificate.
const SERVER_HELLO: u32 = 3_000;
/// Bytes of the first line of a mail server, and of its farewell.
const GREETING: u32 = 50;
const FAREWELL: u32 = 15;

/// The status of a page with which all is well.
const WELL: u16 = 200;

/// What a server shows of a page.
fn page(app: &ServerApplication, now: Time, path: u64, virtualhost: u64) -> Page {
    let since = now.saturating_since(Time::ZERO);
    let is_asked = |p: &&PageConfig| {
        name(&p.path) == path && p.virtualhost.as_deref().is_none_or(|v| name(v) == virtualhost)
    };
    let harmed = Some(app.health().status).filter(|s| *s != WELL);
    let shown = app.config.answers.pages.iter().find(is_asked);
    let Some(shown) = shown else {
        return Page { status: harmed.unwrap_or(WELL), digest: None, found: true };
    };
    let status = shown.statuses.iter().rev().find(|(from, _)| *from <= since);
    Page {
        status: harmed.unwrap_or(status.map_or(WELL, |s| s.1)),
        digest: shown.digest.as_deref().map(name),
        found: shown.found,
    }
}

impl Host {
    /// A connection has come whose tag is like that of a check: a mail server that has accepted it speaks
    /// first.
    #[cold]
    pub(super) fn greet(&mut self, fab: &mut Fabric, visit: u32, tag: u32) {
        let v = *self.servers.visit(visit);
        let peer = self.tcp.tuple(v.conn).1;
        let Some(talk) = fab.inquiries.of(tag, peer) else { return };
        let answers = self.servers.applications[usize::from(v.application)].health().answers;
        if talk.question == Question::Mail && v.accepted && !v.gone && answers {
            self.tcp.write(fab.now, v.conn, GREETING, &mut fab.out);
        }
    }

    /// A message has come on a connection whose tag is like that of a check. Whether the application works
    /// on it as on any request.
    #[cold]
    pub(super) fn passes_on(&mut self, fab: &mut Fabric, visit: u32, conn: Conn, tag: u32) -> bool {
        let peer = self.tcp.tuple(conn).1;
        let Some(talk) = fab.inquiries.of(tag, peer) else { return true };
        let application = self.servers.visit(visit).application;
        let app = &self.servers.applications[usize::from(application)];
        talk.heard = talk.heard.saturating_add(1);
        match (talk.question, talk.heard) {
            (Question::Page { tls: true, .. }, 1) | (Question::Mail, 2..)
                if !app.health().answers =>
            {
                return false;
            }
            (Question::Page { tls: true, .. }, 1) => {
                self.tcp.write(fab.now, conn, SERVER_HELLO, &mut fab.out);
                return false;
            }
            (Question::Page { path, virtualhost, .. }, _) => {
                talk.answer = Some(Finding::Page(page(app, fab.now, path, virtualhost)));
                // HTTP/1.0: the connection ends with the page, as if the client had closed
                self.servers.visit(visit).peer_closed = true;
            }
            (Question::Mail, 1) => {
                let (greeting, hello) = app.config.answers.smtp;
                talk.answer = Some(Finding::Mail(greeting, hello));
            }
            (Question::Mail, _) => {
                self.tcp.write(fab.now, conn, FAREWELL, &mut fab.out);
                self.tcp.close(fab.now, conn, &mut fab.out);
                return false;
            }
            _ => {}
        }
        true
    }

    /// A datagram has come whose tag is like that of a check. Whether it is answered.
    #[cold]
    pub(super) fn answers_datagram(
        &mut self,
        fab: &mut Fabric,
        application: usize,
        p: &Packet,
    ) -> bool {
        let app = &self.servers.applications[application];
        let Some(talk) = fab.inquiries.of(p.tag, (p.src, p.sport)) else { return true };
        if let Question::Name(_) = talk.question {
            talk.answer = Some(Finding::Name(app.config.answers.rcode));
        }
        app.config.answers.replies
    }
}
