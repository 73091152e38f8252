//! Hides in an answer what the request held that must not be shown: a gateway that echoes the request in its 401
//! would bring it into messages, logs and the API.
//!
//! Small answers are hidden as they come. A page of metrics is left as it is, since a short password may be part of its
//! names; who quotes such a page asks here first.

use std::fmt;

use crate::secret::SHOWN;

/// A password or a token of fewer bytes is not looked for: it is part of ordinary words, and guessed anyway.
const LEAST_SECRET: usize = 4;

/// The same for values of headers, most of which are no secrets.
const LEAST_VALUE: usize = 6;

/// What is hidden: passwords, tokens and values of headers, as a request has them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Mask(Vec<String>);

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHOWN)
    }
}

impl Mask {
    /// Hides a password, a token, or what stands for them in a header.
    pub(crate) fn secret(&mut self, text: &str) {
        self.add(text, LEAST_SECRET);
    }

    /// Hides the value of a header, and the word at its end: `Bearer` before a token is none of it.
    pub(crate) fn value(&mut self, text: &str) {
        self.add(text, LEAST_VALUE);
        if let Some((_, last)) = text.rsplit_once(' ') {
            self.add(last, LEAST_VALUE);
        }
    }

    fn add(&mut self, text: &str, least: usize) {
        if text.len() >= least {
            self.0.push(text.to_owned());
            // Whole ones before their parts, of which a rest would be left.
            self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        }
    }

    /// Writes asterisks over each of them. The length stays, so that protobuf can still be read.
    pub(crate) fn hide(&self, body: &mut [u8]) {
        for secret in self.0.iter().map(String::as_bytes) {
            let mut from = 0;
            while let Some(at) = body[from..].windows(secret.len()).position(|part| part == secret) {
                let end = from + at + secret.len();
                body[from + at..end].fill(b'*');
                from = end;
            }
        }
    }

    /// Whether one of them stands in a text, which must not be quoted then, not even a part of it.
    pub fn is_in(&self, text: &[u8]) -> bool {
        let is_in = |secret: &String| text.windows(secret.len()).any(|part| part == secret.as_bytes());
        self.0.iter().any(is_in)
    }

    /// A text with asterisks over each of them, for messages.
    pub fn hidden(&self, text: &str) -> String {
        let mut hidden = text.as_bytes().to_vec();
        self.hide(&mut hidden);
        // Texts were replaced as a whole, so that it is one still.
        String::from_utf8_lossy(&hidden).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(mask: &Mask, text: &str) -> String {
        let mut body = text.as_bytes().to_vec();
        mask.hide(&mut body);
        String::from_utf8_lossy(&body).into_owned()
    }

    #[test]
    fn secrets_are_hidden_wherever_they_stand_and_words_are_not() {
        let mut mask = Mask::default();
        mask.secret("hunter2");
        mask.secret("one");
        mask.value("Bearer hunter2hunter");
        mask.value("true");
        assert_eq!(hidden(&mask, "hunter2, \"hunter2\" hunter2"), "*******, \"*******\" *******");
        assert_eq!(hidden(&mask, "is Bearer hunter2hunter"), "is ********************");
        assert_eq!(hidden(&mask, "Bearer: hunter2hunterhunter2"), "Bearer: ********************");
        assert_eq!(hidden(&mask, "no one, true, hunter"), "no one, true, hunter");
        assert_eq!(hidden(&mask, ""), "");
        assert_eq!(mask.hidden("ä hunter2"), "ä *******");
        assert!(mask.is_in(b"x hunter2hunter") && !mask.is_in(b"hunter") && !mask.is_in(b""));
        assert!(!Mask::default().is_in(b"hunter2"));
        assert!(!format!("{mask:?} {:#?}", Some(&mask)).contains("hunter2"));
    }
}
