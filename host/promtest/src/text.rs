//! Series as text again, for messages and for comparing.

use std::fmt::Write as _;

use crate::series::{Labels, NAME};

/// `name{a="b"}`, or `{a="b"}` without a name, as Prometheus shows it.
pub fn show(labels: &Labels) -> String {
    let mut shown = String::new();
    let name = labels.get(NAME).filter(|name| is_plain(name));
    if let Some(name) = name {
        shown.push_str(name);
    }
    let rest: Vec<_> = labels.iter().filter(|(label, _)| name.is_none() || *label != NAME).collect();
    if rest.is_empty() && name.is_some() {
        return shown;
    }
    shown.push('{');
    for (index, (label, value)) in rest.into_iter().enumerate() {
        shown.push_str(if index == 0 { "" } else { ", " });
        match is_plain(label) {
            true => shown.push_str(label),
            false => quote(&mut shown, label),
        }
        shown.push('=');
        quote(&mut shown, value);
    }
    shown.push('}');
    shown
}

/// What needs no quotes as a name.
fn is_plain(name: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
    !name.is_empty() && !name.as_bytes()[0].is_ascii_digit() && name.bytes().all(valid)
}

fn quote(shown: &mut String, text: &str) {
    shown.push('"');
    for character in text.chars() {
        // Writing to a string cannot fail.
        let _ = match character {
            '"' | '\\' => write!(shown, "\\{character}"),
            '\n' => write!(shown, "\\n"),
            '\t' => write!(shown, "\\t"),
            '\r' => write!(shown, "\\r"),
            control if (control as u32) < 0x20 => write!(shown, "\\x{:02x}", control as u32),
            other => write!(shown, "{other}"),
        };
    }
    shown.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_shown_as_prometheus_shows_them() {
        let labels = |pairs: &[(&str, &str)]| -> Labels {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        for (pairs, shown) in [
            (&[][..], "{}"),
            (&[(NAME, "up")], "up"),
            (&[(NAME, "up"), ("a", "\"\n\x01")], "up{a=\"\\\"\\n\\x01\"}"),
            (&[(NAME, "a b"), ("c.d", "e")], "{__name__=\"a b\", \"c.d\"=\"e\"}"),
        ] {
            assert_eq!(show(&labels(pairs)), shown);
        }
    }
}
