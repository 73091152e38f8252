//! Rules as Prometheus 2.42 applied them to the same labels, and what it refused, in its words.
#![allow(clippy::unwrap_used, reason = "tests")]

use picket_pattern::testing::CASES;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn rule(rule: Value) -> Rule {
    serde_json::from_value(rule).unwrap()
}

fn rules(rules: Value) -> Rules {
    let rules: Vec<Rule> = serde_json::from_value(rules).unwrap();
    Rules::new(&rules).unwrap()
}

fn labels(pairs: &[(&str, &str)]) -> Vec<Label> {
    pairs.iter().map(|(name, value)| Label { name: (*name).to_owned(), value: (*value).to_owned() }).collect()
}

const INPUT: [(&str, &str); 6] =
    [("__name__", "m"), ("a", "Foo"), ("b", "bar;baz"), ("c", "x1y2"), ("__d", "und"), ("e", "Über İ")];

/// The changes that rules make to [`INPUT`]: `name="value"` for new ones, `-name` for those that are gone, sorted;
/// `dropped` when nothing is left.
fn changes(wanted: Value) -> String {
    let mut result = labels(&INPUT);
    if !rules(wanted).apply(&mut result) {
        return "dropped".to_owned();
    }
    let before = labels(&INPUT);
    let gone = before.iter().filter(|label| !result.iter().any(|left| left.name == label.name));
    let new = result.iter().filter(|label| !before.contains(label));
    let mut changes: Vec<String> = gone.map(|label| format!("-{}", label.name)).collect();
    changes.extend(new.map(|label| format!("{}=\"{}\"", label.name, label.value)));
    changes.sort();
    changes.join(" ")
}

#[track_caller]
fn check(wanted: Value, expected: &str) {
    assert_eq!(changes(json!([wanted])), expected, "{wanted}");
}

#[test]
fn replace_does_what_prometheus_does() {
    check(json!({"source_labels": ["a"], "target_label": "n"}), r#"n="Foo""#);
    check(json!({"source_labels": ["a"], "target_label": "n", "action": "Replace"}), r#"n="Foo""#);
    check(json!({"source_labels": ["a"], "regex": "oo", "target_label": "n", "replacement": "hit"}), "");
    check(json!({"source_labels": ["a"], "regex": "zz|F", "target_label": "n", "replacement": "hit"}), "");
    check(json!({"source_labels": ["a", "b"], "target_label": "n"}), r#"n="Foo;bar;baz""#);
    check(json!({"source_labels": ["a", "b"], "separator": "", "target_label": "n"}), r#"n="Foobar;baz""#);
    check(json!({"source_labels": ["a", "nosuch"], "target_label": "n"}), r#"n="Foo;""#);
    check(json!({"target_label": "n", "replacement": "const"}), r#"n="const""#);
    let regex = r"(?P<l>[a-z]+)(\d).*";
    let replacement = "${l}-${2}-$2_-$$-$9";
    check(
        json!({"source_labels": ["c"], "regex": regex, "target_label": "n", "replacement": replacement}),
        r#"n="x-1--$-""#,
    );
    check(json!({"source_labels": ["nosuch"], "target_label": "a"}), "-a");
    check(json!({"source_labels": ["a"], "regex": "zzz", "target_label": "a", "replacement": "new"}), "");
    check(
        json!({"source_labels": ["c"], "regex": "(.).*", "target_label": "t_$1", "replacement": "v"}),
        r#"t_x="v""#,
    );
    check(json!({"source_labels": ["b"], "regex": "(.*)", "target_label": "$1", "replacement": "v"}), "");
    check(
        json!({"source_labels": ["b"], "regex": "(.+);(.+)", "target_label": "n", "replacement": "$2.$1"}),
        r#"n="baz.bar""#,
    );
    // An explicit empty expression matches the empty value only.
    check(json!({"source_labels": ["a"], "regex": "", "target_label": "n", "replacement": "x"}), "");
    check(
        json!({"source_labels": ["nosuch"], "regex": "", "target_label": "n", "replacement": "x"}),
        r#"n="x""#,
    );
}

#[test]
fn an_empty_replacement_removes_the_label_that_the_expanded_target_names() {
    check(json!({"source_labels": ["c"], "regex": "(.).*", "target_label": "${1}", "replacement": ""}), "");
    check(json!({"source_labels": ["b"], "regex": "b(.).*", "target_label": "$1", "replacement": ""}), "-a");
}

#[test]
fn letters_are_changed_one_for_one() {
    check(json!({"source_labels": ["e"], "action": "lowercase", "target_label": "n"}), r#"n="über i""#);
    check(
        json!({"source_labels": ["a", "c"], "action": "uppercase", "target_label": "n"}),
        r#"n="FOO;X1Y2""#,
    );
    check(json!({"source_labels": ["nosuch"], "action": "lowercase", "target_label": "a"}), "-a");
    check(
        json!({"source_labels": ["a"], "regex": "zzz", "action": "lowercase", "target_label": "n"}),
        r#"n="foo""#,
    );
    assert_eq!(case::upper("straße ŉ ﬁ ᾳ ᾀ é"), "STRAßE ŉ ﬁ ᾼ ᾈ É");
    assert_eq!(case::lower("ΟΔΟΣ ᾼ"), "οδοσ ᾳ");
}

#[test]
fn hashes_are_those_of_prometheus() {
    let hash = |labels: Value, modulus: u64| {
        let rule =
            json!([{"source_labels": labels, "modulus": modulus, "action": "hashmod", "target_label": "n"}]);
        changes(rule)
    };
    assert_eq!(hash(json!(["a"]), 1000), r#"n="229""#);
    assert_eq!(hash(json!(["a", "c"]), 18_446_744_073_709_551_557), r#"n="5490795570014526194""#);
    assert_eq!(hash(json!(["nosuch"]), 18_446_744_073_709_551_557), r#"n="16825458760271544958""#);
}

#[test]
fn keep_and_drop_by_pattern_and_by_another_label() {
    check(json!({"source_labels": ["a"], "regex": "Foo", "action": "keep"}), "");
    check(json!({"source_labels": ["a"], "regex": "Fo", "action": "keep"}), "dropped");
    check(json!({"source_labels": ["a"], "regex": "F.o", "action": "drop"}), "dropped");
    check(json!({"source_labels": ["a"], "action": "keepequal", "target_label": "b"}), "dropped");
    check(json!({"source_labels": ["a"], "action": "dropequal", "target_label": "b"}), "");
    check(json!({"source_labels": ["nosuch"], "action": "keepequal", "target_label": "neither"}), "");
    let equal = |action| {
        json!([{"source_labels": ["a"], "target_label": "n"},
               {"source_labels": ["n"], "action": action, "target_label": "a"}])
    };
    assert_eq!(changes(equal("keepequal")), r#"n="Foo""#);
    assert_eq!(changes(equal("dropequal")), "dropped");
}

#[test]
fn names_are_mapped_dropped_and_kept() {
    check(
        json!({"regex": "([ab])", "action": "labelmap", "replacement": "z_$1"}),
        r#"z_a="Foo" z_b="bar;baz""#,
    );
    check(json!({"regex": "__(.+)", "action": "labelmap"}), r#"d="und" name__="m""#);
    check(json!({"regex": "[abc]", "action": "labeldrop"}), "-a -b -c");
    check(json!({"regex": "__name__|a|job|instance", "action": "labelkeep"}), "-__d -b -c -e");
    check(json!({"regex": "__name__", "action": "labeldrop"}), "-__name__");
}

#[track_caller]
fn refused(wanted: Value, key: &str, what: &str) {
    let error =
        Rules::new(&[Rule { target_label: "n".to_owned(), ..Rule::default() }, rule(wanted)]).unwrap_err();
    assert_eq!((error.rule, error.key, error.what.as_str()), (2, key, what));
    assert!(error.to_string().starts_with(&format!("relabel rule 2, `{key}`: ")), "{error}");
}

#[test]
fn what_prometheus_refuses_is_refused_in_its_words() {
    let requires = "relabel configuration for replace action requires 'target_label' value";
    refused(json!({"source_labels": ["a"]}), "target_label", requires);
    let requires = "relabel configuration for hashmod requires non-zero modulus";
    refused(json!({"action": "hashmod", "source_labels": ["a"], "target_label": "x"}), "modulus", requires);
    let only = "labeldrop action requires only 'regex', and no other fields";
    refused(json!({"action": "labeldrop", "regex": "a", "source_labels": ["a"]}), "source_labels", only);
    let only = "labelkeep action requires only 'regex', and no other fields";
    refused(json!({"action": "labelkeep", "regex": "a", "separator": ","}), "separator", only);
    let only = "keepequal action requires only 'source_labels' and `target_label`, and no other fields";
    let rule = json!({"action": "keepequal", "source_labels": ["a"], "target_label": "b", "regex": "x"});
    refused(rule, "regex", only);
    let invalid = "\"a-b\" is invalid 'replacement' for labelmap action";
    refused(json!({"action": "labelmap", "regex": "(.*)", "replacement": "a-b"}), "replacement", invalid);
    let invalid = "\"a-b\" is invalid 'target_label' for replace action";
    refused(json!({"target_label": "a-b", "source_labels": ["a"]}), "target_label", invalid);
    let not = "'replacement' can not be set for lowercase action";
    let rule =
        json!({"action": "lowercase", "source_labels": ["a"], "target_label": "b", "replacement": "q"});
    refused(rule, "replacement", not);
    let not = "\"a-b\" is not a valid label name";
    refused(json!({"source_labels": ["a-b"], "target_label": "x"}), "source_labels", not);
    let invalid = "\"${1}\" is invalid 'target_label' for hashmod action";
    refused(json!({"action": "hashmod", "modulus": 5, "target_label": "${1}"}), "target_label", invalid);
    for target in ["$", "${", "${1", "a$", "${}", "1a", "a${b-c}", "9$1"] {
        let invalid = format!("\"{target}\" is invalid 'target_label' for replace action");
        refused(json!({"target_label": target}), "target_label", &invalid);
    }
    let unknown = serde_json::from_value::<Rule>(json!({"action": "nosuch"})).unwrap_err().to_string();
    assert!(unknown.starts_with("unknown relabel action \"nosuch\": write one of `replace`"), "{unknown}");
    assert!(serde_json::from_value::<Rule>(json!({"sourcelabels": []})).is_err());
}

#[test]
fn what_is_too_large_is_refused() {
    let long = "a".repeat(MAX_REGEX_BYTES + 1);
    for rule in [
        json!({"regex": long, "target_label": "n"}),
        json!({"regex": "(.{1000}){1000}", "target_label": "n"}),
        json!({"regex": "(", "target_label": "n"}),
        json!({"regex": "a)(b", "target_label": "n"}),
        json!({"replacement": long, "target_label": "n"}),
        json!({"source_labels": vec!["a"; MAX_SOURCE_LABELS + 1], "target_label": "n"}),
    ] {
        let rule: Rule = serde_json::from_value(rule).unwrap();
        assert!(Rules::new(&[rule]).is_err());
    }
    let many = vec![Rule { target_label: "n".to_owned(), ..Rule::default() }; MAX_RULES + 1];
    let error = Rules::new(&many).unwrap_err().to_string();
    assert!(error.contains("65 rules, and 64 are possible"), "{error}");
}

#[test]
fn values_that_double_and_labels_that_multiply_stay_within_their_bounds() {
    let double = json!({"source_labels": ["e"], "target_label": "e", "replacement": "$1$1"});
    let mut result = labels(&INPUT);
    rules(json!(vec![double; MAX_RULES])).apply(&mut result);
    let length = value(&result, "e").len();
    assert!((MAX_VALUE_BYTES - 3..=MAX_VALUE_BYTES).contains(&length), "{length}");

    let multiply = json!({"action": "labelmap", "regex": "(.*)", "replacement": "x_$1"});
    let mut result = labels(&INPUT);
    rules(json!(vec![multiply; MAX_RULES])).apply(&mut result);
    assert_eq!(result.len(), MAX_LABELS);

    let longer = json!({"action": "labelmap", "regex": "(.*)", "replacement": "$1$1"});
    let mut result = labels(&INPUT);
    rules(json!(vec![longer; 12])).apply(&mut result);
    assert!(result.iter().all(|label| label.name.len() <= MAX_NAME_BYTES));
}

#[test]
fn expressions_are_those_of_go() {
    for case in CASES {
        let wanted = json!({"source_labels": ["a"], "regex": case.pattern, "action": "keep"});
        let found = Rules::new(&[rule(wanted)]).map(|rules| rules.apply(&mut labels(&[("a", case.value)])));
        assert_eq!(found.ok(), case.expected, "{case:?}");
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[abAB;$é{}_0-9]{0,8}", any::<String>()]
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let name =
        || prop_oneof![Just("__name__".to_owned()), "[a-e]".boxed(), "\\$[12]".boxed(), text().boxed()];
    let action = prop::sample::select(vec![
        Action::Replace,
        Action::Keep,
        Action::Drop,
        Action::HashMod,
        Action::LabelMap,
        Action::LabelDrop,
        Action::LabelKeep,
        Action::Lowercase,
        Action::Uppercase,
        Action::KeepEqual,
        Action::DropEqual,
    ]);
    let regex =
        prop_oneof![Just("(.*)".to_owned()), Just("(.)(.*)".to_owned()), r"[a-e(.)*|\[\]\\dwQ]{0,8}", text()];
    let sources = prop::collection::vec(prop_oneof![Just("__name__".to_owned()), "[a-f]".boxed()], 0..3);
    (action, sources, regex, 0..9_u64, name(), prop_oneof![Just("$1".to_owned()), text()]).prop_map(
        |(action, source_labels, regex, modulus, target_label, replacement)| Rule {
            action,
            source_labels,
            regex,
            modulus,
            target_label,
            replacement,
            ..Rule::default()
        },
    )
}

proptest! {
    /// Whatever is taken as a rule can be applied and stays within the bounds.
    #[test]
    fn no_rule_and_no_label_breaks_anything(
        wanted in prop::collection::vec(any_rule(), 1..6),
        values in prop::collection::vec(text(), 6),
    ) {
        let valid: Vec<Rule> = wanted.into_iter().filter(|rule| Rules::new(std::slice::from_ref(rule)).is_ok()).collect();
        let rules = Rules::new(&valid).unwrap();
        let mut result: Vec<Label> = INPUT.iter().zip(values)
            .map(|((name, _), value)| Label { name: (*name).to_owned(), value })
            .collect();
        rules.apply(&mut result);
        prop_assert!(result.len() <= MAX_LABELS);
        for label in &result {
            prop_assert!(!label.name.is_empty() && label.name.len() <= MAX_NAME_BYTES);
        }
    }

    /// What is no reference stands for itself.
    #[test]
    fn a_template_without_a_dollar_sign_is_its_text(text in "[^$]{0,40}") {
        let regex = Regex::new("").unwrap();
        let captures = regex.captures("").unwrap();
        prop_assert_eq!(Template::parse(&text).expand(&captures, 1000), text);
    }
}
