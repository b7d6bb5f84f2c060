//! Distributions and loads as text: `exp(5ms)`, `pareto(1KiB, 1MiB, alpha 1.2)`,
//! `poisson(2000/s)`.

use super::units::{self, Allowed};
use super::words;
use sim_core::config::Load;
use sim_core::engine::{Dist, Span};

/// What a distribution measures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quantity {
    /// Seconds.
    Time,
    /// Bytes.
    Bytes,
    /// A number without a unit.
    Count,
}

impl Quantity {
    /// Reads one value in the unit the simulator counts in.
    ///
    /// # Errors
    /// Not a value of this quantity.
    pub fn read(self, text: &str) -> Result<f64, Allowed> {
        match self {
            Self::Time => units::seconds(text),
            Self::Bytes => units::bytes(text),
            Self::Count => units::number(text),
        }
    }

    /// An example.
    pub const fn example(self) -> &'static str {
        match self {
            Self::Time => "5ms",
            Self::Bytes => "10KiB",
            Self::Count => "3",
        }
    }
}

const FORMS: [(&str, &str); 6] = [
    ("constant", "constant(VALUE)"),
    ("uniform", "uniform(LOW, HIGH)"),
    ("exp", "exp(MEAN)"),
    ("lognormal", "lognormal(median M, sigma S)"),
    ("pareto", "pareto(LOW, HIGH, alpha A)"),
    ("weibull", "weibull(SCALE, SHAPE)"),
];

/// What a distribution looks like.
pub fn allowed(quantity: Quantity) -> String {
    format!(
        "a value such as \"{}\" or one of {}, {{ empirical = [[VALUE, WEIGHT], ...] }}",
        quantity.example(),
        words::list(FORMS.iter().map(|f| f.1))
    )
}

/// Splits `name(a, b(c, d))` into the name and its arguments; no parentheses: no arguments.
fn call(text: &str) -> Option<(&str, Vec<&str>)> {
    let text = text.trim();
    let Some((name, rest)) = text.split_once('(') else {
        return Some((text, Vec::new()));
    };
    let inner = rest.strip_suffix(')')?;
    let (mut depth, mut start, mut args) = (0_i32, 0, Vec::new());
    for (i, c) in inner.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                args.push(inner[start..i].trim());
                start = i + 1;
            }
            _ => {}
        }
        if depth < 0 {
            return None;
        }
    }
    args.push(inner[start..].trim());
    (depth == 0).then_some((name.trim(), args))
}

/// The argument without the word it may start with: `median 5ms` is `5ms`.
fn named<'a>(arg: &'a str, name: &str) -> &'a str {
    arg.strip_prefix(name).map_or(arg, |rest| rest.trim_start_matches([' ', '=']))
}

/// Reads a distribution.
///
/// ```
/// use scenarios::format::distribution::{Quantity, dist};
/// use sim_core::engine::Dist;
/// assert_eq!(dist("exp(5ms)", Quantity::Time), Ok(Dist::Exponential { mean: 0.005 }));
/// ```
///
/// # Errors
/// What is allowed instead.
pub fn dist(text: &str, quantity: Quantity) -> Result<Dist, Allowed> {
    let (name, args) = call(text).ok_or_else(|| "a closing parenthesis".to_owned())?;
    if args.is_empty() {
        return quantity.read(name).map(Dist::Constant);
    }
    let Some((_, form)) = FORMS.iter().find(|(n, _)| *n == name) else {
        let near = words::nearest(name, FORMS.iter().map(|f| f.0));
        let hint = near.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
        return Err(format!("{}{hint}", allowed(quantity)));
    };
    let value = |text: &str| quantity.read(text).map_err(|e| format!("{form}, where each is {e}"));
    let plain = |text: &str| units::number(text).map_err(|e| format!("{form}: {e}"));
    let read = match (name, &args[..]) {
        ("constant", [v]) => Dist::Constant(value(v)?),
        ("uniform", [low, high]) => Dist::Uniform { low: value(low)?, high: value(high)? },
        ("exp", [mean]) => Dist::Exponential { mean: value(named(mean, "mean"))? },
        ("lognormal", [median, sigma]) => Dist::LogNormal {
            median: value(named(median, "median"))?,
            sigma: plain(named(sigma, "sigma"))?,
        },
        ("pareto", [low, high, alpha]) => Dist::BoundedPareto {
            low: value(low)?,
            high: value(high)?,
            alpha: plain(named(alpha, "alpha"))?,
        },
        ("weibull", [scale, shape]) => Dist::Weibull {
            scale: value(named(scale, "scale"))?,
            shape: plain(named(shape, "shape"))?,
        },
        _ => return Err((*form).to_owned()),
    };
    check(read)
}

/// Values with weights.
///
/// # Errors
/// No weight above 0, or a negative one.
pub fn empirical(points: Vec<(f64, f64)>) -> Result<Dist, Allowed> {
    let good = points.iter().all(|p| p.0 >= 0.0 && p.1 >= 0.0);
    if good && points.iter().any(|p| p.1 > 0.0) {
        Ok(Dist::Empirical { points })
    } else {
        Err("weights from 0, at least one above 0".to_owned())
    }
}

fn check(dist: Dist) -> Result<Dist, Allowed> {
    let wrong = match dist {
        Dist::Constant(_) | Dist::Empirical { .. } => None,
        Dist::Uniform { low, high } => (low > high).then_some("LOW not above HIGH"),
        Dist::Exponential { mean } => (mean <= 0.0).then_some("a mean above 0"),
        Dist::LogNormal { median, .. } => (median <= 0.0).then_some("a median above 0"),
        Dist::BoundedPareto { low, high, alpha } => (low <= 0.0 || low >= high || alpha <= 0.0)
            .then_some("LOW above 0 and below HIGH, alpha above 0"),
        Dist::Weibull { scale, shape } => {
            (scale <= 0.0 || shape <= 0.0).then_some("a scale and a shape above 0")
        }
    };
    wrong.map_or(Ok(dist), |w| Err(w.to_owned()))
}

/// The distribution of `factor` times the quantity.
#[must_use]
pub fn scaled(dist: &Dist, factor: f64) -> Dist {
    match dist {
        Dist::Constant(v) => Dist::Constant(v * factor),
        Dist::Uniform { low, high } => Dist::Uniform { low: low * factor, high: high * factor },
        Dist::Exponential { mean } => Dist::Exponential { mean: mean * factor },
        Dist::LogNormal { median, sigma } => {
            Dist::LogNormal { median: median * factor, sigma: *sigma }
        }
        Dist::BoundedPareto { low, high, alpha } => {
            Dist::BoundedPareto { low: low * factor, high: high * factor, alpha: *alpha }
        }
        Dist::Weibull { scale, shape } => Dist::Weibull { scale: scale * factor, shape: *shape },
        Dist::Empirical { points } => {
            Dist::Empirical { points: points.iter().map(|p| (p.0 * factor, p.1)).collect() }
        }
    }
}

/// What a load looks like.
pub const LOAD: &str = "one of poisson(2000/s), constant(2000/s), gaps(DISTRIBUTION), \
    onoff(poisson(100/s), on exp(1s), off exp(5s)), closed(50 users, think exp(1s)), at(0s, 300ms)";

/// Reads a load: when connections start.
///
/// # Errors
/// What is allowed instead.
pub fn load(text: &str) -> Result<Load, Allowed> {
    let wrong = || LOAD.to_owned();
    let (name, args) = call(text).ok_or_else(wrong)?;
    match (name, &args[..]) {
        ("poisson" | "constant" | "gaps", [_]) => Ok(Load::Open { gap: gap(name, args[0])? }),
        ("onoff", [start, on, off]) => {
            let (name, args) = call(start).ok_or_else(wrong)?;
            let [arg] = args[..] else { return Err(wrong()) };
            Ok(Load::OnOff {
                gap: gap(name, arg)?,
                on: positive(named(on, "on"))?,
                off: positive(named(off, "off"))?,
            })
        }
        ("closed", [users, rest @ ..]) if rest.len() <= 1 => {
            let users = users.trim_end_matches("users").trim_end_matches("user").trim();
            let users = users.parse().ok().filter(|u| (1..=10_000_000).contains(u));
            let users = users.ok_or_else(|| "from 1 to 10000000 users".to_owned())?;
            let think = rest.first().map_or("0s", |t| named(t, "think"));
            Ok(Load::Closed { users, think: dist(think, Quantity::Time)? })
        }
        ("at", points) => {
            let mut at: Vec<Span> =
                points.iter().map(|p| units::span(p)).collect::<Result<_, _>>()?;
            at.sort_unstable();
            Ok(Load::At(at))
        }
        _ => Err(wrong()),
    }
}

fn gap(name: &str, arg: &str) -> Result<Dist, Allowed> {
    match name {
        "poisson" => Ok(Dist::Exponential { mean: 1.0 / units::frequency(arg)? }),
        "constant" => Ok(Dist::Constant(1.0 / units::frequency(arg)?)),
        "gaps" => positive(arg),
        _ => Err(LOAD.to_owned()),
    }
}

/// A distribution of time that is not always 0 (a gap of 0 would never let time go on).
fn positive(text: &str) -> Result<Dist, Allowed> {
    let read = dist(text, Quantity::Time)?;
    let zero = matches!(read, Dist::Constant(v) if v <= 0.0)
        || matches!(read, Dist::Uniform { high, .. } if high <= 0.0);
    if zero { Err("a time above 0".to_owned()) } else { Ok(read) }
}

/// The share of a load that each of `hosts` hosts carries; `index` is the host's number from 0.
#[must_use]
pub fn divided(load: &Load, hosts: u32, index: u32) -> Load {
    let factor = f64::from(hosts.max(1));
    match load {
        Load::Open { gap } => Load::Open { gap: scaled(gap, factor) },
        Load::OnOff { gap, on, off } => {
            Load::OnOff { gap: scaled(gap, factor), on: on.clone(), off: off.clone() }
        }
        Load::Closed { users, think } => {
            let extra = u32::from(index < users % hosts.max(1));
            Load::Closed { users: users / hosts.max(1) + extra, think: think.clone() }
        }
        Load::At(points) => Load::At(
            points
                .iter()
                .enumerate()
                .filter(|(i, _)| i % hosts.max(1) as usize == index as usize)
                .map(|(_, p)| *p)
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read_with_and_without_the_names_of_its_parts() {
        let t = |s| dist(s, Quantity::Time);
        assert_eq!(t("5ms"), Ok(Dist::Constant(0.005)));
        assert_eq!(t("uniform(1ms, 3ms)"), Ok(Dist::Uniform { low: 0.001, high: 0.003 }));
        let log = Dist::LogNormal { median: 0.005, sigma: 0.5 };
        assert_eq!(t("lognormal(median 5ms, sigma 0.5)"), Ok(log.clone()));
        assert_eq!(t("lognormal(5ms, 0.5)"), Ok(log));
        assert_eq!(
            dist("pareto(1KiB, 1MiB, alpha 1.2)", Quantity::Bytes),
            Ok(Dist::BoundedPareto { low: 1024.0, high: 1_048_576.0, alpha: 1.2 })
        );
        assert_eq!(t("weibull(5ms, 0.7)"), Ok(Dist::Weibull { scale: 0.005, shape: 0.7 }));
    }

    #[test]
    fn wrong_forms_say_what_is_right() {
        let t = |s| dist(s, Quantity::Time);
        assert!(t("expo(5ms)").is_err_and(|e| e.contains("did you mean `exp`")));
        assert!(t("exp(5)").is_err_and(|e| e.contains("unit is missing")));
        assert!(t("exp(0s)").is_err_and(|e| e.contains("above 0")));
        assert!(t("exp(5ms").is_err_and(|e| e.contains("parenthesis")));
        assert!(t("uniform(5ms)").is_err_and(|e| e.contains("uniform(LOW, HIGH)")));
        assert!(t("uniform(5ms, 1ms)").is_err());
        assert!(t("pareto(1ms, 1s, 0)").is_err());
    }

    #[test]
    fn a_load_is_open_closed_bursty_or_a_list() {
        assert!(matches!(
            load("poisson(2000/s)"),
            Ok(Load::Open { gap: Dist::Exponential { .. } })
        ));
        assert!(matches!(load("constant(10/s)"), Ok(Load::Open { gap: Dist::Constant(_) })));
        assert!(matches!(
            load("closed(50 users, think exp(1s))"),
            Ok(Load::Closed { users: 50, .. })
        ));
        assert!(matches!(load("closed(1)"), Ok(Load::Closed { users: 1, .. })));
        assert!(matches!(load("onoff(poisson(9/s), on 1s, off exp(2s))"), Ok(Load::OnOff { .. })));
        assert!(matches!(load("at(300ms, 0s)"), Ok(Load::At(p)) if p[0] == Span::ZERO));
        for wrong in
            ["poisson(2000)", "poison(2/s)", "gaps(0s)", "closed(0)", "at(x)", "poisson(1/s"]
        {
            assert!(load(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_parts_of_a_divided_load_make_the_whole() {
        let closed = Load::Closed { users: 10, think: Dist::Constant(0.0) };
        let users: u32 = (0..4)
            .map(|i| match divided(&closed, 4, i) {
                Load::Closed { users, .. } => users,
                _ => 0,
            })
            .sum();
        assert_eq!(users, 10);
        let open = divided(&Load::Open { gap: Dist::Exponential { mean: 0.5 } }, 4, 0);
        assert!(
            matches!(open, Load::Open { gap: Dist::Exponential { mean } } if (mean - 2.0).abs() < 1e-12)
        );
    }
}
