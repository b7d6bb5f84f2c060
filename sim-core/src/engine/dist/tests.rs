//! Samplers against their distribution functions, means, bounds, and frozen values.

use super::*;
use crate::engine::rng::CounterStream;
use crate::engine::{Digest, Stream, Uniform};
use proptest::prelude::*;
use statrs::distribution::{self as oracle, ContinuousCDF};

/// Draws of each distribution in the tests below.
const N: usize = 50_000;

/// Kolmogorov's distance that is exceeded once in 1,000 samples of `N`: `1.9495 / sqrt(N)`.
const FAR: f64 = 1.9495 / 223.606_797_749_979;

fn draw(dist: &Dist, n: usize, seed: u64) -> Vec<f64> {
    let sampler = Sampler::new(dist).expect("valid");
    let mut stream = Stream::new(seed, "test", "sample");
    (0..n).map(|_| sampler.sample(&mut stream)).collect()
}

/// Kolmogorov's distance: the largest difference between the shares of samples and probabilities.
fn distance(mut samples: Vec<f64>, cdf: impl Fn(f64) -> f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let n = samples.len() as f64;
    let far = samples.iter().enumerate().map(|(i, x)| {
        let p = cdf(*x);
        (p - i as f64 / n).max((i + 1) as f64 / n - p)
    });
    far.fold(0.0, f64::max)
}

type Cdf = Box<dyn Fn(f64) -> f64>;

/// Distributions with the distribution function of each.
fn continuous() -> Vec<(Dist, Cdf)> {
    fn with<C: ContinuousCDF<f64, f64> + 'static>(dist: Dist, oracle: C) -> (Dist, Cdf) {
        (dist, Box::new(move |x| oracle.cdf(x)))
    }
    let pareto = |low: f64, high: f64, alpha: f64| {
        let unbounded = oracle::Pareto::new(low, alpha).expect("valid");
        let cdf = move |x| unbounded.cdf(x) / unbounded.cdf(high);
        (Dist::BoundedPareto { low, high, alpha }, Box::new(cdf) as Cdf)
    };
    vec![
        with(Dist::Uniform { low: 2.0, high: 5.0 }, oracle::Uniform::new(2.0, 5.0).expect("valid")),
        with(Dist::Exponential { mean: 0.005 }, oracle::Exp::new(200.0).expect("valid")),
        with(
            Dist::LogNormal { median: 3.0, sigma: 1.5 },
            oracle::LogNormal::new(libm::log(3.0), 1.5).expect("valid"),
        ),
        with(
            Dist::LogNormal { median: 1e-3, sigma: 0.1 },
            oracle::LogNormal::new(libm::log(1e-3), 0.1).expect("valid"),
        ),
        pareto(1_000.0, 1e7, 1.2),
        pareto(1.0, 3.0, 0.3),
        pareto(2.0, 50.0, 1.0),
        with(
            Dist::Weibull { scale: 2.0, shape: 0.5 },
            oracle::Weibull::new(0.5, 2.0).expect("valid"),
        ),
        with(
            Dist::Weibull { scale: 0.1, shape: 3.0 },
            oracle::Weibull::new(3.0, 0.1).expect("valid"),
        ),
    ]
}

fn sizes() -> Dist {
    Dist::Empirical {
        points: vec![
            (500.0, 10.0),
            (1_000.0, 1.0),
            (2_000.0, 0.0),
            (4_000.0, 55.0),
            (8_000.0, 4.0),
            (8_000.0, 3.0),
            (1e6, 0.25),
        ],
    }
}

#[test]
fn samples_follow_the_distribution_function() {
    for (dist, cdf) in continuous() {
        let far = distance(draw(&dist, N, 1), cdf);
        assert!(far < FAR, "{dist:?}: distance {far}, of {FAR} allowed");
    }
}

#[test]
fn the_distance_would_notice_a_parameter_that_is_off_by_some_percent() {
    let off = oracle::Exp::new(200.0 * 1.04).expect("valid");
    assert!(distance(draw(&Dist::Exponential { mean: 0.005 }, N, 1), |x| off.cdf(x)) > FAR);
    let off = oracle::LogNormal::new(libm::log(3.0), 1.44).expect("valid");
    let dist = Dist::LogNormal { median: 3.0, sigma: 1.5 };
    assert!(distance(draw(&dist, N, 1), |x| off.cdf(x)) > FAR);
}

#[test]
fn samples_drawn_by_counter_follow_the_distribution_function() {
    for (dist, cdf) in continuous() {
        let sampler = Sampler::new(&dist).expect("valid");
        let samples =
            (0..N as u64).map(|i| sampler.sample(&mut CounterStream::new(8, i))).collect();
        let far = distance(samples, cdf);
        assert!(far < FAR, "{dist:?}: distance {far}, of {FAR} allowed");
    }
}

#[test]
fn values_come_as_often_as_their_weights_say() {
    let sum = 73.25;
    let samples = draw(&sizes(), N, 2);
    let mut chi2 = 0.0;
    for (value, weight) in [(500.0, 10.0), (1e3, 1.0), (4e3, 55.0), (8e3, 7.0), (1e6, 0.25)] {
        let found = samples.iter().filter(|x| x.total_cmp(&value).is_eq()).count() as f64;
        let expected = N as f64 * weight / sum;
        chi2 += (found - expected) * (found - expected) / expected;
    }
    let limit = oracle::ChiSquared::new(4.0).expect("valid").inverse_cdf(0.999);
    assert!(chi2 < limit, "chi-squared {chi2}, of {limit} allowed");
    assert!(samples.iter().all(|x| x.total_cmp(&2e3).is_ne()), "a weight of 0 is never drawn");
}

#[test]
fn many_values_come_as_often_as_their_weights_say() {
    let points: Vec<(f64, f64)> =
        (0..400).map(|i| (f64::from(i), f64::from((i * 7919) % 101 + 1))).collect();
    let sum: f64 = points.iter().map(|p| p.1).sum();
    let mut found = vec![0_u32; points.len()];
    for x in draw(&Dist::Empirical { points: points.clone() }, N, 3) {
        found[x as usize] += 1;
    }
    let chi2: f64 = points
        .iter()
        .zip(found)
        .map(|((_, weight), found)| {
            let expected = N as f64 * weight / sum;
            (f64::from(found) - expected) * (f64::from(found) - expected) / expected
        })
        .sum();
    let limit = oracle::ChiSquared::new(399.0).expect("valid").inverse_cdf(0.999);
    assert!(chi2 < limit, "chi-squared {chi2}, of {limit} allowed");
}

#[test]
fn the_mean_of_samples_is_the_mean() {
    for dist in continuous().into_iter().map(|(dist, _)| dist).chain([sizes()]) {
        let samples = draw(&dist, N, 4);
        let n = samples.len() as f64;
        let average = samples.iter().sum::<f64>() / n;
        let variance =
            samples.iter().map(|x| (x - average) * (x - average)).sum::<f64>() / (n - 1.0);
        let mean = dist.mean().expect("known");
        // Four standard errors.
        let allowed = 4.0 * (variance / n).sqrt();
        assert!((average - mean).abs() < allowed, "{dist:?}: {average} for {mean} +- {allowed}");
    }
}

#[test]
fn means_are_those_of_the_formulas() {
    let near = |dist: Dist, mean: f64| {
        let found = dist.mean().expect("known");
        assert!((found - mean).abs() < 1e-9 * mean, "{dist:?}: {found}, not {mean}");
    };
    near(Dist::Constant(3.0), 3.0);
    near(Dist::Exponential { mean: 0.25 }, 0.25);
    near(Dist::LogNormal { median: 1.0, sigma: 2.0 }, 7.389_056_098_930_65);
    near(Dist::Weibull { scale: 2.0, shape: 1.0 }, 2.0);
    near(Dist::Weibull { scale: 2.0, shape: 0.5 }, 4.0);
    // The densities are 1 / (x ln 2), 2 / (3 x^2) * 4 / 2 and so on, integrated by hand.
    near(Dist::BoundedPareto { low: 1.0, high: 2.0, alpha: 1.0 }, 2.0 * libm::log(2.0));
    near(Dist::BoundedPareto { low: 1.0, high: 2.0, alpha: 2.0 }, 4.0 / 3.0);
    near(Dist::BoundedPareto { low: 5.0, high: 5.0, alpha: 2.0 }, 5.0);
}

#[test]
fn a_mean_beyond_all_numbers_is_none() {
    assert_eq!(Dist::LogNormal { median: 1.0, sigma: 100.0 }.mean(), None);
    assert_eq!(Dist::Weibull { scale: 1.0, shape: 1e-3 }.mean(), None);
    assert_eq!(Dist::Exponential { mean: f64::NAN }.mean(), None);
}

/// Panics when drawn from.
struct Dry;

impl Uniform for Dry {
    fn next_u64(&mut self) -> u64 {
        panic!("a constant takes no random number")
    }
}

#[test]
fn what_has_no_choice_draws_nothing() {
    for dist in [
        Dist::Constant(7.0),
        Dist::Uniform { low: 7.0, high: 7.0 },
        Dist::LogNormal { median: 7.0, sigma: 0.0 },
        Dist::BoundedPareto { low: 7.0, high: 7.0, alpha: 1.0 },
        Dist::Empirical { points: vec![(3.0, 0.0), (7.0, 2.0)] },
    ] {
        let sample = Sampler::new(&dist).expect("valid").sample(&mut Dry);
        assert_eq!(sample.to_bits(), 7.0_f64.to_bits(), "{dist:?}");
    }
}

#[test]
fn the_first_thousand_samples_are_frozen() {
    let frozen = [
        0x3623_17f1_6837_7a69,
        0xd209_a8fe_e677_fe56,
        0xf097_e92e_1243_c51d,
        0xad38_d7a5_e82a_66cf,
        0x1fac_c04e_1004_e8f3,
        0x013b_d60a_5e67_1d85,
        0xadae_51f6_4216_0362,
        0x7c1a_9bd6_d147_d7f6,
        0xc807_b857_7a17_34db,
        0x43d4_a800_b6da_c197,
    ];
    let dists: Vec<Dist> =
        continuous().into_iter().map(|(dist, _)| dist).chain([sizes()]).collect();
    let found: Vec<u64> = dists
        .iter()
        .map(|dist| {
            let mut digest = Digest::new();
            for x in draw(dist, 1_000, 42) {
                digest.fold(x.to_bits());
            }
            digest.value()
        })
        .collect();
    assert_eq!(found, frozen, "{found:#018x?}");
}

#[test]
fn errors_say_what_was_found_and_what_is_allowed() {
    let says = |dist: Dist, text: &str| {
        assert_eq!(dist.validate().expect_err("invalid").to_string(), text);
        assert_eq!(Sampler::new(&dist).expect_err("invalid").to_string(), text);
    };
    says(
        Dist::Constant(f64::NAN),
        "constant distribution: value is NaN, but must be a finite number, at least 0",
    );
    says(
        Dist::Uniform { low: 0.0, high: f64::INFINITY },
        "uniform distribution: high is inf, but must be a finite number, at least 0",
    );
    says(
        Dist::Uniform { low: 3.0, high: 1.5 },
        "uniform distribution: low is 3 and high is 1.5, but low must not be above high",
    );
    says(
        Dist::LogNormal { median: 0.0, sigma: 1.0 },
        "log-normal distribution: median is 0, but must be a finite number above 0",
    );
    says(
        Dist::BoundedPareto { low: 1.0, high: 2.0, alpha: 0.0 },
        "bounded Pareto distribution: alpha is 0, but must be a finite number above 0",
    );
    says(
        Dist::Weibull { scale: 1.0, shape: -2.0 },
        "Weibull distribution: shape is -2, but must be a finite number above 0",
    );
    says(
        Dist::Empirical { points: vec![(1.0, 1.0), (2.0, -0.5)] },
        "empirical distribution: the weight of point 2 is -0.5, but must be a finite number, at least 0",
    );
    says(
        Dist::Empirical { points: Vec::new() },
        "empirical distribution: there are no points, but must be at least one",
    );
    says(
        Dist::Empirical { points: vec![(1.0, 0.0), (2.0, 0.0)] },
        "empirical distribution: every weight (2 in all) is 0, but at least one must be above 0",
    );
}

/// Any `f64`: usual sizes, extreme ones, and what is no number at all.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..1e6,
        2 => (-300.0..300.0).prop_map(|e| libm::pow(10.0, e)),
        1 => any::<f64>(),
        1 => prop::sample::select(vec![
            0.0, -0.0, -1.0, f64::MIN_POSITIVE, 5e-324, f64::MAX, f64::INFINITY, f64::NAN,
        ]),
    ]
}

fn any_dist() -> impl Strategy<Value = Dist> {
    prop_oneof![
        number().prop_map(Dist::Constant),
        (number(), number()).prop_map(|(low, high)| Dist::Uniform { low, high }),
        number().prop_map(|mean| Dist::Exponential { mean }),
        (number(), number()).prop_map(|(median, sigma)| Dist::LogNormal { median, sigma }),
        (number(), number(), number()).prop_map(|(low, high, alpha)| Dist::BoundedPareto {
            low,
            high,
            alpha
        }),
        (number(), number()).prop_map(|(scale, shape)| Dist::Weibull { scale, shape }),
        prop::collection::vec((number(), number()), 0..20)
            .prop_map(|points| Dist::Empirical { points }),
    ]
}

/// Whether `dist` keeps the ranges that its documentation states, written anew, and its bounds.
fn bounds(dist: &Dist) -> Option<(f64, f64)> {
    let zero_up = 0.0..=f64::MAX;
    let positive = 5e-324..=f64::MAX;
    let (valid, low, high) = match dist {
        Dist::Constant(x) => (zero_up.contains(x), *x, *x),
        Dist::Uniform { low, high } => {
            (zero_up.contains(low) && (*low..=f64::MAX).contains(high), *low, *high)
        }
        Dist::Exponential { mean } => (positive.contains(mean), 0.0, f64::MAX),
        Dist::LogNormal { median, sigma } => {
            (positive.contains(median) && zero_up.contains(sigma), 0.0, f64::MAX)
        }
        Dist::BoundedPareto { low, high, alpha } => (
            positive.contains(low) && (*low..=f64::MAX).contains(high) && positive.contains(alpha),
            *low,
            *high,
        ),
        Dist::Weibull { scale, shape } => {
            (positive.contains(scale) && positive.contains(shape), 0.0, f64::MAX)
        }
        Dist::Empirical { points } => {
            let drawn = || points.iter().filter(|p| p.1 > 0.0).map(|p| p.0);
            (
                points.iter().all(|p| zero_up.contains(&p.0) && zero_up.contains(&p.1))
                    && drawn().next().is_some(),
                drawn().fold(f64::MAX, f64::min),
                drawn().fold(0.0, f64::max),
            )
        }
    };
    valid.then_some((low, high))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn valid_distributions_stay_in_bounds_and_others_are_errors(
        dist in any_dist(), key in any::<u64>(),
    ) {
        let sampler = Sampler::new(&dist);
        prop_assert_eq!(sampler.is_ok(), dist.validate().is_ok());
        prop_assert_eq!(sampler.is_ok(), bounds(&dist).is_some());
        let (Ok(sampler), Some((low, high))) = (sampler, bounds(&dist)) else {
            prop_assert_eq!(dist.mean(), None);
            return Ok(());
        };
        let mut source = CounterStream::new(key, 0);
        for _ in 0..50 {
            let x = sampler.sample(&mut source);
            prop_assert!(x.is_finite() && x >= 0.0, "{}", x);
            prop_assert!(low <= x && x <= high, "{} not in {} to {}", x, low, high);
        }
        if let Some(mean) = dist.mean() {
            let slack = 1e-12 * mean;
            prop_assert!(low - slack <= mean && mean <= high + slack, "mean {}", mean);
        }
    }

    #[test]
    fn the_ends_of_the_random_words_stay_in_bounds(dist in any_dist()) {
        struct Word(u64);
        impl Uniform for Word {
            fn next_u64(&mut self) -> u64 {
                self.0
            }
        }
        // The polar method rejects pairs outside of the unit circle, such as those of the ends.
        prop_assume!(!matches!(dist, Dist::LogNormal { .. }));
        if let (Ok(sampler), Some((low, high))) = (Sampler::new(&dist), bounds(&dist)) {
            for word in [0, 1, 1 << 12, 1 << 63, u64::MAX - (1 << 12), u64::MAX] {
                let x = sampler.sample(&mut Word(word));
                prop_assert!(low <= x && x <= high, "{} not in {} to {}", x, low, high);
            }
        }
    }
}
