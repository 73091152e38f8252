//! The functions that Prometheus adds to Go's.

use std::collections::BTreeMap;
use std::rc::Rc;

use picket_pattern::MAX_COMPILED_BYTES;
use regex::Regex;

use super::builtin::wrong_number;
use super::value::{Sample, Value};
use super::{Ask, humanize, print, text, time};
use crate::duration;

/// Their names. `tmpl` is only in Prometheus' console pages.
pub(super) const NAMES: [&str; 29] = [
    "args",
    "externalURL",
    "first",
    "graphLink",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "label",
    "match",
    "now",
    "parseDuration",
    "pathPrefix",
    "query",
    "reReplaceAll",
    "safeHtml",
    "sortByLabel",
    "stripDomain",
    "stripPort",
    "strvalue",
    "tableLink",
    "title",
    "toDuration",
    "toLower",
    "toTime",
    "toUpper",
    "urlQueryEscape",
    "value",
];

/// What functions need of the rule that is evaluated.
pub(super) struct Context<'a> {
    pub(super) external_url: &'a str,
    pub(super) now: i64,
    pub(super) ask: &'a mut dyn Ask,
}

/// Calls one of them.
pub(super) fn call(name: &str, args: &[Value], context: &mut Context<'_>) -> Result<Value, String> {
    match args {
        [] => nothing(name, context),
        [Value::Text(text)] if name == "query" => {
            let samples = context.ask.query(text)?.into_iter().map(Rc::new).collect();
            Ok(Value::Samples(Rc::new(samples)))
        }
        args if name == "args" => Ok(arguments(args)),
        [value] => one(name, value),
        [Value::Text(a), b] if matches!(name, "label" | "sortByLabel") => by_label(name, a, b),
        [Value::Text(a), Value::Text(b)] if name == "match" => Ok(Value::Bool(regex(a)?.is_match(b))),
        [Value::Text(a), Value::Text(b), Value::Text(c)] if name == "reReplaceAll" => {
            Ok(Value::text(regex(a)?.replace_all(c, b.as_ref()).into_owned()))
        }
        args => {
            let kinds: Vec<&str> = args.iter().map(Value::kind).collect();
            Err(format!("{name} does not take ({})", kinds.join(", ")))
        }
    }
}

fn nothing(name: &str, context: &Context<'_>) -> Result<Value, String> {
    match name {
        "args" => Ok(arguments(&[])),
        "now" => Ok(Value::Float(context.now as f64 / 1000.0)),
        "externalURL" => Ok(Value::text(context.external_url)),
        "pathPrefix" => Ok(Value::text(path_of(context.external_url))),
        _ => Err(wrong_number(name, 0, "at least 1")),
    }
}

fn one(name: &str, value: &Value) -> Result<Value, String> {
    let number = || number(name, value);
    let text_of = || match value {
        Value::Text(text) => Ok(text.as_ref()),
        value => Err(format!("{name} takes a text, not a {}", value.kind())),
    };
    let value = match name {
        "humanize" => Value::text(humanize::humanize(number()?)),
        "humanize1024" => Value::text(humanize::humanize1024(number()?)),
        "humanizeDuration" => Value::text(humanize::duration(number()?)),
        "humanizePercentage" => Value::text(humanize::percentage(number()?)),
        "humanizeTimestamp" => match number()? {
            value if !value.is_finite() => Value::text(humanize::short(value)),
            value => Value::text(time::show(milliseconds(value)?)),
        },
        "toTime" => Value::Time(milliseconds(number()?)?),
        "toDuration" => Value::Duration(nanoseconds(number()?)?),
        "parseDuration" => {
            let text = text_of()?;
            let parsed = duration::parse(text).map_err(|error| format!("`{text}`: {error}"))?;
            Value::Float(parsed as f64 / 1000.0)
        }
        "title" => Value::text(text::title(text_of()?)),
        "toUpper" => Value::text(text_of()?.to_uppercase()),
        "toLower" => Value::text(text_of()?.to_lowercase()),
        "safeHtml" => Value::text(text_of()?),
        "urlQueryEscape" => Value::text(text::url_query(text_of()?)),
        "stripPort" => Value::text(text::host_and_port(text_of()?).map_or(text_of()?, |(host, _)| host)),
        "stripDomain" => Value::text(strip_domain(text_of()?)),
        "graphLink" => Value::text(format!("/graph?g0.expr={}&g0.tab=0", text::url_query(text_of()?))),
        "tableLink" => Value::text(format!("/graph?g0.expr={}&g0.tab=1", text::url_query(text_of()?))),
        "first" => match value {
            Value::Samples(samples) => Value::Sample(Rc::clone(
                samples.first().ok_or_else(|| "first() called on vector with no elements".to_owned())?,
            )),
            value => return Err(format!("first takes the result of query, not a {}", value.kind())),
        },
        "value" => Value::Float(sample(name, value)?.value),
        "strvalue" => Value::text(sample(name, value)?.labels.get("__value__").map_or("", String::as_str)),
        _ => return Err(format!("{name} does not take ({})", value.kind())),
    };
    Ok(value)
}

fn sample<'a>(name: &str, value: &'a Value) -> Result<&'a Sample, String> {
    match value {
        Value::Sample(sample) => Ok(sample),
        value => Err(format!("{name} takes a sample, not a {}", value.kind())),
    }
}

fn by_label(name: &str, label: &str, value: &Value) -> Result<Value, String> {
    match (name, value) {
        ("label", Value::Sample(sample)) => {
            Ok(Value::text(sample.labels.get(label).map_or("", String::as_str)))
        }
        ("sortByLabel", Value::Samples(samples)) => {
            let mut sorted = samples.as_ref().clone();
            sorted.sort_by(|a, b| a.labels.get(label).cmp(&b.labels.get(label)));
            Ok(Value::Samples(Rc::new(sorted)))
        }
        (name, value) => Err(format!("{name} does not take a {}", value.kind())),
    }
}

fn arguments(args: &[Value]) -> Value {
    let named = args.iter().enumerate().map(|(index, value)| (format!("arg{index}"), value.clone()));
    Value::Map(Rc::new(named.collect::<BTreeMap<_, _>>()))
}

fn number(name: &str, value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(value) => Ok(*value),
        Value::Int(value) => Ok(*value as f64),
        Value::Duration(nanoseconds) => Ok(*nanoseconds as f64 / 1e9),
        Value::Text(text) => go_number(text).ok_or_else(|| format!("{name}: `{text}` is no number")),
        value => Err(format!("{name}: can't convert {} to float", print::show(value))),
    }
}

fn go_number(text: &str) -> Option<f64> {
    // Rust reads what Go reads, but for digits with `_` and hexadecimal, which no label holds.
    text.parse().ok()
}

/// Seconds since 1970 as milliseconds.
fn milliseconds(seconds: f64) -> Result<i64, String> {
    nanoseconds(seconds).map(|nanoseconds| nanoseconds.div_euclid(1_000_000))
}

fn nanoseconds(seconds: f64) -> Result<i64, String> {
    let nanoseconds = seconds * 1e9;
    // The bound itself is no i64: it is the next larger float.
    match nanoseconds.abs() < i64::MAX as f64 {
        true => Ok(nanoseconds as i64),
        false => Err(format!("{seconds} s cannot be represented in nanoseconds")),
    }
}

fn regex(pattern: &str) -> Result<Regex, String> {
    let built = picket_pattern::search(pattern, MAX_COMPILED_BYTES);
    built.map_err(|error| format!("`{pattern}` is no regular expression: {error}"))
}

fn strip_domain(host_port: &str) -> String {
    let (host, port) = match text::host_and_port(host_port) {
        Some((host, port)) => (host, Some(port)),
        None => (host_port, None),
    };
    if host.parse::<std::net::IpAddr>().is_ok() {
        return host_port.to_owned();
    }
    let name = host.split('.').next().unwrap_or_default();
    match port.filter(|port| !port.is_empty()) {
        Some(port) => format!("{name}:{port}"),
        None => name.to_owned(),
    }
}

/// The path of a URL.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    path.split(['?', '#']).next().unwrap_or_default()
}
