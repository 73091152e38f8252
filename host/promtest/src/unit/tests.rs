//! Files of unit tests, good and bad.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use proptest::prelude::*;

const FILE: &str = r#"
rule_files: [alerts.yml, "recording/*.yml"]
evaluation_interval: 30s
group_eval_order: [first, second]
fuzzy_compare: true
tests:
  - name: a node goes down
    interval: 1m
    start_timestamp: 2024-02-29T12:00:00.5+01:00
    external_labels: {cluster: eu-1, shard: 3}
    external_url: https://example.org
    input_series:
      - series: 'up{job="node", instance="a"}'
        values: 1 1 0x3 _ stale
      - series: plain
    alert_rule_test:
      - eval_time: 4m
        alertname: NodeDown
        exp_alerts:
          - exp_labels: {severity: page, instance: a}
            exp_annotations:
              summary: "It is down."
      - alertname: Other
    promql_expr_test:
      - expr: sum(up)
        eval_time: 1m30s
        exp_samples:
          - value: 1e3
          - labels: 'x{a="b"}'
            value: .NaN
          - histogram: "{{sum:1}}"
  - interval: 5m
"#;

#[test]
fn a_file_is_read_with_everything_that_it_may_hold() {
    let tests = unit_tests(FILE).unwrap();
    assert_eq!(tests.rule_files, ["alerts.yml", "recording/*.yml"]);
    assert_eq!((tests.evaluation_interval, tests.fuzzy_compare), (30_000, true));
    let [first, second] = &tests.tests[..] else { panic!("{tests:?}") };
    assert_eq!(first.name.as_deref(), Some("a node goes down"));
    assert_eq!((first.interval, first.start), (60_000, 1_709_204_400_500));
    assert_eq!(first.external_labels["shard"], "3");
    assert_eq!((first.series[0].1.len(), first.series[1].1.len()), (8, 0));
    assert_eq!(first.alerts[0].expected[0].annotations["summary"], "It is down.");
    assert_eq!((first.alerts[0].line, first.alerts[1].eval_time), (17, 0));
    let samples = &first.expressions[0].expected;
    assert_eq!((samples[0].1, samples[2].1), (Some(1000.0), None));
    assert!(samples[1].1.unwrap().is_nan());
    assert_eq!((second.interval, second.start, second.line), (300_000, 0, 32));
    assert_eq!(unit_tests("").unwrap().evaluation_interval, EVALUATION_INTERVAL);
    assert_eq!(unit_tests("tests:\n  - input_series:\n").unwrap().tests[0].interval, EVALUATION_INTERVAL);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, place, says) in [
        ("rule_file: [a]\n", (1, 1), "has no key `rule_file`; it has `"),
        ("tests:\n  - intervall: 1m\n", (2, 5), "a test has no key `intervall`"),
        ("tests:\n  - interval: 1 minute\n", (2, 15), "is no length of time"),
        ("tests:\n  - input_series:\n      - values: 1\n", (3, 9), "needs the key `series`"),
        ("tests:\n  - input_series:\n      - series: 'up{'\n", (3, 17), "at character 4"),
        ("tests:\n  - input_series:\n      - {series: up, values: '1 x'}\n", (3, 30), "at character 3"),
        ("tests:\n  - alert_rule_test:\n      - eval_time: 1m\n", (3, 9), "needs the key `alertname`"),
        ("tests:\n  - start_timestamp: yesterday\n", (2, 22), "is no time since 1970"),
        ("tests: 5\n", (1, 8), "`tests` is a list"),
        ("fuzzy_compare: maybe\n", (1, 16), "neither"),
        (
            "tests:\n  - promql_expr_test:\n      - expr: x\n        exp_samples: [{value: y}]\n",
            (4, 31),
            "no number",
        ),
    ] {
        let error = unit_tests(text).unwrap_err();
        assert_eq!((error.line, error.column), place, "{text}: {error}");
        assert!(error.message.contains(says), "{text}: {error}");
    }
}

#[test]
fn times_are_read_as_unix_seconds_or_with_a_date() {
    let start = |text: &str| {
        unit_tests(&format!("tests:\n  - start_timestamp: {text}\n")).map(|it| it.tests[0].start)
    };
    for (text, millis) in [
        ("0", 0),
        ("1700000000.25", 1_700_000_000_250),
        ("1970-01-01T00:00:00Z", 0),
        ("2000-03-01T00:00:00Z", 951_868_800_000),
        ("2023-12-31T23:59:59.999-01:30", 1_704_072_599_999),
    ] {
        assert_eq!(start(text), Ok(millis), "{text}");
    }
    for text in
        ["-1", "1e300", "NaN", "1969-12-31T23:00:00Z", "2024-13-01T00:00:00Z", "2024-01-01", "12:00:00Z"]
    {
        assert!(start(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(cut in 0..FILE.len(), put in "\\PC{0,4}") {
        let mut text = FILE.to_owned();
        text.replace_range(cut..=cut, &put);
        let _ = unit_tests(&text);
    }
}
