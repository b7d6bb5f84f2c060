//! A running 64-bit digest of what happened, for comparing runs.

use super::rng::mix;

/// An order-sensitive digest of a sequence of words.
///
/// Two runs that do the same have the same digest; two runs that differ have, for all practical
/// purposes, different ones. It is made to be folded once or twice an event (a multiplication
/// and a shift), and it is **not cryptographic**: whoever wants two sequences with the same value
/// can make them.
///
/// Each step is a bijection of the state for a given word, and of the word for a given state. So
/// two sequences of one length that differ in exactly one word never have the same value.
///
/// ```
/// use sim_core::engine::Digest;
/// let mut one = Digest::new();
/// one.fold(1);
/// one.fold(2);
/// let mut other = Digest::new();
/// other.fold(2);
/// other.fold(1);
/// assert_ne!(one.value(), other.value());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest(u64);

/// Odd, with its bits spread: 2^64 divided by the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Where a digest starts. Not zero: zero is the one state that a zero word would leave as it is.
const START: u64 = 0x6c76_735f_7275_6e73;

impl Digest {
    /// The digest of nothing.
    pub const fn new() -> Self {
        Self(START)
    }

    /// Takes in one more word.
    #[inline]
    pub const fn fold(&mut self, word: u64) {
        // The product carries a difference upwards only; the shift brings it down again. (A
        // rotation would do that as well, but leave a difference in the top bit a single bit, which
        // a single bit of the next word undoes.)
        let product = (self.0 ^ word).wrapping_mul(FACTOR);
        self.0 = product ^ (product >> 32);
    }

    /// The digest of the words so far. More may be folded afterwards.
    pub const fn value(&self) -> u64 {
        mix(self.0)
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn digest(words: &[u64]) -> u64 {
        let mut digest = Digest::new();
        for word in words {
            digest.fold(*word);
        }
        digest.value()
    }

    #[test]
    fn every_single_bit_of_a_run_counts() {
        let words: Vec<u64> = (0..40).map(|i| i * i * 1_000_003).collect();
        let mut seen = BTreeSet::from([digest(&words)]);
        for at in 0..words.len() {
            for bit in 0..64 {
                let mut other = words.clone();
                other[at] ^= 1 << bit;
                assert!(seen.insert(digest(&other)), "bit {bit} of word {at}");
            }
        }
    }

    #[test]
    fn a_bit_of_the_next_word_does_not_undo_a_bit() {
        let words = [7_u64; 3];
        for first in 0..64 {
            for second in 0..64 {
                let mut other = words;
                other[0] ^= 1 << first;
                other[1] ^= 1 << second;
                assert_ne!(digest(&words), digest(&other), "bits {first} and {second}");
            }
        }
    }

    #[test]
    fn the_order_of_words_counts() {
        let words: Vec<u64> = (1..30).collect();
        let mut seen = BTreeSet::from([digest(&words)]);
        for i in 0..words.len() {
            for j in 0..i {
                let mut other = words.clone();
                other.swap(i, j);
                assert!(seen.insert(digest(&other)), "words {i} and {j} swapped");
            }
        }
    }

    #[test]
    fn zero_words_count_wherever_they_stand() {
        let mut seen = BTreeSet::new();
        for zeros in 0..100 {
            assert!(seen.insert(digest(&vec![0; zeros])), "{zeros} zeros");
        }
        assert_ne!(digest(&[0, 5]), digest(&[5]));
        assert_ne!(digest(&[5, 0]), digest(&[5]));
        assert_ne!(digest(&[0, 5]), digest(&[5, 0]));
    }

    #[test]
    fn the_function_is_frozen() {
        assert_eq!(digest(&[]), 0xdace_b5e2_35f3_0ca3);
        assert_eq!(digest(&[1, 2, 3]), 0x68ca_5db1_6c6b_3625);
    }

    #[test]
    fn a_changed_bit_changes_half_of_the_value() {
        let base = digest(&[0x11, 0x22, 0x33]);
        let flipped: u32 =
            (0..64).map(|bit| (digest(&[0x11, 0x22 ^ (1 << bit), 0x33]) ^ base).count_ones()).sum();
        let mean = f64::from(flipped) / 64.0;
        assert!((28.0..36.0).contains(&mean), "{mean} bits");
    }

    proptest! {
        #[test]
        fn one_changed_word_never_goes_unseen(
            words in prop::collection::vec(any::<u64>(), 1..50),
            at in any::<prop::sample::Index>(),
            change in 1_u64..,
        ) {
            let mut other = words.clone();
            other[at.index(words.len())] ^= change;
            prop_assert_ne!(digest(&words), digest(&other));
        }
    }
}
