//! What may happen to a service, at random.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::RangeInclusive;

use proptest::prelude::*;
use proptest::sample::select;

use super::reference::Key;
use crate::algorithm::Algorithm;
use crate::flow::Flow;
use crate::maglev::TableIndex;
use crate::pool::{Counting, DestEdit, DestSpec};
use crate::service::Flags;

/// One thing that happens to a service. Destinations are named by address and port, whether they
/// exist or not.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is the call of `Service` with its name")]
pub enum Op {
    Add(DestSpec),
    Edit(Key, DestEdit),
    Remove(Key),
    RemoveAll,
    Purge(Key),
    PurgeIdle,
    Bind(Key, Counting),
    Activate(Key),
    Deactivate(Key),
    Release(Key, Counting),
    /// A choice alone.
    Schedule(Flow),
    /// A choice; the connection is bound and becomes active.
    Connect(Flow),
    Algorithm(Option<Algorithm>),
    Flags(Flags),
    Table(TableIndex),
    Expiration(u64),
    /// Time passes, in nanoseconds.
    Wait(u64),
    Timer,
}

/// What sequences are made of.
#[derive(Clone, Debug)]
pub struct Mix {
    /// Rules that the service goes through.
    pub algorithms: Vec<Algorithm>,
    /// Destinations at the beginning.
    pub start: RangeInclusive<usize>,
    /// Operations after that.
    pub length: RangeInclusive<usize>,
    /// Weights up to this one. The reference walks every sweep of `wrr`, so keep it small there.
    pub max_weight: u32,
}

impl Default for Mix {
    /// Every rule, up to 150 destinations, weights up to 300, up to 200 operations.
    fn default() -> Self {
        Self {
            algorithms: Algorithm::ALL.to_vec(),
            start: 0..=150,
            length: 0..=200,
            max_weight: 300,
        }
    }
}

/// Address and port of one of `count` real servers, one in eight with an IPv6 address.
pub fn server(count: usize) -> impl Strategy<Value = Key> {
    (0..count.max(1) as u32).prop_map(name)
}

fn name(n: u32) -> Key {
    let addr = if n % 8 == 7 {
        IpAddr::V6(Ipv6Addr::from_bits(0xfd00_0010_u128 << 96 | u128::from(n)))
    } else {
        IpAddr::V4(Ipv4Addr::from_bits(0xc0a8_0a00 + n / 2))
    };
    (addr, 80 + (n % 2) as u16)
}

fn weight(max: u32) -> impl Strategy<Value = u32> {
    prop_oneof![2 => Just(0), 6 => 0..=max.min(4), 3 => 0..=max, 1 => Just(max)]
}

/// Upper and lower threshold; one pair in ten is not allowed.
fn thresholds() -> impl Strategy<Value = (u32, u32)> {
    prop_oneof![6 => Just((0, 0)), 3 => (1..8u32, 0..2u32), 1 => (0..4u32, 0..8u32)]
}

/// New values of a destination.
fn edit(max_weight: u32) -> impl Strategy<Value = DestEdit> {
    (weight(max_weight), thresholds()).prop_map(|(weight, (upper_threshold, lower_threshold))| {
        DestEdit { weight, upper_threshold, lower_threshold }
    })
}

/// A destination among `count` servers.
pub fn spec(count: usize, max_weight: u32) -> impl Strategy<Value = DestSpec> {
    (server(count), edit(max_weight)).prop_map(|((addr, port), e)| DestSpec {
        addr,
        port,
        weight: e.weight,
        upper_threshold: e.upper_threshold,
        lower_threshold: e.lower_threshold,
    })
}

/// A flow between few addresses, so that they meet again.
pub fn flow() -> impl Strategy<Value = Flow> {
    let address = prop_oneof![
        4 => (0..300u32).prop_map(|n| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n))),
        1 => any::<u32>().prop_map(|n| IpAddr::V4(Ipv4Addr::from_bits(n))),
        1 => any::<u128>().prop_map(|n| IpAddr::V6(Ipv6Addr::from_bits(n))),
    ];
    let few = (0..6u32).prop_map(|n| IpAddr::V4(Ipv4Addr::from_bits(0x0ac8_0000 + n)));
    (address, any::<u16>(), few, 0..3u16, any::<bool>())
        .prop_map(|(src, sport, dst, dport, inverse)| Flow { src, dst, sport, dport, inverse })
}

fn counting() -> impl Strategy<Value = Counting> {
    select(&[Counting::Inactive, Counting::Active, Counting::Template][..])
}

/// A sequence of operations: destinations are added, then anything happens.
pub fn sequence(mix: Mix) -> impl Strategy<Value = Vec<Op>> {
    let count = *mix.start.end() + 8;
    let start = prop::collection::vec(spec(count, mix.max_weight).prop_map(Op::Add), mix.start);
    let first = select(mix.algorithms.clone()).prop_map(|a| Op::Algorithm(Some(a)));
    let rest = prop::collection::vec(op(count, mix.max_weight, mix.algorithms), mix.length);
    (start, first, rest, any::<bool>()).prop_map(|(mut ops, first, rest, late)| {
        // The rule starts with the destinations, or sees each of them come.
        ops.insert(if late { ops.len() } else { 0 }, first);
        ops.extend(rest);
        ops
    })
}

fn op(count: usize, max_weight: u32, algorithms: Vec<Algorithm>) -> impl Strategy<Value = Op> {
    let configuration = prop_oneof![
        8 => spec(count, max_weight).prop_map(Op::Add),
        8 => (server(count), edit(max_weight)).prop_map(|(s, e)| Op::Edit(s, e)),
        10 => server(count).prop_map(Op::Remove),
        3 => server(count).prop_map(Op::Purge),
        1 => Just(Op::PurgeIdle),
        1 => Just(Op::RemoveAll),
        3 => prop::option::weighted(0.95, select(algorithms)).prop_map(Op::Algorithm),
        3 => (0..4u8).prop_map(|bits| Op::Flags(Flags::from_bits(bits))),
        1 => (8..=12u8).prop_map(|i| Op::Table(TableIndex::new(i).unwrap_or_default())),
        1 => (0..200u64).prop_map(|s| Op::Expiration(s * 1_000_000_000)),
    ];
    let connections = prop_oneof![
        6 => flow().prop_map(Op::Schedule),
        20 => flow().prop_map(Op::Connect),
        4 => (server(count), counting()).prop_map(|(s, c)| Op::Bind(s, c)),
        2 => server(count).prop_map(Op::Activate),
        5 => server(count).prop_map(Op::Deactivate),
        10 => (server(count), counting()).prop_map(|(s, c)| Op::Release(s, c)),
        2 => (0..100u64).prop_map(|s| Op::Wait(s * 1_000_000_000)),
        1 => Just(Op::Timer),
    ];
    prop_oneof![1 => configuration, 4 => connections]
}
