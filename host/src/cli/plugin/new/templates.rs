//! The projects of `sdk/templates`, which are part of the program.

use clap::ValueEnum;
use serde::Serialize;

/// What a plugin can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// Reads records.
    Analyzer,
    /// Looks at files.
    Scanner,
    /// Opens containers for scanners.
    Unpacker,
    /// Reads series and says which alerts hold.
    AlertRule,
}

/// The file's path in the project and its text.
type File = (&'static str, &'static str);

macro_rules! template {
    ($folder:literal) => {
        &[
            file!($folder, "Cargo.toml.in", "Cargo.toml"),
            file!($folder, "cargo-config.toml", ".cargo/config.toml"),
            file!($folder, "gitignore", ".gitignore"),
            file!($folder, "README.md", "README.md"),
            file!($folder, "plugin.toml", "plugin.toml"),
            file!($folder, "src/lib.rs", "src/lib.rs"),
        ]
    };
}

macro_rules! file {
    ($folder:literal, $from:literal, $to:literal) => {
        ($to, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk/templates/", $folder, "/", $from)))
    };
}

impl Kind {
    fn template(self) -> &'static [File] {
        match self {
            Self::Analyzer => template!("analyzer"),
            Self::Scanner => template!("scanner"),
            Self::Unpacker => template!("unpacker"),
            Self::AlertRule => template!("alert-rule"),
        }
    }

    /// The project's files, with the plugin's name and the SDK filled in.
    pub(super) fn files(self, name: &str, sdk: &str) -> Vec<(&'static str, String)> {
        let fill = |text: &str| text.replace("{{name}}", name).replace("{{sdk}}", sdk);
        self.template().iter().map(|(path, text)| (*path, fill(text))).collect()
    }

    pub(super) fn with_article(self) -> &'static str {
        match self {
            Self::Analyzer => "an analyzer",
            Self::Scanner => "a scanner",
            Self::Unpacker => "an unpacker",
            Self::AlertRule => "an alert rule",
        }
    }

    /// A command that runs the built plugin over something real.
    pub(super) fn try_it(self, name: &str) -> String {
        match self {
            Self::Analyzer => format!("picket analyze /var/log/syslog --plugin {name}.wasm"),
            Self::Scanner => format!("picket scan /usr/local --plugin {name}.wasm"),
            Self::Unpacker => format!("picket plugin test {name}.wasm --input ARCHIVE"),
            Self::AlertRule => format!("picket plugin test {name}.wasm --input METRICS"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_place_is_filled_in_and_every_manifest_can_be_read() {
        for kind in Kind::value_variants() {
            for (path, text) in kind.files("my-plugin", "{ path = \"/x\" }") {
                assert!(!text.contains("{{"), "{kind:?}: {path} has a place that was not filled in");
                if path.ends_with(".toml") {
                    let table: toml::Table = text.parse().unwrap();
                    assert!(!table.is_empty(), "{path}");
                }
                if path == "Cargo.toml" {
                    let manifest: toml::Table = text.parse().unwrap();
                    assert_eq!(manifest["dependencies"]["picket-sdk"]["path"].as_str(), Some("/x"));
                }
            }
        }
    }
}
