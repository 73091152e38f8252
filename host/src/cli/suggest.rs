//! What a mistyped verb or flag may have meant, where the parser finds nothing like it: it compares whole
//! words by their common letters, and misses two letters that changed places in a short verb (`rnu`) and a
//! flag that begins with another word (`--colour` for `--no-color`).
//!
//! Only adds to an error; what is an error is the parser's decision.

use std::ffi::OsString;

use clap::Command;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

/// Adds the nearest verb or flag to an error that names none.
pub(super) fn complete(mut error: Error, root: &Command, words: &[OsString]) -> Error {
    let (asked, answer) = match error.kind() {
        ErrorKind::InvalidSubcommand => (ContextKind::InvalidSubcommand, ContextKind::SuggestedSubcommand),
        ErrorKind::UnknownArgument => (ContextKind::InvalidArg, ContextKind::SuggestedArg),
        _ => return error,
    };
    if error.get(answer).is_some() {
        return error;
    }
    let Some(ContextValue::String(found)) = error.get(asked).cloned() else { return error };
    let path = verbs(root, words);
    let found = found.trim_start_matches('-');
    if answer == ContextKind::SuggestedSubcommand {
        let here = path.last().copied().unwrap_or(root);
        let names = here.get_subcommands().filter(|verb| !verb.is_hide_set()).map(Command::get_name);
        if let Some(name) = nearest(found, names) {
            error.insert(answer, ContextValue::Strings(vec![name.to_owned()]));
        }
    } else {
        let flags = path.iter().flat_map(|verb| verb.get_arguments());
        let names = flags.filter(|flag| !flag.is_hide_set()).filter_map(|flag| flag.get_long());
        if let Some(name) = nearest(found, names) {
            error.insert(answer, ContextValue::String(format!("--{name}")));
        }
    }
    error
}

/// The program and the verbs that were named, from the outermost on.
fn verbs<'a>(root: &'a Command, words: &[OsString]) -> Vec<&'a Command> {
    let mut path = vec![root];
    for word in words.iter().skip(1).filter_map(|word| word.to_str()) {
        let here = path.last().copied().unwrap_or(root);
        path.extend(here.find_subcommand(word));
    }
    path
}

/// The name that takes the fewest changes to come to from what was found, or from one of its words.
fn nearest<'a>(found: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // One change in three letters: more makes `run` of `scan`.
    let most = (found.chars().count() / 3).max(1);
    let distance = |name: &str| {
        let words = name.split('-').filter(|word| word.len() > 2).chain([name]);
        words.map(|word| strsim::osa_distance(found, word)).min().unwrap_or(usize::MAX)
    };
    names
        .filter(|name| distance(name) <= most)
        // `--plugin` before `--plugin-dir` for `--plugni`.
        .min_by_key(|name| (distance(name), strsim::osa_distance(found, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_changes_lead_to_a_name_and_many_do_not() {
        let names = ["run", "scan", "status", "plugin", "no-color", "plugin-dir"];
        for (found, expected) in [
            ("rnu", Some("run")),
            ("rum", Some("run")),
            ("stauts", Some("status")),
            ("colour", Some("no-color")),
            ("plugin-dri", Some("plugin-dir")),
            ("pluginn", Some("plugin")),
            ("xyz", None),
            ("", None),
        ] {
            assert_eq!(nearest(found, names.into_iter()), expected, "{found}");
        }
    }
}
