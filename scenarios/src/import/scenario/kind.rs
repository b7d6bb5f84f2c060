//! What a file is.

use super::Input;
use crate::import::heartbeat::{authkeys, ha_cf, haresources};
use crate::import::{ipvsadm, keepalived, ldirectord};

/// What a file of a director is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Rules saved by ipvsadm.
    Ipvsadm,
    /// `keepalived.conf`.
    Keepalived,
    /// `ha.cf`.
    HaCf,
    /// `haresources`.
    Haresources,
    /// `authkeys`.
    Authkeys,
    /// `ldirectord.cf`.
    Ldirectord,
}

/// Whether a text looks like a file of a kind.
type Looks = fn(&str) -> bool;

impl Kind {
    /// The kind of a file by its content, or else by its name: a file of comments is one, too.
    ///
    /// ```
    /// use scenarios::import::scenario::Kind;
    /// assert_eq!(Kind::of("a", "node lb1 lb2\nbcast eth0\n"), Some(Kind::HaCf));
    /// assert_eq!(Kind::of("haresources", "# nothing yet\n"), Some(Kind::Haresources));
    /// assert_eq!(Kind::of("a", "duration = \"1s\"\n"), None);
    /// ```
    pub fn of(name: &str, text: &str) -> Option<Self> {
        let kinds: [(Self, Looks); 6] = [
            (Self::Ipvsadm, ipvsadm::looks_like),
            (Self::Keepalived, keepalived::looks_like),
            (Self::Ldirectord, ldirectord::looks_like),
            (Self::Authkeys, authkeys::looks_like),
            (Self::HaCf, ha_cf::looks_like),
            (Self::Haresources, haresources::looks_like),
        ];
        if let Some((kind, _)) = kinds.iter().find(|(_, like)| like(text)) {
            return Some(*kind);
        }
        let mut named =
            [Self::HaCf, Self::Haresources, Self::Authkeys, Self::Ldirectord].into_iter();
        named.find(|kind| kind.file() == name)
    }

    /// How such a file is called beside a scenario.
    pub(super) const fn file(self) -> &'static str {
        match self {
            Self::Ipvsadm => "director.ipvsadm",
            Self::Keepalived => "keepalived.conf",
            Self::HaCf => "ha.cf",
            Self::Haresources => "haresources",
            Self::Authkeys => "authkeys",
            Self::Ldirectord => "ldirectord.cf",
        }
    }

    /// Whether heartbeat reads it.
    pub(super) const fn is_of_heartbeat(self) -> bool {
        matches!(self, Self::HaCf | Self::Haresources | Self::Authkeys)
    }

    /// The kind of a file that is to be imported.
    pub(super) fn of_input(input: &Input<'_>) -> Option<Self> {
        Self::of(input.name, input.text)
    }
}
