//! What serde found, as facts instead of text, with the path to it.

use std::fmt;

use serde::de::{Expected, Unexpected};

/// Why a value is not what its type asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) enum Fact {
    /// The last key of the path is none of these.
    UnknownKey { key: String, allowed: Vec<String> },
    /// The table at the path lacks a key.
    MissingKey { key: String },
    /// The value is of another type.
    WrongType { found: String, expected: String },
    /// The text is none of these.
    UnknownChoice { found: String, allowed: Vec<String> },
    /// Anything else, in the words of the type that refused it.
    BadValue(String),
}

/// A fact and the keys that lead to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) struct Error {
    pub(in crate::config) fact: Fact,
    pub(in crate::config) path: Vec<String>,
}

impl Error {
    pub(super) fn new(fact: Fact) -> Self {
        Self { fact, path: Vec::new() }
    }

    /// The same error, one level further up.
    pub(super) fn below(mut self, key: &str) -> Self {
        self.path.insert(0, key.to_owned());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.path.join("."), self.fact)
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Fact::BadValue(message.to_string()))
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Fact::WrongType { found: kind(&unexpected).into(), expected: words(expected) })
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        // Numbers are no secrets; text may be one.
        let found = match unexpected {
            Unexpected::Unsigned(number) => number.to_string(),
            Unexpected::Signed(number) => number.to_string(),
            Unexpected::Float(number) => number.to_string(),
            other => kind(&other).into(),
        };
        Self::new(Fact::WrongType { found, expected: words(expected) })
    }

    fn unknown_variant(variant: &str, allowed: &'static [&'static str]) -> Self {
        Self::new(Fact::UnknownChoice { found: cut(variant), allowed: owned(allowed) })
    }

    fn unknown_field(field: &str, allowed: &'static [&'static str]) -> Self {
        Self::new(Fact::UnknownKey { key: cut(field), allowed: owned(allowed) })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Fact::MissingKey { key: field.into() })
    }
}

/// Rust's words for types in words of people who write configurations.
fn words(expected: &dyn Expected) -> String {
    let expected = expected.to_string();
    match expected.as_str() {
        "a string" | "string" => "text".into(),
        "path string" => "text, a path".into(),
        "a sequence" => "a list, such as `[\"a\", \"b\"]`".into(),
        "a map" => "a table".into(),
        "a boolean" => "`true` or `false`".into(),
        "u8" => whole(0, u8::MAX),
        "u16" => whole(0, u16::MAX),
        "u32" | "a nonzero u32" => whole(0, u32::MAX),
        "u64" | "usize" => whole(0, u64::MAX),
        "i32" => whole(i32::MIN, i32::MAX),
        "i64" | "isize" => whole(i64::MIN, i64::MAX),
        "f32" | "f64" => "a number".into(),
        structure if structure.starts_with("struct ") => "a table".into(),
        _ => expected,
    }
}

fn whole(low: impl fmt::Display, high: impl fmt::Display) -> String {
    format!("a whole number from {low} to {high}")
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// What a person may have pasted by mistake is not repeated in full.
fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

fn kind(unexpected: &Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a whole number",
        Unexpected::Float(_) => "a number with a fraction",
        Unexpected::Char(_) | Unexpected::Str(_) => "text",
        Unexpected::Seq => "a list",
        Unexpected::Map | Unexpected::StructVariant => "a table",
        _ => "of another type",
    }
}
