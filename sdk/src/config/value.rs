//! A deserializer over a JSON value that knows where it is.
//!
//! `serde_path_to_error` and `serde_ignored` do the same for any deserializer, each by wrapping every
//! visitor of every type once more, which a component and its build time pay for. Here there is one
//! deserializer and nothing to wrap.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde_json::{Map, Value};

/// What went wrong; where is the tracker's to say.
#[derive(Debug)]
pub(super) struct Wrong(String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// A place in the value, as a list from the inside out on the stack.
#[derive(Debug, Clone, Copy)]
pub(super) enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (outer, part): (_, &dyn fmt::Display) = match self {
            Self::Root => return Ok(()),
            Self::Key(outer, key) => (outer, key),
            Self::Index(outer, index) => (outer, index),
        };
        outer.fmt(f)?;
        if !matches!(outer, Path::Root) {
            f.write_str(".")?;
        }
        part.fmt(f)
    }
}

/// Remembers the first place that failed and the first key that nobody wanted.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    failed: RefCell<Option<String>>,
    unknown: RefCell<Option<String>>,
}

impl Tracker {
    pub(super) fn failed(&self) -> String {
        self.failed.take().unwrap_or_default()
    }

    pub(super) fn unknown(&self) -> Option<String> {
        self.unknown.take()
    }
}

/// A value, where it is, and who has to know when it is wrong.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'de, 'p> {
    value: &'de Value,
    path: &'p Path<'p>,
    tracker: &'p Tracker,
}

impl<'de, 'p> At<'de, 'p> {
    pub(super) fn new(value: &'de Value, path: &'p Path<'p>, tracker: &'p Tracker) -> Self {
        Self { value, path, tracker }
    }

    /// Errors come from the inside out: the first place that sees one is the place of it.
    fn tracked<T>(self, result: Result<T, Wrong>) -> Result<T, Wrong> {
        if result.is_err() {
            self.tracker.failed.borrow_mut().get_or_insert_with(|| self.path.to_string());
        }
        result
    }

    fn visit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (_, Some(number)) => visitor.visit_i64(number),
                _ => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_str(text),
            Value::Array(items) => {
                let mut rest = Items { at: self, items, next: 0 };
                let value = visitor.visit_seq(&mut rest)?;
                match rest.next == items.len() {
                    true => Ok(value),
                    false => Err(de::Error::invalid_length(items.len(), &"fewer elements")),
                }
            }
            Value::Object(entries) => {
                visitor.visit_map(Entries { at: self, entries: entries.iter(), value: None })
            }
        }
    }

    fn unexpected(self) -> Unexpected<'de> {
        match self.value {
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(number) => Unexpected::Float(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => Unexpected::Str(text),
            Value::Array(_) => Unexpected::Seq,
            Value::Object(_) => Unexpected::Map,
        }
    }
}

impl<'de> Deserializer<'de> for At<'de, '_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.visit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.value {
            Value::String(variant) => visitor.visit_enum(variant.as_str().into_deserializer()),
            Value::Object(entries) => one(entries)
                .and_then(|(variant, value)| visitor.visit_enum(Variant { at: self, variant, value })),
            _ => Err(de::Error::invalid_type(self.unexpected(), &"a text, or a table with one key")),
        }
    }

    /// Nobody wants this value: its key is unknown.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.tracker.unknown.borrow_mut().get_or_insert_with(|| self.path.to_string());
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier
    }
}

fn one(entries: &Map<String, Value>) -> Result<(&str, &Value), Wrong> {
    match entries.iter().next() {
        Some((variant, value)) if entries.len() == 1 => Ok((variant, value)),
        _ => Err(de::Error::invalid_length(entries.len(), &"a table with one key")),
    }
}

/// Reads what lies within a place.
fn below<'de, T: DeserializeSeed<'de>>(
    at: At<'de, '_>,
    value: &'de Value,
    path: Path<'_>,
    seed: T,
) -> Result<T::Value, Wrong> {
    let at = At { value, path: &path, tracker: at.tracker };
    // Here and not in the deserializer, since a type may refuse a text after it was read.
    at.tracked(seed.deserialize(at))
}

/// The elements of a list.
struct Items<'de, 'p> {
    at: At<'de, 'p>,
    items: &'de [Value],
    next: usize,
}

impl<'de> SeqAccess<'de> for &mut Items<'de, '_> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        let Some(value) = self.items.get(self.next) else { return Ok(None) };
        let path = Path::Index(self.at.path, self.next);
        self.next += 1;
        below(self.at, value, path, seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len() - self.next)
    }
}

/// The entries of a table.
struct Entries<'de, 'p> {
    at: At<'de, 'p>,
    entries: serde_json::map::Iter<'de>,
    value: Option<(&'de str, &'de Value)>,
}

impl<'de> MapAccess<'de> for Entries<'de, '_> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some((key, value));
        let reader: StrDeserializer<'_, Wrong> = key.as_str().into_deserializer();
        // A key that is refused is itself the place.
        let path = Path::Key(self.at.path, key);
        At { path: &path, ..self.at }.tracked(seed.deserialize(reader)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Wrong> {
        let entry = self.value.take();
        let (key, value) = entry.ok_or_else(|| Wrong("a value was asked for before its key".to_owned()))?;
        below(self.at, value, Path::Key(self.at.path, key), seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// A variant that holds something.
struct Variant<'de, 'p> {
    at: At<'de, 'p>,
    variant: &'de str,
    value: &'de Value,
}

impl<'de> EnumAccess<'de> for Variant<'de, '_> {
    type Error = Wrong;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Wrong> {
        let reader: StrDeserializer<'_, Wrong> = self.variant.into_deserializer();
        Ok((seed.deserialize(reader)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de, '_> {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        self.newtype_variant_seed(std::marker::PhantomData)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Wrong> {
        below(self.at, self.value, Path::Key(self.at.path, self.variant), seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Wrong> {
        let path = Path::Key(self.at.path, self.variant);
        let at = At { value: self.value, path: &path, tracker: self.at.tracker };
        at.tracked(at.visit(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.tuple_variant(0, visitor)
    }
}
