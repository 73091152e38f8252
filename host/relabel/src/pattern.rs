//! Go's regular expressions (RE2) for Rust's `regex`, so that a rule means here what it means to Prometheus.
//!
//! The two agree but for these: `\d`, `\w`, `\s` and `\b` are ASCII in Go; `\Q…\E` exists there only; a
//! backslash before punctuation always makes it literal; `{` is literal unless it begins a repetition; and in
//! `[…]` the signs `[`, `&&`, `--` and `~~` mean nothing. What Go knows and Rust does not is refused, nothing
//! is read in another sense. Source: <https://pkg.go.dev/regexp/syntax>.

use regex::{Regex, RegexBuilder};

/// The longest expression. Prometheus' own documentation has none above 200 bytes.
pub const MAX_REGEX_BYTES: usize = 4 << 10;
/// The memory of one compiled expression, and of its cache: repetitions multiply, `(.{1000}){1000}` would take
/// gigabytes.
const MAX_COMPILED_BYTES: usize = 2 << 20;

/// The expression, anchored at both ends; `.` matches a line end too, as in Prometheus 3.
pub(super) fn compile(go: &str) -> Result<Regex, String> {
    if go.len() > MAX_REGEX_BYTES {
        return Err(format!("it is longer than {MAX_REGEX_BYTES} bytes"));
    }
    let rust = Translation::of(go)?;
    // By itself first: `a)(b` must not become two good halves inside the anchors.
    build(&rust)?;
    build(&format!("^(?s:{rust})$"))
}

fn build(rust: &str) -> Result<Regex, String> {
    RegexBuilder::new(rust)
        .size_limit(MAX_COMPILED_BYTES)
        .dfa_size_limit(MAX_COMPILED_BYTES)
        .build()
        .map_err(|error| last_line(&error.to_string()))
}

/// A syntax error is drawn over several lines; the last one says what is wrong.
fn last_line(text: &str) -> String {
    let line = text.lines().last().unwrap_or_default().trim();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// An expression that is being read, and what was made of it.
struct Translation<'a> {
    rest: &'a str,
    out: String,
}

impl<'a> Translation<'a> {
    fn of(go: &'a str) -> Result<String, String> {
        let mut translation = Self { rest: go, out: String::with_capacity(go.len() + 16) };
        while let Some(next) = translation.next() {
            match next {
                '\\' => translation.escape()?,
                '[' => translation.class()?,
                '{' if !begins_repetition(translation.rest) => translation.out.push_str("\\{"),
                '(' => translation.group()?,
                other => translation.out.push(other),
            }
        }
        Ok(translation.out)
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn skip(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn literal(&mut self, text: &str) {
        self.out.push_str(&regex::escape(text));
    }

    /// Rust has flags that Go has not.
    fn group(&mut self) -> Result<(), String> {
        self.out.push('(');
        if !self.rest.starts_with('?') || self.rest.starts_with("?P<") || self.rest.starts_with("?<") {
            return Ok(());
        }
        let flags: String = self.rest[1..].chars().take_while(|next| !matches!(next, ':' | ')')).collect();
        match flags.chars().all(|flag| matches!(flag, 'i' | 'm' | 's' | 'U' | '-')) {
            true => Ok(()),
            false => Err(format!("invalid or unsupported syntax `(?{flags}`")),
        }
    }

    /// Behind a backslash, outside of a class.
    fn escape(&mut self) -> Result<(), String> {
        if let Some(class) = self.class_escape()? {
            self.out.push_str(&class);
        } else if self.skip("b") {
            self.out.push_str("(?-u:\\b)");
        } else if self.skip("B") {
            self.out.push_str("(?-u:\\B)");
        } else if self.skip("A") {
            self.out.push_str("\\A");
        } else if self.skip("z") {
            self.out.push_str("\\z");
        } else if self.skip("Q") {
            let (text, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
            self.rest = rest;
            self.literal(text);
        } else {
            let escaped = self.character_escape()?;
            self.literal(escaped.encode_utf8(&mut [0; 4]));
        }
        Ok(())
    }

    /// Behind a backslash: what stands for several characters.
    fn class_escape(&mut self) -> Result<Option<String>, String> {
        let perl = [
            ("d", "[0-9]"),
            ("D", "[^0-9]"),
            ("w", "[0-9A-Za-z_]"),
            ("W", "[^0-9A-Za-z_]"),
            ("s", "[\\t\\n\\f\\r ]"),
            ("S", "[^\\t\\n\\f\\r ]"),
        ];
        if let Some((_, class)) = perl.into_iter().find(|(letter, _)| self.skip(letter)) {
            return Ok(Some(class.to_owned()));
        }
        let Some(sign) = ["p", "P"].into_iter().find(|sign| self.skip(sign)) else { return Ok(None) };
        let name = match self.skip("{") {
            true => {
                let end = self.rest.find('}').ok_or("a `\\p{` is not closed")?;
                let name = &self.rest[..end];
                self.rest = &self.rest[end + 1..];
                name.to_owned()
            }
            false => self.next().ok_or("it ends with `\\p`")?.to_string(),
        };
        Ok(Some(format!("\\{sign}{{{name}}}")))
    }

    /// Behind a backslash: what stands for one character.
    fn character_escape(&mut self) -> Result<char, String> {
        let next = self.next().ok_or("it ends with a backslash")?;
        let octal = |next: &char| next.is_digit(8);
        match next {
            'a' => Ok('\x07'),
            'f' => Ok('\x0c'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'v' => Ok('\x0b'),
            'x' => self.hexadecimal(),
            '1'..='7' if !self.rest.starts_with(|next| octal(&next)) => {
                Err(format!("a back reference `\\{next}` is not possible"))
            }
            '0'..='7' => {
                let more: String = self.rest.chars().take(2).take_while(octal).collect();
                self.rest = &self.rest[more.len()..];
                code_point(&format!("{next}{more}"), 8)
            }
            sign if sign.is_ascii() && !sign.is_ascii_alphanumeric() => Ok(sign),
            other => Err(format!("invalid escape sequence `\\{other}`")),
        }
    }

    fn hexadecimal(&mut self) -> Result<char, String> {
        let digits = match self.skip("{") {
            true => self.rest.split_once('}'),
            false => self.rest.split_at_checked(2),
        };
        let (digits, rest) = digits.ok_or("a `\\x` has no number")?;
        self.rest = rest;
        code_point(digits, 16)
    }

    /// Behind `[`. Every single character is written as its number, so that none means anything to Rust.
    fn class(&mut self) -> Result<(), String> {
        let begin = if self.skip("^") { "[^" } else { "[" };
        self.out.push_str(begin);
        let mut first = true;
        loop {
            if !first && self.skip("]") {
                self.out.push(']');
                return Ok(());
            }
            first = false;
            if let Some(end) = self.rest.strip_prefix("[:").and_then(|rest| rest.find(":]")) {
                self.out.push_str(&self.rest[..end + 4]);
                self.rest = &self.rest[end + 4..];
                continue;
            }
            if let Some(behind) = self.rest.strip_prefix('\\') {
                let before = std::mem::replace(&mut self.rest, behind);
                if let Some(class) = self.class_escape()? {
                    self.out.push_str(&class);
                    continue;
                }
                self.rest = before;
            }
            let low = self.class_character()?;
            let mut high = low;
            if self.rest.starts_with('-') && !self.rest.starts_with("-]") && self.rest.len() > 1 {
                self.rest = &self.rest[1..];
                high = self.class_character()?;
            }
            self.out.push_str(&format!("\\x{{{:x}}}-\\x{{{:x}}}", u32::from(low), u32::from(high)));
        }
    }

    fn class_character(&mut self) -> Result<char, String> {
        match self.next().ok_or("a `[` is not closed")? {
            '\\' => self.character_escape(),
            other => Ok(other),
        }
    }
}

/// Behind `{`: whether it is `{2}`, `{2,}` or `{2,3}`.
fn begins_repetition(rest: &str) -> bool {
    let Some((inside, _)) = rest.split_once('}') else { return false };
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !least.is_empty() && digits(least) && digits(most)
}

fn code_point(digits: &str, radix: u32) -> Result<char, String> {
    // `from_str_radix` would take a sign.
    let number = match digits.chars().all(|digit| digit.is_digit(radix)) {
        true => u32::from_str_radix(digits, radix).ok(),
        false => None,
    };
    number.and_then(char::from_u32).ok_or_else(|| format!("`{digits}` is the number of no character"))
}
