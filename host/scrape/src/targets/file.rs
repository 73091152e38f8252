//! Targets files in Prometheus' `file_sd` format: a list of groups, in JSON or in YAML, as the file's name says.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::{Group, yaml};

/// Larger files are no lists of a node's targets but mistakes.
pub const MAX_FILE: u64 = 1 << 20;

/// A targets file that cannot be used; which one it is the caller knows.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("it cannot be read: {cause}")]
    Unreadable {
        /// The system's words.
        #[source]
        cause: io::Error,
    },
    /// It is no list of groups.
    #[error("it is no list of targets: {cause}")]
    Malformed {
        /// What is wrong, and where.
        cause: String,
    },
}

impl FileError {
    /// What an operator can do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "Check that the file exists and that the agent's user may read it.",
            Self::Malformed { .. } => {
                "Write a list such as [{\"targets\": [\"127.0.0.1:9100\"], \"labels\": {\"team\": \"a\"}}]; YAML \
                 needs a name that ends with .yml or .yaml. Replace the file by renaming another one over it."
            }
        }
    }
}

/// Reads a targets file: as YAML when its name ends with `.yml` or `.yaml`, and else as JSON.
pub fn read(file: &Path) -> Result<Vec<Group>, FileError> {
    let unreadable = |cause| FileError::Unreadable { cause };
    let mut text = Vec::new();
    File::open(file).map_err(unreadable)?.take(MAX_FILE + 1).read_to_end(&mut text).map_err(unreadable)?;
    let is_yaml = file.extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
    parse(&text, is_yaml).map_err(|cause| FileError::Malformed { cause })
}

/// The groups of a text; a message with the place when it has none.
///
/// An empty text is none: a file is empty while it is written in place, and somebody who wants no targets writes `[]`.
/// Prometheus takes it as no targets in YAML, and refuses it in JSON.
pub fn parse(text: &[u8], is_yaml: bool) -> Result<Vec<Group>, String> {
    if text.len() as u64 > MAX_FILE {
        return Err("it has more than 1 MiB".to_owned());
    }
    if text.trim_ascii().is_empty() {
        return Err("it is empty, as if it were still being written; no targets are `[]`".to_owned());
    }
    if is_yaml {
        let text = std::str::from_utf8(text).map_err(|_| "it is no UTF-8 text".to_owned())?;
        return yaml::groups(text);
    }
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn json_and_yaml_say_the_same() {
        let json =
            br#"[{"targets": ["a:1", "b:2"], "labels": {"x": "1", "y": "two words"}}, {"targets": []}]"#;
        let yaml =
            b"# A comment.\n- targets: [a:1, 'b:2']\n  labels:\n    x: 1\n    y: two words\n- targets: []\n";
        let groups = parse(json, false).unwrap();
        assert_eq!(groups, parse(yaml, true).unwrap());
        assert_eq!(groups, parse(json, true).unwrap(), "JSON is YAML too");
        assert_eq!(groups[0].labels["y"], "two words");
        for (text, is_yaml) in [(&b"[]"[..], false), (b"[]", true), (b"# none\n", true), (b"---\n", true)] {
            assert_eq!(parse(text, is_yaml).unwrap(), []);
        }
    }

    #[test]
    fn what_is_no_list_of_groups_is_told_with_its_place() {
        for (text, is_yaml, said) in [
            (&b"{}"[..], false, "expected a sequence"),
            (b"[{\"target\": []}]", false, "unknown field `target`"),
            (b"[{\"targets\": [1]}]", false, "line 1"),
            (b"[", false, "EOF"),
            (b"targets: []", true, "line 1: a list of groups is expected"),
            (b"- targets: []\n  target: []", true, "line 2: `target` is no key of a group"),
            (b"- targets: a:1", true, "line 1: `targets` is a list"),
            (b"- targets:\n  - {a: 1}", true, "line 2: a text is expected"),
            (b"- labels: [a]", true, "line 1: `labels`"),
            (b"- targets: &a []\n- targets: *a", true, "line 2: aliases"),
            (b"- targets: [a\n", true, "is no YAML"),
            (b"\xff", true, "UTF-8"),
            (b"", true, "it is empty"),
            (b" \n", true, "it is empty"),
            (b"", false, "it is empty"),
        ] {
            let error = parse(text, is_yaml).unwrap_err();
            assert!(error.contains(said), "{said}: {error}");
        }
        let large = vec![b' '; MAX_FILE as usize + 1];
        assert!(parse(&large, false).unwrap_err().contains("1 MiB"));
    }

    proptest! {
        #[test]
        fn any_text_is_groups_or_a_message(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (parse(&text, true), parse(&text, false));
        }

        #[test]
        fn groups_survive_both_notations(
            targets in proptest::collection::vec("[a-z]{1,5}:[0-9]{1,4}", 0..4),
            labels in proptest::collection::btree_map("[a-z_]{1,8}", "\\PC{0,8}", 0..4),
        ) {
            let text = serde_json::json!([{"targets": &targets, "labels": &labels}]).to_string();
            let expected = vec![Group { targets, labels }];
            prop_assert_eq!(parse(text.as_bytes(), false).unwrap(), expected.clone());
            prop_assert_eq!(parse(text.as_bytes(), true).unwrap(), expected);
        }
    }
}
