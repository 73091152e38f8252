//! Which series have a label: an inverted index by name and value, and the one place where label
//! strings are kept.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::labels::{Label, Labels};
use crate::matcher::{Condition, Test};

/// Series ids by label name and value. Ids are given in rising order, so each list is sorted.
#[derive(Default)]
pub(crate) struct Index {
    names: HashMap<Arc<str>, HashMap<Arc<str>, Vec<u64>>>,
}

impl Index {
    /// Adds a series whose id is higher than all before, and returns its labels with their strings
    /// shared.
    pub(crate) fn add(&mut self, id: u64, pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| self.add_label(id, name, value)).collect()
    }

    fn add_label(&mut self, id: u64, name: &str, value: &str) -> Label {
        let name = match self.names.get_key_value(name) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(name),
        };
        let values = self.names.entry(Arc::clone(&name)).or_default();
        let value = match values.get_key_value(value) {
            Some((value, _)) => Arc::clone(value),
            None => Arc::from(value),
        };
        values.entry(Arc::clone(&value)).or_default().push(id);
        Label { name, value }
    }

    /// Removes series, each list being gone through once however many leave it.
    pub(crate) fn remove<'a>(&mut self, gone: &HashSet<u64>, labels: impl Iterator<Item = &'a Labels>) {
        let touched: HashSet<&Label> = labels.flat_map(|labels| labels.iter()).collect();
        for label in touched {
            let Some(values) = self.names.get_mut(&label.name) else { continue };
            if let Some(ids) = values.get_mut(&label.value) {
                ids.retain(|id| !gone.contains(id));
                if ids.is_empty() {
                    values.remove(&label.value);
                }
            }
            if values.is_empty() {
                self.names.remove(&label.name);
            }
        }
    }

    /// Ids among which all series are that satisfy the tests, sorted: those of the narrowest test
    /// that does not match the empty string. The caller applies all tests to each.
    ///
    /// `late` is asked now and then; when it says so, the work ends with nothing.
    pub(crate) fn candidates(&self, tests: &[Test], late: &mut impl FnMut() -> bool) -> Option<Vec<u64>> {
        let mut equal: Option<&[u64]> = None;
        for test in tests.iter().filter(|test| !test.matches("")) {
            let Some(values) = self.names.get(test.name.as_str()) else { return Some(Vec::new()) };
            if let Condition::Equal(value) = &test.condition {
                let Some(ids) = values.get(value.as_str()) else { return Some(Vec::new()) };
                equal = Some(equal.filter(|best| best.len() <= ids.len()).unwrap_or(ids));
            }
        }
        if let Some(ids) = equal {
            return Some(ids.to_vec());
        }
        let fewest = tests
            .iter()
            .filter(|test| !test.matches(""))
            .filter_map(|test| Some((self.names.get(test.name.as_str())?, test)))
            .min_by_key(|(values, _)| values.len());
        let Some((values, test)) = fewest else { return Some(Vec::new()) };
        let mut ids = Vec::new();
        for (value, of_value) in values {
            if late() {
                return None;
            }
            if test.matches(value) {
                ids.extend_from_slice(of_value);
            }
        }
        ids.sort_unstable();
        Some(ids)
    }
}
