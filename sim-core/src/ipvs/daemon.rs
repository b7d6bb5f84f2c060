//! Which connection synchronisation daemons run. With `backup_only` a director that is nothing but a
//! backup leaves packets alone.

use super::rules::{Daemon, DaemonRole};

/// The running daemons.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Daemons {
    master: Option<Daemon>,
    backup: Option<Daemon>,
}

impl Daemons {
    const fn of(&mut self, role: DaemonRole) -> &mut Option<Daemon> {
        match role {
            DaemonRole::Master => &mut self.master,
            DaemonRole::Backup => &mut self.backup,
        }
    }

    /// Whether the daemon was not running.
    pub(super) fn start(&mut self, daemon: &Daemon) -> bool {
        let place = self.of(daemon.role);
        let free = place.is_none();
        if free {
            *place = Some(daemon.clone());
        }
        free
    }

    /// Whether it was running.
    pub(super) fn stop(&mut self, role: DaemonRole) -> bool {
        self.of(role).take().is_some()
    }

    pub(super) const fn is_only_backup(&self) -> bool {
        self.backup.is_some() && self.master.is_none()
    }

    /// Master first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Daemon> {
        self.master.iter().chain(&self.backup)
    }
}
