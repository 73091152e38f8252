//! What parses, what does not, and where the mistake is said to be.
#![allow(clippy::unwrap_used, reason = "tests")]

use picket_pattern::testing::CASES;

use super::*;

/// Line, column and message of an error.
fn error(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn regular_expressions_are_those_of_prometheus() {
    for case in CASES {
        let text = format!("up + on () x{{job=~{:?}}}", case.pattern);
        let found = parse(&text).map(|query| query.matchers()[1][1].value.clone());
        assert_eq!(found.clone().ok().as_deref(), case.expected.map(|_| case.pattern), "{case:?}: {found:?}");
    }
}

#[test]
fn a_selector_does_not_select_everything() {
    let message = "vector selector must contain at least one non-empty matcher";
    for text in ["{}", "{a=~\".*\"}", "{a!~\".+\",b=\"\"}", "{a!~\"x\"}"] {
        assert_eq!(error(&format!("1 + {text}")), format!("1:5: parse error: {message}"), "{text}");
    }
    for text in ["{a!~\".*\"}", "{a=~\".+\",b!~\"x\"}", "a{b=~\".*\"}", "info(a, {b=~\".*\"})"] {
        assert!(parse(text).is_ok(), "{text}");
    }
}

#[test]
fn an_error_names_the_place() {
    let cases = [
        ("sum(", "1:4: parse error: \"(\" is never closed"),
        ("a)", "1:2: parse error: unexpected \")\""),
        ("a + + > b", "1:7: parse error: unexpected \">\""),
        ("sum by (a) (b) c", "1:16: parse error: unexpected identifier \"c\""),
        ("a +", "1:4: parse error: unexpected end of input"),
        ("rate(a[5m]) +\n  no_such(b)", "2:3: parse error: unknown function with name 'no_such'"),
        (
            "1 + rate(a)",
            "1:5: parse error: expected type range vector in call to function \"rate\", got instant vector",
        ),
        (
            "a{b=\"c\", d}",
            "1:10: parse error: invalid label matcher, expected label matching operator after 'd'",
        ),
        ("a{b=\"c\", d!~`(`}", "1:10: parse error: error parsing regexp: unclosed group: `(`"),
        ("a{b=~\"\\é\"}", "1:6: parse error: unknown escape sequence 'é'"),
        ("a + \"x", "1:5: parse error: unterminated quoted string"),
        ("", "1:1: parse error: no expression found in input"),
    ];
    for (text, want) in cases {
        assert_eq!(error(text), want, "{text}");
    }
}

#[test]
fn what_is_not_supported_is_named_with_its_place() {
    let cases = [
        (
            "1 + histogram_sum(a)",
            "1:5: parse error: histogram_sum() is for native histograms, which are not supported",
        ),
        ("rate(a[5m] anchored)", "1:12: parse error: the modifier anchored is not supported"),
        ("a </ 5", "1:3: parse error: </ trims native histograms, which are not supported"),
        (
            "rate(a[5m + 1m])",
            "1:11: parse error: durations that are computed are not supported, write a number with its unit",
        ),
        (
            "a offset (1m)",
            "1:10: parse error: durations that are computed are not supported, write a number with its unit",
        ),
        (
            "start_timestamp(a)",
            "1:1: parse error: start_timestamp() is not supported: start timestamps are not stored",
        ),
    ];
    for (text, want) in cases {
        assert_eq!(error(text), want, "{text}");
    }
}

#[test]
fn types_are_checked_where_the_parser_does_not() {
    assert_eq!(
        error("2 * ln(0)"),
        "1:8: parse error: expected type instant vector in call to function \"ln\", got scalar"
    );
    assert_eq!(
        error("limitk(a, b)"),
        "1:8: parse error: expected type scalar in aggregation expression, got instant vector"
    );
    assert_eq!(
        error("a or fill(0) b"),
        "1:1: parse error: filling in missing series not allowed for set operators"
    );
    assert_eq!(error("a[0s]"), "1:1: parse error: duration must be greater than 0");
}

#[test]
fn a_query_knows_its_selectors() {
    let query = parse("a + on (b) {__name__=\"c\", d!~\"e\"}[5m:] @ 5").unwrap_err();
    assert_eq!(query.line, 1);
    let query = parse("sum(a) + rate({__name__=\"c\", d!~\"e\"}[5m])").unwrap();
    assert_eq!(
        (query.matchers().len(), query.has_metric_name(), query.value_type()),
        (2, true, ValueType::Vector)
    );
    assert!(!parse("{d=\"e\"}").unwrap().has_metric_name());
    assert_eq!(parse("1 + 1").unwrap().value_type(), ValueType::Scalar);
    assert_eq!(parse("'x'").unwrap().value_type(), ValueType::Text);
    assert_eq!(parse("a[5m]").unwrap().value_type(), ValueType::Matrix);
}
