//! Server applications that die, hang, freeze or are slow.

use super::Host;
use super::conversation::{NOBODY, SERVER};
use super::fabric::Fabric;
use super::server::Health;
use crate::config::Transport;
use crate::observe::timeline::Kind;

impl Host {
    /// Makes a server application what faults have made of it. A process that dies resets its
    /// connections, or with `orderly` closes them, and closes its port; one that starts opens it again.
    pub fn set_health(
        &mut self,
        fab: &mut Fabric,
        application: usize,
        health: Health,
        orderly: bool,
    ) {
        let Some(app) = self.servers.applications.get_mut(application) else { return };
        let before = core::mem::replace(&mut app.health, health);
        let (port, transport, backlog) =
            (app.config.port, app.config.transport, app.config.backlog);
        if before.running && !health.running {
            self.kill_application(fab, application, orderly);
        } else if !before.running && health.running && transport == Transport::Tcp {
            // another application may have taken the port: then this one has none
            if let Ok(listener) = self.tcp.listen(port, backlog) {
                self.servers.applications[application].listener = listener;
            }
        }
        if let Some(word) = told(&before, &health) {
            fab.note(Some(self.number), Kind::Process, format!("server :{port}"), word);
        }
        if health.running && health.accepts && !before.accepts {
            self.accept_waiting(fab, application as u16);
        }
        if health.running && health.answers && !before.answers {
            let mut replies = core::mem::take(&mut self.replies);
            self.servers.go_on(self.number, fab, application, &mut replies);
            self.replies = replies;
            self.answer(fab);
        }
        self.tcp_output(fab);
        self.settle(fab);
    }

    /// The process of an application ends: it leaves nothing.
    fn kill_application(&mut self, fab: &mut Fabric, application: usize, orderly: bool) {
        let config = &self.servers.applications[application].config;
        if config.transport == Transport::Tcp {
            self.tcp.stop_listening(config.port);
        }
        for visit in self.servers.visits_of(application) {
            let v = *self.servers.visit(visit);
            if v.gone || self.tcp.user(v.conn) != SERVER | visit {
                continue;
            }
            self.tcp.set_user(v.conn, NOBODY);
            self.servers.close(visit);
            if orderly && v.accepted {
                self.tcp.close(fab.now, v.conn, &mut fab.out);
            } else {
                self.tcp.abort(fab.now, v.conn, &mut fab.out);
            }
            self.tcp_output(fab);
        }
        let listener = self.servers.applications[application].listener;
        for _ in 0..self.servers.forget_backlog(application) {
            self.tcp.accept(listener);
        }
        self.servers.kill(application);
    }
}

/// What became of a process, if it is another than before.
fn told(before: &Health, now: &Health) -> Option<&'static str> {
    let holds = |h: &Health| (h.running, h.accepts, h.answers);
    match holds(now) {
        same if same == holds(before) => None,
        (false, ..) => Some("killed"),
        (true, ..) if !before.running => Some("started"),
        (true, false, _) => Some("frozen"),
        (true, true, false) => Some("hung"),
        (true, true, true) => Some("running"),
    }
}
