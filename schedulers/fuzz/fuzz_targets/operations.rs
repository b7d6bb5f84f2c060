//! Any sequence of calls: no panic, and the fast service and the reference agree.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run operations` in `schedulers/`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schedulers::testing::{Key, Op, Pair};
use schedulers::{Algorithm, Counting, DestEdit, DestSpec, Flags, Flow, TableIndex};

/// Numbers out of the input; zeros when it is used up.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&first, rest)) => {
                self.0 = rest;
                first
            }
            None => 0,
        }
    }

    fn key(&mut self) -> Key {
        ([10, 0, 0, self.byte() % 96].into(), 80)
    }

    fn edit(&mut self) -> DestEdit {
        // The reference walks each sweep of `wrr`: weights stay small.
        DestEdit {
            weight: u32::from(self.byte()),
            upper_threshold: u32::from(self.byte() % 8),
            lower_threshold: u32::from(self.byte() % 4),
        }
    }

    fn counting(&mut self) -> Counting {
        match self.byte() % 3 {
            0 => Counting::Inactive,
            1 => Counting::Active,
            _ => Counting::Template,
        }
    }

    fn flow(&mut self) -> Flow {
        let (src, dst) = ([10, 1, 0, self.byte()], [10, 2, 0, self.byte() % 8]);
        Flow::new(src.into(), u16::from(self.byte()), dst.into(), 80)
    }

    fn op(&mut self) -> Op {
        match self.byte() % 20 {
            0..=3 => {
                let ((addr, port), e) = (self.key(), self.edit());
                Op::Add(DestSpec {
                    addr,
                    port,
                    weight: e.weight,
                    upper_threshold: e.upper_threshold,
                    lower_threshold: e.lower_threshold,
                })
            }
            4 => Op::Edit(self.key(), self.edit()),
            5 => Op::Remove(self.key()),
            6 => Op::Purge(self.key()),
            7 => Op::Bind(self.key(), self.counting()),
            8 => Op::Activate(self.key()),
            9 => Op::Deactivate(self.key()),
            10..=11 => Op::Release(self.key(), self.counting()),
            12 => Op::Schedule(self.flow()),
            13..=15 => Op::Connect(self.flow()),
            16 => Op::Algorithm(Algorithm::ALL.get(usize::from(self.byte() % 15)).copied()),
            17 => Op::Flags(Flags::from_bits(self.byte())),
            18 => Op::Wait(u64::from(self.byte()) << 32),
            _ => match self.byte() % 4 {
                0 => Op::PurgeIdle,
                1 => Op::RemoveAll,
                2 => Op::Timer,
                _ => Op::Table(TableIndex::new(8 + self.byte() % 3).unwrap_or_default()),
            },
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let (mut input, mut pair) = (Input(data), Pair::new());
    while !input.0.is_empty() {
        let op = input.op();
        assert_eq!(pair.apply(&op), Ok(()));
    }
    let state = pair.fast.save();
    let restored = schedulers::Service::restore(&state).map(|s| s.save());
    assert_eq!(restored, Ok(state));
});
