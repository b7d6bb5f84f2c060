use super::*;

fn stretch(from: f64, to: f64, who: &str) -> Stretch {
    Stretch { from, to, who: who.to_owned(), pale: false }
}

fn timeline() -> Timeline {
    Timeline {
        title: "t".to_owned(),
        time: Axis::new("time", Unit::Seconds),
        range: (0.0, 30.0),
        lanes: vec![Lane {
            group: "VIP".to_owned(),
            name: "held by".to_owned(),
            stretches: vec![stretch(0.0, 12.0, "lb1"), stretch(11.0, 30.0, "lb2")],
        }],
        ..Timeline::default()
    }
}

#[test]
fn several_at_a_time_are_highlighted_and_explained() {
    let svg = timeline().svg();
    assert!(svg.as_str().contains(SEVERAL) && svg.as_str().contains("#DC143C"));
    let mut alone = timeline();
    alone.lanes[0].stretches[1].from = 12.0;
    assert!(!alone.svg().as_str().contains(SEVERAL));
}

#[test]
fn a_year_of_stretches_makes_a_small_picture() {
    let mut year = timeline();
    year.range = (0.0, 31_536_000.0);
    year.lanes[0].stretches = (0..20_000)
        .map(|n| {
            let from = f64::from(n) * 1_500.0;
            stretch(from, from + 1_497.0, if n % 2 == 0 { "lb1" } else { "lb2" })
        })
        .collect();
    year.shades = (0..5_000)
        .map(|n| Shade {
            from: f64::from(n) * 6_000.0,
            to: f64::from(n) * 6_000.0,
            label: "x".into(),
        })
        .collect();
    assert!(year.svg().as_str().len() < 400_000, "{}", year.svg().as_str().len());
}

#[test]
fn nothing_is_drawn_of_nothing() {
    let svg = Timeline::default().svg();
    assert!(svg.as_str().starts_with("<svg"));
    let many = Timeline { lanes: vec![Lane::default(); 100], ..timeline() };
    assert!(many.svg().as_str().contains("(+40 lanes not drawn)"));
}
