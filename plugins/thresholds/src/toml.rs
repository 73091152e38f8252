//! TOML as JSON values, and the line where a key stands.
//!
//! Rules are read from values, so that configuration and packs go through the same code; the lines are
//! looked up only for an error.

use picket_sdk::ConfigError;
use serde_json::{Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Parses an asset.
pub(crate) fn read(name: &str, text: &str) -> Result<Value, ConfigError> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        ConfigError::asset(name, line_of(text, at), error.message())
    })?;
    object(table.get_ref()).map_err(|(at, message)| ConfigError::asset(name, line_of(text, at), message))
}

/// The line of the value that a key with dots names, or of the last part of it that is there; 0 when
/// there is none.
pub(crate) fn line(text: &str, key: &str) -> u32 {
    let Ok(table) = DeTable::parse(text) else { return 0 };
    let mut at = None;
    let mut rest = key;
    let mut inner = Inner::Table(table.get_ref());
    while let Some((span, name_len, next)) = inner.step(rest) {
        at = Some(span);
        rest = rest.get(name_len + 1..).unwrap_or_default();
        match next {
            DeValue::Table(table) => inner = Inner::Table(table),
            DeValue::Array(array) => inner = Inner::Array(array),
            _ => break,
        }
    }
    at.map_or(0, |at| line_of(text, at))
}

enum Inner<'a> {
    Table(&'a DeTable<'a>),
    Array(&'a toml::de::DeArray<'a>),
}

impl<'a> Inner<'a> {
    /// The longest first part of the key that is here (keys may hold dots): where it stands, its
    /// length, and its value.
    fn step(&self, key: &str) -> Option<(usize, usize, &'a DeValue<'a>)> {
        let is_first =
            |name: &str| key == name || key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        match self {
            Self::Table(table) => {
                let found = table.iter().filter(|(name, _)| is_first(name.get_ref()));
                let (name, value) = found.max_by_key(|(name, _)| name.get_ref().len())?;
                Some((name.span().start, name.get_ref().len(), value.get_ref()))
            }
            Self::Array(array) => {
                let name = key.split('.').next()?;
                let value = array.get(name.parse::<usize>().ok()?)?;
                Some((value.span().start, name.len(), value.get_ref()))
            }
        }
    }
}

fn line_of(text: &str, at: usize) -> u32 {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    1 + before.iter().filter(|&&byte| byte == b'\n').count() as u32
}

type Refused = (usize, String);

fn object(table: &DeTable<'_>) -> Result<Value, Refused> {
    let entries = table.iter().map(|(name, value)| Ok((name.get_ref().to_string(), value_of(value)?)));
    Ok(Value::Object(entries.collect::<Result<_, Refused>>()?))
}

fn value_of(spanned: &Spanned<DeValue<'_>>) -> Result<Value, Refused> {
    let refused = |what: &str| (spanned.span().start, format!("{what} has no place in a rule"));
    match spanned.get_ref() {
        DeValue::String(text) => Ok(Value::String(text.to_string())),
        DeValue::Boolean(value) => Ok(Value::Bool(*value)),
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            parsed.map(Value::from).map_err(|_| refused("a number this large"))
        }
        DeValue::Float(number) => {
            let parsed = number.as_str().parse().ok().and_then(Number::from_f64);
            parsed.map(Value::Number).ok_or_else(|| refused("a number that is not finite"))
        }
        DeValue::Datetime(_) => Err(refused("a date")),
        DeValue::Array(items) => {
            Ok(Value::Array(items.iter().map(value_of).collect::<Result<_, Refused>>()?))
        }
        DeValue::Table(table) => object(table),
    }
}
