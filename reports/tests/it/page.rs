//! The page: self-contained, escaped, complete.

use proptest::prelude::*;
use reports::{
    Column, Comparison, Sense, Table, Unit,
    html::{Expectation, Figure, KeyFigure, Report, Section, Verdict, write},
    plot::{Axis, Distribution, Form, Series},
};

const HOSTILE: &str = "<script>alert(\"1\")</script> & 'x'";
const ESCAPED: &str = "&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62; &#38; &#39;x&#39;";

fn page(report: &Report) -> String {
    let mut out = Vec::new();
    write(report, &mut out).expect("a Vec takes every byte");
    String::from_utf8(out).expect("a page is UTF-8")
}

/// A report with the same words in every place that takes words.
fn everywhere(words: &str) -> Report {
    let text = || words.to_owned();
    let mut rows = Table::new(words, [Column::text(words), Column::float(words, Unit::Seconds)]);
    rows.push([words.into(), 0.5.into()]).expect("two cells for two columns");
    rows.push([words.into(), words.into()]).expect("two cells for two columns");
    let mut modes = Comparison::new(words, [words, "dr"]);
    modes.group(words);
    modes
        .push(words, Unit::other(words), Sense::ZeroIsGood, [1_u64.into(), 0_u64.into()])
        .expect("two cells for two variants");
    let svg = Distribution {
        title: text(),
        value: Axis::new(words, Unit::Seconds),
        counted: text(),
        form: Form::Tail,
        series: vec![Series::new(words, [(1.0, 0.5)]), Series::new("other", [(1.0, 1.0)])],
    }
    .svg();
    Report {
        title: text(),
        question: text(),
        description: vec![text()],
        figures: vec![KeyFigure { label: text(), value: text(), note: text() }],
        expectations: vec![
            Expectation { text: text(), verdict: Verdict::Pass, measured: text() },
            Expectation { text: text(), verdict: Verdict::Fail, measured: text() },
            Expectation { text: text(), verdict: Verdict::Unjudged, measured: text() },
        ],
        sections: vec![Section {
            heading: text(),
            intro: text(),
            tables: vec![rows.into(), modes.into()],
            plots: vec![Figure { svg, caption: text() }],
        }],
        manifest: vec![(text(), text())],
    }
}

#[test]
fn hostile_words_are_only_words() {
    let page = page(&everywhere(HOSTILE));
    assert!(!page.contains("<script>alert"), "nothing gets out of its place");
    assert_eq!(page.matches("<script>").count(), 1, "the page's own");
    assert!(page.matches(ESCAPED).count() >= 20, "and everything is shown");
}

#[test]
fn the_page_fetches_nothing() {
    let page = page(&everywhere("plain"));
    for word in ["http:", "https:", "url(", "@import", "src=\"", "<link", "<img", "<iframe", "//"] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.contains("content=\"default-src 'none'; style-src 'sha256-"));
    assert!(!page.contains("unsafe-inline") && !page.contains(" style=\""));
}

#[test]
fn the_page_says_what_was_asked_and_what_came_out() {
    let page = page(&everywhere("words"));
    for part in [
        "<p class=\"question\">words</p>",
        "<caption>1 of 3 hold</caption>",
        "<span class=\"verdict pass\">pass</span>",
        "<span class=\"verdict fail\">fail</span>",
        "not judged",
        "<th scope=\"rowgroup\" colspan=\"3\">words</th>",
        "<td class=\"n bad\">1 words</td>",
        "<td class=\"n\" title=\"0.5\">500 ms</td>",
        "role=\"img\" aria-label=\"words: share of words above\"",
        "<figcaption>words</figcaption>",
        "<h2 id=\"manifest\">Manifest</h2>",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn an_empty_report_is_a_page_with_a_title() {
    let page = page(&Report { title: "nothing yet".to_owned(), ..Report::default() });
    assert!(page.contains("<h1>nothing yet</h1>"));
    assert!(!page.contains("<section") && !page.contains("<nav"));
    let empty = Table::new("none", [Column::text("a")]);
    let section = Section { tables: vec![empty.into()], ..Section::default() };
    let page = self::page(&Report { sections: vec![section], ..Report::default() });
    assert!(page.contains("nothing to show"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_words_make_the_same_page_twice(words in any::<String>()) {
        let first = page(&everywhere(&words));
        prop_assert_eq!(&first, &page(&everywhere(&words)));
        prop_assert_eq!(first.matches("<script>").count(), 1);
        prop_assert_eq!(first.matches("</html>").count(), 1);
    }
}
