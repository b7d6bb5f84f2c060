//! Distributions that workloads are sampled from.

mod sampler;
#[cfg(test)]
mod tests;

pub use sampler::Sampler;

use core::fmt;

/// A distribution of a non-negative quantity (seconds, bytes, counts).
///
/// Every parameter must be finite. [`Dist::validate`] says what is wrong with one, [`Sampler::new`]
/// makes it ready to draw from.
///
/// ```
/// use sim_core::engine::{Dist, Sampler, Stream};
/// let think = Dist::LogNormal { median: 2.0, sigma: 0.5 };
/// let sampler = Sampler::new(&think)?;
/// let seconds = sampler.sample(&mut Stream::new(1, "client", "think"));
/// assert!(seconds > 0.0 && seconds.is_finite());
///
/// let wrong = Dist::Exponential { mean: -1.0 };
/// assert_eq!(
///     wrong.validate().unwrap_err().to_string(),
///     "exponential distribution: mean is -1, but must be a finite number above 0",
/// );
/// # Ok::<(), sim_core::engine::dist::DistError>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub enum Dist {
    /// Always the same value, at least 0. Drawing it takes no random number.
    Constant(f64),
    /// Evenly between `low` and `high`.
    Uniform {
        /// Smallest value, at least 0.
        low: f64,
        /// Largest value, at least `low`.
        high: f64,
    },
    /// Exponential: the gaps of a Poisson process. `P(X > x) = exp(-x / mean)`.
    Exponential {
        /// Mean, above 0.
        mean: f64,
    },
    /// The logarithm is normal.
    LogNormal {
        /// Median, above 0: `exp(mu)`.
        median: f64,
        /// Standard deviation of the logarithm, at least 0.
        sigma: f64,
    },
    /// Pareto between two bounds: `P(X > x)` falls as `x^-alpha` from 1 at `low` to 0 at `high`.
    BoundedPareto {
        /// Smallest value, above 0.
        low: f64,
        /// Largest value, at least `low`.
        high: f64,
        /// Tail index, above 0: the smaller, the heavier the tail.
        alpha: f64,
    },
    /// Weibull: `P(X > x) = exp(-(x / scale)^shape)`.
    Weibull {
        /// Scale, above 0.
        scale: f64,
        /// Shape, above 0: below 1 a heavy tail, 1 the exponential.
        shape: f64,
    },
    /// Values with weights, each drawn with probability weight / sum of weights.
    Empirical {
        /// `(value, weight)`, both at least 0, at least one weight above 0.
        points: Vec<(f64, f64)>,
    },
}

/// Why a distribution cannot be drawn from.
#[derive(Clone, PartialEq, Debug)]
pub enum DistError {
    /// A parameter is not a number, infinite, or out of its range.
    Parameter {
        /// The distribution, as a person calls it.
        distribution: &'static str,
        /// The parameter.
        parameter: &'static str,
        /// Its value.
        found: f64,
        /// What it may be.
        allowed: &'static str,
    },
    /// The lower bound is above the upper one.
    Bounds {
        /// The distribution, as a person calls it.
        distribution: &'static str,
        /// The lower bound.
        low: f64,
        /// The upper bound.
        high: f64,
    },
    /// The value or weight of a point is not a number, infinite or negative.
    Point {
        /// Which point, the first is 1.
        number: usize,
        /// `"value"` or `"weight"`.
        part: &'static str,
        /// What it is.
        found: f64,
    },
    /// No point has a weight above 0.
    NoWeight {
        /// How many points there are.
        points: usize,
    },
}

const NOT_NEGATIVE: &str = "a finite number, at least 0";
const POSITIVE: &str = "a finite number above 0";

impl fmt::Display for DistError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter { distribution, parameter, found, allowed } => {
                write!(
                    f,
                    "{distribution} distribution: {parameter} is {found}, but must be {allowed}"
                )
            }
            Self::Bounds { distribution, low, high } => write!(
                f,
                "{distribution} distribution: low is {low} and high is {high}, but low must not be above high"
            ),
            Self::Point { number, part, found } => write!(
                f,
                "empirical distribution: the {part} of point {number} is {found}, but must be {NOT_NEGATIVE}"
            ),
            Self::NoWeight { points: 0 } => {
                f.write_str("empirical distribution: there are no points, but must be at least one")
            }
            Self::NoWeight { points } => write!(
                f,
                "empirical distribution: every weight ({points} in all) is 0, but at least one must be above 0"
            ),
        }
    }
}

impl core::error::Error for DistError {}

/// A parameter and the range that it must be in.
fn check(
    distribution: &'static str,
    parameter: &'static str,
    found: f64,
    allowed: &'static str,
) -> Result<(), DistError> {
    let good = found.is_finite() && if allowed == POSITIVE { found > 0.0 } else { found >= 0.0 };
    if good {
        Ok(())
    } else {
        Err(DistError::Parameter { distribution, parameter, found, allowed })
    }
}

fn check_order(distribution: &'static str, low: f64, high: f64) -> Result<(), DistError> {
    if low <= high { Ok(()) } else { Err(DistError::Bounds { distribution, low, high }) }
}

impl Dist {
    /// Whether it can be drawn from.
    ///
    /// # Errors
    /// The first parameter that is out of its range.
    pub fn validate(&self) -> Result<(), DistError> {
        match *self {
            Self::Constant(value) => check("constant", "value", value, NOT_NEGATIVE),
            Self::Uniform { low, high } => {
                check("uniform", "low", low, NOT_NEGATIVE)?;
                check("uniform", "high", high, NOT_NEGATIVE)?;
                check_order("uniform", low, high)
            }
            Self::Exponential { mean } => check("exponential", "mean", mean, POSITIVE),
            Self::LogNormal { median, sigma } => {
                check("log-normal", "median", median, POSITIVE)?;
                check("log-normal", "sigma", sigma, NOT_NEGATIVE)
            }
            Self::BoundedPareto { low, high, alpha } => {
                check("bounded Pareto", "low", low, POSITIVE)?;
                check("bounded Pareto", "high", high, POSITIVE)?;
                check("bounded Pareto", "alpha", alpha, POSITIVE)?;
                check_order("bounded Pareto", low, high)
            }
            Self::Weibull { scale, shape } => {
                check("Weibull", "scale", scale, POSITIVE)?;
                check("Weibull", "shape", shape, POSITIVE)
            }
            Self::Empirical { ref points } => check_points(points),
        }
    }

    /// The mean, by formula; `None` if the distribution is not valid, or if the mean is too large
    /// for an `f64`.
    ///
    /// ```
    /// use sim_core::engine::Dist;
    /// assert_eq!(Dist::Uniform { low: 1.0, high: 4.0 }.mean(), Some(2.5));
    /// assert_eq!(Dist::Empirical { points: vec![(1.0, 3.0), (5.0, 1.0)] }.mean(), Some(2.0));
    /// ```
    pub fn mean(&self) -> Option<f64> {
        self.validate().ok()?;
        let mean = match *self {
            Self::Constant(value) => value,
            Self::Uniform { low, high } => low + (high - low) / 2.0,
            Self::Exponential { mean } => mean,
            Self::LogNormal { median, sigma } => median * libm::exp(sigma * sigma / 2.0),
            Self::BoundedPareto { low, high, alpha } => pareto_mean(low, high, alpha),
            Self::Weibull { scale, shape } => scale * libm::tgamma(1.0 + 1.0 / shape),
            Self::Empirical { ref points } => points_mean(points),
        };
        mean.is_finite().then_some(mean)
    }
}

fn check_points(points: &[(f64, f64)]) -> Result<(), DistError> {
    for (i, (value, weight)) in points.iter().enumerate() {
        for (part, found) in [("value", *value), ("weight", *weight)] {
            if !found.is_finite() || found < 0.0 {
                return Err(DistError::Point { number: i + 1, part, found });
            }
        }
    }
    if points.iter().any(|(_, weight)| *weight > 0.0) {
        Ok(())
    } else {
        Err(DistError::NoWeight { points: points.len() })
    }
}

/// `low * a/(a-1) * (1 - q^(a-1)) / (1 - q^a)` with `q = low / high`; `ln(high / low)` takes the
/// place of `(1 - q^(a-1)) / (a-1)` where `a` is 1.
fn pareto_mean(low: f64, high: f64, alpha: f64) -> f64 {
    let range = libm::log(high) - libm::log(low);
    if range <= 0.0 {
        return low;
    }
    let over = alpha - 1.0;
    let part = if over.abs() * range < 1e-12 { range } else { -libm::expm1(-over * range) / over };
    (low * part * (alpha / -libm::expm1(-alpha * range))).clamp(low, high)
}

/// Weights are taken relative to the largest, so that their sum is finite.
fn points_mean(points: &[(f64, f64)]) -> f64 {
    let largest = points.iter().fold(0.0, |max: f64, (_, weight)| max.max(*weight));
    let (mut sum, mut weights) = (0.0, 0.0);
    for (value, weight) in points {
        let weight = weight / largest;
        sum += value * weight;
        weights += weight;
    }
    sum / weights
}
