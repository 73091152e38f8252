//! Texts as Go quotes and escapes them.

/// What stands between quotes with its escapes resolved; none when one of them is unknown.
pub(super) fn unquote(inner: &str) -> Option<String> {
    let mut text = Vec::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            push(&mut text, c);
            continue;
        }
        let name = chars.next()?;
        let mut number = |len: usize, radix: u32| {
            let digits: String = chars.by_ref().take(len).collect();
            (digits.len() == len).then(|| u32::from_str_radix(&digits, radix).ok()).flatten()
        };
        match name {
            'a' => text.push(7),
            'b' => text.push(8),
            'f' => text.push(12),
            'n' => text.push(b'\n'),
            'r' => text.push(b'\r'),
            't' => text.push(b'\t'),
            'v' => text.push(11),
            '\\' | '\'' | '"' => push(&mut text, name),
            // These two stand for a byte, the others for a character.
            'x' => text.push(u8::try_from(number(2, 16)?).ok()?),
            '0'..='7' => {
                let rest = number(2, 8)?;
                text.push(u8::try_from(name.to_digit(8)? * 64 + rest).ok()?);
            }
            'u' => push(&mut text, char::from_u32(number(4, 16)?)?),
            'U' => push(&mut text, char::from_u32(number(8, 16)?)?),
            _ => return None,
        }
    }
    Some(String::from_utf8_lossy(&text).into_owned())
}

fn push(text: &mut Vec<u8>, c: char) {
    text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// A text in double quotes, as `%q` prints it.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// HTML with its special characters escaped, as the function `html` does.
pub(super) fn html(text: &str) -> String {
    let escape = |c: char| match c {
        '\0' => "\u{fffd}".to_owned(),
        '"' => "&#34;".to_owned(),
        '\'' => "&#39;".to_owned(),
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        c => c.to_string(),
    };
    text.chars().map(escape).collect()
}

/// A text for a JavaScript literal, as the function `js` does.
pub(super) fn js(text: &str) -> String {
    let escape = |c: char| match c {
        '\\' => "\\\\".to_owned(),
        '\'' => "\\'".to_owned(),
        '"' => "\\\"".to_owned(),
        '<' | '>' | '&' | '=' => format!("\\u{:04X}", u32::from(c)),
        c if c.is_control() => format!("\\u{:04X}", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().map(escape).collect()
}

/// A text for the query part of a URL: blanks as `+`, all else but letters, digits and `-_.~` as `%XX`.
pub(super) fn url_query(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// Each word with a large first letter, as Go's `strings.Title` does: a word begins behind all that is no
/// letter, digit or underscore, so that `don't` becomes `Don'T`.
pub(super) fn title(text: &str) -> String {
    let mut before = ' ';
    let mut titled = String::with_capacity(text.len());
    for c in text.chars() {
        let is_inside =
            before.is_alphanumeric() || before == '_' || (!before.is_ascii() && !before.is_whitespace());
        match is_inside {
            true => titled.push(c),
            false => titled.extend(c.to_uppercase()),
        }
        before = c;
    }
    titled
}

/// Host and port of `host:port` or `[host]:port`; none when it is neither.
pub(super) fn host_and_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None if host.contains([':', '[', ']']) => return None,
        None => host,
    };
    Some((host, port)).filter(|(_, port)| !port.contains(['[', ']']))
}
