//! Writes one of everything this crate draws, with made-up numbers, for a look with one's own
//! eyes: `cargo run -p reports --example gallery -- DIR`.

use std::{error::Error, fs, path::Path};

use reports::{
    Unit,
    plot::{
        Axis, Bar, BarPanel, BarSeries, Bars, Distribution, Form, Panel, Series, Shape, Svg,
        TimeSeries,
    },
};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("give the folder to write to")?;
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    for (name, svg) in plots() {
        fs::write(folder.join(name).with_extension("svg"), svg.as_str())?;
    }
    Ok(())
}

fn plots() -> Vec<(&'static str, Svg)> {
    vec![
        ("cdf", distribution(Form::Cumulative).svg()),
        ("tail", distribution(Form::Tail).svg()),
        ("connections", connections(false).svg()),
        ("stacked", connections(true).svg()),
        ("director", director().svg()),
        ("shares", shares(6, 3).svg()),
        ("many", shares(12, 2).svg()),
        ("crowd", crowd().svg()),
        ("odd", odd().svg()),
    ]
}

fn distribution(form: Form) -> Distribution {
    let curve = |scale: f64, shape: f64| {
        (1..=400).map(move |i| {
            let rest = libm::pow(10.0, -f64::from(i) / 80.0);
            (scale * libm::pow(rest, -shape), 1.0 - rest)
        })
    };
    Distribution {
        title: "Latency until the first byte".to_owned(),
        value: Axis::new("first byte latency", Unit::Seconds),
        counted: "connections".to_owned(),
        form,
        series: vec![
            Series::new("nat", curve(0.0011, 0.55)),
            Series::new("dr", curve(0.0008, 0.35)),
            Series::new("tun", curve(0.00085, 0.37)),
        ],
    }
}

fn connections(stacked: bool) -> TimeSeries {
    let walk = |seed: u32| {
        let mut state = seed * 2_654_435;
        let mut level = 0.0;
        (0..300_u32).map(move |i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            level +=
                (f64::from(state >> 16) / 65_536.0 - 0.48) * 9.0 + if i < 40 { 2.0 } else { 0.0 };
            level = f64::max(level, 0.0);
            (f64::from(i) * 0.1, level.round())
        })
    };
    let panel = |title: &str, seed: u32| Panel {
        title: title.to_owned(),
        series: (0..3).map(|s| Series::new(format!("rs{}", s + 1), walk(seed * 7 + s))).collect(),
    };
    TimeSeries {
        title: "Active connections per real server".to_owned(),
        time: Axis::new("simulated time", Unit::Seconds),
        value: Axis::new("active connections", Unit::None),
        shape: Shape::Steps,
        stacked,
        panels: vec![panel("nat", 1), panel("dr", 2), panel("tun", 3)],
    }
}

fn director() -> Bars {
    let series = |name: &str, values: [f64; 3]| BarSeries {
        name: name.to_owned(),
        bars: values.map(|value| Bar { value, error: Some((value * 0.93, value * 1.08)) }).to_vec(),
    };
    let modes = || ["nat", "dr", "tun"].map(str::to_owned).to_vec();
    Bars {
        title: "Director load".to_owned(),
        groups: "forwarding mode".to_owned(),
        panels: vec![
            BarPanel {
                value: Axis::new("packets through the director", Unit::other("packets/s")),
                groups: modes(),
                series: vec![
                    series("in", [24_000.0, 12_200.0, 12_100.0]),
                    series("out", [23_900.0, 12_150.0, 12_090.0]),
                ],
            },
            BarPanel {
                value: Axis::new("bytes through the director", Unit::BytesPerSecond),
                groups: modes(),
                series: vec![
                    series("in", [3.1e7, 9.0e5, 9.1e5]),
                    series("out", [3.1e7, 9e5, 1.2e6]),
                ],
            },
        ],
    }
}

fn shares(servers: usize, variants: usize) -> Bars {
    let share = |server: usize, variant: usize| {
        (1.0 + (server * 7 + variant * 3 % 5) as f64 % 4.0) / (servers as f64 * 2.4)
    };
    let series = (0..servers).map(|server| BarSeries {
        name: format!("rs{}", server + 1),
        bars: (0..variants).map(|variant| share(server, variant).into()).collect(),
    });
    Bars {
        title: "Share of each real server".to_owned(),
        groups: String::new(),
        panels: vec![BarPanel {
            value: Axis::new("share of connections", Unit::Ratio),
            groups: ["wlc", "wrr", "a long variant name, by far too long to be shown under it"]
                .iter()
                .take(variants)
                .map(|&name| name.to_owned())
                .collect(),
            series: series.collect(),
        }],
    }
}

fn crowd() -> TimeSeries {
    let series = (0..12).map(|s| {
        let wave = (0..200).map(move |i| {
            let t = f64::from(i) * 3.0;
            (t, 5e5 * (f64::from(s) + 1.0 + 0.3 * libm::sin(t / (20.0 + f64::from(s)))))
        });
        Series::new(format!("server-{s}.rack-7.example"), wave)
    });
    TimeSeries {
        title: "Twelve servers".to_owned(),
        time: Axis::new("simulated time", Unit::Seconds),
        value: Axis::new("throughput", Unit::BytesPerSecond),
        shape: Shape::Lines,
        stacked: false,
        panels: vec![Panel { title: String::new(), series: series.collect() }],
    }
}

fn odd() -> TimeSeries {
    let panel = |title: &str, points: Vec<(f64, f64)>| Panel {
        title: title.to_owned(),
        series: vec![Series::new("x", points)],
    };
    TimeSeries {
        title: "<Odd> & \"ends\"".to_owned(),
        time: Axis::new("time", Unit::Seconds),
        value: Axis::new("value", Unit::None),
        shape: Shape::Lines,
        stacked: false,
        panels: vec![
            panel("one point", vec![(1.0, 4.0)]),
            panel("a gap", vec![(0.0, 1.0), (2.0, 3.0), (3.0, f64::NAN), (4.0, 2.0), (6.0, 5.0)]),
            panel("nothing", vec![]),
            panel("all equal", vec![(0.0, 3.0), (6.0, 3.0)]),
        ],
    }
}
