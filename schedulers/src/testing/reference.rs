//! The pool once more, as a plain list.

use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::rules::State;
use crate::algorithm::Algorithm;
use crate::flow::Flow;
use crate::maglev::TableIndex;
use crate::pool::{Counting, DestEdit, DestSpec};
use crate::random::RandomSource;
use crate::service::Flags;

/// How the reference names a destination.
pub type Key = (IpAddr, u16);

/// A call that the reference refuses; it does not say why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused;

/// A destination in the kernel's types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the fields are those of `Dest`, in the kernel's types")]
pub struct Server {
    pub key: Key,
    pub weight: i32,
    pub last_weight: i32,
    pub active: i32,
    pub inactive: i32,
    pub persistent: i32,
    pub upper: u32,
    pub lower: u32,
    pub overload: bool,
}

impl Server {
    /// `(active << 8) + inactive`.
    pub(super) const fn overhead(&self) -> i32 {
        (self.active << 8).wrapping_add(self.inactive)
    }

    const fn total(&self) -> i32 {
        self.active.wrapping_add(self.inactive)
    }
}

/// A service that decides by walking its list.
#[derive(Clone, Debug)]
pub struct Reference {
    /// Head first.
    pub(super) list: Vec<Server>,
    /// What was removed and not purged.
    pub(super) trash: Vec<Server>,
    pub(super) algorithm: Option<Algorithm>,
    pub(super) flags: Flags,
    pub(super) table: TableIndex,
    pub(super) expiration: u64,
    pub(super) state: State,
}

impl Reference {
    /// A service without destinations.
    pub fn new(algorithm: Option<Algorithm>, flags: Flags) -> Self {
        let mut new = Self {
            list: vec![],
            trash: vec![],
            algorithm,
            flags,
            table: TableIndex::default(),
            expiration: crate::locality::DEFAULT_EXPIRATION,
            state: State::default(),
        };
        new.init();
        new
    }

    /// A service whose destinations, head first, count connections already.
    pub fn with_servers(algorithm: Algorithm, list: Vec<Server>) -> Self {
        let mut new = Self { list, expiration: 0, ..Self::new(Some(algorithm), Flags::NONE) };
        new.init();
        new
    }

    /// The list, head first.
    pub fn list(&self) -> &[Server] {
        &self.list
    }

    /// The removed destinations, in no particular order.
    pub fn trash(&self) -> &[Server] {
        &self.trash
    }

    /// The rule.
    pub const fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// Changes the flags.
    pub const fn set_flags(&mut self, flags: Flags) {
        self.flags = flags;
    }

    /// Changes the expiration of `lblc` and `lblcr`, in nanoseconds.
    pub const fn set_expiration(&mut self, nanos: u64) {
        self.expiration = nanos;
    }

    /// Changes the table size of `mh`.
    ///
    /// # Errors
    /// If the table in use would be too small.
    pub fn set_table_index(&mut self, table: TableIndex) -> Result<(), Refused> {
        if self.algorithm == Some(Algorithm::Mh) {
            if self.list.len() > table.slots() as usize {
                return Err(Refused);
            }
            self.table = table;
            self.init();
        }
        self.table = table;
        Ok(())
    }

    /// Changes the rule.
    ///
    /// # Errors
    /// If `mh` has too few slots; the service then has no rule.
    pub fn set_algorithm(&mut self, algorithm: Option<Algorithm>) -> Result<(), Refused> {
        if algorithm != self.algorithm {
            self.algorithm = algorithm;
            if !self.init() {
                self.algorithm = None;
                return Err(Refused);
            }
        }
        Ok(())
    }

    /// Adds a destination.
    ///
    /// # Errors
    /// As [`Service::add_dest`](crate::Service::add_dest).
    pub fn add(&mut self, spec: &DestSpec) -> Result<(), Refused> {
        let key = (spec.addr, spec.port);
        check(&spec.edit())?;
        if self.list.iter().any(|s| s.key == key) {
            return Err(Refused);
        }
        let old = self.trash.iter().position(|s| s.key == key);
        let mut server = old.map_or_else(|| blank(key), |i| self.trash.remove(i));
        server.last_weight = spec.weight as i32;
        update(&mut server, &spec.edit());
        self.list.insert(0, server);
        if self.added() { Ok(()) } else { Err(Refused) }
    }

    /// Edits a destination.
    ///
    /// # Errors
    /// As [`Service::edit_dest`](crate::Service::edit_dest).
    pub fn edit(&mut self, key: Key, edit: &DestEdit) -> Result<(), Refused> {
        check(edit)?;
        update(self.list.iter_mut().find(|s| s.key == key).ok_or(Refused)?, edit);
        if self.edited() { Ok(()) } else { Err(Refused) }
    }

    /// Removes a destination.
    ///
    /// # Errors
    /// As [`Service::remove_dest`](crate::Service::remove_dest).
    pub fn remove(&mut self, key: Key) -> Result<(), Refused> {
        let at = self.list.iter().position(|s| s.key == key).ok_or(Refused)?;
        let before = at.checked_sub(1).and_then(|i| self.list.get(i)).map(|s| s.key);
        let server = self.list.remove(at);
        self.trash.push(server);
        if self.removed(key, before) { Ok(()) } else { Err(Refused) }
    }

    /// Removes all destinations at once.
    pub fn remove_all(&mut self) {
        self.trash.append(&mut self.list);
        self.init();
    }

    /// Forgets a removed destination.
    ///
    /// # Errors
    /// As [`Service::purge`](crate::Service::purge).
    pub fn purge(&mut self, key: Key) -> Result<(), Refused> {
        let at = self.trash.iter().position(|s| s.key == key).ok_or(Refused)?;
        if !self.can_go(&self.trash[at]) {
            return Err(Refused);
        }
        self.trash.remove(at);
        Ok(())
    }

    /// Forgets every removed destination that is idle.
    pub fn purge_idle(&mut self) {
        let (keep, _) = self.trash.iter().copied().partition(|s| !self.can_go(s));
        self.trash = keep;
    }

    fn can_go(&self, s: &Server) -> bool {
        s.active == 0 && s.inactive == 0 && s.persistent == 0 && !self.is_remembered(s.key)
    }

    /// A connection or template begins.
    ///
    /// # Errors
    /// As [`Service::bind`](crate::Service::bind).
    pub fn bind(&mut self, key: Key, counting: Counting) -> Result<(), Refused> {
        let server = self.find_mut(key)?;
        let counter = counter(server, counting);
        *counter = counter.checked_add(1).ok_or(Refused)?;
        if server.upper != 0 && server.total() as u32 >= server.upper {
            server.overload = true;
        }
        Ok(())
    }

    /// A connection becomes active.
    ///
    /// # Errors
    /// As [`Service::activate`](crate::Service::activate).
    pub fn activate(&mut self, key: Key) -> Result<(), Refused> {
        let server = self.find_mut(key)?;
        if server.inactive == 0 || server.active == i32::MAX {
            return Err(Refused);
        }
        server.inactive -= 1;
        server.active += 1;
        Ok(())
    }

    /// A connection becomes inactive.
    ///
    /// # Errors
    /// As [`Service::deactivate`](crate::Service::deactivate).
    pub fn deactivate(&mut self, key: Key) -> Result<(), Refused> {
        let server = self.find_mut(key)?;
        if server.active == 0 || server.inactive == i32::MAX {
            return Err(Refused);
        }
        server.active -= 1;
        server.inactive += 1;
        Ok(())
    }

    /// A connection or template ends.
    ///
    /// # Errors
    /// As [`Service::release`](crate::Service::release).
    pub fn release(&mut self, key: Key, counting: Counting) -> Result<(), Refused> {
        let server = self.find_mut(key)?;
        let counter = counter(server, counting);
        if *counter == 0 {
            return Err(Refused);
        }
        *counter -= 1;
        let total = server.total() as u32;
        let clear = if server.lower != 0 {
            total < server.lower
        } else if server.upper != 0 {
            total.wrapping_mul(4) < server.upper.wrapping_mul(3)
        } else {
            true
        };
        if clear {
            server.overload = false;
        }
        Ok(())
    }

    /// Who gets a new connection.
    pub fn schedule(
        &mut self,
        flow: &Flow,
        now: u64,
        random: &mut (impl RandomSource + ?Sized),
    ) -> Option<Key> {
        self.pick(flow, now, random)
    }

    fn find_mut(&mut self, key: Key) -> Result<&mut Server, Refused> {
        self.list.iter_mut().chain(&mut self.trash).find(|s| s.key == key).ok_or(Refused)
    }
}

const fn check(edit: &DestEdit) -> Result<(), Refused> {
    let fine = edit.weight <= i32::MAX as u32 && edit.lower_threshold <= edit.upper_threshold;
    if fine { Ok(()) } else { Err(Refused) }
}

const fn blank(key: Key) -> Server {
    Server {
        key,
        weight: 0,
        last_weight: 0,
        active: 0,
        inactive: 0,
        persistent: 0,
        upper: 0,
        lower: 0,
        overload: false,
    }
}

const fn update(server: &mut Server, edit: &DestEdit) {
    server.weight = edit.weight as i32;
    if edit.weight != 0 {
        server.last_weight = edit.weight as i32;
    }
    if edit.upper_threshold == 0 || edit.upper_threshold > server.upper {
        server.overload = false;
    }
    server.upper = edit.upper_threshold;
    server.lower = edit.lower_threshold;
}

const fn counter(server: &mut Server, counting: Counting) -> &mut i32 {
    match counting {
        Counting::Inactive => &mut server.inactive,
        Counting::Active => &mut server.active,
        Counting::Template => &mut server.persistent,
    }
}
