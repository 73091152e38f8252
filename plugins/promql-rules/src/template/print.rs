//! Values as `{{value}}`, `print` and `%v` show them.

use std::collections::BTreeMap;

use super::value::{Sample, Value};
use super::{number, time};

/// A value as `%v` shows it.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Nil => "<nil>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => number::g(*value, None),
        Value::Text(text) => text.to_string(),
        Value::Labels(labels) => map(labels, String::clone),
        Value::Map(values) => map(values, show),
        Value::Samples(samples) => {
            let samples: Vec<String> = samples.iter().map(|one| sample(one)).collect();
            format!("[{}]", samples.join(" "))
        }
        Value::Sample(one) => sample(one),
        Value::Time(time) => time::show(*time),
        Value::Duration(duration) => time::show_duration(*duration),
        Value::Data(data) => format!(
            "{{{} {} {} {}}}",
            map(&data.labels, String::clone),
            map(&data.external_labels, String::clone),
            data.external_url,
            number::g(data.value, None),
        ),
    }
}

/// A value as an action shows it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Nil => "<no value>".to_owned(),
        value => show(value),
    }
}

/// Values with blanks between two of which neither is a text, as `print` does.
pub(super) fn print(values: &[Value]) -> String {
    let mut printed = String::new();
    let mut after_text = true;
    for value in values {
        let is_text = matches!(value, Value::Text(_));
        if !after_text && !is_text {
            printed.push(' ');
        }
        printed.push_str(&show(value));
        after_text = is_text;
    }
    printed
}

/// Values with blanks between all of them and a line's end, as `println` does.
pub(super) fn println(values: &[Value]) -> String {
    let values: Vec<String> = values.iter().map(show).collect();
    values.join(" ") + "\n"
}

fn map<V>(map: &BTreeMap<String, V>, show: impl Fn(&V) -> String) -> String {
    let entries: Vec<String> = map.iter().map(|(name, value)| format!("{name}:{}", show(value))).collect();
    format!("map[{}]", entries.join(" "))
}

fn sample(sample: &Sample) -> String {
    format!("{{{} {}}}", map(&sample.labels, String::clone), number::g(sample.value, None))
}
