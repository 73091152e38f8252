//! The functions that every Go template has. `and` and `or` are in the runner, since they stop early.

use std::cmp::Ordering;
use std::rc::Rc;

use super::value::Value;
use super::{print, printf, text};

/// Their names. `call` is known and never useful: no value is a function.
pub(super) const NAMES: [&str; 19] = [
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or", "print",
    "printf", "println", "slice", "urlquery",
];

/// Calls one of them; none when there is no such function.
pub(super) fn call(name: &str, args: &[Value]) -> Option<Result<Value, String>> {
    let result = match name {
        "eq" => equal(args),
        "ne" | "lt" | "le" | "gt" | "ge" => two(name, args).and_then(|(a, b)| compare(name, a, b)),
        "not" => one(name, args).map(|value| Value::Bool(!value.is_true())),
        "len" => one(name, args).and_then(len),
        "index" => index(args),
        "slice" => slice(args),
        "print" => Ok(Value::text(print::print(args))),
        "println" => Ok(Value::text(print::println(args))),
        "printf" => match args {
            [Value::Text(format), values @ ..] => Ok(Value::text(printf::printf(format, values))),
            _ => Err("printf: its first argument is a text".to_owned()),
        },
        "html" => Ok(Value::text(text::html(&as_text(args)))),
        "js" => Ok(Value::text(text::js(&as_text(args)))),
        "urlquery" => Ok(Value::text(text::url_query(&as_text(args)))),
        "call" => Err("call: there is no function among the values".to_owned()),
        _ => return None,
    };
    Some(result)
}

fn as_text(args: &[Value]) -> String {
    match args {
        [Value::Text(text)] => text.to_string(),
        args => print::print(args),
    }
}

fn one<'a>(name: &str, args: &'a [Value]) -> Result<&'a Value, String> {
    match args {
        [value] => Ok(value),
        _ => Err(wrong_number(name, args.len(), "1")),
    }
}

fn two<'a>(name: &str, args: &'a [Value]) -> Result<(&'a Value, &'a Value), String> {
    match args {
        [a, b] => Ok((a, b)),
        _ => Err(wrong_number(name, args.len(), "2")),
    }
}

/// The message for a call with another number of arguments than a function takes.
pub(super) fn wrong_number(name: &str, got: usize, want: &str) -> String {
    format!("wrong number of args for {name}: want {want} got {got}")
}

/// Whether the first equals one of the others.
fn equal(args: &[Value]) -> Result<Value, String> {
    let [first, others @ ..] = args else { return Err(wrong_number("eq", 0, "at least 1")) };
    if others.is_empty() {
        return Err("eq: missing argument for comparison".to_owned());
    }
    for other in others {
        if is_equal("eq", first, other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn is_equal(name: &str, a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Nil, _) | (_, Value::Nil) => Ok(false),
        _ => Ok(order(name, a, b)? == Some(Ordering::Equal)),
    }
}

fn compare(name: &str, a: &Value, b: &Value) -> Result<Value, String> {
    let result = match name {
        "ne" => !is_equal(name, a, b)?,
        "lt" => order(name, a, b)?.is_some_and(Ordering::is_lt),
        "le" => order(name, a, b)?.is_some_and(Ordering::is_le),
        "gt" => order(name, a, b)?.is_some_and(Ordering::is_gt),
        _ => order(name, a, b)?.is_some_and(Ordering::is_ge),
    };
    Ok(Value::Bool(result))
}

/// None where one is no number. As in Go, only values of one type can be compared: `80` is not `80.0`.
fn order(name: &str, a: &Value, b: &Value) -> Result<Option<Ordering>, String> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Ok(Some(a.cmp(b))),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b)),
        (Value::Text(a), Value::Text(b)) => Ok(Some(a.cmp(b))),
        (Value::Int(_), Value::Float(_)) | (Value::Float(_), Value::Int(_)) => Err(format!(
            "{name}: incompatible types for comparison: write the number with a point, as `80.0`"
        )),
        _ => Err(format!("{name}: incompatible types for comparison: {} and {}", a.kind(), b.kind())),
    }
}

fn len(value: &Value) -> Result<Value, String> {
    let len = match value {
        Value::Text(text) => text.len(),
        Value::Labels(labels) => labels.len(),
        Value::Map(map) => map.len(),
        Value::Samples(samples) => samples.len(),
        value => return Err(format!("len of type {}", value.kind())),
    };
    Ok(Value::Int(i64::try_from(len).unwrap_or(i64::MAX)))
}

fn index(args: &[Value]) -> Result<Value, String> {
    let [value, keys @ ..] = args else { return Err(wrong_number("index", 0, "at least 1")) };
    let mut value = value.clone();
    for key in keys {
        value = match (&value, key) {
            (Value::Labels(_) | Value::Map(_), Value::Text(key)) => value.field(key)?,
            (Value::Samples(samples), Value::Int(at)) => {
                let sample = usize::try_from(*at).ok().and_then(|at| samples.get(at));
                Value::Sample(Rc::clone(sample.ok_or_else(|| format!("index out of range: {at}"))?))
            }
            (Value::Text(text), Value::Int(at)) => {
                let byte = usize::try_from(*at).ok().and_then(|at| text.as_bytes().get(at));
                Value::Int(i64::from(*byte.ok_or_else(|| format!("index out of range: {at}"))?))
            }
            (value, key) => return Err(format!("can't index a {} with a {}", value.kind(), key.kind())),
        };
    }
    Ok(value)
}

fn slice(args: &[Value]) -> Result<Value, String> {
    let [value, bounds @ ..] = args else { return Err(wrong_number("slice", 0, "at least 1")) };
    let len = match value {
        Value::Text(text) => text.len(),
        Value::Samples(samples) => samples.len(),
        value => return Err(format!("can't slice a {}", value.kind())),
    };
    let bound = |at: usize, default: usize| match bounds.get(at) {
        None => Ok(default),
        Some(Value::Int(bound)) => {
            let bound = usize::try_from(*bound).ok().filter(|bound| *bound <= len);
            bound.ok_or_else(|| "index out of range".to_owned())
        }
        Some(other) => Err(format!("can't slice with a {}", other.kind())),
    };
    let (start, end) = (bound(0, 0)?, bound(1, len)?);
    if bounds.len() > 2 || start > end {
        return Err("invalid slice index".to_owned());
    }
    match value {
        Value::Samples(samples) => Ok(Value::Samples(Rc::new(samples[start..end].to_vec()))),
        Value::Text(text) => {
            Ok(Value::text(String::from_utf8_lossy(&text.as_bytes()[start..end]).into_owned()))
        }
        _ => Ok(Value::Nil),
    }
}
