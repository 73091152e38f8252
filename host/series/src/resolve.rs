//! From a selector's tests to the places of the series that satisfy all of them.
//!
//! It begins with the shortest list of a label that has to be there and tests each series of it by the numbers of its
//! labels. A regular expression is tried on each of a label's values once when these are fewer than the
//! series left, and on the series' own values otherwise.

use crate::bounds::{Late, Watch};
use crate::index::{Index, Pair};
use crate::matcher::{Condition, Test};

/// A test in the numbers of the index.
enum Check<'a> {
    /// The series has this pair.
    Has(u32),
    /// It has not.
    HasNot(u32),
    /// It has one of these, sorted; or none of this name and that is as good.
    OneOf { name: u32, pairs: Vec<u32>, or_none: bool },
    /// The value of this name satisfies it.
    Value { name: u32, test: &'a Test<'a> },
}

/// Places of series, rising. `labels` gives the labels of the series at a place.
pub(crate) fn resolve<'a>(
    index: &Index,
    tests: &[Test<'_>],
    labels: impl Fn(u32) -> &'a [u32],
    watch: &mut Watch,
) -> Result<Vec<u32>, Late> {
    let Some((start, used)) = narrowest(index, tests, watch)? else { return Ok(Vec::new()) };
    let mut checks = Vec::with_capacity(tests.len());
    for (_, test) in tests.iter().enumerate().filter(|(number, _)| *number != used) {
        match check(index, test, start.len(), watch)? {
            Checked::Test(one) => checks.push(one),
            Checked::Always => {}
            Checked::Never => return Ok(Vec::new()),
        }
    }
    let mut places = Vec::with_capacity(if checks.is_empty() { start.len() } else { 0 });
    for place in start.iter() {
        watch.look()?;
        let labels = labels(*place);
        if checks.iter().all(|check| holds(index, check, labels)) {
            places.push(*place);
        }
    }
    Ok(places)
}

/// A list of the index, or one made of several.
enum Places<'a> {
    Of(&'a Pair),
    Made(Vec<u32>),
}

impl std::ops::Deref for Places<'_> {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        match self {
            Self::Of(pair) => &pair.places,
            Self::Made(places) => places,
        }
    }
}

/// The places that one test leaves, and which test that is; nothing when no series satisfies all.
fn narrowest<'a>(
    index: &'a Index,
    tests: &[Test<'_>],
    watch: &mut Watch,
) -> Result<Option<(Places<'a>, usize)>, Late> {
    let mut best: Option<(&Pair, usize)> = None;
    let mut other: Option<(u32, usize)> = None;
    for (number, test) in tests.iter().enumerate().filter(|(_, test)| !test.holds_for_none) {
        let Some(name) = index.name(test.name) else { return Ok(None) };
        if let Condition::Equal(value) = &test.condition {
            let Some(pair) = index.find(test.name, value) else { return Ok(None) };
            let pair = index.pair(pair);
            if best.is_none_or(|(best, _)| best.places.len() > pair.places.len()) {
                best = Some((pair, number));
            }
        } else if other.is_none_or(|(best, _)| index.value_count(best) > index.value_count(name)) {
            other = Some((name, number));
        }
    }
    if let Some((pair, number)) = best {
        return Ok(Some((Places::Of(pair), number)));
    }
    let Some((name, number)) = other else { return Ok(None) };
    let mut places = Vec::new();
    for (_, pair) in index.values(name) {
        watch.look()?;
        if tests[number].condition.matches(&pair.value) {
            places.extend_from_slice(&pair.places);
        }
    }
    places.sort_unstable();
    Ok(Some((Places::Made(places), number)))
}

enum Checked<'a> {
    Test(Check<'a>),
    Always,
    Never,
}

fn check<'a>(index: &Index, test: &'a Test<'a>, left: usize, watch: &mut Watch) -> Result<Checked<'a>, Late> {
    let Some(name) = index.name(test.name) else {
        return Ok(if test.holds_for_none { Checked::Always } else { Checked::Never });
    };
    let or_none = test.holds_for_none;
    Ok(match &test.condition {
        Condition::Equal("") => Checked::Test(Check::OneOf { name, pairs: Vec::new(), or_none }),
        Condition::Equal(value) => match index.find(test.name, value) {
            Some(pair) => Checked::Test(Check::Has(pair)),
            None => Checked::Never,
        },
        Condition::NotEqual(value) if !value.is_empty() => match index.find(test.name, value) {
            Some(pair) => Checked::Test(Check::HasNot(pair)),
            None => Checked::Always,
        },
        _ if left < index.value_count(name) => Checked::Test(Check::Value { name, test }),
        condition => {
            let mut pairs = Vec::new();
            for (id, pair) in index.values(name) {
                watch.look()?;
                if condition.matches(&pair.value) {
                    pairs.push(id);
                }
            }
            pairs.sort_unstable();
            Checked::Test(Check::OneOf { name, pairs, or_none })
        }
    })
}

fn holds(index: &Index, check: &Check<'_>, labels: &[u32]) -> bool {
    match check {
        Check::Has(pair) => labels.contains(pair),
        Check::HasNot(pair) => !labels.contains(pair),
        Check::OneOf { name, pairs, or_none } => {
            match labels.iter().find(|id| index.pair(**id).name == *name) {
                Some(id) => pairs.binary_search(id).is_ok(),
                None => *or_none,
            }
        }
        Check::Value { name, test } => test.condition.matches(index.value_in(labels, *name)),
    }
}
