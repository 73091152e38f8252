//! What labels there are: for the query API's pages of series, names and values.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use crate::bounds::{Late, Watch};
use crate::error::LookupError;
use crate::inner::Inner;
use crate::labels::Labels;
use crate::matcher::{Patterns, Selector, Test};
use crate::resolve::resolve;
use crate::series::Series;

/// Of which series labels are looked up. Times are Unix time in nanoseconds, both inclusive.
#[derive(Debug, Clone, Copy)]
pub struct Lookup<'a> {
    /// Series that satisfy one of these; all series when there is none.
    pub selectors: &'a [Selector],
    /// Series with a sample not before this; those that have a gap over all of the time count too.
    pub start: u64,
    /// Series with a sample not after this.
    pub end: u64,
    /// Entries of the answer at most; with more there is an error.
    pub max: usize,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
}

/// Places of the series, rising.
fn places(
    inner: &Inner,
    lookup: &Lookup<'_>,
    horizon: i64,
    selectors: &[Vec<Test<'_>>],
    watch: &mut Watch,
) -> Result<Vec<u32>, Late> {
    let (start, end) = (crate::config::to_ms(lookup.start), crate::config::to_ms(lookup.end));
    let start = start.max(horizon.saturating_add(1));
    let of = |place: &u32| &inner.series[*place as usize];
    let inside = |series: &Series| series.last >= start && series.begun <= end;
    if selectors.is_empty() {
        return Ok((0..inner.series.len() as u32).filter(|place| inside(of(place))).collect());
    }
    let mut places = Vec::new();
    for tests in selectors {
        let found = resolve(&inner.index, tests, |place| &*of(&place).labels, watch)?;
        places.extend(found.into_iter().filter(|place| inside(of(place))));
    }
    places.sort_unstable();
    places.dedup();
    Ok(places)
}

pub(crate) fn compile<'a>(
    patterns: &Patterns,
    selectors: &'a [Selector],
) -> Result<Vec<Vec<Test<'a>>>, LookupError> {
    let compiled = selectors.iter().zip(0..).map(|(selector, number)| {
        patterns.compile(selector).map_err(|reason| LookupError::BadSelector { selector: number, reason })
    });
    compiled.collect()
}

/// The label sets, by series id.
pub(crate) fn series(
    inner: &Inner,
    lookup: &Lookup<'_>,
    horizon: i64,
    tests: &[Vec<Test<'_>>],
) -> Result<Vec<Labels>, LookupError> {
    let places = places(inner, lookup, horizon, tests, &mut Watch::new(lookup.deadline))?;
    if places.len() > lookup.max {
        return Err(LookupError::TooMany { max: lookup.max });
    }
    let labels = |place: &u32| inner.index.labels(&inner.series[*place as usize].labels);
    Ok(places.iter().map(labels).collect())
}

/// The names of the labels that the series have, or the values of one of them, sorted.
pub(crate) fn texts(
    inner: &Inner,
    lookup: &Lookup<'_>,
    horizon: i64,
    tests: &[Vec<Test<'_>>],
    name: Option<&str>,
) -> Result<Vec<Arc<str>>, LookupError> {
    let mut watch = Watch::new(lookup.deadline);
    let places = places(inner, lookup, horizon, tests, &mut watch)?;
    let wanted = match name {
        Some(name) => match inner.index.name(name) {
            Some(number) => Some(number),
            None => return Ok(Vec::new()),
        },
        None => None,
    };
    let mut numbers = BTreeSet::new();
    for place in places {
        watch.look()?;
        for pair in &inner.series[place as usize].labels {
            let of = inner.index.pair(*pair).name;
            match wanted {
                Some(wanted) if of == wanted => numbers.insert(*pair),
                Some(_) => false,
                None => numbers.insert(of),
            };
        }
        if numbers.len() > lookup.max {
            return Err(LookupError::TooMany { max: lookup.max });
        }
    }
    let text = |number: &u32| match wanted {
        Some(_) => Arc::clone(&inner.index.pair(*number).value),
        None => Arc::clone(inner.index.name_text(*number)),
    };
    let mut texts: Vec<_> = numbers.iter().map(text).collect();
    texts.sort_unstable();
    Ok(texts)
}
