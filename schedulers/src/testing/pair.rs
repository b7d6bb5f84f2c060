//! The fast service and the reference side by side.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::reference::{Key, Reference, Refused, Server};
use super::strategies::Op;
use crate::algorithm::Algorithm;
use crate::error::Error;
use crate::pool::{Counting, Dest, DestId};
use crate::random::RandomSource;
use crate::service::{Flags, Service};

/// A small generator for tests (Marsaglia 2003, "Xorshift RNGs").
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// The same numbers for the same seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
}

impl RandomSource for Seeded {
    fn next_u32(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32
    }
}

/// Both, with the same history.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The fast one.
    pub fast: Service,
    /// The plain one.
    pub plain: Reference,
    now: u64,
    random: [Seeded; 2],
}

impl Default for Pair {
    fn default() -> Self {
        Self::new()
    }
}

impl Pair {
    /// Both with `wlc` and without destinations.
    pub fn new() -> Self {
        Self {
            fast: Service::new(Algorithm::Wlc, Flags::NONE),
            plain: Reference::new(Some(Algorithm::Wlc), Flags::NONE),
            now: 0,
            random: [Seeded::new(1), Seeded::new(1)],
        }
    }

    /// Applies an operation to both.
    ///
    /// # Errors
    /// The difference in words: another choice, another refusal, another state.
    pub fn apply(&mut self, op: &Op) -> Result<(), String> {
        self.one(op).map_err(|e| format!("{op:?}: {e}"))?;
        self.compare()
    }

    /// Applies an operation without comparing the states afterwards.
    fn one(&mut self, op: &Op) -> Result<(), String> {
        match op {
            Op::Add(spec) => agree(&self.fast.add_dest(*spec), self.plain.add(spec)),
            Op::Edit(key, edit) => {
                let id = self.id(*key);
                agree(
                    &id.and_then(|id| self.fast.edit_dest(id, *edit)),
                    self.plain.edit(*key, edit),
                )
            }
            Op::Remove(key) => agree(
                &self.id(*key).and_then(|id| self.fast.remove_dest(id)),
                self.plain.remove(*key),
            ),
            Op::Purge(key) => {
                agree(&self.id(*key).and_then(|id| self.fast.purge(id)), self.plain.purge(*key))
            }
            Op::PurgeIdle => {
                self.fast.purge_idle();
                self.plain.purge_idle();
                Ok(())
            }
            Op::RemoveAll => {
                self.fast.remove_all();
                self.plain.remove_all();
                Ok(())
            }
            Op::Bind(key, c) => agree(
                &self.id(*key).and_then(|id| self.fast.bind(id, *c)),
                self.plain.bind(*key, *c),
            ),
            Op::Activate(key) => agree(
                &self.id(*key).and_then(|id| self.fast.activate(id)),
                self.plain.activate(*key),
            ),
            Op::Deactivate(key) => {
                let id = self.id(*key);
                agree(&id.and_then(|id| self.fast.deactivate(id)), self.plain.deactivate(*key))
            }
            Op::Release(key, c) => {
                let id = self.id(*key);
                agree(&id.and_then(|id| self.fast.release(id, *c)), self.plain.release(*key, *c))
            }
            Op::Algorithm(algorithm) => {
                agree(&self.fast.set_algorithm(*algorithm), self.plain.set_algorithm(*algorithm))
            }
            Op::Table(index) => {
                agree(&self.fast.set_table_index(*index), self.plain.set_table_index(*index))
            }
            _ => self.choose_or_wait(op),
        }
    }

    fn choose_or_wait(&mut self, op: &Op) -> Result<(), String> {
        match op {
            Op::Schedule(flow) => self.schedule(flow).map(drop),
            Op::Connect(flow) => {
                if let Some(id) = self.schedule(flow)?
                    && let Some(d) = self.fast.pool().get(id)
                {
                    let key = (d.addr, d.port);
                    agree(
                        &self.fast.bind(id, Counting::Inactive),
                        self.plain.bind(key, Counting::Inactive),
                    )?;
                    agree(&self.fast.activate(id), self.plain.activate(key))?;
                }
                Ok(())
            }
            Op::Flags(flags) => {
                self.fast.set_flags(*flags);
                self.plain.set_flags(*flags);
                Ok(())
            }
            Op::Expiration(nanos) => {
                self.fast.set_expiration(*nanos);
                self.plain.set_expiration(*nanos);
                Ok(())
            }
            Op::Wait(nanos) => {
                self.now = self.now.saturating_add(*nanos);
                Ok(())
            }
            Op::Timer => {
                self.fast.run_timer(self.now);
                self.plain.run_timer(self.now);
                Ok(())
            }
            _ => Err(String::from("no such operation")),
        }
    }

    /// One choice, which must be the same.
    ///
    /// # Errors
    /// If it is not, or if the two drew differently.
    pub fn schedule(&mut self, flow: &crate::Flow) -> Result<Option<DestId>, String> {
        let [a, b] = &mut self.random;
        let fast = self.fast.schedule(flow, self.now, a);
        let plain = self.plain.schedule(flow, self.now, b);
        let named = fast.and_then(|id| self.fast.pool().get(id)).map(|d| (d.addr, d.port));
        if named != plain || self.random[0] != self.random[1] {
            return Err(format!("fast chose {named:?}, plain {plain:?}"));
        }
        Ok(fast)
    }

    fn id(&self, key: Key) -> Result<DestId, Error> {
        let nobody = Error::State("no destination under this address and port");
        self.fast.pool().find(key.0, key.1).ok_or(nobody)
    }

    /// Compares list order, counters, weights, flags, the trash, and the table.
    ///
    /// # Errors
    /// The first difference in words.
    pub fn compare(&self) -> Result<(), String> {
        let fast: Vec<Server> = self.fast.pool().iter().map(|d| server(&d)).collect();
        if fast != self.plain.list() {
            return Err(format!("list: fast {fast:?}, plain {:?}", self.plain.list()));
        }
        let mut fast: Vec<Server> = self.fast.pool().trash().map(|d| server(&d)).collect();
        let mut plain = self.plain.trash().to_vec();
        fast.sort_by_key(|s| s.key);
        plain.sort_by_key(|s| s.key);
        if fast != plain {
            return Err(format!("trash: fast {fast:?}, plain {plain:?}"));
        }
        if self.fast.algorithm() != self.plain.algorithm() {
            return Err(String::from("the rules differ"));
        }
        Ok(())
    }

    /// Compares the tables of `dh`, `sh`, `mh`.
    ///
    /// # Errors
    /// If they differ.
    pub fn compare_tables(&mut self) -> Result<(), String> {
        let Some(table) = self.fast.table() else { return Ok(()) };
        let pool = self.fast.pool();
        let name = |id| pool.get(id).map(|d| (d.addr, d.port));
        let table: Vec<Option<Key>> = table.into_iter().map(|s| s.and_then(name)).collect();
        if table == self.plain.table() { Ok(()) } else { Err(String::from("the tables differ")) }
    }
}

fn server(d: &Dest) -> Server {
    Server {
        key: (d.addr, d.port),
        weight: d.weight as i32,
        last_weight: d.last_weight as i32,
        active: d.active as i32,
        inactive: d.inactive as i32,
        persistent: d.persistent as i32,
        upper: d.upper_threshold,
        lower: d.lower_threshold,
        overload: d.overload,
    }
}

/// Both accept or both refuse.
fn agree<T>(fast: &Result<T, Error>, plain: Result<(), Refused>) -> Result<(), String> {
    match (fast, plain) {
        (Ok(_), Ok(())) | (Err(_), Err(Refused)) => Ok(()),
        (Ok(_), Err(_)) => Err(String::from("only the plain one refused")),
        (Err(e), Ok(())) => Err(format!("only the fast one refused: {e}")),
    }
}
