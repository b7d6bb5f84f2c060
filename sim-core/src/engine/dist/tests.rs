use super::*;
use crate::engine::{CounterStream, Digest, Stream};
use statrs::distribution::{ChiSquared, ContinuousCDF, Exp, LogNormal, Normal, Pareto, Weibull};

const DRAWS: usize = 100_000;

fn draw(dist: &Dist, seed: u64, count: usize) -> Vec<f64> {
    let sampler = Sampler::new(dist).expect("the parameters are right");
    let mut random = Stream::new(seed, "dist", "test");
    (0..count).map(|_| sampler.sample(&mut random)).collect()
}

/// Kolmogorov-Smirnov: whether the largest distance between the values' own distribution and `cdf` is
/// below what a right sampler exceeds with a chance of 0.1 % (1.949 / sqrt(n) for large n).
fn fits(mut values: Vec<f64>, cdf: impl Fn(f64) -> f64) -> bool {
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let distance = values.iter().enumerate().fold(0.0_f64, |distance, (at, value)| {
        let below = cdf(*value) - at as f64 / n;
        let above = (at as f64 + 1.0) / n - cdf(*value);
        distance.max(below).max(above)
    });
    distance < 1.949 / n.sqrt()
}

fn assert_fits(dist: &Dist, cdf: impl Fn(f64) -> f64) {
    for seed in 1..=3 {
        assert!(fits(draw(dist, seed, DRAWS), &cdf), "{dist:?} with seed {seed}");
    }
}

#[test]
fn uniform_values_are_uniform() {
    assert_fits(&Dist::Uniform { low: 2.0, high: 10.0 }, |x| (x - 2.0) / 8.0);
}

#[test]
fn exponential_values_are_exponential() {
    let oracle = Exp::new(1.0 / 0.005).expect("the rate is above 0");
    assert_fits(&Dist::Exponential { mean: 0.005 }, |x| oracle.cdf(x));
}

#[test]
fn lognormal_values_are_lognormal() {
    for (median, sigma) in [(20_000.0, 1.5), (0.01, 0.25)] {
        let oracle = LogNormal::new(libm::log(median), sigma).expect("sigma is above 0");
        assert_fits(&Dist::LogNormal { median, sigma }, |x| oracle.cdf(x));
    }
}

#[test]
fn the_polar_method_gives_normal_numbers() {
    let oracle = Normal::new(0.0, 1.0).expect("the deviation is above 0");
    let mut random = Stream::new(1, "dist", "normal");
    assert!(fits((0..DRAWS).map(|_| normal(&mut random)).collect(), |x| oracle.cdf(x)));
}

#[test]
fn bounded_pareto_values_are_pareto_cut_at_the_upper_bound() {
    for (low, high, alpha) in [(1_000.0, 1e7, 1.2), (1.0, 3.0, 1.0), (1.0, 1.5, 0.3)] {
        let oracle = Pareto::new(low, alpha).expect("both are above 0");
        let below_high = oracle.cdf(high);
        let dist = Dist::BoundedPareto { low, high, alpha };
        assert_fits(&dist, |x| oracle.cdf(x) / below_high);
        assert!(draw(&dist, 4, DRAWS).into_iter().all(|x| (low..=high).contains(&x)));
    }
}

#[test]
fn weibull_values_are_weibull() {
    for (scale, shape) in [(2.0, 0.5), (0.1, 3.0)] {
        let oracle = Weibull::new(shape, scale).expect("both are above 0");
        assert_fits(&Dist::Weibull { scale, shape }, |x| oracle.cdf(x));
    }
}

#[test]
fn the_test_of_fit_sees_a_mean_that_is_off_by_two_percent() {
    let oracle = Exp::new(1.0 / 0.005).expect("the rate is above 0");
    assert!(!fits(draw(&Dist::Exponential { mean: 0.0051 }, 1, DRAWS), |x| oracle.cdf(x)));
}

/// Chi-square of the counts of values 0, 1, 2... against the weights: whether it is below what a right
/// sampler exceeds with a chance of 0.1 %.
fn counts_fit(values: &[f64], weights: &[f64]) -> bool {
    let total: f64 = weights.iter().sum();
    let used = weights.iter().filter(|weight| **weight > 0.0).count();
    let square: f64 = (0..weights.len())
        .filter(|at| weights[*at] > 0.0)
        .map(|at| {
            let found = values.iter().filter(|value| **value as usize == at).count() as f64;
            let expected = values.len() as f64 * weights[at] / total;
            (found - expected) * (found - expected) / expected
        })
        .sum();
    let oracle = ChiSquared::new(used as f64 - 1.0).expect("two or more values have weight");
    square < oracle.inverse_cdf(0.999)
}

#[test]
fn empirical_values_come_as_often_as_their_weights_say() {
    for weights in [vec![1.0, 2.0, 3.0, 4.0], vec![0.0, 5.0, 0.0, 0.01, 1.0], vec![1.0; 7]] {
        let points = weights.iter().enumerate().map(|(at, weight)| (at as f64, *weight)).collect();
        let values = draw(&Dist::Empirical { points }, 1, DRAWS);
        assert!(counts_fit(&values, &weights), "{weights:?}");
        assert!(values.iter().all(|value| weights[*value as usize] > 0.0));
        let mut wrong = weights.clone();
        wrong[1] *= 1.1;
        assert!(!counts_fit(&values, &wrong), "{weights:?} taken for {wrong:?}");
    }
}

#[test]
fn one_draw_of_each_of_many_counters_fits_too() {
    let oracle = Exp::new(1.0).expect("the rate is above 0");
    let sampler = Sampler::new(&Dist::Exponential { mean: 1.0 }).expect("the mean is above 0");
    let key = CounterStream::key(1, "client", "size");
    let values = (0..DRAWS as u64).map(|at| sampler.sample(&mut CounterStream::new(key, at)));
    assert!(fits(values.collect(), |x| oracle.cdf(x)));
}

/// One of each, with the digest of its first 10,000 values.
fn all() -> [(Dist, u64); 7] {
    [
        (Dist::Constant(3.5), 1_037_235_467_472_317_864),
        (Dist::Uniform { low: 1.0, high: 2.0 }, 6_643_351_964_039_607_352),
        (Dist::Exponential { mean: 0.005 }, 1_951_695_539_174_807_996),
        (Dist::LogNormal { median: 8_000.0, sigma: 1.25 }, 6_016_137_384_854_566_963),
        (Dist::BoundedPareto { low: 500.0, high: 1e6, alpha: 1.1 }, 6_212_405_799_044_850_676),
        (Dist::Weibull { scale: 0.2, shape: 0.7 }, 1_040_323_824_558_789_781),
        (
            Dist::Empirical { points: vec![(1.0, 0.2), (10.0, 0.5), (100.0, 0.3)] },
            9_983_039_942_525_143_075,
        ),
    ]
}

#[test]
fn every_sampler_draws_the_same_bits_in_every_version_and_on_every_machine() {
    let found = all().map(|(dist, _)| {
        let mut digest = Digest::new();
        for value in draw(&dist, 1, 10_000) {
            digest.fold(value.to_bits());
        }
        (dist, digest.value())
    });
    assert_eq!(found, all());
}

#[test]
fn the_mean_is_that_of_many_draws() {
    for (dist, _) in all() {
        let values = draw(&dist, 5, DRAWS);
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let square = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / n;
        // 4 standard errors: a chance of 6e-5 for a right mean
        let error = 4.0 * (square / n).sqrt() + 1e-12;
        assert!((mean - dist.mean()).abs() < error, "{dist:?}: {mean}, not {}", dist.mean());
    }
}

#[test]
fn the_mean_of_a_bounded_pareto_goes_smoothly_through_a_tail_index_of_1() {
    let mean = |alpha| Dist::BoundedPareto { low: 2.0, high: 20.0, alpha }.mean();
    let at_1 = 2.0 * libm::log(10.0) / (1.0 - 0.1);
    assert!((mean(1.0) - at_1).abs() < 1e-12);
    assert!((mean(1.0 + 1e-9) - at_1).abs() < 1e-7 && (mean(1.0 - 1e-9) - at_1).abs() < 1e-7);
    let one_value = Dist::BoundedPareto { low: 2.0, high: 2.0, alpha: 1.5 };
    assert!((one_value.mean() - 2.0).abs() < 1e-12);
    assert!(draw(&one_value, 1, 100).into_iter().all(|x| (x - 2.0).abs() < 1e-12));
}

#[test]
fn a_wrong_parameter_is_named_with_what_was_found_and_what_is_allowed() {
    let message = |dist: Dist| Sampler::new(&dist).expect_err("a parameter is wrong");
    assert_eq!(
        message(Dist::Exponential { mean: -1.0 }),
        "the mean is -1; allowed is a finite number above 0"
    );
    assert_eq!(
        message(Dist::Uniform { low: 3.0, high: 2.0 }),
        "high is 2; allowed is a finite number, low (3) or above"
    );
    assert_eq!(
        message(Dist::Empirical { points: vec![(1.0, 1.0), (2.0, -0.5)] }),
        "weight 2 is -0.5; allowed is a finite number, 0 or above"
    );
}

#[test]
fn every_wrong_parameter_is_refused() {
    for wrong in [-1.0, f64::NAN, f64::INFINITY] {
        let points = vec![(wrong, 1.0)];
        let weights = vec![(1.0, wrong), (1.0, 1.0)];
        for dist in [
            Dist::Constant(wrong),
            Dist::Uniform { low: wrong, high: 1.0 },
            Dist::Uniform { low: 0.5, high: wrong },
            Dist::Exponential { mean: wrong },
            Dist::LogNormal { median: wrong, sigma: 1.0 },
            Dist::LogNormal { median: 1.0, sigma: wrong },
            Dist::BoundedPareto { low: wrong, high: 1.0, alpha: 1.0 },
            Dist::BoundedPareto { low: 0.5, high: wrong, alpha: 1.0 },
            Dist::BoundedPareto { low: 0.5, high: 1.0, alpha: wrong },
            Dist::Weibull { scale: wrong, shape: 1.0 },
            Dist::Weibull { scale: 1.0, shape: wrong },
            Dist::Empirical { points },
            Dist::Empirical { points: weights },
        ] {
            assert!(dist.validate().is_err(), "{dist:?}");
        }
    }
    for points in [vec![], vec![(1.0, 0.0)]] {
        assert!(Dist::Empirical { points }.validate().is_err());
    }
}

#[test]
fn extreme_but_allowed_parameters_give_neither_a_negative_nor_a_nan() {
    for dist in [
        Dist::Constant(0.0),
        Dist::Uniform { low: 0.0, high: 0.0 },
        Dist::Uniform { low: 0.0, high: f64::MAX },
        Dist::Exponential { mean: f64::MAX },
        Dist::LogNormal { median: 1.0, sigma: 1e6 },
        Dist::LogNormal { median: f64::MIN_POSITIVE, sigma: 1e6 },
        Dist::BoundedPareto { low: f64::MIN_POSITIVE, high: f64::MAX, alpha: 1e-9 },
        Dist::BoundedPareto { low: 1e-300, high: 1e300, alpha: 1e9 },
        Dist::Weibull { scale: 1.0, shape: 1e-9 },
        Dist::Weibull { scale: f64::MAX, shape: 1e9 },
    ] {
        assert!(draw(&dist, 1, 2_000).into_iter().all(|value| value >= 0.0), "{dist:?}");
    }
}
