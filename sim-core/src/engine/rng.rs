//! Random numbers that depend on names, never on the order in which things are made.
//!
//! Who draws in the order of events (gaps between arrivals, losses on a link) has a [`Stream`]: one
//! per (seed, entity, purpose). What belongs to a numbered thing (the bytes of request 3 of
//! connection 17) is drawn from a [`CounterStream`]: it depends on a key and that number alone, so
//! it is the same in a run where the events fall in another order.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// A source of uniform numbers.
pub trait Uniform {
    /// The next 64 random bits.
    fn next_u64(&mut self) -> u64;

    /// A number in the open interval (0, 1): one of the 2^52 midpoints `(k + 1/2) / 2^52`.
    ///
    /// Each is exact in an `f64` (with 53 bits the largest would be rounded up to 1), so
    /// `log(u)` and `log(1 - u)` are always finite and never zero.
    fn unit(&mut self) -> f64 {
        ((self.next_u64() >> 12) as f64 + 0.5) * (1.0 / (1_u64 << 52) as f64)
    }
}

/// A `ChaCha12` stream, named by the entity that draws and what it draws for.
///
/// The name selects the stream, not the order of creation: adding an entity, or a purpose, never
/// changes what another one draws. Two runs that differ in one setting thus share everything else
/// (common random numbers). The values are the same on every machine.
///
/// ```
/// use sim_core::engine::{Stream, Uniform};
/// let mut gaps = Stream::new(42, "client-1", "gap");
/// let mut again = Stream::new(42, "client-1", "gap");
/// assert_eq!(gaps.next_u64(), again.next_u64());
/// assert_ne!(gaps.next_u64(), Stream::new(42, "client-2", "gap").next_u64());
/// ```
#[derive(Clone, Debug)]
pub struct Stream(ChaCha12Rng);

impl Stream {
    /// The stream of `entity` (a host, a link) for `purpose` (`"gap"`, `"loss"`).
    pub fn new(seed: u64, entity: &str, purpose: &str) -> Self {
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        rng.set_stream(name_hash(entity, purpose));
        Self(rng)
    }
}

impl Uniform for Stream {
    #[inline]
    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
}

/// FNV-1a (64 bits) of `entity`, a zero byte and `purpose`. Frozen: every random number depends on
/// it.
pub fn name_hash(entity: &str, purpose: &str) -> u64 {
    let mut h = 0xcbf2_9ce4_8422_2325_u64;
    for b in entity.bytes().chain([0]).chain(purpose.bytes()) {
        h = (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    h
}

/// 2^64 divided by the golden ratio, odd: the step of the Weyl sequence under `SplitMix64`.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number
/// generators", 2014, with the constants of Stafford's variant 13): a bijection of 64-bit words in
/// which every bit of the input reaches every bit of the output.
#[inline]
pub(crate) const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The random numbers of one numbered thing: a short stream that is a function of a key and a
/// counter.
///
/// The key names the entity and the purpose (say, seed xor [`name_hash`]), the counter the
/// connection, request or packet. Nothing is kept between draws of different counters, and making
/// one costs a few nanoseconds (two rounds of a mixing function), where a [`Stream`] is 300 bytes.
///
/// The stream itself is `SplitMix64` from a start that is key and counter, mixed: neighbouring
/// counters start at unrelated places of the sequence. Without that mixing the second number of
/// counter `n` would be the first of counter `n + 1`. It is a generator for simulation, not a
/// cryptographic one.
///
/// ```
/// use sim_core::engine::{Uniform, rng::CounterStream};
/// let bytes_of = |request| CounterStream::new(7, request).unit();
/// let (third, fourth) = (bytes_of(3), bytes_of(4));
/// assert_eq!(fourth.to_bits(), bytes_of(4).to_bits());
/// assert_eq!(third.to_bits(), bytes_of(3).to_bits());
/// ```
#[derive(Clone, Debug)]
pub struct CounterStream(u64);

impl CounterStream {
    /// The stream of `counter` under `key`.
    #[inline]
    pub const fn new(key: u64, counter: u64) -> Self {
        // The key alone is mixed first, so that keys which differ by as little as counters do
        // (seeds 1, 2, 3) cannot meet: `key ^ counter` would be the same for (1, 2) and (2, 1).
        Self(mix(mix(key.wrapping_add(STEP)) ^ counter))
    }
}

impl Uniform for CounterStream {
    #[inline]
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Always the same word.
    struct Fixed(u64);

    impl Uniform for Fixed {
        fn next_u64(&mut self) -> u64 {
            self.0
        }
    }

    fn first(n: usize, source: &mut impl Uniform) -> Vec<u64> {
        (0..n).map(|_| source.next_u64()).collect()
    }

    #[test]
    fn unit_numbers_are_never_zero_or_one() {
        let (least, greatest) = (Fixed(0).unit(), Fixed(u64::MAX).unit());
        assert!(least > 0.0 && greatest < 1.0, "{least} to {greatest}");
        assert_eq!((1.0 - greatest).to_bits(), least.to_bits(), "symmetric about one half");
    }

    #[test]
    fn what_a_client_draws_does_not_depend_on_who_was_made_before() {
        let alone = first(100, &mut Stream::new(1, "client", "gap"));
        let mut others: Vec<_> =
            (0..10).map(|i| Stream::new(1, &format!("other{i}"), "gap")).collect();
        let mut client = Stream::new(1, "client", "gap");
        let mut later = Stream::new(1, "later", "gap");
        let mut among = Vec::new();
        for _ in 0..100 {
            for other in &mut others {
                other.next_u64();
            }
            among.push(client.next_u64());
            later.next_u64();
        }
        assert_eq!(alone, among);
    }

    #[test]
    fn another_seed_entity_or_purpose_gives_another_stream() {
        let mut seen = BTreeSet::new();
        for seed in [0, 1, u64::MAX] {
            for entity in ["a", "b", "ab", ""] {
                for purpose in ["gap", "loss", "ab", "b", ""] {
                    for word in first(50, &mut Stream::new(seed, entity, purpose)) {
                        assert!(seen.insert(word), "{seed} {entity:?} {purpose:?} repeats a word");
                    }
                }
            }
        }
    }

    #[test]
    fn a_cloned_stream_goes_on_alike() {
        let mut stream = Stream::new(5, "link", "loss");
        first(17, &mut stream);
        assert_eq!(first(40, &mut stream.clone()), first(40, &mut stream));
    }

    #[test]
    fn the_first_values_of_a_stream_are_frozen() {
        let words = first(3, &mut Stream::new(42, "client-1", "gap"));
        assert_eq!(words, [0xde19_584a_9de7_e0f6, 0xa18d_2982_f074_0ff9, 0x607d_2897_6f9f_4fe5]);
    }

    #[test]
    fn name_hash_is_fnv_1a() {
        // The published test vector of a single zero byte.
        assert_eq!(name_hash("", ""), 0xaf63_bd4c_8601_b7df);
        assert_ne!(name_hash("ab", "c"), name_hash("a", "bc"));
    }

    #[test]
    fn the_first_values_of_a_counter_are_frozen() {
        let words = first(3, &mut CounterStream::new(42, 7));
        assert_eq!(words, [0xb22d_9c4f_9568_f550, 0xfc7c_6183_e6ad_2519, 0x4608_45f7_07e6_e7c0]);
    }

    #[test]
    fn counters_do_not_run_into_each_other() {
        let mut seen = BTreeSet::new();
        for key in [0, 1, 2, 3] {
            for counter in (0..2_000).chain((1..500).map(|c| c << 32)) {
                for word in first(4, &mut CounterStream::new(key, counter)) {
                    assert!(seen.insert(word), "key {key}, counter {counter}");
                }
            }
        }
    }

    #[test]
    fn first_numbers_fill_the_interval_evenly() {
        // Chi-squared with 255 degrees of freedom: 330.5 is exceeded once in 1,000 samples.
        for (key, shift) in [(0, 0), (1, 0), (0xdead_beef, 32), (u64::MAX, 17)] {
            let mut bins = [0_u32; 256];
            let n = 1 << 16;
            for counter in 0..n {
                let u = CounterStream::new(key, counter << shift).unit();
                bins[(u * 256.0) as usize] += 1;
            }
            let expected = n as f64 / 256.0;
            let chi2: f64 =
                bins.iter().map(|&b| (f64::from(b) - expected) * (f64::from(b) - expected)).sum();
            let chi2 = chi2 / expected;
            assert!((180.0..330.5).contains(&chi2), "key {key:x}: chi-squared {chi2}");
        }
    }

    /// Pearson's coefficient of pairs of numbers from (0, 1).
    fn correlation(n: u64, pair: impl Fn(u64) -> (f64, f64)) -> f64 {
        let sum: f64 = (0..n).map(pair).map(|(a, b)| (a - 0.5) * (b - 0.5)).sum();
        12.0 * sum / n as f64
    }

    #[test]
    fn neighbouring_counters_are_not_correlated() {
        // The standard error is 1 / sqrt(n) = 0.0032; four of them are exceeded once in 16,000.
        let n = 100_000;
        let number = |counter, draw| {
            let mut stream = CounterStream::new(99, counter);
            first(draw, &mut stream);
            stream.unit()
        };
        for (lag, later_draw, draw) in
            [(1, 0, 0), (2, 0, 0), (1 << 32, 0, 0), (0, 1, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1)]
        {
            let r = correlation(n, |c| (number(c, draw), number(c + lag, later_draw)));
            assert!(r.abs() < 0.0127, "lag {lag}, draws {draw} and {later_draw}: {r}");
        }
        let r = correlation(n, |c| (number(c, 0), CounterStream::new(98, c).unit()));
        assert!(r.abs() < 0.0127, "neighbouring keys: {r}");
    }

    #[test]
    fn every_bit_of_key_and_counter_reaches_half_of_the_output() {
        let word = |key, counter| CounterStream::new(key, counter).next_u64();
        for bit in 0..64 {
            let by = |flip: &dyn Fn(u64) -> u64| {
                let ones: u32 = (0..500).map(|c| (flip(c) ^ word(c, !c)).count_ones()).sum();
                f64::from(ones) / 500.0
            };
            let (key, counter) = (by(&|c| word(c ^ 1 << bit, !c)), by(&|c| word(c, !c ^ 1 << bit)));
            assert!((31.0..33.0).contains(&key), "key bit {bit}: {key}");
            assert!((31.0..33.0).contains(&counter), "counter bit {bit}: {counter}");
        }
    }

    proptest! {
        #[test]
        fn unit_numbers_lie_between_zero_and_one(word in any::<u64>()) {
            let u = Fixed(word).unit();
            prop_assert!(0.0 < u && u < 1.0);
            prop_assert!((u - word as f64 / (1_u128 << 64) as f64).abs() < 4e-16);
        }
    }
}
