//! Regular expressions as Prometheus reads them: Go's syntax (RE2), compiled for Rust's `regex`.
//!
//! Whoever compiles an expression that Prometheus would read as well does it here, in the agent and in the plugins:
//! otherwise one part would take a rule that another refuses, or the same text would mean two things. It bounds
//! what a compiled expression takes; how long a text may be is the caller's to say, and so is what becomes of
//! groups that were captured.
#![forbid(unsafe_code)]

pub mod testing;
mod translation;

use regex::{Regex, RegexBuilder};

#[cfg(test)]
mod tests;

/// Bytes that one compiled expression may take, and its cache as many: room for an alternation of a thousand host
/// names, while `.{1000}{1000}` fills no memory. Matchers, `label_replace`, templates and silences have this bound,
/// so that a rule that was checked is one that the store takes.
pub const MAX_COMPILED_BYTES: usize = 1 << 20;

/// Why a text is no expression that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It does not follow Go's syntax, or Rust's engine cannot do what it asks for.
    #[error("{0}")]
    Syntax(String),
    /// Compiled it takes more than so many bytes.
    #[error("it takes more than {0} bytes once it is compiled: make its repetitions smaller")]
    TooLarge(usize),
}

/// An expression that matches whole texts only, as those of label matchers, `label_replace` and relabelling do;
/// `.` matches a line end too, as in Prometheus 3. `most` is what the compiled expression and its cache may take
/// in bytes, each.
///
/// # Errors
/// [`PatternError`] for what Prometheus would refuse as well, for the little that Rust's engine cannot read (a flag
/// twice, a group's name that begins with a digit), and for what is beyond the bound.
pub fn anchored(go: &str, most: usize) -> Result<Regex, PatternError> {
    // By itself first: `a)(b` must not become two good halves inside the anchors.
    translation::translate(go)?;
    // A `\Q` that is not ended swallows the anchor and is refused, as in Prometheus.
    build(&translation::translate(&format!("^(?s:{go})$"))?, most)
}

/// An expression that is looked for anywhere in a text, as by the functions of templates; `.` matches no line end.
/// `most` is what the compiled expression and its cache may take in bytes, each.
///
/// # Errors
/// As those of [`anchored`].
pub fn search(go: &str, most: usize) -> Result<Regex, PatternError> {
    build(&translation::translate(go)?, most)
}

fn build(rust: &str, most: usize) -> Result<Regex, PatternError> {
    RegexBuilder::new(rust).size_limit(most).dfa_size_limit(most).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => PatternError::TooLarge(most),
        error => PatternError::Syntax(last_line(&error.to_string())),
    })
}

/// A syntax error is drawn over several lines; the last one says what is wrong.
fn last_line(text: &str) -> String {
    let line = text.lines().last().unwrap_or_default().trim();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}
