//! Where a new project gets the SDK from: a checkout of Picket or its git repository. There is no other
//! form: the SDK is made from the folder `wit` beside it, so it comes with the whole repository.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::super::super::Failure;

/// The package's name in its manifest.
const PACKAGE: &str = "picket-sdk";

/// The checkout that this program was built from, which may be gone by now.
const BUILT_FROM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Where the SDK is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sdk {
    /// In this folder.
    Folder(PathBuf),
    /// In a git repository.
    Git {
        /// Its address.
        url: String,
        /// A commit, tag or branch; absent: the newest commit of the main branch.
        revision: Option<String>,
    },
}

impl Sdk {
    /// Takes what the person says, else the checkout that the program was built from.
    pub(super) fn find(given: Option<&str>) -> Result<Self, Failure> {
        match given {
            Some(url) if url.contains("://") || url.starts_with("git@") => Ok(Self::git(url)),
            Some(folder) => sdk_in(Path::new(folder)).map(Self::Folder).ok_or_else(|| {
                Failure::Usage(format!(
                    "there is no SDK in {folder}: --sdk takes the folder of a checkout of Picket (the one with the folder `sdk`), or the address of its git repository (with `://`)"
                ))
            }),
            None => Ok(sdk_in(Path::new(BUILT_FROM)).map(Self::Folder).context(
                "the SDK is not found: the checkout that this program was built from is not there; name a checkout of Picket, or the address of its git repository, with --sdk",
            )?),
        }
    }

    fn git(url: &str) -> Self {
        let (url, revision) = match url.split_once('#') {
            Some((url, revision)) => (url, Some(revision.to_owned())),
            None => (url, None),
        };
        Self::Git { url: url.to_owned(), revision }
    }

    /// The value of the dependency in the project's manifest.
    pub(super) fn dependency(&self) -> anyhow::Result<String> {
        let (key, value, revision) = match self {
            Self::Folder(folder) => match folder.to_str() {
                Some(path) => ("path", path, None),
                None => bail!("the path of the SDK, {}, is no UTF-8 text", folder.display()),
            },
            Self::Git { url, revision } => ("git", url.as_str(), revision.as_deref()),
        };
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let revision = revision.map(|revision| format!(", rev = {}", quoted(revision))).unwrap_or_default();
        Ok(format!("{{ {key} = {}{revision} }}", quoted(value)))
    }

    /// The versions of crates that the SDK is tested with. Cargo begins with them and strikes out what the
    /// project does not need.
    pub(super) fn lock(&self) -> anyhow::Result<Option<String>> {
        let Self::Folder(folder) = self else { return Ok(None) };
        let file = folder.with_file_name("Cargo.lock");
        match fs::read_to_string(&file) {
            Ok(lock) => Ok(Some(lock)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
        }
    }
}

impl fmt::Display for Sdk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Git { url, revision: None } => f.write_str(url),
            Self::Git { url, revision: Some(revision) } => write!(f, "{url}#{revision}"),
        }
    }
}

/// The SDK's folder, when this is it or the checkout around it.
fn sdk_in(folder: &Path) -> Option<PathBuf> {
    let is_sdk = |folder: &PathBuf| {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).ok();
        let manifest = manifest.and_then(|text| text.parse::<toml::Table>().ok());
        manifest.is_some_and(|manifest| {
            manifest.get("package").and_then(|package| package.get("name")?.as_str()) == Some(PACKAGE)
        })
    };
    [folder.join("sdk"), folder.to_owned()].into_iter().find(is_sdk)?.canonicalize().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_checkout_and_its_sdk_are_the_same_and_another_folder_is_neither() {
        let by_default = Sdk::find(None).unwrap();
        assert_eq!(Sdk::find(Some(BUILT_FROM)).unwrap(), by_default);
        assert_eq!(Sdk::find(Some(&format!("{BUILT_FROM}/sdk"))).unwrap(), by_default);
        assert!(by_default.lock().unwrap().unwrap().contains("name = \"serde\""));
        let folder = tempfile::tempdir().unwrap();
        let nowhere = folder.path().to_str().unwrap();
        let Err(Failure::Usage(message)) = Sdk::find(Some(nowhere)) else { panic!("it was taken") };
        assert!(message.contains(nowhere) && message.contains("--sdk"), "{message}");
    }

    #[test]
    fn a_repository_is_named_with_its_revision() {
        let check = |given: &str, expected: &str| {
            let sdk = Sdk::find(Some(given)).unwrap();
            assert_eq!(sdk.dependency().unwrap(), expected);
            assert_eq!(sdk.to_string(), given);
            assert_eq!(sdk.lock().unwrap(), None);
        };
        check("https://x.example/picket", "{ git = \"https://x.example/picket\" }");
        check("ssh://x.example/p#v0.1.0", "{ git = \"ssh://x.example/p\", rev = \"v0.1.0\" }");
    }
}
