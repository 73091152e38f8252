//! `picket plugin new`: a project that builds and passes its own tests at once.
//!
//! Writes files and nothing else: it starts no cargo, makes no repository and fetches nothing.

mod sdk;
mod templates;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde::Serialize;

use self::sdk::Sdk;
use self::templates::Kind;
use super::super::Failure;
use super::super::global::Global;
use super::super::output::{self, Output};
use crate::telemetry::escape;

/// Of `picket plugin new`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The plugin's name: a to z, 0 to 9, `-` and `_`, beginning with a letter.
    name: String,
    /// What it shall be.
    #[arg(long, value_enum)]
    kind: Kind,
    /// The project's folder, new or empty. [default: NAME]
    #[arg(long, value_name = "FOLDER")]
    path: Option<PathBuf>,
    /// Where the project gets the SDK from: a checkout of Picket, or the address of its git repository, with
    /// `#REVISION` at its end if not the newest. [default: the checkout that this program was built from]
    #[arg(long, value_name = "FOLDER|URL")]
    sdk: Option<String>,
    /// Only show what would be written.
    #[arg(long)]
    dry_run: bool,
}

/// Longer names make metrics and paths unwieldy; the configuration takes as many.
const MAX_NAME: usize = 64;

/// Names that Rust or the project itself needs for something else.
const TAKEN: [&str; 51] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "picket-sdk",
    "picket_sdk",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "serde",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "type",
    "unsafe",
];

/// What is written, with the text of each file.
#[derive(Debug, Serialize)]
struct Project {
    name: String,
    kind: Kind,
    folder: PathBuf,
    sdk: String,
    /// False when it was only shown.
    written: bool,
    #[serde(serialize_with = "paths")]
    files: Vec<(&'static str, String)>,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Result<(), Failure> {
    let mut project = plan(arguments)?;
    if !arguments.dry_run {
        project.write()?;
        project.written = true;
    }
    match global.output {
        Output::Json => output::json(&project)?,
        Output::Text => output::text(&project.show(arguments))?,
    }
    Ok(())
}

/// Checks everything that can be checked before the first file is written.
fn plan(arguments: &Arguments) -> Result<Project, Failure> {
    let Arguments { name, kind, path, sdk, .. } = arguments;
    check_name(name)?;
    let folder = std::path::absolute(path.as_deref().unwrap_or(Path::new(name)))?;
    check_folder(&folder)?;
    let sdk = Sdk::find(sdk.as_deref())?;
    let mut files = kind.files(name, &sdk.dependency()?);
    files.extend(sdk.lock()?.map(|lock| ("Cargo.lock", lock)));
    Ok(Project { name: name.clone(), kind: *kind, folder, sdk: sdk.to_string(), written: false, files })
}

fn check_name(name: &str) -> Result<(), Failure> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let begins_well = name.starts_with(|c: char| c.is_ascii_lowercase());
    let ends_well = name.ends_with(|c: char| c.is_ascii_alphanumeric());
    if !begins_well || !ends_well || name.len() > MAX_NAME || !name.chars().all(allowed) {
        return Err(Failure::Usage(format!(
            "`{name}` cannot be a plugin's name: it has 1 to {MAX_NAME} of the characters a to z, 0 to 9, `-` and `_`, begins with a letter, and ends with a letter or digit"
        )));
    }
    if TAKEN.contains(&name) {
        return Err(Failure::Usage(format!(
            "`{name}` cannot be a plugin's name: Rust or the SDK needs it for something else; try `my-{}`",
            name.replace('_', "-")
        )));
    }
    Ok(())
}

fn check_folder(folder: &Path) -> anyhow::Result<()> {
    let shown = folder.display();
    let mut entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            anyhow::bail!("{shown} is no folder; name another one with --path")
        }
        Err(error) => return Err(anyhow!(error).context(format!("the folder {shown} cannot be looked into"))),
    };
    match entries.next() {
        None => Ok(()),
        Some(entry) => {
            let first = entry?.file_name();
            anyhow::bail!(
                "the folder {shown} is not empty, it holds `{}`; name another one with --path",
                first.to_string_lossy()
            )
        }
    }
}

impl Project {
    fn write(&self) -> anyhow::Result<()> {
        for (path, text) in &self.files {
            let path = self.folder.join(path);
            let parent = path.parent().unwrap_or(&self.folder);
            fs::create_dir_all(parent)
                .with_context(|| format!("the folder {} cannot be made", parent.display()))?;
            fs::write(&path, text).with_context(|| {
                format!(
                    "{} cannot be written; the project is incomplete, remove {} before you try again",
                    path.display(),
                    self.folder.display()
                )
            })?;
        }
        Ok(())
    }

    fn show(&self, arguments: &Arguments) -> String {
        let Self { name, kind, folder, sdk, .. } = self;
        let does = if self.written { "Made" } else { "Would make" };
        let mut text =
            format!("{does} {name}, {}, in {}\n", kind.with_article(), escape(&folder.to_string_lossy()));
        for (path, _) in &self.files {
            text += &format!("  {path}\n");
        }
        text += &format!("with the SDK from {}\n", escape(sdk));
        if self.written {
            let folder = arguments.path.as_deref().unwrap_or(Path::new(name)).to_string_lossy();
            text += &format!(
                "\nNext:\n  cd {}\n  picket plugin test\n  {}\n",
                escape(&quoted(&folder)),
                kind.try_it(name)
            );
        }
        text
    }
}

/// As a shell takes it for one word.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+~".contains(c);
    match path.chars().all(plain) {
        true => path.to_owned(),
        false => format!("'{}'", path.replace('\'', r"'\''")),
    }
}

fn paths<S: serde::Serializer>(files: &[(&'static str, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(files.iter().map(|(path, _)| path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_name_is_one_that_rust_and_the_configuration_take() {
        let long = "a".repeat(64);
        for good in ["a", "my-rule", "my_rule2", &long] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        let too_long = "a".repeat(65);
        for bad in ["", "2fast", "-a", "a-", "_a", "My", "a b", "ä", "../x", "a.b", "fn", "serde", &too_long]
        {
            let Err(Failure::Usage(message)) = check_name(bad) else { panic!("{bad} was taken") };
            assert!(message.contains("cannot be a plugin's name"), "{message}");
        }
    }

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(check_folder(&at("new/deeper")).is_ok());
        assert!(check_folder(folder.path()).is_ok());
        fs::write(at("notes"), "").unwrap();
        let error = |path: &Path| check_folder(path).unwrap_err().to_string();
        assert!(error(folder.path()).contains("holds `notes`"));
        assert!(error(&at("notes")).contains("is no folder"));
    }

    #[test]
    fn a_folder_is_quoted_for_a_shell_if_it_has_to_be() {
        assert_eq!(quoted("../my-plugin"), "../my-plugin");
        assert_eq!(quoted("it's here"), r"'it'\''s here'");
    }
}
