//! Plots: well-formed, complete, deterministic, and calm on any data.

use proptest::prelude::*;
use reports::{
    Unit,
    plot::{
        Axis, Bar, BarPanel, BarSeries, Bars, Distribution, Form, Panel, Series, Shape, TimeSeries,
    },
};

use crate::xml;

const HOSTILE: &str = "<rs&1> \"a\" 'b' \u{1b}[31m";
const HOSTILE_SHOWN: &str = "<rs&1> \"a\" 'b' ?[31m";

fn names(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|index| if index == 0 { HOSTILE.to_owned() } else { format!("rs{index}") })
}

fn distribution(form: Form, count: usize) -> Distribution {
    let points = [(0.001, 0.5), (0.004, 0.9), (0.020, 0.999), (0.300, 1.0)];
    Distribution {
        title: "Latency".to_owned(),
        value: Axis::new("latency", Unit::Seconds),
        counted: "connections".to_owned(),
        form,
        series: names(count).map(|name| Series::new(name, points)).collect(),
    }
}

fn time_series(shape: Shape, stacked: bool, count: usize) -> TimeSeries {
    let panel = |title: &str| Panel {
        title: title.to_owned(),
        series: names(count).map(|name| Series::new(name, [(0.0, 1.0), (9.0, 7.0)])).collect(),
    };
    TimeSeries {
        title: "Connections".to_owned(),
        time: Axis::new("time", Unit::Seconds),
        value: Axis::new("active", Unit::other("connections")),
        shape,
        stacked,
        panels: vec![panel("nat"), panel("dr")],
    }
}

fn bars(count: usize) -> Bars {
    let series =
        names(count).map(|name| BarSeries { name, bars: vec![1.0.into(), f64::NAN.into()] });
    Bars {
        title: "Load".to_owned(),
        groups: "mode".to_owned(),
        panels: vec![BarPanel {
            value: Axis::new("packets", Unit::other("packets/s")),
            groups: vec!["nat".to_owned(), "dr".to_owned()],
            series: series.collect(),
        }],
    }
}

/// One of every kind of plot with the given number of series.
fn gallery(count: usize) -> Vec<String> {
    let mut pictures = vec![
        distribution(Form::Cumulative, count).svg(),
        distribution(Form::Tail, count).svg(),
        bars(count).svg(),
    ];
    for shape in [Shape::Lines, Shape::Steps] {
        pictures.extend([false, true].map(|stacked| time_series(shape, stacked, count).svg()));
    }
    pictures.into_iter().map(reports::plot::Svg::into_string).collect()
}

#[test]
fn every_plot_is_well_formed_and_names_its_series() {
    for count in [1, 2, 7, 12, 24] {
        for picture in gallery(count) {
            let words = xml::check(&picture).expect("well-formed");
            let named = |name: &str| words.iter().any(|word| word == name);
            if count > 1 {
                assert!(named(HOSTILE_SHOWN), "{words:?}");
                assert!((1..count).all(|index| named(&format!("rs{index}"))), "{words:?}");
            }
        }
    }
}

#[test]
fn the_same_data_gives_the_same_bytes() {
    assert_eq!(gallery(9), gallery(9));
}

#[test]
fn a_legend_of_hundreds_says_how_many_are_left_out() {
    for picture in gallery(300) {
        let words = xml::check(&picture).expect("well-formed");
        assert!(words.iter().any(|word| word == "and 277 more"), "{words:?}");
    }
}

#[test]
fn axes_have_titles_with_units() {
    let words = |svg: &reports::plot::Svg| xml::check(svg.as_str()).expect("well-formed");
    let cdf = words(&distribution(Form::Cumulative, 2).svg());
    for expected in ["latency", "share of connections at or below", "1 ms", "10 ms", "100 %"] {
        assert!(cdf.iter().any(|word| word == expected), "{expected} in {cdf:?}");
    }
    let tail = words(&distribution(Form::Tail, 2).svg());
    for expected in ["share of connections above", "0.1 %"] {
        assert!(tail.iter().any(|word| word == expected), "{expected} in {tail:?}");
    }
    let steps = words(&time_series(Shape::Steps, false, 2).svg());
    for expected in ["time", "active [connections]", "nat", "dr", "5 s"] {
        assert!(steps.iter().any(|word| word == expected), "{expected} in {steps:?}");
    }
}

#[test]
fn a_bar_that_is_not_a_number_is_a_dash() {
    let words = xml::check(bars(2).svg().as_str()).expect("well-formed");
    assert_eq!(words.iter().filter(|word| *word == "-").count(), 2);
}

#[test]
fn nothing_to_show_is_said() {
    let mut empty = [
        Distribution { series: Vec::new(), ..distribution(Form::Tail, 1) }.svg(),
        TimeSeries { panels: Vec::new(), ..time_series(Shape::Lines, true, 1) }.svg(),
        Bars::default().svg(),
    ]
    .into_iter();
    assert!(empty.all(|svg| {
        xml::check(svg.as_str()).expect("well-formed").iter().any(|word| word == "no data")
    }));
}

#[test]
fn every_dash_and_colour_of_many_series_is_different() {
    let picture = distribution(Form::Cumulative, 14).svg();
    let legend: Vec<&str> =
        picture.as_str().lines().filter(|line| line.contains("stroke-width=\"24\"")).collect();
    let solid =
        legend.iter().filter(|line| line.matches(',').count() == 2 && line.contains("180,"));
    assert!(solid.count() >= 1 && legend.len() > 14, "{legend:?}");
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![3 => any::<f64>(), 2 => -10.0..10.0_f64, 1 => Just(0.0), 1 => Just(1e-320)]
}

fn series() -> impl Strategy<Value = Vec<Series>> {
    let points = prop::collection::vec((number(), number()), 0..12);
    let one = (any::<String>(), points).prop_map(|(name, points)| Series { name, points });
    prop::collection::vec(one, 0..10)
}

fn unit() -> impl Strategy<Value = Unit> {
    prop_oneof![
        Just(Unit::None),
        Just(Unit::Seconds),
        Just(Unit::Bytes),
        Just(Unit::Ratio),
        any::<String>().prop_map(Unit::Other)
    ]
}

/// Well-formed, and every coordinate within the picture.
fn sound(svg: &reports::plot::Svg) -> Result<(), String> {
    xml::check(svg.as_str())?;
    let text = svg.as_str();
    if text.contains("NaN") && !text.contains('\u{fffd}') && text.contains("=\"NaN") {
        return Err("a coordinate that is not a number".to_owned());
    }
    for line in text.lines().filter_map(|line| line.split_once("points=\"")) {
        let points = line.1.split('"').next().unwrap_or("");
        for place in points.split([' ', ',']).filter(|place| !place.is_empty()) {
            let place: i32 = place.parse().map_err(|error| format!("{place}: {error}"))?;
            if !(0..=100_000).contains(&place) {
                return Err(format!("{place} is outside"));
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_distribution_can_be_drawn(series in series(), title in any::<String>(), unit in unit(), tail in any::<bool>()) {
        let form = if tail { Form::Tail } else { Form::Cumulative };
        let value = Axis::new(title.clone(), unit);
        let plot = Distribution { title, value, counted: "values".to_owned(), form, series };
        prop_assert_eq!(sound(&plot.svg()), Ok(()));
    }

    #[test]
    fn any_time_series_can_be_drawn(
        panels in prop::collection::vec((any::<String>(), series()), 0..6),
        unit in unit(), stacked in any::<bool>(), steps in any::<bool>(),
    ) {
        let panels = panels.into_iter().map(|(title, series)| Panel { title, series }).collect();
        let shape = if steps { Shape::Steps } else { Shape::Lines };
        let axis = |title| Axis::new(title, unit.clone());
        let (time, value) = (axis("time"), axis("value"));
        let plot = TimeSeries { title: String::new(), time, value, shape, stacked, panels };
        prop_assert_eq!(sound(&plot.svg()), Ok(()));
    }

    #[test]
    fn any_bars_can_be_drawn(
        panels in prop::collection::vec(
            (unit(), prop::collection::vec(any::<String>(), 0..40),
             prop::collection::vec((any::<String>(), prop::collection::vec(
                 (number(), prop::option::of((number(), number()))), 0..40)), 0..9)), 0..4),
    ) {
        let panel = |(unit, groups, series): (Unit, Vec<String>, Vec<(String, Vec<(f64, Option<(f64, f64)>)>)>)| {
            let series = series.into_iter().map(|(name, bars)| BarSeries {
                name,
                bars: bars.into_iter().map(|(value, error)| Bar { value, error }).collect(),
            });
            BarPanel { value: Axis::new("value", unit), groups, series: series.collect() }
        };
        let panels = panels.into_iter().map(panel).collect();
        let plot = Bars { title: "bars".to_owned(), groups: "group".to_owned(), panels };
        prop_assert_eq!(sound(&plot.svg()), Ok(()));
    }
}
