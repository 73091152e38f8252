//! A cursor over one line, with the pieces that the notations share: blanks, names, quoted strings.

use crate::places::NotationError;

/// Where a reader of one line is.
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// A cursor over the same line somewhere else.
    pub(crate) fn at(&self, offset: usize) -> Self {
        Self { text: self.text, at: offset }
    }

    pub(crate) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    pub(crate) fn is_done(&self) -> bool {
        self.at == self.text.len()
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(crate) fn error(&self, message: impl Into<String>) -> NotationError {
        NotationError::at(self.text, self.at, message)
    }

    pub(crate) fn skip_blanks(&mut self) {
        self.take_while(char::is_whitespace);
    }

    /// Takes what stands here word for word.
    pub(crate) fn take(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        if found {
            self.at += word.len();
        }
        found
    }

    pub(crate) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// `[a-zA-Z_:][a-zA-Z0-9_:]*`; empty when none stands here.
    pub(crate) fn name(&mut self) -> &'a str {
        match self.peek() {
            Some(first) if first.is_ascii_alphabetic() || first == '_' || first == ':' => {
                self.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
            }
            _ => "",
        }
    }

    /// A string in `"`, `'` or backquotes, as Go writes them.
    pub(crate) fn quoted(&mut self) -> Result<String, NotationError> {
        let quote = self.peek().filter(|c| matches!(c, '"' | '\'' | '`'));
        let quote = quote.ok_or_else(|| self.error("a string in quotes is expected here"))?;
        let start = self.at;
        self.at += 1;
        let unclosed = |text: &str| NotationError::at(text, start, "the closing quote is missing");
        if quote == '`' {
            let end = self.rest().find('`').ok_or_else(|| unclosed(self.text))?;
            let inside = &self.rest()[..end];
            self.at += end + 1;
            return Ok(inside.to_owned());
        }
        // Escapes may spell single bytes, which only together are characters.
        let mut bytes = Vec::new();
        loop {
            let next = self.peek().ok_or_else(|| unclosed(self.text))?;
            self.at += next.len_utf8();
            match next {
                _ if next == quote => break,
                '\\' => self.escape(&mut bytes)?,
                other => push(&mut bytes, other),
            }
        }
        String::from_utf8(bytes)
            .map_err(|_| NotationError::at(self.text, start, "the string's escapes make no UTF-8 text"))
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), NotationError> {
        let kind = self.peek().ok_or_else(|| self.error("the closing quote is missing"))?;
        let number = |cursor: &mut Self, skip: usize, digits: usize, radix: u32| {
            let wrong = cursor.error(format!("`\\{kind}` does not begin a valid escape"));
            let from = cursor.at + skip;
            let code =
                cursor.text.get(from..from + digits).and_then(|it| u32::from_str_radix(it, radix).ok());
            let code = code.ok_or(wrong)?;
            cursor.at = from + digits;
            Ok(code)
        };
        match kind {
            'x' => bytes.push(number(self, 1, 2, 16)? as u8),
            '0'..='7' => {
                let code = number(self, 0, 3, 8)?;
                bytes.push(u8::try_from(code).map_err(|_| self.error("an octal escape is beyond \\377"))?);
            }
            'u' | 'U' => {
                let code = number(self, 1, if kind == 'u' { 4 } else { 8 }, 16)?;
                let character = char::from_u32(code);
                push(bytes, character.ok_or_else(|| self.error(format!("U+{code:04X} is no character")))?);
            }
            _ => {
                let byte = match kind {
                    'a' => 7,
                    'b' => 8,
                    'f' => 12,
                    'n' => b'\n',
                    'r' => b'\r',
                    't' => b'\t',
                    'v' => 11,
                    '\\' | '"' | '\'' => kind as u8,
                    _ => return Err(self.error(format!("`\\{kind}` is no escape"))),
                };
                bytes.push(byte);
                self.at += 1;
            }
        }
        Ok(())
    }
}

fn push(bytes: &mut Vec<u8>, character: char) {
    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn quoted(text: &str) -> Result<String, NotationError> {
        Cursor::new(text).quoted()
    }

    #[test]
    fn strings_are_read_as_go_writes_them() {
        for (text, expected) in [
            (r#""plain""#, "plain"),
            (r#"'it"s'"#, "it\"s"),
            (r"`a\n`", r"a\n"),
            (r#""a\n\t\"\\""#, "a\n\t\"\\"),
            (r#""\x41\101\u00e4\U0001F600""#, "AAä😀"),
            (r#""\xc3\xa4""#, "ä"),
        ] {
            assert_eq!(quoted(text).unwrap(), expected, "{text}");
        }
        for text in ["", "x", "\"open", "`open", r#""\q""#, r#""\x4""#, r#""\xff""#, r#""\ud800""#, "\"\\"] {
            assert!(quoted(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[\"'`]\\PC{0,12}|\"[\\\\xuU0-9a-fé\"]{0,16}") {
            let _ = quoted(&text);
        }
    }
}
