//! Distributions that workloads are sampled from.
//!
//! Every sampler is a formula over [`Uniform::unit`] and `libm`, so that each machine draws the same
//! bits; what comes out is rounded to whole units at once (see [`super::Span::from_secs_f64`]).

use super::Uniform;

/// A distribution of a non-negative quantity (seconds, bytes, counts).
///
/// ```
/// use sim_core::engine::{Dist, Sampler, Stream};
/// let service = Dist::Exponential { mean: 0.005 };
/// let sampler = Sampler::new(&service).expect("the mean is above 0");
/// let mut random = Stream::new(1, "server-1", "service");
/// assert!(sampler.sample(&mut random) > 0.0);
/// ```
#[derive(Clone, PartialEq, Debug)]
pub enum Dist {
    /// Always the same value. Draws no random number.
    Constant(f64),
    /// Evenly between `low` and `high`.
    Uniform {
        /// Smallest value, at least 0.
        low: f64,
        /// Largest value, at least `low`.
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
        /// Standard deviation of the logarithm, at least 0.
        sigma: f64,
    },
    /// Pareto between two bounds: truncated, no weight at the bounds themselves.
    BoundedPareto {
        /// Smallest value, above 0.
        low: f64,
        /// Largest value, at least `low`.
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
        /// `(value, weight)`, none negative, at least one weight above 0.
        points: Vec<(f64, f64)>,
    },
}

impl Dist {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Says which parameter is wrong, what was found and what is allowed.
    pub fn validate(&self) -> Result<(), String> {
        match self {
            Self::Constant(value) => not_negative("the value", *value),
            Self::Uniform { low, high } => {
                not_negative("low", *low)?;
                at_least("high", *high, "low", *low)
            }
            Self::Exponential { mean } => above_0("the mean", *mean),
            Self::LogNormal { median, sigma } => {
                above_0("the median", *median)?;
                not_negative("sigma", *sigma)
            }
            Self::BoundedPareto { low, high, alpha } => {
                above_0("low", *low)?;
                at_least("high", *high, "low", *low)?;
                above_0("alpha", *alpha)
            }
            Self::Weibull { scale, shape } => {
                above_0("the scale", *scale)?;
                above_0("the shape", *shape)
            }
            Self::Empirical { points } => {
                for (at, (value, weight)) in points.iter().enumerate() {
                    not_negative(&format!("value {}", at + 1), *value)?;
                    not_negative(&format!("weight {}", at + 1), *weight)?;
                }
                above_0("the sum of the weights", points.iter().map(|(_, weight)| weight).sum())
            }
        }
    }

    /// Mean of the distribution; of no use if the parameters are wrong. Infinite if it is too large
    /// for a float.
    pub fn mean(&self) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Uniform { low, high } => low + (high - low) / 2.0,
            Self::Exponential { mean } => *mean,
            Self::LogNormal { median, sigma } => median * libm::exp(sigma * sigma / 2.0),
            Self::BoundedPareto { low, high, alpha } => bounded_pareto_mean(*low, *high, *alpha),
            Self::Weibull { scale, shape } => scale * libm::tgamma(1.0 + 1.0 / shape),
            Self::Empirical { points } => {
                let total: f64 = points.iter().map(|(_, weight)| weight).sum();
                points.iter().map(|(value, weight)| value * (weight / total)).sum()
            }
        }
    }
}

fn above_0(what: &str, found: f64) -> Result<(), String> {
    if found > 0.0 && found.is_finite() {
        Ok(())
    } else {
        Err(format!("{what} is {found}; allowed is a finite number above 0"))
    }
}

fn not_negative(what: &str, found: f64) -> Result<(), String> {
    if found >= 0.0 && found.is_finite() {
        Ok(())
    } else {
        Err(format!("{what} is {found}; allowed is a finite number, 0 or above"))
    }
}

fn at_least(what: &str, found: f64, than: &str, least: f64) -> Result<(), String> {
    if found >= least && found.is_finite() {
        Ok(())
    } else {
        Err(format!("{what} is {found}; allowed is a finite number, {than} ({least}) or above"))
    }
}

/// The integral of x f(x): `alpha low (1 - r^(alpha - 1)) / ((alpha - 1) (1 - r^alpha))` with
/// `r = low / high`, in terms of `k = -ln r` so that it goes through `alpha = 1` smoothly.
fn bounded_pareto_mean(low: f64, high: f64, alpha: f64) -> f64 {
    // (1 - exp(-a k)) / a, which is k at a = 0
    let share = |a: f64, k: f64| if a.abs() < 1e-12 { k } else { -libm::expm1(-a * k) / a };
    let k = libm::log(high / low);
    if k < 1e-12 { low } else { low * share(alpha - 1.0, k) / share(alpha, k) }
}

/// A [`Dist`] made ready for sampling: parameters checked, constants and tables computed.
#[derive(Clone, Debug)]
pub struct Sampler(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Constant(f64),
    Uniform {
        low: f64,
        width: f64,
    },
    Exponential {
        mean: f64,
    },
    LogNormal {
        median: f64,
        sigma: f64,
    },
    /// `share`: of the unbounded distribution, what is below `high`.
    BoundedPareto {
        low: f64,
        high: f64,
        share: f64,
        exponent: f64,
    },
    Weibull {
        scale: f64,
        exponent: f64,
    },
    Empirical(Alias),
}

impl Sampler {
    /// Prepares a distribution.
    ///
    /// # Errors
    /// What [`Dist::validate`] says.
    pub fn new(dist: &Dist) -> Result<Self, String> {
        dist.validate()?;
        Ok(Self(match dist {
            Dist::Constant(value) => Kind::Constant(*value),
            Dist::Uniform { low, high } => Kind::Uniform { low: *low, width: high - low },
            Dist::Exponential { mean } => Kind::Exponential { mean: *mean },
            Dist::LogNormal { median, sigma } => Kind::LogNormal { median: *median, sigma: *sigma },
            Dist::BoundedPareto { low, high, alpha } => Kind::BoundedPareto {
                low: *low,
                high: *high,
                share: -libm::expm1(-alpha * libm::log(high / low)),
                exponent: 1.0 / alpha,
            },
            Dist::Weibull { scale, shape } => {
                Kind::Weibull { scale: *scale, exponent: 1.0 / shape }
            }
            Dist::Empirical { points } => Kind::Empirical(Alias::new(points)),
        }))
    }

    /// Draws a value: never negative and never not-a-number, but infinite where the distribution
    /// goes beyond what a float can hold.
    #[inline]
    pub fn sample(&self, random: &mut impl Uniform) -> f64 {
        match &self.0 {
            Kind::Constant(value) => *value,
            Kind::Uniform { low, width } => low + width * random.unit(),
            Kind::Exponential { mean } => -libm::log(random.unit()) * mean,
            Kind::LogNormal { median, sigma } => median * libm::exp(sigma * normal(random)),
            Kind::BoundedPareto { low, high, share, exponent } => {
                let beyond = libm::log1p(-share * random.unit());
                (low * libm::exp(-beyond * exponent)).clamp(*low, *high)
            }
            Kind::Weibull { scale, exponent } => {
                scale * libm::exp(libm::log(-libm::log(random.unit())) * exponent)
            }
            Kind::Empirical(table) => table.sample(random),
        }
    }
}

/// A standard normal number, by the polar method (Marsaglia, Bray 1964). The second one of each pair
/// is thrown away, so that nothing has to be kept between draws.
fn normal(random: &mut impl Uniform) -> f64 {
    loop {
        let x = 2.0 * random.unit() - 1.0;
        let y = 2.0 * random.unit() - 1.0;
        let square = x * x + y * y;
        if square < 1.0 && square > 0.0 {
            return x * (-2.0 * libm::log(square) / square).sqrt();
        }
    }
}

/// A table for drawing from weighted values in constant time (Walker 1977, Vose 1991): each cell
/// holds its own value up to a threshold, and beyond it that of another cell.
#[derive(Clone, Debug)]
struct Alias(Vec<Cell>);

#[derive(Clone, Copy, Debug)]
struct Cell {
    threshold: f64,
    value: f64,
    alias: f64,
}

impl Alias {
    /// The table of points of which at least one has a weight above 0.
    fn new(points: &[(f64, f64)]) -> Self {
        let points: Vec<(f64, f64)> =
            points.iter().copied().filter(|point| point.1 > 0.0).collect();
        let total: f64 = points.iter().map(|(_, weight)| weight).sum();
        let count = points.len() as f64;
        // in units of a cell
        let mut shares: Vec<f64> =
            points.iter().map(|(_, weight)| weight / total * count).collect();
        let mut cells: Vec<Cell> = points
            .iter()
            .map(|(value, _)| Cell { threshold: 1.0, value: *value, alias: *value })
            .collect();
        let (mut poor, mut rich): (Vec<usize>, Vec<usize>) =
            (0..points.len()).partition(|at| shares[*at] < 1.0);
        while let (Some(under), Some(over)) = (poor.pop(), rich.last().copied()) {
            cells[under].threshold = shares[under];
            cells[under].alias = points[over].0;
            shares[over] -= 1.0 - shares[under];
            if shares[over] < 1.0 {
                rich.pop();
                poor.push(over);
            }
        }
        Self(cells)
    }

    /// One random number decides both: its whole part the cell, its fraction the side.
    #[inline]
    fn sample(&self, random: &mut impl Uniform) -> f64 {
        let place = random.unit() * self.0.len() as f64;
        let at = (place as usize).min(self.0.len() - 1);
        let cell = self.0[at];
        if place - (at as f64) < cell.threshold { cell.value } else { cell.alias }
    }
}

#[cfg(test)]
mod tests;
