//! What a file is.

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
        let kinds = [
            Self::Ipvsadm,
            Self::Keepalived,
            Self::Ldirectord,
            Self::Authkeys,
            Self::HaCf,
            Self::Haresources,
        ];
        let like = kinds.into_iter().find(|kind| kind.is_like(text));
        like.or_else(|| kinds.into_iter().find(|kind| kind.file() == name))
    }

    fn is_like(self, text: &str) -> bool {
        match self {
            Self::Ipvsadm => ipvsadm::looks_like(text),
            Self::Keepalived => keepalived::looks_like(text),
            Self::HaCf => ha_cf::looks_like(text),
            Self::Haresources => haresources::looks_like(text),
            Self::Authkeys => authkeys::looks_like(text),
            Self::Ldirectord => ldirectord::looks_like(text),
        }
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
}
