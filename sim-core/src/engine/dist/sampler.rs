//! Drawing from a distribution: parameters are brought into the form that a draw needs once.

use super::{Dist, DistError};
use crate::engine::Uniform;

/// A valid distribution, ready to be drawn from.
///
/// Only `libm`, the square root and the four operations are used, so that the same random words
/// give the same samples on every machine. What always gives one value (a constant, a distribution
/// of no width) takes no random word; the others take one word a draw, the log-normal at least two.
///
/// A sample is finite, at least 0 and within the bounds of the distribution. What would be larger
/// than `f64::MAX` is `f64::MAX`.
#[derive(Debug, Clone)]
pub struct Sampler(Form);

#[derive(Debug, Clone)]
enum Form {
    Constant(f64),
    Uniform { low: f64, high: f64, width: f64 },
    Exponential { mean: f64 },
    LogNormal { median: f64, sigma: f64 },
    BoundedPareto { low: f64, high: f64, alpha: f64, share: f64 },
    Weibull { scale: f64, shape: f64 },
    Empirical(Box<[Column]>),
}

/// A column of the alias table: all columns are equally likely, each holds at most two values.
#[derive(Debug, Clone, Copy)]
struct Column {
    /// The share of `value` in the column, in units of 2^-64.
    share: u64,
    value: f64,
    alias: f64,
}

impl Sampler {
    /// Makes `dist` ready to be drawn from.
    ///
    /// # Errors
    /// Those of [`Dist::validate`].
    pub fn new(dist: &Dist) -> Result<Self, DistError> {
        dist.validate()?;
        Ok(Self(match *dist {
            Dist::Constant(value) => Form::Constant(value),
            Dist::Uniform { low, high } | Dist::BoundedPareto { low, high, .. } if low >= high => {
                Form::Constant(low)
            }
            Dist::Uniform { low, high } => Form::Uniform { low, high, width: high - low },
            Dist::Exponential { mean } => Form::Exponential { mean },
            Dist::LogNormal { median, sigma } if sigma <= 0.0 => Form::Constant(median),
            Dist::LogNormal { median, sigma } => Form::LogNormal { median, sigma },
            Dist::BoundedPareto { low, high, alpha } => {
                // Of an unbounded Pareto distribution, the share that lies below `high`.
                let share = -libm::expm1(alpha * (libm::log(low) - libm::log(high)));
                Form::BoundedPareto { low, high, alpha, share }
            }
            Dist::Weibull { scale, shape } => Form::Weibull { scale, shape },
            Dist::Empirical { ref points } => match columns(points) {
                columns if columns.len() == 1 => Form::Constant(columns[0].value),
                columns => Form::Empirical(columns),
            },
        }))
    }

    /// Draws a sample.
    #[inline]
    pub fn sample(&self, uniform: &mut impl Uniform) -> f64 {
        match &self.0 {
            Form::Constant(value) => *value,
            Form::Uniform { low, high, width } => (low + width * uniform.unit()).min(*high),
            Form::Exponential { mean } => finite(-libm::log(uniform.unit()) * mean),
            Form::LogNormal { median, sigma } => {
                finite(median * libm::exp(sigma * normal(uniform)))
            }
            Form::BoundedPareto { low, high, alpha, share } => {
                // log1p keeps its digits where alpha, and with it the share, is small.
                let rise = -libm::log1p(-uniform.unit() * share) / alpha;
                (low * libm::exp(rise)).clamp(*low, *high)
            }
            Form::Weibull { scale, shape } => {
                finite(scale * libm::exp(libm::log(-libm::log(uniform.unit())) / shape))
            }
            Form::Empirical(columns) => {
                // One word is both: the high part of the product is the column, the low part the
                // place in it.
                let place = u128::from(uniform.next_u64()) * columns.len() as u128;
                let column = &columns[(place >> 64) as usize];
                if (place as u64) < column.share { column.value } else { column.alias }
            }
        }
    }
}

const TWO_TO_64: f64 = (1_u128 << 64) as f64;

#[inline]
fn finite(x: f64) -> f64 {
    x.min(f64::MAX)
}

/// A standard normal number: the polar method (Marsaglia and Bray, 1964). Its second number is
/// thrown away, so that a sample depends on nothing drawn before.
fn normal(uniform: &mut impl Uniform) -> f64 {
    loop {
        let x = 2.0 * uniform.unit() - 1.0;
        let y = 2.0 * uniform.unit() - 1.0;
        // Never 0: `unit` is an odd multiple of 2^-53, so it is never one half.
        let square = x * x + y * y;
        if square < 1.0 {
            return x * (-2.0 * libm::log(square) / square).sqrt();
        }
    }
}

/// The alias table (Walker 1977, built as by Vose 1991) of the points that have a weight.
///
/// Columns that hold less than an even share are filled up from those that hold more, in the order
/// of the points.
fn columns(points: &[(f64, f64)]) -> Box<[Column]> {
    let points: Vec<(f64, f64)> = points.iter().copied().filter(|p| p.1 > 0.0).collect();
    let largest = points.iter().fold(0.0, |max: f64, p| max.max(p.1));
    let sum: f64 = points.iter().map(|p| p.1 / largest).sum();
    let scale = points.len() as f64 / sum;
    let mut columns: Vec<Column> =
        points.iter().map(|p| Column { share: u64::MAX, value: p.0, alias: p.0 }).collect();
    // What is left of each point's probability, 1 being an even share.
    let mut left: Vec<f64> = points.iter().map(|p| p.1 / largest * scale).collect();
    let (mut poor, mut rich): (Vec<usize>, Vec<usize>) =
        (0..points.len()).rev().partition(|&i| left[i] < 1.0);
    while let (Some(&giver), Some(taker)) = (rich.last(), poor.pop()) {
        columns[taker].share = (left[taker] * TWO_TO_64) as u64;
        columns[taker].alias = columns[giver].value;
        left[giver] -= 1.0 - left[taker];
        if left[giver] < 1.0 {
            poor.extend(rich.pop());
        }
    }
    // Whoever is left over holds an even share but for rounding, and keeps its own column.
    columns.into_boxed_slice()
}
