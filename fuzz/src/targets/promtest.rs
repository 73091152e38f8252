//! Prometheus' notations for tests: files of others that `picket rules test` and the conformance runner read.

use picket_promtest::{
    Command, Labels, MAX_FILE_POINTS, MAX_POINTS, parse_series, parse_values, script, show_series, unit_tests,
};

use crate::{Target, shape, shape_of_text};

/// A series with its samples, as in `load`.
pub(super) const SERIES: Target = Target {
    name: "series-notation",
    about: "a series and its samples in Prometheus' notation for tests",
    samples: &[],
    seeds: || {
        [
            "up{job=\"node\", instance='a:1'}\n1+2x3 _ stale NaN -Inf 4x2 _x3",
            "{\"a b\", `c.d`=\"\\u00e9\\x41\\101\\n\"}\n.5 1e-2 {{sum:1 buckets:[1 2]}}x2 0-1x2",
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
    },
    words: &[
        "{", "}", "=", "\"", "'", "`", "x", "+", "-", "_", "stale", "Inf", "NaN", "{{", "}}", "\\x", "\\u",
    ],
    run: |data| {
        let Ok(text) = std::str::from_utf8(data) else { return 0 };
        // The series on the first line, its samples behind it; one line is read as both.
        let (series, values) = text.split_once('\n').unwrap_or((text, text));
        let labels = match parse_series(series) {
            Ok(labels) => read_back(&labels),
            Err(error) => shape_of_text(&error.message),
        };
        let values = match parse_values(values) {
            Ok(points) => {
                assert!(points.len() <= MAX_POINTS, "{} samples", points.len());
                points.len() as u64
            }
            Err(error) => shape_of_text(&error.message),
        };
        shape(&[labels, values])
    },
};

/// How many labels there are, which stay the same when they are written and read again.
fn read_back(labels: &Labels) -> u64 {
    let shown = show_series(labels);
    let again = parse_series(&shown).expect("what is written can be read");
    assert_eq!(&again, labels, "a series changes when it is written");
    labels.len() as u64
}

/// A `.test` file.
pub(super) const SCRIPT: Target = Target {
    name: "test-script",
    about: "a file of Prometheus' PromQL test suite",
    samples: &[
        "plugins/promql-rules/engine/tests/cases/aggregations.test",
        "plugins/promql-rules/engine/tests/cases/selectors.test",
        "plugins/promql-rules/engine/tests/cases/subqueries.test",
    ],
    seeds: || vec![CASES.as_bytes().to_vec()],
    words: &[
        "load 5m\n",
        "load_with_nhcb 1m\n",
        "clear\n",
        "eval instant at 5m ",
        "eval range from 0 to 10m step 1m ",
        "eval_fail ",
        "eval_ordered ",
        "eval_warn ",
        "expect fail msg: ",
        "expect warn\n",
        "expect ordered\n",
        "expect string \"a\"\n",
        "expect range vector from 0 to 1m step 1m\n",
        "expect no_info\n",
        "expect fail regex: (",
        "\n\n",
        "  {a=\"b\"} 1\n",
        "#",
    ],
    run: |data| {
        let Ok(text) = std::str::from_utf8(data) else { return 0 };
        let lines = text.lines().count();
        let mut last = 0;
        let mut shapes = Vec::new();
        for block in script(text) {
            assert!(last < block.line && block.line <= lines, "a block that begins nowhere");
            last = block.line;
            shapes.push(match block.command {
                Ok(Command::Clear) => 1,
                Ok(Command::Load(load)) => shape(&[2, load.series.len() as u64, u64::from(load.with_nhcb)]),
                Ok(Command::Eval(case)) => shape(&[3, case.expression.len() as u64]),
                Err(error) => {
                    assert!((block.line..=lines).contains(&error.line), "a mistake outside of its block");
                    shape_of_text(&error.message)
                }
            });
        }
        shape(&shapes)
    },
};

const CASES: &str = r#"load 1m
  a{b="c"} 0+1x10
  d _ stale 1

eval instant at 5m sum(a)
  expect no_warn
  {} 5

eval range from 0 to 2m step 1m a
  a{b="c"} 0 1 2

eval instant at 0 1 +
  expect fail msg: unexpected end

clear
"#;

/// A file of unit tests.
pub(super) const UNIT_TESTS: Target = Target {
    name: "unit-tests",
    about: "a file of promtool's unit tests",
    samples: &[],
    seeds: || {
        vec![
            UNIT.as_bytes().to_vec(),
            include_bytes!("../../../plugins/promql-rules/packs/tests/certificates.yml").to_vec(),
        ]
    },
    words: &[
        "tests:\n",
        "- interval: 1m\n",
        "  input_series:\n",
        "  - series: 'a'\n",
        "    values: '1x9'\n",
        "  alert_rule_test:\n",
        "  - eval_time: 5m\n",
        "    alertname: A\n",
        "    exp_alerts:\n",
        "    - exp_labels: {a: b}\n",
        "      exp_annotations: {c: d}\n",
        "  promql_expr_test:\n",
        "  - expr: a\n",
        "    exp_samples:\n",
        "    - labels: 'a{}'\n",
        "      value: 1\n",
        "  start_timestamp: 2024-02-29T12:00:00Z\n",
        "rule_files: [a.yml]\n",
        "fuzzy_compare: true\n",
        "&a ",
        "*a",
        "---\n",
    ],
    run: |data| {
        let Ok(text) = std::str::from_utf8(data) else { return 0 };
        match unit_tests(text) {
            Ok(tests) => {
                let series: usize = tests.tests.iter().map(|test| test.series.len()).sum();
                let points = tests.tests.iter().flat_map(|test| &test.series).map(|(_, points)| points.len());
                assert!(points.sum::<usize>() <= MAX_FILE_POINTS, "the series expand to too much");
                let alerts: usize = tests.tests.iter().map(|test| test.alerts.len()).sum();
                let expressions: usize = tests.tests.iter().map(|test| test.expressions.len()).sum();
                shape(&[1, tests.tests.len() as u64, series as u64, alerts as u64, expressions as u64])
            }
            Err(error) => {
                assert!(!error.message.is_empty(), "refused without saying why");
                shape_of_text(&error.message)
            }
        }
    },
};

const UNIT: &str = r#"rule_files: [a.yml]
evaluation_interval: 1m
group_eval_order: [g]
tests:
- name: one
  interval: 30s
  start_timestamp: 1700000000.5
  input_series:
  - {series: 'up{job="a"}', values: '1x3 0 _ stale'}
  alert_rule_test:
  - eval_time: 5m
    alertname: Down
    exp_alerts:
    - exp_labels: {job: a}
      exp_annotations: {s: t}
  promql_expr_test:
  - {expr: up, eval_time: 1m, exp_samples: [{labels: 'up{}', value: 0x1F}]}
  external_labels: {x: y}
"#;
