//! Which names metrics and labels may have: those of Prometheus' data model before it took any UTF-8 text,
//! which is what the series store keeps.

/// Whether a metric may be called so: letters, digits, `_` and `:`, no digit first.
pub(crate) fn is_metric(name: &str) -> bool {
    is_name(name, |c| c.is_ascii_alphanumeric() || c == b'_' || c == b':')
}

/// Whether a label may be called so: letters, digits and `_`, no digit first.
pub(crate) fn is_label(name: &str) -> bool {
    is_name(name, |c| c.is_ascii_alphanumeric() || c == b'_')
}

fn is_name(name: &str, allowed: impl Fn(u8) -> bool) -> bool {
    let starts_well = name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    starts_well && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_letters_digits_and_underscores() {
        assert!(is_metric("job:up:sum") && is_metric("_a1") && is_label("_") && is_label("a1"));
        for name in ["", "1a", "a-b", "é", "a b", "a.b"] {
            assert!(!is_metric(name) && !is_label(name), "{name}");
        }
        assert!(!is_label("a:b"));
    }
}
