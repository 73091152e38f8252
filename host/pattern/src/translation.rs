//! From Go's regular expressions (RE2) to those of Rust's `regex`. It compiles nothing.
//!
//! The two agree but for these: `\d`, `\w`, `\s` and `\b` are ASCII in Go; `\Q…\E` exists there only; a
//! backslash before punctuation always makes it literal; `{` is literal unless it begins a repetition, of at most
//! 1000; and in `[…]` the signs `[`, `&&`, `--` and `~~` mean nothing. What Go knows and Rust does not is refused, nothing
//! is read in another sense. Source: <https://pkg.go.dev/regexp/syntax>.

use crate::PatternError;

/// The classes of `[[:NAME:]]`.
const NAMED: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];
/// How often a part may be repeated by `{…}`; Go's bound.
const MAX_REPEAT: u32 = 1000;

/// The same expression in Rust's syntax. It closes no group that it has not opened; one that it leaves open is
/// refused when it is compiled.
pub(crate) fn translate(go: &str) -> Result<String, PatternError> {
    Translation::of(go).map_err(PatternError::Syntax)
}

/// An expression that is being read, and what was made of it.
struct Translation<'a> {
    rest: &'a str,
    out: String,
    /// How many groups are open.
    open: usize,
    /// What was read last is a repetition, which Go does not let be repeated.
    is_repeated: bool,
}

impl<'a> Translation<'a> {
    fn of(go: &'a str) -> Result<String, String> {
        let out = String::with_capacity(go.len() + 16);
        let mut translation = Self { rest: go, out, open: 0, is_repeated: false };
        while let Some(next) = translation.next() {
            let is_nested = std::mem::take(&mut translation.is_repeated);
            match next {
                '\\' => translation.escape()?,
                '[' => translation.class()?,
                '{' => translation.brace(is_nested)?,
                '*' | '+' | '?' => translation.repeat(next.encode_utf8(&mut [0; 4]), is_nested)?,
                '(' => translation.group()?,
                ')' => translation.close()?,
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

    /// Behind `{`: a repetition, or the sign itself.
    fn brace(&mut self, is_nested: bool) -> Result<(), String> {
        let Some((least, most)) = repetition(self.rest) else {
            self.out.push_str("\\{");
            return Ok(());
        };
        let is_possible = |count: &str| count.parse().is_ok_and(|count: u32| count <= MAX_REPEAT);
        if !is_possible(least) || !(most.is_empty() || is_possible(most)) {
            return Err(format!("invalid repeat count: at most {MAX_REPEAT} are possible"));
        }
        let end = self.rest.find('}').map_or(self.rest.len(), |at| at + 1);
        let (inside, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.repeat(&format!("{{{inside}"), is_nested)
    }

    /// A repetition, with the `?` that makes it lazy.
    fn repeat(&mut self, sign: &str, is_nested: bool) -> Result<(), String> {
        if is_nested {
            return Err(format!("invalid nested repetition operator `{sign}`"));
        }
        self.out.push_str(sign);
        if self.skip("?") {
            self.out.push('?');
        }
        self.is_repeated = true;
        Ok(())
    }

    /// Behind `)`.
    fn close(&mut self) -> Result<(), String> {
        self.open = self.open.checked_sub(1).ok_or("unexpected `)`")?;
        self.out.push(')');
        Ok(())
    }

    /// Behind `(`. Rust has flags that Go has not.
    fn group(&mut self) -> Result<(), String> {
        self.open += 1;
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
        if self.skip("p") {
            self.unicode_class(false).map(Some)
        } else if self.skip("P") {
            self.unicode_class(true).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Behind `\p` or `\P`: `N`, `{Greek}` or `{^Greek}`.
    fn unicode_class(&mut self, negated: bool) -> Result<String, String> {
        let one = self.next().ok_or("it ends with `\\p`")?;
        let (name, rest) = match one {
            '{' => self.rest.split_once('}').ok_or("a `\\p{` is not closed")?,
            _ => ("", self.rest),
        };
        self.rest = rest;
        let (name, is_other) = name.strip_prefix('^').map_or((name, false), |name| (name, true));
        let sign = if negated == is_other { 'p' } else { 'P' };
        match one {
            '{' => Ok(format!("\\{sign}{{{name}}}")),
            letter => Ok(format!("\\{sign}{{{letter}}}")),
        }
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
                let name = &self.rest[2..end + 2];
                if !NAMED.contains(&name.strip_prefix('^').unwrap_or(name)) {
                    return Err(format!("invalid character class range `[:{name}:]`"));
                }
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
            self.out.push_str(&format!("\\x{{{:x}}}", u32::from(low)));
            if high != low {
                self.out.push_str(&format!("-\\x{{{:x}}}", u32::from(high)));
            }
        }
    }

    fn class_character(&mut self) -> Result<char, String> {
        match self.next().ok_or("a `[` is not closed")? {
            '\\' => self.character_escape(),
            other => Ok(other),
        }
    }
}

/// Behind `{`: the numbers of `{2}`, `{2,}` and `{2,3}`, the second one empty where there is none.
fn repetition(rest: &str) -> Option<(&str, &str)> {
    let (inside, _) = rest.split_once('}')?;
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    // A leading zero makes it none.
    let is_number = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() < 2 || !text.starts_with('0'))
    };
    (!least.is_empty() && is_number(least) && is_number(most)).then_some((least, most))
}

fn code_point(digits: &str, radix: u32) -> Result<char, String> {
    // `from_str_radix` would take a sign.
    let number = match digits.chars().all(|digit| digit.is_digit(radix)) {
        true => u32::from_str_radix(digits, radix).ok(),
        false => None,
    };
    number.and_then(char::from_u32).ok_or_else(|| format!("`{digits}` is the number of no character"))
}
