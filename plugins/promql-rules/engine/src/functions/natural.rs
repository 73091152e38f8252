//! The order in which people expect labels: `node2` before `node10`.

use std::cmp::Ordering;

/// Compares runs of digits as numbers and all else as text.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let ((left, rest_a), (right, rest_b)) = (run(a), run(b));
        if left.is_empty() || right.is_empty() {
            return left.len().cmp(&right.len());
        }
        let order = match (digits(left), digits(right)) {
            (Some(left), Some(right)) => left.len().cmp(&right.len()).then(left.cmp(right)),
            _ => left.cmp(right),
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// The longest beginning that is all digits or has none.
fn run(text: &str) -> (&str, &str) {
    let is_digit = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != is_digit).unwrap_or(text.len());
    text.split_at(end)
}

/// A number without leading zeros: longer means larger.
fn digits(run: &str) -> Option<&str> {
    run.starts_with(|c: char| c.is_ascii_digit()).then(|| run.trim_start_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_as_numbers() {
        let mut names = ["node10", "node2", "", "node", "1.10", "1.9", "99999999999999999999", "node02b"];
        names.sort_by(|a, b| compare(a, b));
        assert_eq!(names, ["", "1.9", "1.10", "99999999999999999999", "node", "node2", "node02b", "node10"]);
    }
}
