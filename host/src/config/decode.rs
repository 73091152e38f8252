//! From a tree to the types of the settings, by serde, with the place of whatever does not fit.
//!
//! serde stops at the first error. To report several at once, [`decode`] takes what does not fit out
//! of the tree, so that the default stands in, and tries again.

mod de;
mod error;

use serde::de::DeserializeOwned;

pub(super) use error::{Error, Fact};

use super::files::Files;
use super::problem::{Code, Problem, looks_secret};
use super::tree::{Node, Origin};

/// More errors than this in one section are not reported.
const MAX_ERRORS: usize = 50;

/// Reads a value of type `T`; `path` is the tree's own path and stands before every key in messages.
/// None when what is missing cannot be replaced by a default.
pub(super) fn decode<T: DeserializeOwned>(
    tree: &Node,
    path: &[String],
    files: &Files,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let mut rest = tree.clone();
    let mut removed: Vec<Vec<String>> = Vec::new();
    for _ in 0..MAX_ERRORS {
        match T::deserialize(de::Decoder::new(&rest)) {
            Ok(value) => return Some(value),
            Err(error) => {
                // What was taken out below is missing now; that was reported already.
                let is_missing = |taken: &Vec<String>| match &error.fact {
                    Fact::MissingKey { key } => taken.split_last() == Some((key, &error.path[..])),
                    _ => false,
                };
                if !removed.iter().any(is_missing) {
                    problems.push(problem(&error, tree, path, files));
                }
                if !rest.remove(&error.path) {
                    return None;
                }
                removed.push(error.path);
            }
        }
    }
    None
}

/// The problem of one error, with its place in the tree as it was written.
fn problem(error: &Error, tree: &Node, path: &[String], files: &Files) -> Problem {
    let full: Vec<String> = path.iter().chain(&error.path).cloned().collect();
    let key = full.join(".");
    let node = tree.find(error.path.iter().map(String::as_str)).unwrap_or(tree);
    let (code, message, help, origin) = match &error.fact {
        Fact::UnknownKey { key: unknown, allowed } => {
            (Code::UnknownKey, format!("unknown key `{key}`"), choices(unknown, allowed, "here"), &node.key)
        }
        Fact::MissingKey { key: missing } => {
            let message = match key.as_str() {
                "" => format!("the key `{missing}` is missing"),
                key => format!("`{key}` lacks the key `{missing}`"),
            };
            (Code::MissingKey, message, Some(format!("add `{missing} = …`")), &node.key)
        }
        Fact::WrongType { found, expected } => {
            let message = format!("`{key}` is {found}, but should be {expected}");
            (Code::WrongType, message, None, &node.origin)
        }
        Fact::UnknownChoice { found, allowed } => {
            let message = format!("`{key}` cannot be `{found}`");
            (Code::BadValue, message, choices(found, allowed, "as its value"), &node.origin)
        }
        Fact::BadValue(message) => (Code::BadValue, format!("`{key}`: {message}"), None, &node.origin),
    };
    place(Problem::new(code, message), origin, key, help, files)
}

/// Adds what every problem of a setting has.
pub(super) fn place(
    problem: Problem,
    origin: &Origin,
    key: String,
    help: Option<String>,
    files: &Files,
) -> Problem {
    let excerpt = if looks_secret(&key) { None } else { files.excerpt(origin) };
    let key = Some(key).filter(|key| !key.is_empty());
    Problem { place: Some(files.place(origin)), excerpt, key, help, ..problem }
}

/// `did you mean …? allowed here: …`
pub(super) fn choices<S: AsRef<str>>(found: &str, allowed: &[S], place: &str) -> Option<String> {
    let listed: Vec<String> = allowed.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    let listed = match listed.is_empty() {
        true => format!("nothing is allowed {place}"),
        false => format!("allowed {place}: {}", listed.join(", ")),
    };
    Some(match nearest(found, allowed) {
        Some(name) => format!("did you mean `{name}`? {listed}"),
        None => listed,
    })
}

/// The name that is most like the one found, if it is like it at all.
pub fn nearest<'a, S: AsRef<str>>(found: &str, names: &'a [S]) -> Option<&'a str> {
    // 0.75 takes a transposed or a missing letter in a word of five and refuses unrelated words.
    const ALIKE: f64 = 0.75;
    let found = found.to_ascii_lowercase().replace('-', "_");
    names
        .iter()
        .map(|name| (strsim::jaro_winkler(&found, &name.as_ref().replace('-', "_")), name.as_ref()))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_like_the_one_found() {
        let names = ["include", "exclude", "max_lag", "poll"];
        for (found, expected) in [
            ("inclde", Some("include")),
            ("Include", Some("include")),
            ("max-lag", Some("max_lag")),
            ("zzz", None),
            ("", None),
        ] {
            assert_eq!(nearest(found, &names), expected, "{found}");
        }
    }
}
