//! Random streams: who draws, and what for, decides the numbers; never who drew before.
//!
//! - [`Stream`]: a long sequence for an entity that lives as long as the run (a client's gaps, a
//!   link's losses).
//! - [`CounterStream`]: a short sequence for each of very many things that are numbered (what happens on
//!   the n-th connection), without a state to keep.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// A source of uniform numbers.
pub trait Uniform {
    /// The next 64 random bits.
    fn next_u64(&mut self) -> u64;

    /// A number in the open interval (0, 1), of 52 random bits: never 0, never 1, and as far from
    /// one end as its mirror image is from the other.
    #[inline]
    fn unit(&mut self) -> f64 {
        // With 53 bits the half would be rounded away above 1/2, and 1 itself could come out.
        ((self.next_u64() >> 12) as f64 + 0.5) * (1.0 / (1_u64 << 52) as f64)
    }
}

/// A `ChaCha12` stream, named by the entity that draws and what it draws for.
///
/// It depends on the seed and the two names alone, not on which streams there are besides or on the
/// order in which they were made: adding an entity never changes what another one draws.
///
/// ```
/// use sim_core::engine::{Stream, Uniform};
/// let mut gaps = Stream::new(42, "client-1", "gap");
/// let mut again = Stream::new(42, "client-1", "gap");
/// assert_eq!(gaps.next_u64(), again.next_u64());
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

/// A short stream that a key and a number determine: `SplitMix64` (Steele, Lea, Flood 2014) from a
/// state hashed from both.
///
/// Making one costs two multiplications more than a draw, so it is made where it is needed and
/// thrown away. Streams of one key with different numbers start at different states.
///
/// ```
/// use sim_core::engine::{CounterStream, Uniform};
/// let key = CounterStream::key(42, "client-1", "size");
/// let of_connection_7 = CounterStream::new(key, 7).unit();
/// assert_eq!(of_connection_7.to_bits(), CounterStream::new(key, 7).unit().to_bits());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CounterStream(u64);

/// The odd number nearest to 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl CounterStream {
    /// The key for what `entity` decides for `purpose`.
    pub fn key(seed: u64, entity: &str, purpose: &str) -> u64 {
        mix(seed.wrapping_add(GOLDEN)) ^ name_hash(entity, purpose)
    }

    /// The stream of the thing with number `counter`.
    #[inline]
    pub const fn new(key: u64, counter: u64) -> Self {
        Self(mix(key ^ mix(counter.wrapping_add(GOLDEN))))
    }
}

impl Uniform for CounterStream {
    #[inline]
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }
}

/// The finalizer of `SplitMix64`: a one-to-one map in which every bit of the result depends on every
/// bit of `word`.
#[inline]
pub(super) const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// FNV-1a of `entity`, a zero byte and `purpose`.
pub fn name_hash(entity: &str, purpose: &str) -> u64 {
    let mut h = 0xcbf2_9ce4_8422_2325_u64;
    for b in entity.bytes().chain([0]).chain(purpose.bytes()) {
        h = (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    h
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(mut stream: impl Uniform, count: usize) -> Vec<u64> {
        (0..count).map(|_| stream.next_u64()).collect()
    }

    struct Fixed(u64);

    impl Uniform for Fixed {
        fn next_u64(&mut self) -> u64 {
            self.0
        }
    }

    #[test]
    fn a_unit_is_never_0_and_never_1() {
        let low = Fixed(0).unit();
        let high = Fixed(u64::MAX).unit();
        assert!(low > 0.0 && high < 1.0, "{low:e} to {high:e}");
        assert_eq!(low.to_bits(), (1.0 - high).to_bits());
    }

    #[test]
    fn streams_are_the_same_in_every_version() {
        assert_eq!(
            first(Stream::new(1, "client", "gap"), 3),
            [9_900_452_965_055_069_134, 2_963_857_314_592_891_527, 8_037_939_015_500_852_682]
        );
        let key = CounterStream::key(1, "client", "gap");
        assert_eq!(
            first(CounterStream::new(key, 0), 3),
            [5_786_809_272_922_987_870, 6_609_589_299_175_072_622, 15_428_674_562_429_379_063]
        );
        assert_eq!(
            first(CounterStream::new(key, 1), 3),
            [12_889_441_165_928_671_777, 2_001_285_609_612_840_230, 11_173_178_504_565_373_682]
        );
    }

    #[test]
    fn the_step_is_that_of_the_published_splitmix64() {
        // the first outputs of the reference implementation for the state 1234567
        let reference = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973];
        assert_eq!(first(CounterStream(1_234_567), 2), reference);
    }

    #[test]
    fn the_order_in_which_streams_are_made_and_used_does_not_matter() {
        let alone = first(Stream::new(9, "b", "gap"), 100);
        let mut a = Stream::new(9, "a", "gap");
        let mut b = Stream::new(9, "b", "gap");
        let mut c = Stream::new(9, "c", "gap");
        let among: Vec<u64> = (0..100)
            .map(|at| {
                (0..at % 3).for_each(|_| {
                    a.next_u64();
                });
                c.next_u64();
                b.next_u64()
            })
            .collect();
        assert_eq!(alone, among);
    }

    #[test]
    fn seed_entity_and_purpose_each_give_another_stream() {
        let names =
            [(1, "a", "gap"), (2, "a", "gap"), (1, "b", "gap"), (1, "a", "loss"), (1, "ag", "ap")];
        for (at, one) in names.iter().enumerate() {
            for other in &names[at + 1..] {
                let [one, other] = [one, other].map(|(seed, entity, purpose)| {
                    let key = CounterStream::key(*seed, entity, purpose);
                    (
                        first(Stream::new(*seed, entity, purpose), 4),
                        first(CounterStream::new(key, 0), 4),
                    )
                });
                assert!(one.0.iter().all(|word| !other.0.contains(word)));
                assert!(one.1.iter().all(|word| !other.1.contains(word)));
            }
        }
    }

    #[test]
    fn the_first_draws_of_consecutive_counters_have_even_bits_that_do_not_follow_each_other() {
        const N: u32 = 100_000;
        let key = CounterStream::key(1, "client", "size");
        let draw = |counter: u32| CounterStream::new(key, u64::from(counter)).next_u64();
        let mut ones = [0_u32; 64];
        let mut changes = [0_u32; 64];
        for counter in 0..N {
            for bit in 0..64 {
                ones[bit] += (draw(counter) >> bit & 1) as u32;
                changes[bit] += ((draw(counter) ^ draw(counter + 1)) >> bit & 1) as u32;
            }
        }
        // 5 standard deviations: a fair source fails with a chance of 128 * 6e-7
        let off = 5.0 * (f64::from(N) / 4.0).sqrt();
        for count in ones.into_iter().chain(changes) {
            assert!((f64::from(count) - f64::from(N) / 2.0).abs() < off, "{count} of {N}");
        }
    }
}
