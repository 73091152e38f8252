//! Labels of a series in their one canonical form. Knows nothing of samples.

use std::sync::Arc;

use crate::error::Refused;

/// The label that holds the metric's name.
pub const NAME: &str = "__name__";

/// Labels of one series, with its name: twice what the busiest exporters use.
pub const MAX_LABELS: usize = 64;
/// Bytes of a metric's or a label's name.
pub const MAX_NAME_BYTES: usize = 256;
/// Bytes of a label's value: the bound that the plugin interface gives.
pub const MAX_VALUE_BYTES: usize = 4096;

/// A label's name and its value, both shared with all other series that have them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// The name; `__name__` for the metric's name.
    pub name: Arc<str>,
    /// The value, never empty.
    pub value: Arc<str>,
}

/// The labels of a series with its name among them, sorted by name.
pub type Labels = Arc<[Label]>;

/// Sorts, adds the name and checks. Labels with an empty value are left out, because an absent
/// label and an empty one are the same series.
pub(crate) fn canonical<'a>(
    name: &'a str,
    labels: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Vec<(&'a str, &'a str)>, Refused> {
    if !is_metric_name(name) {
        return Err(Refused::BadName);
    }
    let mut pairs = vec![(NAME, name)];
    for (name, value) in labels {
        if !is_label_name(name) || value.len() > MAX_VALUE_BYTES {
            return Err(Refused::BadLabel);
        }
        if value.is_empty() {
            continue;
        }
        if pairs.len() == MAX_LABELS {
            return Err(Refused::TooManyLabels);
        }
        pairs.push((name, value));
    }
    pairs.sort_unstable();
    if pairs.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(Refused::DuplicateLabel);
    }
    Ok(pairs)
}

/// Whether labels from a file are such as [`canonical`] makes them.
pub(crate) fn is_canonical(pairs: &[(&str, &str)]) -> bool {
    let good = |(name, value): &(&str, &str)| {
        let name = if *name == NAME { is_metric_name(value) } else { is_label_name(name) };
        name && !value.is_empty() && value.len() <= MAX_VALUE_BYTES
    };
    pairs.len() <= MAX_LABELS
        && pairs.iter().any(|(name, _)| *name == NAME)
        && pairs.iter().all(good)
        && pairs.is_sorted_by(|a, b| a.0 < b.0)
}

/// `[a-zA-Z_:][a-zA-Z0-9_:]*`, as the Prometheus data model has it.
fn is_metric_name(name: &str) -> bool {
    is_name(name, |byte| byte == b':')
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`, but not that of the name. Two leading underscores are taken, as Prometheus takes them:
/// whoever appends has removed what is its own.
fn is_label_name(name: &str) -> bool {
    is_name(name, |_| false) && name != NAME
}

fn is_name(name: &str, also: impl Fn(u8) -> bool) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME_BYTES
        && !name.as_bytes()[0].is_ascii_digit()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || also(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, labels: &[(&str, &str)], expected: Result<&[(&str, &str)], Refused>) {
        assert_eq!(canonical(name, labels.iter().copied()).as_deref(), expected.as_ref().map(|ok| *ok));
    }

    #[test]
    fn labels_are_sorted_with_the_name_among_them() {
        check("up", &[("job", "a"), ("A", "b")], Ok(&[("A", "b"), (NAME, "up"), ("job", "a")]));
    }

    #[test]
    fn an_empty_label_is_an_absent_one() {
        check("up", &[("job", "")], Ok(&[(NAME, "up")]));
    }

    #[test]
    fn names_that_the_data_model_forbids_are_refused() {
        for name in ["", "9a", "a-b", "ä", "a b"] {
            check(name, &[], Err(Refused::BadName));
            check("up", &[(name, "x")], Err(Refused::BadLabel));
        }
        check("a:b", &[], Ok(&[(NAME, "a:b")]));
        check("up", &[("a:b", "x")], Err(Refused::BadLabel));
        check("up", &[(NAME, "x")], Err(Refused::BadLabel));
        check("up", &[("a", "x"), ("a", "y")], Err(Refused::DuplicateLabel));
    }

    #[test]
    fn too_much_is_refused() {
        let names: Vec<String> = (0..MAX_LABELS).map(|number| format!("l{number}")).collect();
        let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
        check("up", &many, Err(Refused::TooManyLabels));
        check("up", &[("a", &"x".repeat(MAX_VALUE_BYTES + 1))], Err(Refused::BadLabel));
        check(&"x".repeat(MAX_NAME_BYTES + 1), &[], Err(Refused::BadName));
    }
}
