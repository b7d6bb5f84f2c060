//! Distributions that workloads are sampled from.

/// A distribution of a non-negative quantity (seconds, bytes, counts).
#[derive(Clone, PartialEq, Debug)]
pub enum Dist {
    /// Always the same value.
    Constant(f64),
    /// Evenly between `low` and `high`.
    Uniform {
        /// Smallest value.
        low: f64,
        /// Largest value.
        high: f64,
    },
    /// Exponential.
    Exponential {
        /// Mean, above 0.
        mean: f64,
    },
    /// The logarithm is normal.
    LogNormal {
        /// Median, above 0: `exp(mu)`.
        median: f64,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
    /// Pareto between two bounds.
    BoundedPareto {
        /// Smallest value, above 0.
        low: f64,
        /// Largest value.
        high: f64,
        /// Tail index, above 0.
        alpha: f64,
    },
    /// Weibull.
    Weibull {
        /// Scale, above 0.
        scale: f64,
        /// Shape, above 0.
        shape: f64,
    },
    /// Values with weights.
    Empirical {
        /// `(value, weight)`, at least one weight above 0.
        points: Vec<(f64, f64)>,
    },
}
/// stub
#[derive(Debug, Clone)]
pub struct Sampler(Dist);
impl Sampler {
    /// n
    pub fn new(d: &Dist) -> Result<Self, String> {
        Ok(Self(d.clone()))
    }
    /// s
    pub fn sample(&self, u: &mut impl super::Uniform) -> f64 {
        match &self.0 {
            Dist::Constant(x) => *x,
            Dist::Exponential { mean } => -libm::log(u.unit()) * mean,
            _ => 0.0,
        }
    }
}
