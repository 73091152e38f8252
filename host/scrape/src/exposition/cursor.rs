//! What lines are made of: names, quoted texts, numbers.

use std::borrow::Cow;

use super::{Fault, MAX_LABELS, MAX_NAME_BYTES, MAX_VALUE_BYTES};

/// What is left of a line.
pub(super) struct Cursor<'a> {
    pub(super) rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub(super) fn eat(&mut self, letter: char) -> bool {
        let behind = self.rest.strip_prefix(letter);
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }

    pub(super) fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    pub(super) fn expect(&mut self, letter: char, expected: &'static str) -> Result<(), Fault> {
        if self.eat(letter) { Ok(()) } else { Err(self.fault(expected)) }
    }

    /// What is there is not what is expected.
    pub(super) fn fault(&self, expected: &'static str) -> Fault {
        match self.rest {
            "" => Fault::Ends { expected },
            rest => Fault::Expected { expected, found: beginning(rest) },
        }
    }

    /// Everything up to the next blank.
    pub(super) fn word(&mut self) -> &'a str {
        let end = self.rest.find([' ', '\t']).unwrap_or(self.rest.len());
        self.take(end)
    }

    /// A metric's name.
    pub(super) fn metric_name(&mut self) -> Result<&'a str, Fault> {
        self.name("a metric's name", |byte| byte == b':')
    }

    fn name(&mut self, what: &'static str, more: fn(u8) -> bool) -> Result<&'a str, Fault> {
        if self.rest.starts_with('"') {
            return Err(Fault::QuotedName);
        }
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || more(byte);
        let end = self.rest.bytes().position(|byte| !is_part(byte)).unwrap_or(self.rest.len());
        if end == 0 || self.rest.as_bytes()[0].is_ascii_digit() {
            return Err(self.fault(what));
        }
        if end > MAX_NAME_BYTES {
            return Err(Fault::TooLarge { what, most: "1024 bytes" });
        }
        Ok(self.take(end))
    }

    fn take(&mut self, end: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// What stands between braces, the first of which was taken.
    pub(super) fn labels(&mut self) -> Result<Vec<(&'a str, Cow<'a, str>)>, Fault> {
        let mut labels: Vec<(&str, Cow<'_, str>)> = Vec::new();
        loop {
            self.skip_blanks();
            if self.eat('}') {
                return Ok(labels);
            }
            let name = self.name("a label's name or `}`", |_| false)?;
            self.skip_blanks();
            self.expect('=', "`=`")?;
            self.skip_blanks();
            self.expect('"', "a quoted value")?;
            let value = self.quoted()?;
            if name == "__name__" {
                return Err(Fault::NameLabel);
            }
            if labels.iter().any(|(known, _)| *known == name) {
                return Err(Fault::LabelTwice { name: beginning(name) });
            }
            if labels.len() == MAX_LABELS {
                return Err(Fault::TooLarge { what: "the sample", most: "256 labels" });
            }
            labels.push((name, value));
            self.skip_blanks();
            if !self.eat(',') {
                self.expect('}', "`,` or `}`")?;
                return Ok(labels);
            }
        }
    }

    /// A text up to its closing quote; the opening one was taken.
    fn quoted(&mut self) -> Result<Cow<'a, str>, Fault> {
        let mut from = 0;
        let end = loop {
            let Some(at) = memchr::memchr2(b'"', b'\\', &self.rest.as_bytes()[from..]) else {
                return Err(Fault::Ends { expected: "the closing quote" });
            };
            match self.rest.as_bytes()[from + at] {
                b'"' => break from + at,
                // Whatever follows is escaped. It may be the first byte of a letter, which is no quote either.
                _ => from = (from + at + 2).min(self.rest.len()),
            }
        };
        if end > MAX_VALUE_BYTES {
            return Err(Fault::TooLarge { what: "a label's value", most: "64 KiB" });
        }
        let text = self.take(end);
        self.eat('"');
        Ok(unescaped(text))
    }
}

/// With `\\`, `\"` and `\n` as what they stand for. A backslash before anything else is one, as Prometheus reads it.
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => plain.push('\n'),
            Some(escaped @ ('\\' | '"')) => plain.push(escaped),
            Some(other) => plain.extend(['\\', other]),
            None => plain.push('\\'),
        }
    }
    Cow::Owned(plain)
}

/// For messages: the first letters, which are the target's and may be anything.
pub(super) fn beginning(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}
