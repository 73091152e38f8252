//! Where things are: the workspace's root, cargo's target folder, the members.
//!
//! Asked of `cargo metadata`, so that `CARGO_TARGET_DIR` and cargo's own configuration are honoured.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The workspace this program was built from.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    /// The folder of the top Cargo.toml.
    pub root: PathBuf,
    /// Where cargo puts what it builds.
    pub target: PathBuf,
    /// All members, by name.
    pub members: Vec<Member>,
}

/// A crate of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// The package's name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn find() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let output = cargo()
            .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
            .arg(&manifest)
            .output()
            .context("cannot start cargo; run this as `cargo xtask`")?;
        if !output.status.success() {
            bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Self::parse(&output.stdout)
    }

    fn parse(json: &[u8]) -> Result<Self> {
        let metadata: Metadata =
            serde_json::from_slice(json).context("cargo metadata answers in an unknown form")?;
        let mut members: Vec<Member> = metadata
            .packages
            .into_iter()
            .filter_map(|package| {
                Some(Member { name: package.name, folder: package.manifest_path.parent()?.to_path_buf() })
            })
            .collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { root: metadata.workspace_root, target: metadata.target_directory, members })
    }

    /// The first-party plugins: the members below `plugins/`.
    pub(crate) fn plugins(&self) -> impl Iterator<Item = &Member> {
        let folder = self.root.join("plugins");
        self.members.iter().filter(move |member| member.folder.parent() == Some(&folder))
    }

    /// The members directly below `tests/` with examples: plugins that only tests use.
    pub(crate) fn test_guests(&self) -> impl Iterator<Item = &Member> {
        let folder = self.root.join("tests");
        let holds_plugins = |member: &&Member| member.folder.join("examples").is_dir();
        self.members
            .iter()
            .filter(move |member| member.folder.parent() == Some(&folder))
            .filter(holds_plugins)
    }

    /// Where `build-plugins` puts the components.
    pub(crate) fn plugin_folder(&self) -> PathBuf {
        self.target.join("plugins")
    }

    /// A program that cargo built with a profile.
    pub(crate) fn program(&self, profile: &str, name: &str) -> PathBuf {
        let folder = if profile == "dev" { "debug" } else { profile };
        self.target.join(folder).join(name)
    }

    /// A path as a person at the workspace's root would write it.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

/// The cargo that runs this program, else the one in the search path, called as from a shell. What `cargo run` tells this
/// program of its own package is taken away: build scripts that look at it (that of `ring` does) would run again
/// whenever cargo is called here and then there, and minutes of work with them.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in names.filter(|name| is_of_a_package(name)) {
        command.env_remove(name);
    }
    command
}

/// Whether cargo sets an environment variable for the package that it builds or runs.
fn is_of_a_package(name: &str) -> bool {
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn cargo_is_not_told_of_this_package() {
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "tests are run by cargo");
        let command = cargo();
        let removed: Vec<_> = command.get_envs().filter(|(_, value)| value.is_none()).collect();
        assert!(removed.iter().any(|(name, _)| *name == "CARGO_MANIFEST_DIR"), "{removed:?}");
        assert!(!is_of_a_package("CARGO_HOME") && !is_of_a_package("CARGO_TARGET_DIR"));
    }

    const METADATA: &str = r#"{
        "workspace_root": "/src/picket", "target_directory": "/cache/target",
        "packages": [
            {"name": "picket", "manifest_path": "/src/picket/host/Cargo.toml"},
            {"name": "access-log", "manifest_path": "/src/picket/plugins/access-log/Cargo.toml"},
            {"name": "nested", "manifest_path": "/src/picket/plugins/access-log/nested/Cargo.toml"}
        ]}"#;

    #[test]
    fn plugins_are_the_members_directly_below_their_folder() {
        let workspace = Workspace::parse(METADATA.as_bytes()).unwrap();
        let names: Vec<_> = workspace.plugins().map(|member| member.name.as_str()).collect();
        assert_eq!(names, ["access-log"]);
    }

    #[test]
    fn programs_lie_in_the_target_folder_by_profile() {
        let workspace = Workspace::parse(METADATA.as_bytes()).unwrap();
        assert_eq!(workspace.program("dev", "picket"), Path::new("/cache/target/debug/picket"));
        assert_eq!(workspace.program("release", "picket"), Path::new("/cache/target/release/picket"));
        assert_eq!(workspace.shown(Path::new("/src/picket/wit")), "wit");
    }
}
