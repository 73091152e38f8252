//! Reads a Rust file as far as the rules need it: the paths it names, where it unwraps, which lines
//! are tests.
//!
//! Works on tokens, not on a syntax tree, so that the inside of macros counts too. It resolves
//! `crate`, `self` and `super`, and names of child modules only as far as `use` spells them
//! out; renames and globs are not followed. That is enough for rules about who names whom.

use std::ops::RangeInclusive;
use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A Rust file.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// Why it could not be read, if so.
    pub error: Option<String>,
    /// What it names, from the crate on: `["picket", "pipeline", "Router"]`, `["wasmtime", "Engine"]`.
    pub names: Vec<Name>,
    /// Lines with `.unwrap()`, tests left out.
    pub unwraps: Vec<usize>,
    /// How many lines are no tests.
    pub lines: usize,
    /// Whether the whole file is tests.
    pub is_test: bool,
}

/// A path that a file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// Its parts.
    pub path: Vec<String>,
    /// Where.
    pub line: usize,
    /// Whether only tests name it.
    pub in_test: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Word(String),
    Punct(char),
    Open(char),
    Close(char),
    Literal,
}

#[derive(Debug, Clone)]
struct Token {
    kind: Kind,
    line: usize,
}

impl Source {
    /// Reads a file; `path` is from the workspace's root and says which crate and module it is.
    pub(crate) fn parse(path: &str, text: &str) -> Self {
        let is_test = path.starts_with("tests/")
            || path.contains("/tests/")
            || path.ends_with("/tests.rs")
            || path.ends_with("_tests.rs")
            || path.contains("/benches/");
        let mut source = Self { is_test, ..Self::default() };
        let all = text.lines().count();
        source.lines = if is_test { 0 } else { all };
        let stream = match TokenStream::from_str(text) {
            Ok(stream) => stream,
            Err(error) => {
                source.error = Some(error.to_string());
                return source;
            }
        };
        let mut tokens = Vec::new();
        flatten(stream, &mut tokens);
        let tests = test_lines(&tokens);
        if !is_test {
            let in_tests = (1..=all).filter(|line| tests.iter().any(|range| range.contains(line))).count();
            source.lines = all - in_tests;
        }
        let is_in_test = |line: usize| is_test || tests.iter().any(|range| range.contains(&line));
        source.unwraps = unwraps(&tokens).into_iter().filter(|line| !is_in_test(*line)).collect();
        source.names = names(&tokens, &module_of(path))
            .into_iter()
            .map(|(path, line)| Name { path, line, in_test: is_in_test(line) })
            .collect();
        source
    }
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Ident(word) => {
                let word = word.to_string();
                let word = word.strip_prefix("r#").unwrap_or(&word).to_owned();
                tokens.push(Token { kind: Kind::Word(word), line });
            }
            TokenTree::Punct(punct) => tokens.push(Token { kind: Kind::Punct(punct.as_char()), line }),
            TokenTree::Literal(_) => tokens.push(Token { kind: Kind::Literal, line }),
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ('(', ')'),
                    Delimiter::Brace => ('{', '}'),
                    Delimiter::Bracket => ('[', ']'),
                    Delimiter::None => {
                        flatten(group.stream(), tokens);
                        continue;
                    }
                };
                tokens.push(Token { kind: Kind::Open(open), line });
                flatten(group.stream(), tokens);
                let line = group.span_close().start().line;
                tokens.push(Token { kind: Kind::Close(close), line });
            }
        }
    }
}

fn word(tokens: &[Token], at: usize) -> Option<&str> {
    match &tokens.get(at)?.kind {
        Kind::Word(word) => Some(word),
        _ => None,
    }
}

fn is(tokens: &[Token], at: usize, kind: &Kind) -> bool {
    tokens.get(at).is_some_and(|token| token.kind == *kind)
}

fn is_punct(tokens: &[Token], at: usize, punct: char) -> bool {
    is(tokens, at, &Kind::Punct(punct))
}

/// The index of the token that closes the group opened at `open`.
fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            Kind::Open(_) => depth += 1,
            Kind::Close(_) => {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    tokens.len().saturating_sub(1)
}

/// The lines of items behind `#[cfg(test)]` or `#[test]`.
fn test_lines(tokens: &[Token]) -> Vec<RangeInclusive<usize>> {
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_punct(tokens, at, '#') && is(tokens, at + 1, &Kind::Open('[')) {
            let close = closing(tokens, at + 1);
            if is_test_attribute(&tokens[at + 2..close]) {
                let end = item_end(tokens, close + 1);
                ranges.push(tokens[at].line..=tokens[end].line);
                at = end;
            } else {
                at = close;
            }
        }
        at += 1;
    }
    ranges
}

fn is_test_attribute(inside: &[Token]) -> bool {
    match word(inside, 0) {
        Some("test") => inside.len() == 1,
        Some("cfg") => {
            let has = |wanted: &str| (0..inside.len()).any(|at| word(inside, at) == Some(wanted));
            has("test") && !has("not") && !has("any")
        }
        _ => false,
    }
}

/// The last token of the item that starts at `start`: its first `;`, or the end of its first `{}`.
fn item_end(tokens: &[Token], start: usize) -> usize {
    let mut at = start;
    while at < tokens.len() {
        match tokens[at].kind {
            Kind::Punct(';') => return at,
            Kind::Open('{') => return closing(tokens, at),
            Kind::Open(_) => at = closing(tokens, at),
            _ => {}
        }
        at += 1;
    }
    tokens.len().saturating_sub(1)
}

fn unwraps(tokens: &[Token]) -> Vec<usize> {
    (0..tokens.len())
        .filter(|&at| {
            is_punct(tokens, at, '.')
                && word(tokens, at + 1) == Some("unwrap")
                && is(tokens, at + 2, &Kind::Open('('))
                && is(tokens, at + 3, &Kind::Close(')'))
        })
        .map(|at| tokens[at + 1].line)
        .collect()
}

/// Crate and module of a file: `host/src/pipeline/commit.rs` is `["picket", "pipeline", "commit"]`.
fn module_of(path: &str) -> Vec<String> {
    let (folder, inside) = path.split_once("/src/").unwrap_or((path, ""));
    let name = match folder {
        "host" => "picket".to_owned(),
        "sdk" | "tests" | "fuzz" | "bench" => format!("picket_{folder}"),
        _ => match folder.strip_prefix("host/") {
            Some(name) => format!("picket_{name}"),
            None => folder.rsplit('/').next().unwrap_or(folder).replace('-', "_"),
        },
    };
    let mut module = vec![name];
    let inside = inside.strip_suffix(".rs").unwrap_or(inside);
    module.extend(
        inside
            .split('/')
            .filter(|part| !matches!(*part, "" | "mod" | "lib" | "main" | "bin"))
            .map(str::to_owned),
    );
    module
}

/// All paths with where they stand, resolved against the module they stand in.
fn names(tokens: &[Token], file_module: &[String]) -> Vec<(Vec<String>, usize)> {
    let mut found = Vec::new();
    // Inline modules that are open: where they end, and their path.
    let mut open: Vec<(usize, Vec<String>)> = vec![(tokens.len(), file_module.to_vec())];
    let mut at = 0;
    while at < tokens.len() {
        while open.len() > 1 && open.last().is_some_and(|(end, _)| at > *end) {
            open.pop();
        }
        let here = open.last().map_or(file_module, |(_, module)| module.as_slice());
        match word(tokens, at) {
            Some("use") => {
                at = use_tree(tokens, at + 1, &[], here, &mut found);
                continue;
            }
            Some("mod") if is(tokens, at + 2, &Kind::Open('{')) => {
                if let Some(name) = word(tokens, at + 1) {
                    let module = here.iter().cloned().chain([name.to_owned()]).collect();
                    open.push((closing(tokens, at + 2), module));
                }
                at += 2;
            }
            Some(_) => {
                let (parts, next) = path(tokens, at);
                if parts.len() > 1 {
                    found.push((resolve(&parts, here), tokens[at].line));
                }
                at = next;
                continue;
            }
            None => {}
        }
        at += 1;
    }
    found
}

/// The words joined by `::` from `at` on, and the index behind them.
fn path(tokens: &[Token], mut at: usize) -> (Vec<String>, usize) {
    let mut parts = Vec::new();
    while let Some(part) = word(tokens, at) {
        parts.push(part.to_owned());
        at += 1;
        let goes_on = is_punct(tokens, at, ':') && is_punct(tokens, at + 1, ':');
        if !goes_on || word(tokens, at + 2).is_none() {
            break;
        }
        at += 2;
    }
    (parts, at)
}

/// Reads one tree of a `use` from `at` on and gives the index behind it.
fn use_tree(
    tokens: &[Token],
    mut at: usize,
    prefix: &[String],
    here: &[String],
    found: &mut Vec<(Vec<String>, usize)>,
) -> usize {
    let line = tokens.get(at).map_or(0, |token| token.line);
    while is_punct(tokens, at, ':') {
        at += 1;
    }
    let (parts, next) = path(tokens, at);
    at = next;
    let whole: Vec<String> = prefix.iter().cloned().chain(parts).collect();
    if is_punct(tokens, at, ':') && is_punct(tokens, at + 1, ':') {
        at += 2;
    }
    if is(tokens, at, &Kind::Open('{')) {
        let end = closing(tokens, at);
        at += 1;
        while at < end {
            at = use_tree(tokens, at, &whole, here, found);
            while at < end && is_punct(tokens, at, ',') {
                at += 1;
            }
        }
        return end + 1;
    }
    if !whole.is_empty() {
        found.push((resolve(&whole, here), line));
    }
    // A rename or a star belongs to this tree; the comma, brace or semicolon behind it does not.
    while at < tokens.len()
        && !is_punct(tokens, at, ',')
        && !is_punct(tokens, at, ';')
        && !is(tokens, at, &Kind::Close('}'))
    {
        at += 1;
    }
    at
}

fn resolve(parts: &[String], here: &[String]) -> Vec<String> {
    let mut base: Vec<String> = Vec::new();
    let mut rest = parts;
    while let Some((first, tail)) = rest.split_first() {
        match first.as_str() {
            "crate" => base = here[..1].to_vec(),
            "self" => base = here.to_vec(),
            "super" => {
                if base.is_empty() {
                    base = here.to_vec();
                }
                base.pop();
            }
            _ => break,
        }
        rest = tail;
    }
    base.extend(rest.iter().cloned());
    base
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(path: &str, text: &str) -> Vec<String> {
        Source::parse(path, text).names.into_iter().map(|name| name.path.join("::")).collect()
    }

    #[test]
    fn use_trees_and_paths_are_resolved() {
        let text = "use crate::{model::Block, state::{self, State as S}};\n\
                    use super::route::*;\n\
                    fn f() { let x = sled::open(\"wasmtime::no\"); } // anyhow::no\n\
                    mod inner { fn g() { super::super::lane::lane(); } }\n";
        assert_eq!(
            named("host/src/pipeline/commit.rs", text),
            [
                "picket::model::Block",
                "picket::state::self",
                "picket::state::State",
                "picket::pipeline::route",
                "sled::open",
                "picket::pipeline::lane::lane",
            ]
        );
    }

    #[test]
    fn tests_are_told_apart() {
        let text = "fn f() { x.unwrap(); }\n\
                    #[cfg(test)]\n\
                    mod tests {\n    fn g() { anyhow::x(); y.unwrap(); }\n}\n\
                    #[cfg(not(test))]\nfn h() { z.unwrap(); }\n";
        let source = Source::parse("host/src/a.rs", text);
        assert_eq!(source.unwraps, [1, 7]);
        assert_eq!(source.lines, 3);
        assert!(source.names.iter().all(|name| name.in_test));
    }

    #[test]
    fn crates_have_their_names() {
        for (path, expected) in [
            ("host/src/lib.rs", "picket"),
            ("host/src/state/mod.rs", "picket::state"),
            ("host/sandbox/src/engine.rs", "picket_sandbox::engine"),
            ("plugins/access-log/src/lib.rs", "access_log"),
            ("xtask/src/tidy/rules.rs", "xtask::tidy::rules"),
        ] {
            assert_eq!(module_of(path).join("::"), expected);
        }
    }
}
