//! Whatever the text and whatever the samples: an answer or an error, never a panic, and never more stack or time
//! than a guest has.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::cell::Cell;
use std::rc::Rc;

use promql_engine::limits::{MAX_DEPTH, MAX_EXPRESSION_BYTES};
use promql_engine::{EvalError, Labels, Options, Request, Series, Storage, StorageError, parse};
use proptest::prelude::*;

/// Answers each request with the same few series, within its window.
struct Fixed;

impl Storage for Fixed {
    fn select(&mut self, requests: &[Request]) -> Result<Vec<Vec<Series>>, StorageError> {
        let series = |request: &Request, job: &str| {
            let last = request.end_ms;
            let times: Vec<i64> =
                [last - 40_000, last - 10_000, last].into_iter().filter(|&t| t >= request.start_ms).collect();
            let values = [1.0, f64::NAN, -3.5][3 - times.len()..].to_vec();
            Series {
                labels: Rc::new(Labels::from_pairs([("__name__", "a"), ("job", job), ("le", "1")])),
                times,
                values,
            }
        };
        Ok(requests.iter().map(|request| vec![series(request, "x"), series(request, "y")]).collect())
    }
}

fn evaluate(text: &str) {
    let Ok(query) = parse(text) else { return };
    let options = Options { max_samples: 2_000, ..Options::default() };
    let _ = query.instant(1_700_000_000_000, &mut Fixed, &options);
    let _ = query.range(-120_000, 120_000, 60_000, &mut Fixed, &options);
}

/// Runs in a thread with as little stack as a guest may have. Without optimisation frames are many times larger.
fn with_small_stack(test: fn()) {
    let stack = if cfg!(debug_assertions) { 2 << 20 } else { 256 << 10 };
    std::thread::Builder::new().stack_size(stack).spawn(test).unwrap().join().unwrap();
}

#[test]
fn the_deepest_expressions_fit_into_a_small_stack() {
    with_small_stack(|| {
        let deep = MAX_DEPTH - 2;
        let wrapped = |open: &str, inner: &str, close: &str, levels: usize| {
            format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
        };
        let texts = [
            wrapped("(", "a", ")", deep),
            wrapped("-", "a", "", deep),
            wrapped("sum(", "a", ")", deep),
            wrapped("abs(", "a", ")", deep),
            wrapped("a + (", "a", ")", deep / 2),
            wrapped("topk(1, ", "a", ")", deep),
            wrapped("label_replace(", "a", ", \"b\", \"$1\", \"job\", \"(.*)\")", deep),
            wrapped("max_over_time(", "a", "[1m:1m])", deep / 2),
            wrapped("info(", "a", ")", deep),
            wrapped("", "a", " or a", deep),
            wrapped("a ^ ", "a", "", deep),
        ];
        for text in texts {
            assert!(parse(&text).is_ok(), "{:?} {}", parse(&text).unwrap_err(), &text[..20]);
            evaluate(&text);
        }
    });
}

#[test]
fn what_is_too_deep_or_too_long_is_refused_before_it_is_parsed() {
    with_small_stack(|| {
        for part in
            ["(", "-", "sum(", "a + (", "[", "{", "a or ", "((a", "- -1 ^ ", "a[1m:1m][1m:1m]", "f(a,"]
        {
            let text = part.repeat(MAX_EXPRESSION_BYTES / part.len());
            assert!(parse(&text).is_err(), "{part}");
        }
    });
}

#[test]
fn a_query_gives_up_when_its_time_is_over_or_its_samples_are_too_many() {
    let query = parse("sum(a) + max_over_time(a[1h:1s])").unwrap();
    let looks = Cell::new(0);
    let is_over = || {
        looks.set(looks.get() + 1);
        looks.get() > 2
    };
    let options = Options { is_over: &is_over, ..Options::default() };
    assert_eq!(query.instant(0, &mut Fixed, &options).unwrap_err(), EvalError::DeadlineExceeded);
    let options = Options { max_samples: 100, ..Options::default() };
    assert_eq!(query.instant(0, &mut Fixed, &options).unwrap_err(), EvalError::TooManySamples);
    assert!(query.instant(0, &mut Fixed, &Options::default()).is_ok());
}

/// Pieces of expressions, some of which fit together.
fn piece() -> impl Strategy<Value = String> {
    let pieces = [
        "a",
        "{job=\"x\"}",
        "{__name__=~\"a|b\"}",
        "[5m]",
        "[5m:1m]",
        "[1h:]",
        "(",
        ")",
        "sum",
        "by (job)",
        "without (le)",
        "topk(2,",
        "quantile(0.5,",
        "count_values(\"v\",",
        "limit_ratio(-0.5,",
        "rate(",
        "histogram_quantile(0.9,",
        "label_replace(",
        ", \"b\", \"$1\", \"job\", \"(.*)\"",
        "label_join(",
        "on (job)",
        "ignoring (le)",
        "group_left (le)",
        "group_right",
        "fill(0)",
        "fill_left(-1)",
        "bool",
        "+",
        "-",
        "*",
        "/",
        "%",
        "^",
        "==",
        "<",
        "and",
        "or",
        "unless",
        "atan2",
        "@ 0",
        "@ start()",
        "@ -1e9",
        "offset 5m",
        "offset -1w",
        "1",
        "-0x1F",
        "1e308",
        "Inf",
        "NaN",
        "5m",
        "\"text\"",
        "`raw\\`",
        "'\\xff'",
        ",",
        "time()",
        "absent(",
        "scalar(",
        "vector(",
        "sort_by_label(",
        "info(",
        "predict_linear(",
        "day_of_year(",
        "timestamp(",
        "clamp(",
        "step",
        "smoothed",
        "# comment\n",
        "é",
        "\\",
        "}",
        "]",
        "99999999999y",
        "[99y:1ms]",
        "offset 1e300",
        "</",
        "{{",
    ];
    proptest::sample::select(pieces.map(str::to_owned).to_vec())
}

/// Expressions that follow the grammar.
fn expression() -> impl Strategy<Value = String> {
    let leaf = proptest::sample::select(vec![
        "a",
        "a{job=\"x\"}",
        "a offset 1m",
        "a @ end()",
        "vector(2)",
        "a[5m:1m]",
    ])
    .prop_map(|leaf| if leaf.ends_with(']') { format!("last_over_time({leaf})") } else { leaf.to_owned() });
    leaf.prop_recursive(5, 24, 3, |inner| {
        let call = proptest::sample::select(vec![
            "sum by (job) (X)",
            "topk(1, X)",
            "bottomk(scalar(X), X)",
            "limit_ratio(0.5, X)",
            "quantile(1.5, X)",
            "abs(X)",
            "-X",
            "sort_desc(X)",
            "histogram_quantile(0.5, X)",
            "histogram_fraction(0, 1, X)",
            "rate(X[5m:30s])",
            "quantile_over_time(2, X[5m:1m])",
            "count_values(\"n\", X)",
            "label_join(X, \"__name__\", \"-\", \"job\")",
            "absent(X)",
            "absent_over_time(X[1m:])",
            "clamp(X, 2, 1)",
            "year(X)",
            "timestamp(X)",
            "info(X)",
            "predict_linear(X[10m:1m] offset 1m, 60)",
            "histogram_quantiles(X, \"q\", 0.1, 0.9)",
            "stddev(X)",
            "double_exponential_smoothing(X[5m:1m], 0.5, 0.5)",
            "round(X, 0)",
            "mad_over_time(X[5m:1m])",
        ]);
        let pair = proptest::sample::select(vec![
            "+",
            "/ on (job) group_left ()",
            "% ignoring (le) fill(1)",
            "== bool",
            "> on (job)",
            "and",
            "or on ()",
            "unless",
            "^",
            "atan2",
            "* on (job) group_right (le) fill_left(2)",
            "!=",
        ]);
        prop_oneof![
            (call, inner.clone()).prop_map(|(call, inner)| call.replace('X', &format!("({inner})"))),
            (inner.clone(), pair, inner).prop_map(|(left, op, right)| format!("({left}) {op} ({right})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_an_expression_or_an_error(text in any::<String>()) {
        evaluate(&text);
    }

    #[test]
    fn any_pieces_are_an_expression_or_an_error(pieces in proptest::collection::vec(piece(), 0..12)) {
        evaluate(&pieces.join(" "));
        evaluate(&pieces.concat());
    }

    #[test]
    fn an_expression_that_follows_the_grammar_parses_and_evaluates(text in expression()) {
        prop_assert!(parse(&text).is_ok(), "{} in {text}", parse(&text).unwrap_err());
        evaluate(&text);
    }
}
