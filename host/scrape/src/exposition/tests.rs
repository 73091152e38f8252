//! Both formats: what they say, and what is wrong with what is not in them.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

fn entries(format: Format, page: &str) -> Result<Vec<Entry<'_>>, ParseError> {
    Parser::new(format, page.as_bytes())?.collect()
}

fn sample<'a>(name: &'a str, labels: &[(&'a str, &'a str)], value: f64, time_ms: Option<i64>) -> Entry<'a> {
    let labels = labels.iter().map(|(name, value)| (*name, Cow::Borrowed(*value))).collect();
    Entry::Sample(Sample { name, labels, value, time_ms })
}

fn help<'a>(family: &'a str, text: &'a str) -> Entry<'a> {
    Entry::Help { family, text: Cow::Borrowed(text) }
}

#[test]
fn the_text_format_says_types_help_and_samples() {
    let page = "# HELP a A \\\\ and\\n\"b\".\n# TYPE a counter\n# a comment\n#TYPE is one too\n\n\
                a 1\na{} 2 \n  a { x = \"1\" , y=\"q\\\"\\\\\\n\\z, {}\" , } 3e-2 1700000000123\n\
                a{x=\"\"} +Inf -5\nb\t-Inf\n# TYPE c untyped\n# HELP d\nc:d_9 .5";
    let expected = [
        help("a", "A \\ and\n\"b\"."),
        Entry::Kind { family: "a", kind: Kind::Counter },
        sample("a", &[], 1.0, None),
        sample("a", &[], 2.0, None),
        sample("a", &[("x", "1"), ("y", "q\"\\\n\\z, {}")], 0.03, Some(1_700_000_000_123)),
        sample("a", &[("x", "")], f64::INFINITY, Some(-5)),
        sample("b", &[], f64::NEG_INFINITY, None),
        Entry::Kind { family: "c", kind: Kind::Unknown },
        help("d", ""),
        sample("c:d_9", &[], 0.5, None),
    ];
    assert_eq!(entries(Format::Text, page).unwrap(), expected);
    assert_eq!(entries(Format::Text, "").unwrap(), []);
}

#[test]
fn openmetrics_says_units_and_seconds_too() {
    let page = "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds Took.\n\
                a_seconds_total{x=\"\\\"}\"} 1.5 1700000000.123 # {trace_id=\"t\"} 0.5 1700000000.1\n\
                a_seconds_total 1 # {} 2\n# TYPE b stateset\n# HELP b\n# EOF\n";
    let expected = [
        Entry::Kind { family: "a_seconds", kind: Kind::Counter },
        Entry::Unit { family: "a_seconds", unit: "seconds" },
        help("a_seconds", "Took."),
        sample("a_seconds_total", &[("x", "\"}")], 1.5, Some(1_700_000_000_123)),
        sample("a_seconds_total", &[], 1.0, None),
        Entry::Kind { family: "b", kind: Kind::StateSet },
        help("b", ""),
    ];
    assert_eq!(entries(Format::OpenMetrics, page).unwrap(), expected);
    assert_eq!(entries(Format::OpenMetrics, "# EOF").unwrap(), []);
}

#[test]
fn no_page_can_say_a_stale_marker() {
    for text in ["NaN", "nan", "-NaN", "+nan"] {
        let page = format!("a {text}");
        let Entry::Sample(sample) = &entries(Format::Text, &page).unwrap()[0] else { panic!("no sample") };
        assert_eq!(sample.value.to_bits(), f64::NAN.to_bits());
        assert_ne!(sample.value.to_bits(), picket_model::STALE_NAN);
    }
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let most = |what: &str, count: usize| what.repeat(count);
    let labels: String = (0..=MAX_LABELS).map(|number| format!("l{number}=\"\",")).collect();
    let too_many = format!("a{{{labels}}} 1");
    let long_name = format!("{} 1", most("a", MAX_NAME_BYTES + 1));
    let long_value = format!("a{{l=\"{}\"}} 1", most("a", MAX_VALUE_BYTES + 1));
    for (page, said) in [
        ("a 1\n<html>", "line 2: a metric's name is expected, and `<html>` stands there"),
        ("a", "line 1: ends where"),
        ("a ", "line 1: ends where"),
        ("a{", "line 1: ends where a label's name or `}` is expected"),
        ("a{x", "ends where `=`"),
        ("a{x=\"", "ends where the closing quote"),
        ("a{x=\"\\", "ends where the closing quote"),
        ("a{x=\"1\"y=\"2\"} 1", "`,` or `}` is expected"),
        ("a{x=\"1\",x=\"2\"} 1", "has the label `x` twice"),
        ("a{__name__=\"b\"} 1", "`__name__`"),
        ("a{1x=\"\"} 1", "a label's name"),
        ("a{\"x\"=\"\"} 1", "quoted name"),
        ("{\"a\"} 1", "quoted name"),
        ("{x=\"a\"} 1", "a metric's name"),
        ("a-b 1", "is expected, and `-b 1`"),
        ("a one", "`one` is no number"),
        ("a 1 soon", "`soon` is no time; it is a number of milliseconds"),
        ("a 1 1.5", "is no time"),
        ("a 1 2 3", "the end of the line"),
        ("a 1\r\n", "`1\\r` is no number"),
        ("# TYPE a thing", "`thing` is no type"),
        ("# TYPE 1", "a metric's name"),
        (&too_many, "256 labels"),
        (&long_name, "1024 bytes"),
        (&long_value, "64 KiB"),
    ] {
        let error = entries(Format::Text, page).unwrap_err().to_string();
        assert!(error.contains(said), "{said}: {error}");
    }
    let error = Parser::new(Format::Text, b"a 1\nb{x=\"\xff\"} 1\n").unwrap_err();
    assert_eq!(error.to_string(), "line 2: is no UTF-8 text");
}

#[test]
fn a_long_help_is_cut_and_costs_no_sample() {
    for (text, left) in [
        ("a".repeat(MAX_HELP_BYTES), MAX_HELP_BYTES),
        ("a".repeat(MAX_HELP_BYTES + 1), MAX_HELP_BYTES),
        ("a".repeat(1 << 20), MAX_HELP_BYTES),
        // Neither half a letter nor half an escape is left.
        ("ä".repeat(MAX_HELP_BYTES), MAX_HELP_BYTES),
        (format!("a{}", "ä".repeat(MAX_HELP_BYTES)), MAX_HELP_BYTES - 1),
        (format!("a{}", "\\\\".repeat(MAX_HELP_BYTES)), MAX_HELP_BYTES / 2),
        (format!("a{}", "\\n".repeat(MAX_HELP_BYTES)), MAX_HELP_BYTES / 2),
    ] {
        for (format, end) in [(Format::Text, ""), (Format::OpenMetrics, "# EOF\n")] {
            let page = format!("# HELP m {text}\nm 1\n{end}");
            let found = entries(format, &page).unwrap();
            let [Entry::Help { text, .. }, Entry::Sample(_)] = &found[..] else { panic!("{found:?}") };
            assert_eq!(text.len(), left);
        }
    }
}

#[test]
fn openmetrics_is_exact() {
    for (page, said) in [
        ("", "line 1: the page ends without `# EOF`"),
        ("a 1\n", "line 2: the page ends without `# EOF`"),
        ("# EOF\na 1\n", "something stands behind `# EOF`"),
        ("# EOF\n\n", "something stands behind `# EOF`"),
        ("\n# EOF\n", "line 1: ends where"),
        ("# a comment\n# EOF\n", "`HELP`, `TYPE`, `UNIT` or `EOF`"),
        ("a  1\n# EOF\n", "ends where a value"),
        ("a 1 \n# EOF\n", "is no time; it is a number of seconds"),
        ("a 1 1e300\n# EOF\n", "is no time"),
        ("a 1 NaN\n# EOF\n", "is no time"),
        ("a 1 # x\n# EOF\n", "an exemplar or the end of the line"),
        ("a 1 # {} one\n# EOF\n", "`one` is no number"),
        ("a 1 # {} 1 2 3\n# EOF\n", "the end of the line"),
        ("# TYPE a untyped\n# EOF\n", "`untyped` is no type"),
        ("# UNIT a_seconds bytes\n# EOF\n", "does not end with its unit"),
        ("# UNIT aseconds seconds\n# EOF\n", "does not end with its unit"),
    ] {
        let error = entries(Format::OpenMetrics, page).unwrap_err().to_string();
        assert!(error.contains(said), "{said}: {error}");
    }
}

#[test]
fn after_an_error_there_is_nothing_more() {
    let mut parser = Parser::new(Format::Text, b"?\na 1\n").unwrap();
    assert!(parser.next().unwrap().is_err());
    assert_eq!(parser.next(), None);
}

#[test]
fn the_content_type_says_the_format() {
    for (text, format) in [
        ("", Some(Format::Text)),
        ("text/plain; version=0.0.4; charset=utf-8", Some(Format::Text)),
        ("Application/OpenMetrics-Text; version=1.0.0", Some(Format::OpenMetrics)),
        ("application/json", None),
        ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily", None),
    ] {
        assert_eq!(Format::of(text), format, "{text}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        name in "[a-zA-Z_:][a-zA-Z0-9_:]{0,20}",
        labels in proptest::collection::btree_map("[a-z][a-z0-9_]{0,9}", "(?s).{0,20}", 0..5),
        value in any::<f64>(),
        time in proptest::option::of(-4_000_000_000_000_i64..4_000_000_000_000),
    ) {
        let inner: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let inner = inner.join(",");
        let text_time = time.map(|time| format!(" {time}")).unwrap_or_default();
        let text = format!("{name}{{{inner}}} {value}{text_time}\n");
        let open_time = time.map(|time| format!(" {}", time as f64 / 1000.0)).unwrap_or_default();
        let open = format!("{name}{{{inner}}} {value}{open_time}\n# EOF\n");
        for (format, page) in [(Format::Text, text), (Format::OpenMetrics, open)] {
            let found = entries(format, &page).unwrap();
            let Entry::Sample(sample) = &found[0] else { panic!("no sample") };
            prop_assert_eq!(sample.name, &name);
            let found: Vec<(&str, &str)> = sample.labels.iter().map(|(name, value)| (*name, &**value)).collect();
            let expected: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (&**name, &**value)).collect();
            prop_assert_eq!(found, expected);
            prop_assert!(sample.value == value || sample.value.is_nan() && value.is_nan());
            prop_assert_eq!(sample.time_ms, time);
        }
    }

    #[test]
    fn any_page_is_entries_or_one_error_with_its_line(page in "([a-z{}=\"\\\\,.# \n0-9]|# TYPE |# HELP |# EOF\n){0,60}") {
        for format in [Format::Text, Format::OpenMetrics] {
            let lines = page.lines().count() + 1;
            for entry in Parser::new(format, page.as_bytes()).unwrap() {
                prop_assert!(entry.map_or_else(|error| (1..=lines).contains(&error.line), |_| true));
            }
        }
    }
}
