//! Trees, their places, and hostile input.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

fn root(text: &str) -> Rc<Node> {
    parse(text).unwrap().root.unwrap()
}

fn get(node: &Node, key: &str) -> Rc<Node> {
    let Value::Mapping(entries) = &node.value else { panic!("{node:?}") };
    entries.iter().find(|(name, _)| name.text() == key).map(|(_, value)| Rc::clone(value)).unwrap()
}

fn refused(text: &str, line: u32, column: u32, part: &str) {
    let error = parse(text).unwrap_err();
    assert_eq!((error.at.line, error.at.column), (line, column), "{error:?}");
    assert!(error.message.contains(part), "{error:?}");
}

#[test]
fn nodes_know_their_place() {
    let tree = root("a:\n  - b: 'c'\n    d: 5\n");
    assert_eq!(tree.at, Position { line: 1, column: 1 });
    let Value::Sequence(items) = &get(&tree, "a").value else { panic!() };
    assert_eq!(items[0].at, Position { line: 2, column: 5 });
    let d = get(&items[0], "d");
    assert_eq!((d.at, d.text()), (Position { line: 3, column: 8 }, "5"));
}

#[test]
fn empty_files_have_no_root_and_only_the_first_document_is_read() {
    assert!(parse("").unwrap().root.is_none());
    assert!(parse("# nothing\n").unwrap().root.is_none());
    let document = parse("a: 1\n---\nb: 2\n").unwrap();
    assert!(document.has_more);
    assert_eq!(get(&document.root.unwrap(), "a").text(), "1");
    assert!(!parse("---\na: 1\n").unwrap().has_more);
}

#[test]
fn null_is_only_null_without_quotes() {
    let tree = root("a:\nb: ~\nc: 'null'\nd: !!str null\ne: null\n");
    let null = |key| get(&tree, key).is_null();
    assert_eq!(["a", "b", "c", "d", "e"].map(null), [true, true, false, false, true]);
}

#[test]
fn aliases_and_merge_keys_share_nodes() {
    let tree = root("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\nsame: *b\n");
    let used = get(&tree, "use");
    assert_eq!((get(&used, "x").text(), get(&used, "y").text()), ("1", "3"));
    assert!(Rc::ptr_eq(&get(&tree, "base"), &get(&tree, "same")));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    refused("a: 1\nb: 2\na: 3\n", 3, 1, "`a` is already there, in line 1");
    refused("{}: 1\n", 1, 1, "a mapping cannot be a key");
    refused("<<: 5\n", 1, 5, "a merge key");
    assert!(parse("a: 'x\n").is_err());
    assert!(parse("a: *b\n").is_err());
    assert!(parse(&"[".repeat(MAX_DEPTH + 2)).is_err());
    assert!(parse(&" ".repeat(MAX_BYTES + 1)).unwrap_err().message.contains("split it"));
}

/// The place of the first `@` in the scalar under `k` is where it stands in the file.
fn placed(text: &str) {
    let scalar = get(&root(text), "k");
    let Value::Scalar(scalar) = &scalar.value else { panic!() };
    let offset = scalar.text.chars().position(|c| c == '@').unwrap();
    let lines = text.lines().enumerate();
    let expected = lines.filter_map(|(row, line)| Some((row + 1, line.chars().position(|c| c == '@')? + 1)));
    let (line, column) = expected.last().unwrap();
    let at = Position { line: line as u32, column: column as u32 };
    assert_eq!(place::of(text, scalar, offset), Some(at), "{text}");
}

#[test]
fn a_place_in_a_scalar_is_a_place_in_the_file() {
    placed("k: a + @b\n");
    placed("é: ü\nk: é + @b\n");
    placed("k: 'it''s @b'\n");
    placed("k: \"a\\\"\\n\\u00e9 @b\"\n");
    placed("k: a\n  + b\n  + @c\n");
    placed("k: |\n  a\n\n  + @b\n");
    placed("k: |- # with a comment @\n    a\n      + @b\n");
    placed("k: >\n  a\n  b\n\n  + @b\n");
    placed("k: >-\n  sum(\n    x @b)\n  by\n");
    placed("k: !!str x @\n");
}

proptest! {
    #[test]
    fn no_text_panics(text in "[ -~\\n\\t]{0,120}") {
        let _ = parse(&text);
    }

    #[test]
    fn nothing_that_looks_like_yaml_panics(text in "([-?:&*!|>'\"%@`{},\\[\\]#~ab \\n]|- |: |\\n  ){0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&String::from_utf8_lossy(&bytes));
    }
}
