//! The rules plugin, natively: rule files, the templates in them, and PromQL. Whoever may write a rule or ask an
//! expression gives it these.

use std::rc::Rc;

use picket_sdk::RuleResult;
use picket_sdk::testing::{CallError, Host, Running};
use promql_engine::{
    Answer, Labels, MatchOp, Matcher, Options, Query, Request, Series, Storage, StorageError, Value, Wanted,
};
use promql_rules::PromqlRules;

use crate::{Target, shape, shape_of_text};

/// The asset's name.
const FILE: &str = "fuzz.yml";

/// Few samples: an expression that needs many only costs time here.
const CONFIG: &str = r#"{"max_samples": 2000, "external_labels": {"region": "eu"}}"#;

/// Stack for one run. The depth of expressions and templates is bounded for an optimised guest; without
/// optimisation their frames are many times larger.
const STACK: usize = 64 << 20;

/// Bytes that one template may make, as the plugin's README has it.
const MAX_EXPANDED: usize = 64 << 10;

/// A rule file: read, checked, and its groups evaluated twice.
pub(super) const FILES: Target = Target {
    name: "rule-file",
    about: "a Prometheus rule file, and what its rules find",
    samples: &[],
    seeds: || {
        vec![
            GROUPS.as_bytes().to_vec(),
            ALIASES.as_bytes().to_vec(),
            include_bytes!("../../../plugins/promql-rules/packs/certificates.yml").to_vec(),
        ]
    },
    words: &[
        "groups:\n",
        "- name: g\n",
        "  rules:\n",
        "  - alert: A\n",
        "  - record: a:b\n",
        "    expr: ",
        "    for: 5m\n",
        "    keep_firing_for: 1h\n",
        "    labels: {a: b}\n",
        "    annotations:\n",
        "  interval: 30s\n",
        "  query_offset: 1m\n",
        "  limit: 1\n",
        "&a ",
        "*a",
        "<<: ",
        "|\n",
        ">-\n",
        "---\n",
        "!!str ",
        "~",
        "{{ $value }}",
        "up == 0",
    ],
    run: |data| {
        let Ok(text) = std::str::from_utf8(data) else { return 0 };
        roomy(|| rule_file(text))
    },
};

const GROUPS: &str = r#"groups:
- name: g
  interval: 30s
  limit: 9
  labels: {team: base}
  rules:
  - record: job:up:sum
    expr: sum by (job) (up)
    labels:
      kind: 'x'
  - alert: Down
    expr: |
      up == 0
        and job:up:sum < 2
    for: 5m
    keep_firing_for: 1m
    labels: {severity: "{{ $value }}"}
    annotations:
      summary: '{{ $labels.instance }} of {{ $externalLabels.region }} is down'
"#;

const ALIASES: &str = r#"groups:
- name: one
  rules: &rules
  - alert: A
    expr: absent(up{job="x"})
    labels: &labels {a: b}
  - alert: A
    expr: vector(1)
    labels: {<<: *labels, c: d}
- {name: two, rules: *rules}
"#;

fn rule_file(text: &str) -> u64 {
    let host = host();
    host.asset(FILE, text);
    let mut plugin = match host.start::<PromqlRules>(CONFIG) {
        Ok(plugin) => plugin,
        Err(error) => {
            assert_eq!(error.asset.as_deref(), Some(FILE), "a mistake without its file: {}", error.message);
            assert!(error.line > 0 && error.column > 0, "a mistake without its place: {}", error.message);
            return shape_of_text(&error.message);
        }
    };
    let mut shapes = vec![1];
    for (group, interval) in plugin.groups().to_vec() {
        let interval = u64::try_from(interval.as_nanos()).expect("the plugin takes a day at most");
        for time in [host.now(), host.now() + interval] {
            let results = evaluated(&mut plugin, &group, time);
            let failed = results.iter().filter(|result| result.outcome.is_err()).count();
            shapes.extend([results.len() as u64, failed as u64]);
            if results.is_empty() {
                break;
            }
        }
    }
    shape(&shapes)
}

/// A rule's error is that rule's alone. Only what the test's host refuses costs more: the agent refuses the rule.
fn evaluated(plugin: &mut Running<PromqlRules>, group: &str, time: u64) -> Vec<RuleResult> {
    match plugin.evaluate_at(group, time) {
        Ok(results) => results,
        Err(CallError::Failed(why)) => panic!("a whole group failed: {why}"),
        Err(CallError::Refused(_) | CallError::Discarded) => Vec::new(),
    }
}

/// The text of a label and an annotation.
pub(super) const TEMPLATES: Target = Target {
    name: "rule-template",
    about: "a template of a rule, expanded for two series",
    samples: &[],
    seeds: || {
        [
            "{{ $labels.instance }} of {{ .ExternalLabels.region }}: {{ humanize $value }} {{ printf \"%.2f%%\" 3.5 }}",
            "{{ range query \"up\" | sortByLabel \"job\" }}{{ .Labels.job }}={{ .Value }} {{ else }}none{{ end }}",
            "{{ define \"t\" }}<{{ . }}>{{ end }}{{ template \"t\" (args 1 \"x\").arg1 }}{{- /* gone */ -}}",
            "{{ $x := 1 }}{{ if and (gt $value 0.0) (ne $x 2) }}{{ $x = 2 }}{{ else if $x }}a{{ end }}{{ $x }}",
            "{{ with $v := query \"up == 0\" }}{{ $v | first | value | humanizeDuration }}{{ break }}{{ end }}",
            "{{ reReplaceAll \"(.*):.*\" \"$1\" .Labels.instance | toUpper }} {{ toTime 1e9 }} {{ 'a' }} {{ `b` }}",
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
    },
    words: &[
        "{{",
        "}}",
        "{{- ",
        " -}}",
        "{{ range ",
        "{{ end }}",
        "{{ else }}",
        "{{ with ",
        "{{ template \"t\" . }}",
        "{{ define \"t\" }}",
        "$labels",
        "$value",
        "| humanize1024",
        "| humanizePercentage",
        "| humanizeTimestamp",
        "parseDuration \"1h\"",
        "query \"up\"",
        "index ",
        "slice ",
        "len ",
        "printf \"%+*d %q %x\" ",
        "(",
        ")",
        ":=",
        "nil",
    ],
    run: |data| {
        let Ok(text) = std::str::from_utf8(data) else { return 0 };
        roomy(|| template(text))
    },
};

fn template(text: &str) -> u64 {
    // A text in JSON's quotes is one in YAML's too.
    let quoted = serde_json::Value::from(text).to_string();
    let rule = format!(
        "alert: A\n    expr: up\n    labels:\n      l: {quoted}\n    annotations:\n      a: {quoted}"
    );
    let host = host();
    host.asset(FILE, format!("groups:\n- name: g\n  rules:\n  - {rule}\n"));
    let mut plugin = match host.start::<PromqlRules>(CONFIG) {
        Ok(plugin) => plugin,
        Err(error) => return shape_of_text(&error.message),
    };
    let results = evaluated(&mut plugin, &format!("{FILE};g"), host.now());
    let mut shapes = vec![1];
    for output in results.iter().filter_map(|result| result.outcome.as_ref().ok()) {
        for annotation in output.alerts.iter().flat_map(|alert| &alert.annotations) {
            let failed = annotation.value.starts_with("<error expanding template: ");
            let size = annotation.value.len();
            assert!(failed || size <= MAX_EXPANDED, "a template made {size} bytes");
            shapes.push(if failed { shape_of_text(&annotation.value) } else { size as u64 });
        }
    }
    shape(&shapes)
}

/// A host with two series.
fn host() -> Host {
    let host = Host::new();
    for (job, value) in [("a", 0.0), ("b", 1.5)] {
        host.sample("up", &[("instance", "web.example.com:9100"), ("job", job)], host.now(), value);
    }
    host
}

/// An expression, evaluated at one time and over a range.
pub(super) const PROMQL: Target = Target {
    name: "promql",
    about: "a PromQL expression and its value over a few series",
    samples: &[],
    seeds: || {
        [
            "sum by (job) (rate(a{job=~\"x|y\"}[1m])) / on (job) group_left (le) a > bool 0.5",
            "histogram_quantile(0.9, sum without (job) (a)) or vector(time()) unless absent(b)",
            "max_over_time(a[5m:30s] @ end() offset -1m) - ignoring (le) a ^ 2 % 3 atan2 4",
            "label_replace(topk(2, a), \"b\", \"$1-${2}\", \"job\", \"(.)(.*)\") and {__name__=\"a\", job!=\"\"}",
            "count_values(\"v\", round(a, 0.5)) + scalar(quantile(NaN, a)) * predict_linear(a[2m], 0x1F)",
            "clamp(a, -Inf, 1e308) == 1_000 or sort_desc(a @ 1700000000) # a comment\n + on () a{le='1',}",
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
    },
    words: &[
        "sum",
        "by (job) ",
        "without (le) ",
        "rate(",
        "a",
        "{job=\"x\"}",
        "{__name__=~\".+\"}",
        "[5m]",
        "[5m:1m]",
        "[1h:]",
        " offset ",
        " @ start()",
        " @ ",
        "on (job)",
        "ignoring (le)",
        "group_left ()",
        "group_right (le)",
        " bool ",
        " and ",
        " or ",
        " unless ",
        "limitk(1, ",
        "info(",
        "sort_by_label(a, \"job\")",
        "(",
        ")",
        "1h30m",
        "Inf",
        "fill(0)",
        "anchored",
        "{{",
    ],
    run: |data| {
        let Ok(text) = std::str::from_utf8(data) else { return 0 };
        roomy(|| promql(text))
    },
};

/// When expressions are evaluated, in milliseconds since 1970.
const NOW: i64 = 1_700_000_000_000;

/// Between two steps of a range.
const STEP: i64 = 30_000;

fn promql(text: &str) -> u64 {
    let query = match promql_engine::parse(text) {
        Ok(query) => query,
        Err(error) => {
            let lines = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
            assert!(
                error.line > 0 && error.line as usize <= lines && error.column > 0,
                "a place beyond the text"
            );
            return shape_of_text(&error.message);
        }
    };
    let options = Options { max_samples: 2_000, ..Options::default() };
    let instant = query.instant(NOW, &mut Few, &options);
    let range = ranged(&query, &options);
    shape(&[1, query.matchers().len() as u64, outcome(&instant), range])
}

/// Over a range a series has values at the steps only, each at most once.
fn ranged(query: &Query, options: &Options<'_>) -> u64 {
    let (start, end) = (NOW - 4 * STEP, NOW + STEP / 2);
    let answer = query.range(start, end, STEP, &mut Few, options);
    if let Ok(Answer { value: Value::Matrix(series), .. }) = &answer {
        for Series { times, values, .. } in series {
            assert_eq!(times.len(), values.len(), "a value without a time, or a time without a value");
            assert!(times.is_sorted_by(|one, next| one < next), "the times do not rise");
            let is_step = |time: &i64| (start..=end).contains(time) && (time - start) % STEP == 0;
            assert!(times.iter().all(is_step), "a time that is no step");
        }
    }
    outcome(&answer)
}

fn outcome(outcome: &Result<Answer, promql_engine::EvalError>) -> u64 {
    match outcome {
        Err(error) => shape_of_text(&error.to_string()),
        Ok(answer) => {
            let notes = (answer.warnings.len() + answer.infos.len()) as u64;
            let value = match &answer.value {
                Value::Scalar { .. } => [1, 0],
                Value::Text { text, .. } => [2, text.len() as u64],
                Value::Vector(samples) => [3, samples.len() as u64],
                Value::Matrix(series) => [4, series.len() as u64],
            };
            shape(&[notes, value[0], value[1]])
        }
    }
}

/// Three series with a sample each 15 s, one of them a histogram's bucket and one with numbers that are none. Regular
/// expressions match everything: the host's store has them, and not the engine.
struct Few;

impl Storage for Few {
    fn select(&mut self, requests: &[Request]) -> Result<Vec<Vec<Series>>, StorageError> {
        let all = [
            [("__name__", "a"), ("job", "x"), ("le", "1")],
            [("__name__", "a"), ("job", "y"), ("le", "+Inf")],
            [("__name__", "b"), ("job", "x"), ("other", "é")],
        ];
        let answer = |request: &Request| -> Vec<Series> {
            let matching =
                all.iter().filter(|pairs| request.matchers.iter().all(|matcher| matches(matcher, *pairs)));
            let series = matching.enumerate().map(|(index, pairs)| samples(request, index, *pairs));
            series.filter(|series| !series.times.is_empty()).collect()
        };
        Ok(requests.iter().map(answer).collect())
    }
}

fn matches(matcher: &Matcher, pairs: &[(&str, &str)]) -> bool {
    let value = pairs.iter().find(|(name, _)| *name == matcher.name).map_or("", |(_, value)| *value);
    match matcher.op {
        MatchOp::Equal => value == matcher.value,
        MatchOp::NotEqual => value != matcher.value,
        MatchOp::Regex | MatchOp::NotRegex => true,
    }
}

/// Those within the window.
fn samples(request: &Request, index: usize, pairs: [(&str, &str); 3]) -> Series {
    let values = [1.0, 2.5, f64::NAN, 0.0, -3.0, f64::INFINITY, 7.0, 7.0];
    let within = |(time, _): &(i64, f64)| (request.start_ms..=request.end_ms).contains(time);
    let timed =
        (0_i64..).map(|step| NOW - 120_000 + step * 15_000).zip(values.into_iter().cycle().skip(index));
    let mut samples: Vec<(i64, f64)> = timed.take(9).filter(within).collect();
    if request.wanted == Wanted::Latest {
        samples = samples.split_off(samples.len().saturating_sub(1));
    }
    let (times, values) = samples.into_iter().unzip();
    Series { labels: Rc::new(Labels::from_pairs(pairs)), times, values }
}

/// Runs on a thread with a large stack. What panics there panics here.
fn roomy(run: impl FnOnce() -> u64 + Send) -> u64 {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, run);
        let thread = thread.expect("a thread can be started");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
