//! A digest of what happened in a run.

/// Folds words into one, for telling whether two runs did the same.
///
/// The order of the words counts. Two sequences of equal length that differ in one word only always
/// have different digests, since a step is one-to-one in the word and in the state; any other two
/// share a digest with a chance of about 2^-64. It is not cryptographic: whoever wants a collision
/// can compute one.
///
/// ```
/// use sim_core::engine::Digest;
/// let mut digest = Digest::new();
/// digest.fold(1);
/// digest.fold(2);
/// let mut other = Digest::new();
/// other.fold(2);
/// other.fold(1);
/// assert_ne!(digest.value(), other.value());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Digest(u64);

impl Digest {
    /// The digest of nothing yet.
    pub const fn new() -> Self {
        // any odd-looking start: from 0 a run of zeros would stay there
        Self(0x243f_6a88_85a3_08d3)
    }

    /// Adds a word.
    #[inline]
    pub const fn fold(&mut self, word: u64) {
        // The product moves differences up, the rotation brings them down again for the next word.
        self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }

    /// The digest of the words so far.
    pub const fn value(self) -> u64 {
        super::rng::mix(self.0)
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

    fn digest(words: &[u64]) -> u64 {
        let mut digest = Digest::new();
        for word in words {
            digest.fold(*word);
        }
        digest.value()
    }

    #[test]
    fn it_is_the_same_in_every_version() {
        assert_eq!(digest(&[]), 16_852_473_371_444_490_038);
        assert_eq!(digest(&[0, 1, u64::MAX]), 2_039_300_263_251_653_976);
    }

    #[test]
    fn small_words_in_any_order_and_number_do_not_collide() {
        let mut seen = std::collections::BTreeSet::new();
        let mut count = 0;
        for length in 0..=6 {
            for code in 0..6_u64.pow(length) {
                let words: Vec<u64> = (0..length).map(|at| code / 6_u64.pow(at) % 6).collect();
                seen.insert(digest(&words));
                count += 1;
            }
        }
        assert_eq!(seen.len(), count);
    }

    #[test]
    fn one_flipped_bit_of_any_word_flips_about_half_of_the_digest() {
        let words = [7_u64; 8];
        let mut flipped = 0;
        for at in 0..8 {
            for bit in 0..64 {
                let mut other = words;
                other[at] ^= 1 << bit;
                flipped += (digest(&words) ^ digest(&other)).count_ones();
            }
        }
        let share = f64::from(flipped) / (8.0 * 64.0 * 64.0);
        assert!((0.48..0.52).contains(&share), "{share} of the bits flipped");
    }

    proptest! {
        #[test]
        fn a_changed_word_or_two_swapped_ones_show(
            words in prop::collection::vec(0..1_000_u64, 2..50),
            at: prop::sample::Index,
            with: prop::sample::Index,
            change in 1..u64::MAX,
        ) {
            let at = at.index(words.len());
            let with = with.index(words.len());
            let mut changed = words.clone();
            changed[at] ^= change;
            prop_assert_ne!(digest(&words), digest(&changed));
            let mut swapped = words.clone();
            swapped.swap(at, with);
            prop_assert_eq!(digest(&words) == digest(&swapped), words == swapped);
        }
    }
}
