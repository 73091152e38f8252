//! The first state of a generation: everything it consists of, read and named by its digest.
//!
//! Component, section and assets make the digest; where its files lie does not, since that does not
//! change what it does. Nothing is compiled or judged here beyond who could have written the files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::config::Plugin;
use super::trusted::{self, TrustError};
use crate::model::Digest;

/// The largest component that is read, whatever `compile.component` says: four times the largest first-party
/// one in a debug build.
pub(crate) const MAX_COMPONENT_BYTES: u64 = 64 << 20;
/// The largest sum of all assets: they are held in memory, once for each generation.
pub(crate) const MAX_ASSET_BYTES: u64 = 64 << 20;
/// The most files in an asset folder: a mistake such as `assets = "/"` ends here.
pub(crate) const MAX_ASSETS: usize = 10_000;
/// How deep an asset folder may nest.
const MAX_ASSET_DEPTH: usize = 16;

/// Why the parts of a generation cannot be brought together.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A file is not to be trusted or not to be read.
    #[error(transparent)]
    Untrusted(#[from] TrustError),
    /// A folder cannot be listed.
    #[error("{path}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The asset folder holds too much.
    #[error(
        "{path} holds more than {MAX_ASSETS} files or {MAX_ASSET_BYTES} bytes: name a smaller folder in `assets`"
    )]
    TooManyAssets {
        /// The folder.
        path: PathBuf,
    },
}

/// All that a generation consists of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Staged {
    /// The plugin's name in the configuration.
    pub plugin: String,
    /// Names the generation.
    pub digest: Digest,
    /// The component's bytes.
    #[serde(with = "bytes")]
    pub component: Vec<u8>,
    /// The plugin's section.
    pub section: Plugin,
    /// The assets by name.
    pub assets: BTreeMap<String, Asset>,
}

/// One asset's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset(#[serde(with = "bytes")] pub Vec<u8>);

impl Staged {
    /// Reads the files that a plugin's section names.
    pub fn read(section: &Plugin) -> Result<Self, StageError> {
        let component = trusted::read(&section.component, MAX_COMPONENT_BYTES)?.into_bytes();
        let assets = match &section.assets {
            Some(path) => read_assets(path)?,
            None => BTreeMap::new(),
        };
        let digest = digest(&component, section, &assets);
        Ok(Self { plugin: section.name.clone(), digest, component, section: section.clone(), assets })
    }

    /// The digest of what it holds now; another one than `digest` when something was changed.
    pub(super) fn recomputed(&self) -> Digest {
        digest(&self.component, &self.section, &self.assets)
    }
}

fn digest(component: &[u8], section: &Plugin, assets: &BTreeMap<String, Asset>) -> Digest {
    let mut parts = vec![section.name.as_bytes().to_vec(), component.to_vec(), section.fingerprint()];
    for (name, asset) in assets {
        parts.push(name.as_bytes().to_vec());
        parts.push(asset.0.clone());
    }
    Digest::of_parts(parts.iter().map(Vec::as_slice))
}

/// The assets at a path: the files below a folder, or one file under its own name. Hidden files
/// (editors' swap files, `..data` links of Kubernetes volumes) do not count.
fn read_assets(path: &Path) -> Result<BTreeMap<String, Asset>, StageError> {
    let mut assets = BTreeMap::new();
    if path.is_dir() {
        let mut left = MAX_ASSET_BYTES;
        read_folder(path, path, MAX_ASSET_DEPTH, &mut left, &mut assets)?;
    } else {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        assets.insert(name, Asset(trusted::read(path, MAX_ASSET_BYTES)?.into_bytes()));
    }
    Ok(assets)
}

fn read_folder(
    root: &Path,
    folder: &Path,
    depth: usize,
    left: &mut u64,
    assets: &mut BTreeMap<String, Asset>,
) -> Result<(), StageError> {
    // Also when it is empty: who can write here can add an asset at any moment.
    trusted::judge_folder(folder)?;
    let failed = |source| StageError::Folder { path: folder.to_owned(), source };
    for entry in folder.read_dir().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        let metadata = path.metadata().map_err(failed)?;
        if metadata.is_dir() {
            if depth == 0 {
                return Err(StageError::TooManyAssets { path: root.to_owned() });
            }
            read_folder(root, &path, depth - 1, left, assets)?;
            continue;
        }
        if assets.len() >= MAX_ASSETS || metadata.len() > *left {
            return Err(StageError::TooManyAssets { path: root.to_owned() });
        }
        let asset = trusted::read(&path, *left)?.into_bytes();
        *left -= asset.len() as u64;
        assets.insert(asset_name(root, &path), Asset(asset));
    }
    Ok(())
}

/// The path below the root with `/` between its parts.
fn asset_name(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    below.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Bytes as MessagePack's own type instead of an array of numbers.
mod bytes {
    use serde::{Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_of_assets_that_others_can_write_is_refused_even_when_it_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("below");
        fs::create_dir(&below).unwrap();
        assert!(read_assets(folder.path()).unwrap().is_empty());
        for open in [below.as_path(), folder.path()] {
            fs::set_permissions(open, Permissions::from_mode(0o777)).unwrap();
            let error = read_assets(folder.path()).unwrap_err().to_string();
            assert!(error.contains(&format!("chmod go-w {}", open.display())), "{error}");
            fs::set_permissions(open, Permissions::from_mode(0o755)).unwrap();
        }
    }
}
