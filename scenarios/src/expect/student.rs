//! Means with confidence intervals (Student's t).

/// A mean of independent measurements with its confidence interval.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Interval {
    /// Mean.
    pub mean: f64,
    /// Half the width of the interval; 0 for one measurement.
    pub half: f64,
    /// Number of measurements.
    pub count: usize,
}

impl Interval {
    /// The mean of `values` with its 99 % confidence interval.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len();
        let mean = values.iter().sum::<f64>() / (n.max(1)) as f64;
        if n < 2 {
            return Self { mean, half: 0.0, count: n };
        }
        let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        let error = (squares / (n - 1) as f64 / n as f64).sqrt();
        Self { mean, half: quantile_995(n - 1) * error, count: n }
    }
}

/// The 0.995 quantile of Student's t distribution, for two-sided 99 % intervals.
///
/// Up to 30 degrees of freedom from a table (three decimals); above by the Cornish-Fisher
/// expansion around the normal quantile (Abramowitz and Stegun 26.7.5), exact to 1e-4 there.
pub fn quantile_995(degrees: usize) -> f64 {
    const TABLE: [f64; 30] = [
        63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169, 3.106, 3.055, 3.012,
        2.977, 2.947, 2.921, 2.898, 2.878, 2.861, 2.845, 2.831, 2.819, 2.807, 2.797, 2.787, 2.779,
        2.771, 2.763, 2.756, 2.750,
    ];
    match degrees {
        0 => f64::INFINITY,
        1..=30 => TABLE[degrees - 1],
        _ => {
            let n = degrees as f64;
            let z = 2.575_829_303_548_901;
            let (z3, z5) = (z * z * z, z * z * z * z * z);
            let g1 = (z3 + z) / 4.0;
            let g2 = (5.0 * z5 + 16.0 * z3 + 3.0 * z) / 96.0;
            let g3 = (3.0 * z5 * z * z + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / 384.0;
            z + g1 / n + g2 / (n * n) + g3 / (n * n * n)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::distribution::{ContinuousCDF, StudentsT};

    #[test]
    fn the_quantiles_are_those_of_the_distribution() {
        for degrees in (1..=200).chain([500, 1000, 10_000]) {
            let exact = StudentsT::new(0.0, 1.0, degrees as f64).unwrap().inverse_cdf(0.995);
            let error = (quantile_995(degrees) - exact).abs();
            assert!(error < 6e-4, "{degrees}: {} {exact}", quantile_995(degrees));
        }
    }

    #[test]
    fn an_interval_of_known_numbers() {
        let i = Interval::of(&[1.0, 2.0, 3.0]);
        assert!((i.mean - 2.0).abs() < 1e-12);
        // s = 1, s/sqrt(3) = 0.57735, t(2) = 9.925
        assert!((i.half - 5.730).abs() < 1e-3);
        assert!(Interval::of(&[4.0]).half.abs() < 1e-12);
    }
}
