//! Random streams: one `ChaCha` stream per (seed, entity, purpose).

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// A source of uniform numbers.
pub trait Uniform {
    /// The next 64 random bits.
    fn next_u64(&mut self) -> u64;

    /// A number in the open interval (0, 1), with 53 random bits.
    fn unit(&mut self) -> f64 {
        ((self.next_u64() >> 11) as f64 + 0.5) * (1.0 / (1u64 << 53) as f64)
    }
}

/// A `ChaCha12` stream, named by the entity that draws and what it draws for. Adding an entity never
/// changes what another one draws.
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

/// FNV-1a of `entity`, a zero byte and `purpose`.
pub fn name_hash(entity: &str, purpose: &str) -> u64 {
    let mut h = 0xcbf2_9ce4_8422_2325_u64;
    for b in entity.bytes().chain([0]).chain(purpose.bytes()) {
        h = (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    h
}

/// stub
#[derive(Debug)]
pub struct CounterStream(u64);
impl CounterStream {
    /// n
    pub fn new(key: u64, counter: u64) -> Self {
        Self(key ^ counter.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}
impl Uniform for CounterStream {
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}
