//! What a rule computes: a small tree of typed steps, each from series to rows.
//!
//! A row is a set of labels and a value. Steps that join two trees pair a row on the left with the row
//! on the right whose labels it all has, so that a total without labels serves every row.

use std::fmt;

use picket_sdk::Span;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::selector::Selector;

/// A step of a rule's computation. A text in its place is the selector of a value, a number is itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr(pub(crate) Box<Step>);

/// The steps.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Step {
    /// One row without labels.
    #[serde(skip)]
    Number(f64),
    /// The newest sample of each series, at most five minutes old.
    Value(Selector),
    /// Seconds since the time that the newest sample of each series names (a Unix time in seconds).
    Age(Selector),
    /// Growth of counters per second over the window.
    Rate { of: Selector, window: Span },
    /// Growth of counters over the window.
    Increase { of: Selector, window: Span },
    /// Mean of the samples in the window.
    Mean { of: Selector, window: Span },
    /// Largest sample in the window.
    Largest { of: Selector, window: Span },
    /// Smallest sample in the window.
    Smallest { of: Selector, window: Span },
    /// A quantile of histograms (their `_bucket` series) over the window, for each set of the labels in
    /// `by`, or of all labels but `le`.
    Quantile { quantile: f64, of: Selector, window: Span, by: Option<Vec<String>> },
    /// The sum of rows with the same values of the labels in `by`.
    Sum {
        of: Expr,
        #[serde(default)]
        by: Vec<String>,
    },
    /// Their mean.
    Average {
        of: Expr,
        #[serde(default)]
        by: Vec<String>,
    },
    /// The largest of them.
    Max {
        of: Expr,
        #[serde(default)]
        by: Vec<String>,
    },
    /// The smallest of them.
    Min {
        of: Expr,
        #[serde(default)]
        by: Vec<String>,
    },
    /// How many there are.
    Count {
        of: Expr,
        #[serde(default)]
        by: Vec<String>,
    },
    /// One divided by the other.
    Ratio { of: Expr, to: Expr },
    /// One divided by the other, times 100.
    Percent { of: Expr, to: Expr },
    /// 100 × (1 − free ÷ total).
    PercentUsed { free: Expr, total: Expr },
    /// One less the other.
    Difference { of: Expr, less: Expr },
    /// Every value times a number.
    Scale { of: Expr, by: f64 },
}

/// The most that a window may reach back: a day.
const MAX_WINDOW_SECONDS: u64 = 86_400;

/// The deepest tree; rules that people write have three or four steps.
const MAX_DEPTH: usize = 16;

/// The samples that one selector has to bring, and from how far back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Leaf<'a> {
    pub(crate) selector: &'a Selector,
    pub(crate) window: Span,
}

/// How old the newest sample of a series may be to count as its value: Prometheus' look-back.
pub(crate) const LOOK_BACK: Span = Span::seconds(300);

impl Expr {
    /// The selectors in the tree with their windows.
    pub(crate) fn leaves<'a>(&'a self, found: &mut Vec<Leaf<'a>>) {
        if let Some(leaf) = self.0.leaf() {
            found.push(leaf);
        }
        for inner in self.0.inner() {
            inner.leaves(found);
        }
    }

    /// Checks what the types cannot; the error says what is wrong.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.check_below(MAX_DEPTH)
    }

    fn check_below(&self, depth: usize) -> Result<(), String> {
        if depth == 0 {
            return Err(format!("`expr` has more than {MAX_DEPTH} steps within each other"));
        }
        if let Some(leaf) = self.0.leaf()
            && !(1..=MAX_WINDOW_SECONDS).contains(&leaf.window.0.as_secs())
        {
            return Err(format!("the window of `{}` must be between 1s and 1d", leaf.selector));
        }
        if let Step::Quantile { quantile, .. } = &*self.0
            && !(0.0..=1.0).contains(quantile)
        {
            return Err("`quantile` must be between 0 and 1".to_owned());
        }
        if let Step::Scale { by, .. } = &*self.0
            && !by.is_finite()
        {
            return Err("`by` of `scale` must be a finite number".to_owned());
        }
        self.0.inner().into_iter().try_for_each(|inner| inner.check_below(depth - 1))
    }
}

impl Step {
    pub(crate) fn leaf(&self) -> Option<Leaf<'_>> {
        match self {
            Self::Value(selector) | Self::Age(selector) => Some(Leaf { selector, window: LOOK_BACK }),
            Self::Rate { of, window }
            | Self::Increase { of, window }
            | Self::Mean { of, window }
            | Self::Largest { of, window }
            | Self::Smallest { of, window }
            | Self::Quantile { of, window, .. } => Some(Leaf { selector: of, window: *window }),
            _ => None,
        }
    }

    fn inner(&self) -> Vec<&Expr> {
        match self {
            Self::Sum { of, .. }
            | Self::Average { of, .. }
            | Self::Max { of, .. }
            | Self::Min { of, .. }
            | Self::Count { of, .. }
            | Self::Scale { of, .. } => vec![of],
            Self::Ratio { of, to } | Self::Percent { of, to } => vec![of, to],
            Self::PercentUsed { free, total } => vec![free, total],
            Self::Difference { of, less } => vec![of, less],
            _ => Vec::new(),
        }
    }
}

impl<'de> Deserialize<'de> for Expr {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(ExprVisitor)
    }
}

struct ExprVisitor;

impl<'de> Visitor<'de> for ExprVisitor {
    type Value = Expr;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a selector, a number, or a table with one step such as `rate = { of = \"…\", window = \"5m\" }`",
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Expr, E> {
        Ok(Expr(Box::new(Step::Value(Selector::parse(text).map_err(E::custom)?))))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Expr, E> {
        match number.is_finite() {
            true => Ok(Expr(Box::new(Step::Number(number)))),
            false => Err(E::custom("must be a finite number")),
        }
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Expr, E> {
        self.visit_f64(number as f64)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Expr, E> {
        self.visit_f64(number as f64)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Expr, A::Error> {
        let step = Step::deserialize(MapAccessDeserializer::new(&mut map))?;
        match map.next_key::<String>()? {
            Some(second) => {
                Err(de::Error::custom(format_args!("a table holds one step; `{second}` is a second one")))
            }
            None => Ok(Expr(Box::new(step))),
        }
    }
}
