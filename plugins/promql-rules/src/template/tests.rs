//! Templates with what `promtool` 2.42 made of the same ones, and hostile input.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

/// Answers every query with two samples.
struct Two;

impl Ask for Two {
    fn query(&mut self, expression: &str) -> Result<Vec<Sample>, String> {
        if expression == "bad" {
            return Err("it is bad".into());
        }
        let sample = |job: &str, value| Sample {
            labels: Rc::new(BTreeMap::from([("job".to_owned(), job.to_owned())])),
            value,
        };
        Ok(vec![sample("b", 2.0), sample("a", 1.5)])
    }
}

fn data(value: f64) -> Data {
    let map = |name: &str, value: &str| Rc::new(BTreeMap::from([(name.to_owned(), value.to_owned())]));
    Data {
        labels: map("instance", "web.example.com:9100"),
        external_labels: map("region", "eu"),
        external_url: "https://p.example.com/prom".into(),
        value,
        now: 1_435_065_584_128,
    }
}

fn expanded(text: &str, value: f64) -> Result<String, String> {
    super::check(text).map_err(|error| format!("parse: {error}"))?;
    expand(text, &data(value), &mut Two)
}

fn check(text: &str, expected: &str) {
    assert_eq!(expanded(text, 123_456_789.0).as_deref(), Ok(expected), "{text}");
}

fn fails(text: &str, part: &str) {
    let error = expanded(text, 1.0).unwrap_err();
    assert!(error.contains(part), "{text}: {error}");
}

#[test]
fn values_print_as_in_go() {
    check(
        "{{ $value }} {{ 1.0 }} {{ 1e3 }} {{ 1000000 }} {{ 0.00001234 }}",
        "1.23456789e+08 1 1000 1000000 1.234e-05",
    );
    check(
        "{{ $labels }} {{ .Labels.instance }} {{ $labels.none }}|",
        "map[instance:web.example.com:9100] web.example.com:9100 |",
    );
    check("{{ args 1 \"x\" }} {{ (args 1).arg1 }} {{ len \"abc\" }}", "map[arg0:1 arg1:x] <no value> 3");
    check("{{ print 1 2 \"a\" 3 }}|{{ println \"a\" 1 }}", "1 2a3|a 1\n");
    check(
        "{{ $externalLabels.region }} {{ $externalURL }} {{ pathPrefix }} {{ externalURL }}",
        "eu https://p.example.com/prom /prom https://p.example.com/prom",
    );
}

#[test]
fn templates_expand_as_in_promtool() {
    let labels = [("__name__", "x"), ("a", "b"), ("instance", "web.example.com:9100")];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let data = Data { labels: Rc::new(BTreeMap::from(labels)), ..data(3661.5) };
    for (text, expected) in expanded::EXPANDED {
        let expanded = expand(text, &data, &mut Two);
        assert_eq!(expanded.as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn printf_knows_the_verbs() {
    check(
        r#"{{ printf "%v %g %.4g %e %5.1f|%-6d|%06.2f|%x|%q|%t" $value $value $value $value 3.14159 5 2.5 255 "a\"b" true }}"#,
        r#"1.23456789e+08 1.23456789e+08 1.235e+08 1.234568e+08   3.1|5     |002.50|ff|"a\"b"|true"#,
    );
    check(r#"{{ printf "%s %d" $value $value }}"#, "%!s(float64=1.23456789e+08) %!d(float64=1.23456789e+08)");
    check(r#"{{ printf "%d%% %d" 5 }} {{ printf "%s" "a" "b" }}"#, "5% %!d(MISSING) a%!(EXTRA string=b)");
    check(
        r#"{{ printf "%+d %x %5s|%-5s|%.2s %c %U %T" 5 "hi" "a" "b" "cde" 65 65 1.5 }}"#,
        "+5 6869     a|b    |cd A U+0041 float64",
    );
    check(r#"{{ printf "%*d %.3f" 4 7 2.0 }} {{ printf "%" }}"#, "   7 2.000 %!(NOVERB)");
}

#[test]
fn numbers_for_people() {
    for (value, expected) in [
        (0.0, "0 0 0s 0%"),
        (1.0, "1 1 1s 100%"),
        (1_234_567.0, "1.235M 1.177Mi 14d 6h 56m 7s 1.235e+08%"),
        (0.001_234, "1.234m 0.001234 1.234ms 0.1234%"),
        (3_661.0, "3.661k 3.575ki 1h 1m 1s 3.661e+05%"),
        (-61.0, "-61 -61 -1m 1s -6100%"),
        (f64::INFINITY, "+Inf +Inf +Inf +Inf%"),
        (f64::NAN, "NaN NaN NaN NaN%"),
        (59.999, "60 60 60s 6000%"),
    ] {
        let text = "{{ humanize $value }} {{ humanize1024 $value }} {{ humanizeDuration $value }} {{ humanizePercentage $value }}";
        assert_eq!(expanded(text, value).as_deref(), Ok(expected), "{value}");
    }
    check("{{ humanize \"1500\" }}", "1.5k");
    fails("{{ humanize $labels }}", "can't convert");
}

#[test]
fn times() {
    check("{{ 1435065584.128 | humanizeTimestamp }}", "2015-06-23 13:19:44.128 +0000 UTC");
    check("{{ toTime 1435065584.5 }} {{ now }}", "2015-06-23 13:19:44.5 +0000 UTC 1.435065584128e+09");
    check(
        "{{ humanizeTimestamp -86400 }} {{ humanizeTimestamp 951782400 }}",
        "1969-12-31 00:00:00 +0000 UTC 2000-02-29 00:00:00 +0000 UTC",
    );
    check("{{ toDuration 5400.5 }} {{ toDuration 0.0015 }} {{ toDuration 0 }}", "1h30m0.5s 1.5ms 0s");
    check("{{ parseDuration \"1h30m\" }} {{ 5400 | toDuration | humanizeDuration }}", "5400 1h 30m 0s");
    fails("{{ toTime 1e300 }}", "cannot be represented");
}

#[test]
fn texts() {
    check(
        "{{ $labels.instance | stripPort }} {{ $labels.instance | stripDomain }}",
        "web.example.com web:9100",
    );
    check(
        "{{ stripPort \"[::1]:80\" }} {{ stripDomain \"10.0.0.1:80\" }} {{ stripPort \"x\" }}",
        "::1 10.0.0.1:80 x",
    );
    check("{{ title \"aa bb-cc\" }} {{ toUpper \"a\" }} {{ toLower \"A\" }}", "Aa Bb-Cc A a");
    check(
        "{{ reReplaceAll \"(\\\\w+)\\\\.(.*)\" \"$2:$1\" \"a.b\" }} {{ match \"a+\" \"caat\" }}",
        "b:a true",
    );
    // Expressions are Go's: `\\d` is ASCII, and braces that repeat nothing are themselves.
    check("{{ reReplaceAll `\\d{id}` \"x\" \"5{id}\" }} {{ match `\\d` \"\u{096b}\" }}", "x false");
    check(
        "{{ graphLink \"up == 0\" }} {{ urlQueryEscape \"a b&c\" }}",
        "/graph?g0.expr=up+%3D%3D+0&g0.tab=0 a+b%26c",
    );
    check(
        "{{ html \"<a>'\" }} {{ js \"'\" }} {{ urlquery \"a/b\" }} {{ safeHtml \"<b>\" }}",
        "&lt;a&gt;&#39; \\' a%2Fb <b>",
    );
    check("{{ `raw \\n` }} {{ \"\\u00e9\\x41\\101\" }} {{ 'a' }}", "raw \\n éAA 97");
    check(
        "{{ slice \"abcdef\" 1 3 }} {{ index $labels \"instance\" }} {{ index \"abc\" 0 }}",
        "bc web.example.com:9100 97",
    );
}

#[test]
fn queries() {
    check("{{ with query \"up\" }}{{ . | first | value }} {{ . | first | label \"job\" }}{{ end }}", "2 b");
    check(
        "{{ range query \"up\" | sortByLabel \"job\" }}{{ .Labels.job }}={{ .Value }} {{ end }}",
        "a=1.5 b=2 ",
    );
    check(
        "{{ range $i, $s := query \"up\" }}{{ $i }}{{ $s.Labels.job }}{{ end }} {{ len (query \"x\") }}",
        "0b1a 2",
    );
    fails("{{ query \"bad\" }}", "error calling query: it is bad");
    fails("{{ slice (query \"x\") 2 | first }}", "first() called on vector with no elements");
}

#[test]
fn control() {
    check("{{ if gt $value 100.0 }}big{{ else if gt $value 10.0 }}mid{{ else }}small{{ end }}", "big");
    check("{{ if and true (not false) (or false \"x\") }}yes{{ end }}", "yes");
    check(
        "{{ with $labels.none }}a{{ else }}b{{ end }}{{ with $x := \"c\" }}{{ $x }}{{ . }}{{ end }}",
        "bcc",
    );
    check("{{ with \"\" }}{{ else with \"d\" }}{{ . }}{{ end }}", "d");
    check(
        "{{ range $k, $v := $labels }}{{ $k }}:{{ $v }}{{ end }}{{ range $none := (args) }}x{{ else }}none{{ end }}",
        "instance:web.example.com:9100none",
    );
    check(
        "{{ range $i := 5 }}{{ if eq $i 1 }}{{ continue }}{{ end }}{{ if eq $i 3 }}{{ break }}{{ end }}{{ $i }}{{ end }}",
        "02",
    );
    check("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $x := 3 }}{{ end }}{{ $x }}", "2");
    check(
        "{{ define \"t\" }}<{{ . }}>{{ end }}{{ template \"t\" \"a\" }}{{ template \"t\" }}{{ block \"b\" 5 }}[{{ . }}]{{ end }}",
        "<a><<no value>>[5]",
    );
    check("a  {{- /* gone */ -}}  b {{/* too */}} c {{- 1 -}} d", "ab  c1d");
    check(
        "{{ eq $labels.instance \"x\" \"web.example.com:9100\" }} {{ ne 1 2 }} {{ le \"a\" \"b\" }}",
        "true true true",
    );
    check("{{if .Value}}{{.Value | printf \"%.1f\"}}{{end}}", "123456789.0");
}

#[test]
fn what_cannot_be_done_is_told_when_it_is_tried() {
    fails("{{ if gt $value 100 }}{{ end }}", "incompatible types for comparison");
    fails("{{ nil }}", "nil is not a command");
    fails("{{ \"a\" 1 }}", "takes no arguments");
    fails("{{ template \"none\" }}", "there is no template `none`");
    fails("{{ .Nope }}", "can't evaluate field `Nope`");
    fails("{{ index (query \"x\") 7 }}", "out of range");
    fails("{{ toUpper 5 }}", "toUpper takes a text, not a int");
    fails("{{ len 5 }}", "len of type int");
    fails("{{ reReplaceAll \"(\" \"\" \"\" }}", "no regular expression");
    fails("{{ first }}", "wrong number of args");
}

#[test]
fn what_is_wrong_is_told_when_it_is_read() {
    for (text, offset, part) in [
        ("é{{ foo }}", 4, "there is no function `foo`"),
        ("{{ $x }}", 3, "there is no variable `$x`"),
        ("{{ $x = 1 }}", 8, "there is no variable `$x`"),
        ("{{ if true }}", 13, "no `{{end}}`"),
        ("{{ end }}", 9, "without an action"),
        ("a {{ .X", 2, "`}}` is missing"),
        ("{{ \"a }}", 3, "no closing quote"),
        ("{{ /* x }}", 3, "no place in an action"),
        ("{{/* x }}", 0, "no end"),
        ("{{ }}", 3, "a value is missing"),
        ("{{ break }}", 9, "outside of a `range`"),
        ("{{ 1 | 2 }}", 9, "behind `|` stands a function"),
        ("{{ print(1) }}", 8, "a blank missing"),
        ("{{ (1 }}", 8, "`)` is missing"),
        ("{{ tmpl \"x\" . }}", 3, "no function `tmpl`"),
        ("{{ define \"x\" }}{{ $value }}{{ end }}", 19, "no variable `$value`"),
        ("{{ 'ab' }}", 3, "single quotes hold one character"),
    ] {
        let error = super::check(text).unwrap_err();
        assert!(error.message.contains(part), "{text}: {error:?}");
        assert_eq!(error.offset, offset, "{text}: {error:?}");
    }
    let deep = format!("{}{}", "{{ if true }}".repeat(30), "{{ end }}".repeat(30));
    assert!(super::check(&deep).unwrap_err().message.contains("in each other"));
}

#[test]
fn a_template_ends() {
    fails("{{ range 200000 }}{{ end }}", "more than 20000 steps");
    fails("{{ range 19000 }}{{ 1 }}{{ end }}", "more than 20000 steps");
    fails("{{ range 5000 }}{{ printf \"%100d\" 1 }}{{ end }}", "more than 65536 bytes");
    fails("{{ define \"t\" }}{{ template \"t\" }}{{ end }}{{ template \"t\" }}", "deep in each other");
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,80}") {
        let _ = expanded(&text, 1.0);
    }

    #[test]
    fn nothing_that_looks_like_a_template_panics(
        words in proptest::collection::vec(prop_oneof![
            Just("{{"), Just("}}"), Just(" "), Just("if "), Just("range "), Just("end"), Just("else"), Just("$value"),
            Just("$x := "), Just("$x"), Just("|"), Just("("), Just(")"), Just("printf "), Just("\"%*.*f%d\""), Just("1"),
            Just("-2.5"), Just(".Labels"), Just("."), Just("query "), Just("index "), Just("slice "), Just("first"),
            Just("and "), Just("-"), Just("/*"), Just("*/"), Just("é"), Just("`"), Just("'"), Just("humanize "),
            Just("stripDomain "), Just("title "), Just("toTime "), Just("args "), Just("define \"a\""), Just("template \"a\""),
        ], 0..24)
    ) {
        let _ = expanded(&words.concat(), f64::MAX);
        let _ = expanded(&format!("{{{{ {} }}}}", words.concat()), -1e300);
    }

    #[test]
    fn any_number_is_shown(bits: u64) {
        let text = "{{ $value }} {{ humanize $value }} {{ humanize1024 $value }} {{ humanizeDuration $value }} \
            {{ humanizePercentage $value }} {{ humanizeTimestamp $value }} {{ printf \"%.3g %+e %08.3f\" $value $value $value }}";
        let _ = expanded(text, f64::from_bits(bits));
    }
}
