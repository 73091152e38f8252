//! Capability `assets`: the generation's own files, read-only. Never waits: they are in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker};

use super::HostState;
use crate::bindings::assets::{self, Asset, AssetError};

/// Bytes of one read. Larger ones leave the processor's cache and gain nothing.
const MAX_READ: u32 = 256 << 10;

/// The files of one generation by name (the path below the asset folder, `/` between its parts).
/// They are held in memory, so that they stay the same whatever happens on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assets {
    files: BTreeMap<String, Vec<u8>>,
}

impl Assets {
    /// Takes the files as they are.
    pub fn new(files: BTreeMap<String, Vec<u8>>) -> Self {
        Self { files }
    }

    /// Names and contents by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }
}

/// The assets that an instance sees.
#[derive(Debug)]
pub(crate) struct AssetsContext {
    assets: Arc<Assets>,
}

impl AssetsContext {
    pub(crate) fn new(assets: Arc<Assets>) -> Self {
        Self { assets }
    }
}

impl assets::Host for AssetsContext {
    fn list(&mut self) -> wasmtime::Result<Vec<Asset>> {
        let asset = |(name, bytes): (&str, &[u8])| Asset { name: name.to_owned(), size: bytes.len() as u64 };
        Ok(self.assets.iter().map(asset).collect())
    }

    fn read(&mut self, name: String, offset: u64, len: u32) -> wasmtime::Result<Result<Vec<u8>, AssetError>> {
        let Some(bytes) = self.assets.files.get(&name) else { return Ok(Err(AssetError::NotFound)) };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(len.min(MAX_READ) as usize).min(bytes.len());
        Ok(Ok(bytes[start..end].to_vec()))
    }
}

pub(crate) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    assets::add_to_linker::<_, HasSelf<AssetsContext>>(linker, |host| &mut host.assets)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::assets::Host as _;
    use super::*;

    fn read(context: &mut AssetsContext, name: &str, offset: u64, len: u32) -> Option<Vec<u8>> {
        context.read(name.into(), offset, len).unwrap().ok()
    }

    #[test]
    fn reads_are_clamped() {
        let files = BTreeMap::from([("a/b.yar".to_owned(), vec![7; 300 << 10]), ("c".into(), vec![1, 2, 3])]);
        let mut context = AssetsContext::new(Arc::new(Assets::new(files)));
        assert_eq!(read(&mut context, "c", 1, 100), Some(vec![2, 3]));
        assert_eq!(read(&mut context, "c", 3, 1), Some(vec![]));
        assert_eq!(read(&mut context, "c", u64::MAX, u32::MAX), Some(vec![]));
        assert_eq!(read(&mut context, "a/b.yar", 0, u32::MAX).unwrap().len(), MAX_READ as usize);
        assert_eq!(read(&mut context, "../c", 0, 1), None);
        let names: Vec<_> =
            context.list().unwrap().into_iter().map(|asset| (asset.name, asset.size)).collect();
        assert_eq!(names, [("a/b.yar".to_owned(), 300 << 10), ("c".into(), 3)]);
    }
}
