//! Writes one of everything this crate draws, with made-up numbers, for a look with one's own
//! eyes: `cargo run -p reports --example gallery -- DIR`.

use std::{error::Error, fs, path::Path};

use reports::{
    Cell, Column, Comparison, RowLength, Sense, Table, Unit,
    html::{self, Expectation, Figure, KeyFigure, Report, Section, Verdict},
    plot::{
        Axis, Bar, BarPanel, BarSeries, Bars, Count, Distribution, Form, Lane, Panel, Series,
        Shade, Shape, Stretch, Svg, TimeSeries, Timeline,
    },
};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("give the folder to write to")?;
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    for (name, svg) in plots() {
        fs::write(folder.join(name).with_extension("svg"), svg.as_str())?;
    }
    html::write(&report()?, fs::File::create(folder.join("report.html"))?)?;
    Ok(())
}

fn comparison() -> Result<Comparison, RowLength> {
    let mut modes = Comparison::new("Forwarding modes", ["nat", "dr", "tun"]);
    let counts = |values: [u64; 3]| values.map(Cell::UInt);
    let floats = |values: [f64; 3]| values.map(Cell::Float);
    let (lower, higher, zero) = (Sense::LowerIsBetter, Sense::HigherIsBetter, Sense::ZeroIsGood);
    modes.group("Connections");
    modes.push("offered", Unit::None, Sense::Neutral, counts([120_000, 120_000, 120_000]))?;
    modes.push("served", Unit::None, higher, counts([119_871, 120_000, 120_000]))?;
    modes.push("failed: SYN timeout", Unit::None, zero, counts([129, 0, 0]))?;
    modes.group("Latency");
    modes.push("connect p50", Unit::Seconds, lower, floats([4.1e-4, 2.9e-4, 3.0e-4]))?;
    modes.push("connect p99", Unit::Seconds, lower, floats([1.2e-3, 4.1e-4, 4.3e-4]))?;
    modes.push("first byte p50", Unit::Seconds, lower, floats([1.62e-3, 1.05e-3, 1.11e-3]))?;
    modes.push("first byte p99", Unit::Seconds, lower, floats([2.31e-2, 3.4e-3, 3.9e-3]))?;
    modes.group("Director");
    let packets = Unit::other("packets/s");
    modes.push("packets", packets, lower, floats([47_900.0, 24_300.0, 24_200.0]))?;
    modes.push("bytes", Unit::BytesPerSecond, lower, floats([6.2e7, 1.8e6, 2.1e6]))?;
    modes.group("Share of each real server");
    modes.push("rs1", Unit::Ratio, Sense::Neutral, floats([0.334, 0.333, 0.333]))?;
    modes.push("rs2", Unit::Ratio, Sense::Neutral, floats([0.666, 0.667, 0.667]))?;
    Ok(modes)
}

fn drops() -> Result<Table, RowLength> {
    let columns = [
        Column::text("place"),
        Column::text("reason"),
        Column::integer("packets", Unit::None),
        Column::integer("volume", Unit::Bytes),
        Column::float("longest queue", Unit::Seconds),
    ];
    let mut table = Table::new("Drops by place and reason", columns);
    for (place, reason, packets, volume, wait) in [
        ("director.eth0", "queue full", 2_312_u64, 138_720_u64, 0.0012),
        ("director.eth1", "queue full", 97, 140_650, 0.0009),
        ("rs1", "listen backlog", 129, 7_740, f64::NAN),
        ("switch1.port3", "link loss", 12, 9_120, 2.1e-5),
    ] {
        table.push([place.into(), reason.into(), packets.into(), volume.into(), wait.into()])?;
    }
    Ok(table)
}

fn report() -> Result<Report, RowLength> {
    let figure = |svg, caption: &str| Figure { svg, caption: caption.to_owned() };
    let key = |label: &str, value: &str, note: &str| KeyFigure {
        label: label.to_owned(),
        value: value.to_owned(),
        note: note.to_owned(),
    };
    let expect = |text: &str, verdict, measured: &str| Expectation {
        text: text.to_owned(),
        verdict,
        measured: measured.to_owned(),
    };
    let section = |heading: &str, intro: &str, tables, plots| Section {
        heading: heading.to_owned(),
        intro: intro.to_owned(),
        tables,
        plots,
    };
    Ok(Report {
        title: "NAT, DR and TUN under the same traffic".to_owned(),
        question: "What does each forwarding mode cost the director, and the client?".to_owned(),
        description: vec![
            "Two real servers behind one director. The same 120,000 connections arrive in each \
             variant. The numbers of this page are made up."
                .to_owned(),
        ],
        figures: vec![
            key("Connections offered", "120,000", "per variant"),
            key("Slowest first byte, p99", "23.1 ms", "nat"),
            key("Busiest link", "62.0 %", "director.eth1, nat"),
            key("Failed", "129", "nat, SYN timeout"),
        ],
        expectations: vec![
            expect("dr serves every connection", Verdict::Pass, "120,000 of 120,000"),
            expect(
                "first byte p99 is below 10 ms in every variant",
                Verdict::Fail,
                "23.1 ms (nat)",
            ),
            expect("queues are empty at the end", Verdict::Unjudged, "-"),
        ],
        sections: vec![
            section("Summary", "", vec![comparison()?.into()], vec![]),
            section(
                "Latency",
                "From the first SYN to the first byte of the response.",
                vec![],
                vec![
                    figure(distribution(Form::Cumulative).svg(), "The middle of the distribution."),
                    figure(distribution(Form::Tail).svg(), "Its tail, both axes logarithmic."),
                ],
            ),
            section(
                "Real servers",
                "",
                vec![],
                vec![
                    figure(connections(false).svg(), "Every panel has the same scales."),
                    figure(connections(true).svg(), "The same, stacked."),
                    figure(shares(12, 2).svg(), ""),
                ],
            ),
            section("Director", "", vec![], vec![figure(director().svg(), "Bars span 95 %.")]),
            section("Drops", "", vec![drops()?.into()], vec![]),
        ],
        manifest: [("seed", "1"), ("digest", "6f1c0a88d7e0b3954c2b7f3e55aa10d9")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec(),
    })
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
        ("split-brain", split_brain().svg()),
        ("year", year().svg()),
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

fn lane(group: &str, name: &str, stretches: &[(f64, f64, &str)]) -> Lane {
    let stretch = |s: &(f64, f64, &str)| Stretch {
        from: s.0,
        to: s.1,
        who: s.2.to_owned(),
        pale: s.2 == "rs2",
    };
    Lane {
        group: group.to_owned(),
        name: name.to_owned(),
        stretches: stretches.iter().map(stretch).collect(),
    }
}

/// Half a minute with a split brain.
fn split_brain() -> Timeline {
    let (a, b) = ("director1", "director2");
    let shade = |from, to, label: &str| Shade { from, to, label: label.to_owned() };
    let lost = [(8.0, 9.0, 3.0), (9.0, 10.0, 41.0), (10.0, 11.0, 12.0), (21.0, 22.0, 7.0)];
    let cache = "Who stands for 192.168.10.200 in the ARP cache of";
    Timeline {
        title: "Split brain by a link that is down".to_owned(),
        time: Axis::new("simulated time", Unit::Seconds),
        range: (0.0, 30.0),
        lanes: vec![
            lane("Master", "VI_1", &[(0.6, 30.0, a), (10.6, 21.2, b)]),
            lane("Master", "VI_2", &[(0.6, 8.0, a), (11.6, 30.0, b)]),
            lane("Holds the virtual address", "192.168.10.200", &[(0.6, 30.0, a), (10.6, 21.2, b)]),
            lane(
                cache,
                "router",
                &[(1.0, 10.6, a), (10.6, 15.0, b), (15.0, 18.0, a), (18.0, 30.0, b)],
            ),
            lane(cache, "a-real-server-with-a-long-name", &[(2.0, 30.0, a)]),
            lane("Pool of director1", "192.168.10.11:80", &[(0.0, 30.0, a)]),
            lane("Pool of director1", "192.168.10.12:80", &[(0.0, 9.5, a), (23.0, 30.0, a)]),
            lane("Pool of director2", "192.168.10.11:80", &[(0.0, 30.0, b)]),
            lane("Pool of director2", "192.168.10.12:80", &[(0.0, 9.7, b), (22.5, 30.0, b)]),
        ],
        shades: vec![
            shade(7.6, 21.0, "heartbeat link down"),
            shade(9.0, 20.0, "rs2 without power"),
            shade(25.0, 25.0, "keepalived on director1 killed"),
        ],
        counted: "Requests lost".to_owned(),
        counts: lost.iter().map(|c| Count { from: c.0, to: c.1, number: c.2 }).collect(),
    }
}

/// A year with many short events.
fn year() -> Timeline {
    const DAY: f64 = 86_400.0;
    let (a, b) = ("director1", "director2");
    let mut held = Vec::new();
    let mut shades = Vec::new();
    let mut counts = Vec::new();
    let mut from = 0.0;
    for n in 0..60_u32 {
        let next = from + DAY * (2.0 + f64::from(n * 7 % 9));
        let who = if n % 5 < 3 { a } else { b };
        held.push((from, next, who));
        if n % 13 == 4 {
            held.push((next - 20.0, next, if who == a { b } else { a }));
        }
        shades.push(Shade { from: next - 3.0, to: next + 1800.0, label: "crash".to_owned() });
        let bucket = (next / (DAY * 0.7)).floor() * DAY * 0.7;
        counts.push(Count { from: bucket, to: bucket + DAY * 0.7, number: f64::from(n % 7 + 2) });
        from = next + 3.2;
    }
    let lanes = vec![
        lane("Master", "VI_1", &held),
        lane("Holds the virtual address", "192.168.10.200", &held),
        lane(
            "Pool of director1",
            "192.168.10.11:80",
            &[(0.0, 100.0 * DAY, a), (103.0 * DAY, 365.0 * DAY, a)],
        ),
    ];
    Timeline {
        title: "A year".to_owned(),
        time: Axis::new("simulated time", Unit::Seconds),
        range: (0.0, 365.0 * DAY),
        lanes,
        shades,
        counted: "Requests lost".to_owned(),
        counts,
    }
}
