//! The connection table of the bare director.

/// An open-addressing hash table from a 48-bit key (address and port) to a server. Linear probing;
/// a removal moves later keys of the run back, so that there are no tombstones.
#[derive(Debug)]
pub(super) struct Table {
    /// Key above, server below, zero if free. A power of two of them, at most half in use.
    slots: Vec<u64>,
    used: usize,
}

/// Bits of the server's number in a slot.
const SERVER: u32 = 8;

impl Table {
    pub(super) fn new() -> Self {
        Self { slots: vec![0; 1 << 12], used: 0 }
    }

    #[inline]
    fn home(key: u64, mask: usize) -> usize {
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & mask
    }

    /// The server of `key`.
    #[inline]
    pub(super) fn get(&self, key: u64) -> Option<u8> {
        let slots = &self.slots[..];
        let mask = slots.len() - 1;
        let mut i = Self::home(key, mask);
        loop {
            let slot = slots[i & mask];
            if slot >> SERVER == key {
                return Some(slot as u8);
            }
            if slot == 0 {
                return None;
            }
            i += 1;
        }
    }

    /// Adds a `key` that is not there. It must not be 0.
    pub(super) fn insert(&mut self, key: u64, server: u8) {
        self.used += 1;
        if self.used > self.slots.len() / 2 {
            let larger = vec![0; self.slots.len() * 2];
            for slot in std::mem::replace(&mut self.slots, larger) {
                if slot != 0 {
                    self.place(slot);
                }
            }
        }
        self.place(key << SERVER | u64::from(server));
    }

    fn place(&mut self, slot: u64) {
        let mask = self.slots.len() - 1;
        let mut i = Self::home(slot >> SERVER, mask);
        while self.slots[i & mask] != 0 {
            i += 1;
        }
        self.slots[i & mask] = slot;
    }

    /// Takes out `key`, if it is there.
    pub(super) fn remove(&mut self, key: u64) {
        let mask = self.slots.len() - 1;
        let mut hole = Self::home(key, mask);
        while self.slots[hole] >> SERVER != key {
            if self.slots[hole] == 0 {
                return;
            }
            hole = (hole + 1) & mask;
        }
        self.used -= 1;
        let mut next = hole;
        loop {
            next = (next + 1) & mask;
            let slot = self.slots[next];
            if slot == 0 {
                break;
            }
            // A key may move back to the hole if that is not before its home.
            let from_home = next.wrapping_sub(Self::home(slot >> SERVER, mask)) & mask;
            if from_home >= (next.wrapping_sub(hole) & mask) {
                self.slots[hole] = slot;
                hole = next;
            }
        }
        self.slots[hole] = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::engine::{CounterStream, Uniform};
    use std::collections::BTreeMap;

    #[test]
    fn it_answers_like_a_sorted_map() {
        let mut random = CounterStream::new(5, 0);
        let mut table = Table::new();
        let mut map = BTreeMap::new();
        for round in 0..60_000_u64 {
            let key = random.next_u64() % 8_000 + 1;
            assert_eq!(table.get(key), map.get(&key).copied());
            if map.remove(&key).is_some() {
                table.remove(key);
            } else {
                map.insert(key, round as u8);
                table.insert(key, round as u8);
            }
            assert_eq!(table.used, map.len());
        }
        assert!(table.slots.len() > 1 << 12, "the table has grown on the way");
        for key in 1..=8_000 {
            assert_eq!(table.get(key), map.get(&key).copied());
        }
    }
}
