//! The labels of a sample, from those on the page and those of its target.

use picket_model::Label;

/// The label that holds a metric's name.
pub(crate) const NAME: &str = "__name__";

/// Adds a target's labels to those of the page. Where both have one, the page's is kept with `honor`; without it the
/// target's is, and the page's goes on as `exported_…`. Empty values stand for no label afterwards.
pub(crate) fn with_targets(mut labels: Vec<Label>, target: &[Label], honor: bool) -> Vec<Label> {
    let mut renamed = Vec::new();
    for own in target {
        match labels.iter_mut().find(|label| label.name == own.name) {
            Some(_) if honor => {}
            Some(label) if label.value.is_empty() => label.value.clone_from(&own.value),
            Some(label) => {
                let value = std::mem::replace(&mut label.value, own.value.clone());
                renamed.push(Label { name: own.name.clone(), value });
            }
            None => labels.push(own.clone()),
        }
    }
    for Label { mut name, value } in renamed {
        while labels.iter().any(|label| label.name == name) {
            name.insert_str(0, "exported_");
        }
        labels.push(Label { name, value });
    }
    labels.retain(|label| !label.value.is_empty());
    labels
}

/// Takes the name from among the labels, and sorts them.
pub(crate) fn split(mut labels: Vec<Label>) -> Option<(String, Vec<Label>)> {
    let at = labels.iter().position(|label| label.name == NAME)?;
    let name = labels.swap_remove(at).value;
    labels.sort_unstable_by(|left, right| left.name.cmp(&right.name));
    Some((name, labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Vec<Label> {
        let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| Label { name: name.into(), value: value.into() }).collect()
    }

    #[test]
    fn of_two_labels_with_one_name_both_are_kept_or_the_pages() {
        for (page, honor, expected) in [
            ("a=1", false, "a=1 instance=i job=j"),
            ("job=x", false, "exported_job=x instance=i job=j"),
            ("job=x", true, "instance=i job=x"),
            ("job=x exported_job=y", false, "exported_exported_job=x exported_job=y instance=i job=j"),
            ("job= a=", false, "instance=i job=j"),
            ("job= a=", true, "instance=i"),
        ] {
            let mut all = with_targets(labels(page), &labels("instance=i job=j"), honor);
            all.sort();
            assert_eq!(all, labels(expected), "{page} {honor}");
        }
    }
}
