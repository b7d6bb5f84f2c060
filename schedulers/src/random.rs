//! The random source of `twos`.

/// Where `twos` takes its two draws from.
///
/// Every `rand` generator is one. Write your own to replay recorded draws:
///
/// ```
/// use schedulers::{Algorithm, DestSpec, Flags, Flow, RandomSource, Service};
///
/// struct Recorded(Vec<u32>);
///
/// impl RandomSource for Recorded {
///     fn next_u32(&mut self) -> u32 {
///         self.0.pop().unwrap_or(0)
///     }
///
///     fn below(&mut self, _ceil: u32) -> u32 {
///         self.next_u32()
///     }
/// }
///
/// let mut twos = Service::new(Algorithm::Twos, Flags::NONE);
/// let a = twos.add_dest(DestSpec::new([10, 0, 0, 1].into(), 80, 1))?;
/// let b = twos.add_dest(DestSpec::new([10, 0, 0, 2].into(), 80, 1))?;
/// let flow = Flow::new([10, 9, 9, 9].into(), 40000, [10, 1, 1, 100].into(), 80);
/// // 0 and 1 name the head of the list, 2 the other; equal loads leave it at the first draw.
/// assert_eq!(twos.schedule(&flow, 0, &mut Recorded(vec![2, 1])), Some(b));
/// assert_eq!(twos.schedule(&flow, 0, &mut Recorded(vec![1, 2])), Some(a));
/// # Ok::<(), schedulers::Error>(())
/// ```
pub trait RandomSource {
    /// A uniform 32-bit number.
    fn next_u32(&mut self) -> u32;

    /// A uniform number below `ceil`; with `ceil` = 0 any 32-bit number, as the kernel's
    /// `get_random_u32_below` answers.
    ///
    /// The provided method multiplies and rejects (Lemire 2019, "Fast random integer generation in
    /// an interval"): no bias, one draw almost always.
    fn below(&mut self, ceil: u32) -> u32 {
        if ceil == 0 {
            return self.next_u32();
        }
        loop {
            let wide = u64::from(self.next_u32()) * u64::from(ceil);
            // The low half must not fall into the incomplete last interval.
            if wide as u32 >= ceil.wrapping_neg() % ceil {
                return (wide >> 32) as u32;
            }
        }
    }
}

impl<R: rand::Rng + ?Sized> RandomSource for R {
    fn next_u32(&mut self) -> u32 {
        rand::Rng::next_u32(self)
    }
}

/// The random source of a service that needs none: always 0.
///
/// Every rule but `twos` may be given this one. With it `twos` takes the first eligible
/// destination.
#[derive(Clone, Copy, Default, Debug)]
pub struct NoRandom;

impl RandomSource for NoRandom {
    fn next_u32(&mut self) -> u32 {
        0
    }

    fn below(&mut self, _ceil: u32) -> u32 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Script(alloc::vec::Vec<u32>);

    impl RandomSource for Script {
        fn next_u32(&mut self) -> u32 {
            self.0.remove(0)
        }
    }

    #[test]
    fn a_draw_covers_the_interval_and_rejects_the_incomplete_part() {
        // 2^32 mod 3 = 1: exactly one value of the source is rejected, the 0.
        let mut s = Script(alloc::vec![0, 1, u32::MAX, 0x5555_5556, 0xaaaa_aaac]);
        assert_eq!(s.below(3), 0);
        assert_eq!(s.below(3), 2);
        assert_eq!(s.below(3), 1);
        assert_eq!(s.below(3), 2);
    }

    #[test]
    fn a_ceiling_of_zero_means_the_whole_range() {
        assert_eq!(Script(alloc::vec![77]).below(0), 77);
    }
}
