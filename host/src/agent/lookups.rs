//! Series, labels and metadata of the store, as Prometheus' API asks for them.

use std::sync::Arc;
use std::time::Instant;

use picket_series::{MAX_DESCRIBED, Matcher, Op, Store};

use crate::api::prometheus::view::{Found, Lookup, LookupError, Metadata};
use crate::lifecycle::selector::{self, Selector};
use crate::model::Label;

/// Entries that the store gathers for one answer, before they are sorted and cut at what is wanted: all series of a
/// store of the usual size, some 30 MB for as long as the answer is made.
const MAX_GATHERED: usize = 100_000;

/// The labels of series, sorted.
pub(super) fn series(
    store: &Store,
    lookup: &Lookup,
    deadline: Instant,
) -> Result<Found<Vec<Label>>, LookupError> {
    let selectors = selectors(lookup)?;
    let found = store.series(bounded(lookup, &selectors, deadline)).map_err(error)?;
    let label =
        |label: &picket_series::Label| Label { name: label.name.to_string(), value: label.value.to_string() };
    // Cut before they are copied.
    let Found { items, truncated } = cut(found, lookup.limit);
    let items = items.iter().map(|labels| labels.iter().map(label).collect()).collect();
    Ok(Found { items, truncated })
}

/// The names of labels.
pub(super) fn label_names(
    store: &Store,
    lookup: &Lookup,
    deadline: Instant,
) -> Result<Found<String>, LookupError> {
    let selectors = selectors(lookup)?;
    let found = store.label_names(bounded(lookup, &selectors, deadline)).map_err(error)?;
    Ok(cut(texts(&found), lookup.limit))
}

/// The values of one label.
pub(super) fn label_values(
    store: &Store,
    name: &str,
    lookup: &Lookup,
    deadline: Instant,
) -> Result<Found<String>, LookupError> {
    let selectors = selectors(lookup)?;
    let found = store.label_values(name, bounded(lookup, &selectors, deadline)).map_err(error)?;
    Ok(cut(texts(&found), lookup.limit))
}

/// What is known of metrics, by name.
pub(super) fn metadata(store: &Store) -> Vec<Metadata> {
    let known = |(name, of): (String, picket_series::Metadata)| Metadata {
        name,
        kind: of.kind.word(),
        help: of.help,
        unit: of.unit,
    };
    store.all_metadata(MAX_DESCRIBED).into_iter().map(known).collect()
}

/// The same question in the store's terms.
fn bounded<'a>(
    lookup: &Lookup,
    selectors: &'a [picket_series::Selector],
    deadline: Instant,
) -> picket_series::Lookup<'a> {
    picket_series::Lookup {
        selectors,
        start: lookup.start,
        end: lookup.end,
        max: MAX_GATHERED,
        deadline: Some(deadline),
    }
}

fn texts(found: &[Arc<str>]) -> Vec<String> {
    found.iter().map(|text| text.to_string()).collect()
}

/// Sorted, and at most so many.
fn cut<T: Ord>(mut items: Vec<T>, limit: usize) -> Found<T> {
    items.sort_unstable();
    let truncated = items.len() > limit;
    items.truncate(limit);
    Found { items, truncated }
}

/// The selectors in the store's terms.
fn selectors(lookup: &Lookup) -> Result<Vec<picket_series::Selector>, LookupError> {
    let parse = |text: &String| -> Result<picket_series::Selector, LookupError> {
        let selector: Selector = text
            .parse()
            .map_err(|error: selector::ParseSelectorError| LookupError::BadSelector(error.to_string()))?;
        Ok(selector.0.into_iter().map(matcher).collect())
    };
    lookup.selectors.iter().map(parse).collect()
}

fn matcher(matcher: selector::Matcher) -> Matcher {
    let op = match matcher.op {
        selector::MatchOp::Equal => Op::Equal,
        selector::MatchOp::NotEqual => Op::NotEqual,
        selector::MatchOp::Regex => Op::Regex,
        selector::MatchOp::NotRegex => Op::NotRegex,
    };
    Matcher { name: matcher.name, op, value: matcher.value }
}

fn error(error: picket_series::LookupError) -> LookupError {
    match &error {
        picket_series::LookupError::BadSelector { .. } => LookupError::BadSelector(error.to_string()),
        picket_series::LookupError::TooMany { .. } => LookupError::TooMany(error.to_string()),
        picket_series::LookupError::Deadline => LookupError::Late(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn lookup(selectors: &[&str]) -> Lookup {
        let selectors = selectors.iter().map(|text| (*text).to_owned()).collect();
        Lookup { selectors, start: 0, end: u64::MAX, limit: 10 }
    }

    #[test]
    fn selectors_are_read_as_promql_writes_them() {
        let found = selectors(&lookup(&["up{job!~\"a.*\"}", "{__name__=\"x\"}"])).unwrap();
        let matcher = |name: &str, op, value: &str| Matcher { name: name.into(), op, value: value.into() };
        assert_eq!(found[0], [matcher("__name__", Op::Equal, "up"), matcher("job", Op::NotRegex, "a.*")]);
        assert_eq!(found[1], [matcher("__name__", Op::Equal, "x")]);
        let error = selectors(&lookup(&["up{"])).unwrap_err();
        assert!(matches!(&error, LookupError::BadSelector(words) if words.contains("up{")), "{error}");
    }

    #[test]
    fn what_is_too_much_is_cut_behind_the_sorting() {
        assert_eq!(cut(vec![3, 1, 2], 2), Found { items: vec![1, 2], truncated: true });
        assert_eq!(cut(vec![2, 1], 2), Found { items: vec![1, 2], truncated: false });
    }
}
