//! Sets of labels that are shared, compared and grouped without allocating.
//!
//! Each label carries the hash of its name and value, and the hash of a set is the sum of those of its labels.
//! So the hash of a subset (what `by`, `without`, `on` and `ignoring` group by) is a sum as well, and only a
//! group's first member ever pays for a set of its own. Equal hashes are always checked label by label.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// Labels that go with the metric's name: an operation that drops the name drops them as well.
const METADATA: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

/// Whether a label of this name is dropped with the metric's name.
pub(crate) fn is_metadata(name: &str) -> bool {
    METADATA.contains(&name)
}

/// One label. Cheap to copy: it is shared by all sets that it was copied to.
#[derive(Debug, Clone)]
pub struct Label(Rc<Pair>);

#[derive(Debug)]
struct Pair {
    name: Rc<str>,
    value: Rc<str>,
    hash: u64,
}

impl Label {
    /// A label of this name and value.
    pub fn new(name: impl Into<Rc<str>>, value: impl Into<Rc<str>>) -> Self {
        let (name, value) = (name.into(), value.into());
        let hash = hash(&name, &value);
        Self(Rc::new(Pair { name, value, hash }))
    }

    /// The label's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The label's value, never empty within [`Labels`].
    pub fn value(&self) -> &str {
        &self.0.value
    }
}

fn hash(name: &str, value: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    value.hash(&mut hasher);
    hasher.finish()
}

impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        let (one, two) = (&*self.0, &*other.0);
        Rc::ptr_eq(&self.0, &other.0)
            || (one.hash == two.hash && one.name == two.name && one.value == two.value)
    }
}

impl Eq for Label {}

/// A set of labels, ordered by name, without empty values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    labels: Box<[Label]>,
    hash: u64,
}

impl Labels {
    /// A set of these labels in any order. Those with an empty value are left out; of two with the same name
    /// the later one counts.
    pub fn new(labels: impl IntoIterator<Item = Label>) -> Self {
        let mut builder = Builder::default();
        labels.into_iter().for_each(|label| builder.set(label));
        builder.finish()
    }

    /// A set of these names and values, as [`Labels::new`].
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self::new(pairs.into_iter().map(|(name, value)| Label::new(name, value)))
    }

    /// The value of a label, the empty text when it is not set.
    pub fn get(&self, name: &str) -> &str {
        self.find(name).map_or("", Label::value)
    }

    /// The metric's name, empty when there is none.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME)
    }

    /// The labels by name.
    pub fn iter(&self) -> impl Iterator<Item = &Label> {
        self.labels.iter()
    }

    /// Whether no label is set.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The hash of the set. It is the same in every process of one build.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The set without the metric's name and what goes with it.
    pub(crate) fn without_name(self: &Rc<Self>) -> Rc<Self> {
        if !self.labels.iter().any(|label| is_metadata(label.name())) {
            return Rc::clone(self);
        }
        Rc::new(self.filter(|name| !is_metadata(name)))
    }

    /// The labels whose names are wanted.
    pub(crate) fn filter(&self, wanted: impl Fn(&str) -> bool) -> Self {
        let labels: Vec<Label> = self.labels.iter().filter(|label| wanted(label.name())).cloned().collect();
        Self::from_sorted(labels)
    }

    /// A builder that begins with this set.
    pub(crate) fn edit(&self) -> Builder {
        Builder { labels: self.labels.to_vec() }
    }

    fn find(&self, name: &str) -> Option<&Label> {
        // Sets are short, and a name's length mostly decides: faster than a binary search.
        self.labels.iter().find(|label| label.name() == name)
    }

    fn from_sorted(labels: Vec<Label>) -> Self {
        let hash = labels.iter().fold(0u64, |sum, label| sum.wrapping_add(label.0.hash));
        Self { labels: labels.into_boxed_slice(), hash }
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// By the names and values one after the other, as Prometheus orders the series of a range query.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let parts = |label: &'_ Label| (Rc::clone(&label.0.name), Rc::clone(&label.0.value));
        self.labels.iter().map(parts).cmp(other.labels.iter().map(parts))
    }
}

/// As in an expression, with every label in braces: `{__name__="up", job="node"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, label) in self.labels.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{}={:?}", label.name(), label.value())?;
        }
        f.write_str("}")
    }
}

/// Changes a set of labels.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    labels: Vec<Label>,
}

impl Builder {
    /// Sets a label, or takes it away when its value is empty.
    pub(crate) fn set(&mut self, label: Label) {
        match self.labels.binary_search_by(|known| known.name().cmp(label.name())) {
            Ok(index) if label.value().is_empty() => drop(self.labels.remove(index)),
            Ok(index) => self.labels[index] = label,
            Err(_) if label.value().is_empty() => {}
            Err(index) => self.labels.insert(index, label),
        }
    }

    /// Keeps the labels whose names are wanted.
    pub(crate) fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        self.labels.retain(|label| wanted(label.name()));
    }

    pub(crate) fn finish(self) -> Labels {
        Labels::from_sorted(self.labels)
    }
}

/// Which labels of a set are looked at when sets are grouped or matched.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Subset {
    /// Every label.
    All,
    /// Those of these names: `by` and `on`.
    Only(Vec<String>),
    /// All but those of these names and the metric's name: `without` and `ignoring`.
    Except(Vec<String>),
}

impl Subset {
    /// Whether a label of this name belongs to the subset.
    pub(crate) fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|n| n == name),
            Self::Except(names) => name != METRIC_NAME && !names.iter().any(|n| n == name),
        }
    }

    /// The hash of the subset of a set.
    pub(crate) fn hash(&self, labels: &Labels) -> u64 {
        match self {
            Self::All => labels.hash,
            Self::Only(names) if names.is_empty() => 0,
            _ => self.of(labels).fold(0u64, |sum, label| sum.wrapping_add(label.0.hash)),
        }
    }

    /// Whether the subsets of two sets are the same.
    pub(crate) fn same(&self, a: &Labels, b: &Labels) -> bool {
        self.of(a).eq(self.of(b))
    }

    /// The subset as a set of its own.
    pub(crate) fn cut(&self, labels: &Labels) -> Labels {
        labels.filter(|name| self.has(name))
    }

    fn of<'a>(&'a self, labels: &'a Labels) -> impl Iterator<Item = &'a Label> {
        labels.iter().filter(|label| self.has(label.name()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_set_is_ordered_and_has_no_empty_value() {
        let labels = Labels::from_pairs([("job", "a"), ("env", ""), ("__name__", "up"), ("job", "b")]);
        assert_eq!(labels.to_string(), r#"{__name__="up", job="b"}"#);
        assert_eq!(labels, Labels::from_pairs([("__name__", "up"), ("job", "b")]));
        assert_eq!(labels.get("env"), "");
    }

    #[test]
    fn a_subset_hashes_as_the_set_of_its_labels() {
        let labels = Labels::from_pairs([("__name__", "up"), ("job", "a"), ("env", "x")]);
        for subset in [Subset::Only(vec!["job".into(), "none".into()]), Subset::Except(vec!["env".into()])] {
            let cut = subset.cut(&labels);
            assert_eq!(subset.hash(&labels), cut.hash());
            assert_eq!(cut.to_string(), r#"{job="a"}"#);
            assert!(subset.same(&labels, &cut));
        }
    }

    #[test]
    fn dropping_the_name_of_a_set_without_one_shares_it() {
        let labels = Rc::new(Labels::from_pairs([("job", "a")]));
        assert!(Rc::ptr_eq(&labels, &labels.without_name()));
    }
}
