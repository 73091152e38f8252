//! The capability `assets`: the generation's own files (rules, signatures), read-only and the same
//! for the generation's whole life. Always granted; empty when the configuration names none.

pub use crate::bindings::imports::picket::plugin::assets::Asset;
use crate::bindings::imports::picket::plugin::assets::AssetError;
use crate::{ConfigError, Error, Result};

/// The most that the host gives in one read.
const CHUNK: u32 = 256 << 10;

/// All assets by name.
pub fn list() -> Vec<Asset> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::imports::picket::plugin::assets::list();
    #[cfg(not(target_arch = "wasm32"))]
    return crate::testing::host::asset_list();
}

/// The whole content of an asset; an error when there is none of that name.
pub fn read(name: &str) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let chunk = read_at(name, content.len() as u64, CHUNK)
            .map_err(|AssetError::NotFound| Error::new(format!("there is no asset `{name}`")))?;
        if chunk.is_empty() {
            return Ok(content);
        }
        content.extend_from_slice(&chunk);
    }
}

/// The whole content of an asset as text. It fits [`Plugin::new`](crate::Plugin::new): the error
/// names the asset, and the line where the text is no UTF-8.
pub fn text(name: &str) -> Result<String, ConfigError> {
    let content = read(name).map_err(|error| ConfigError::asset(name, 0, error.to_string()))?;
    String::from_utf8(content).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|&&byte| byte == b'\n').count() as u32;
        ConfigError::asset(name, line, "is not UTF-8 text")
    })
}

fn read_at(name: &str, offset: u64, len: u32) -> std::result::Result<Vec<u8>, AssetError> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::imports::picket::plugin::assets::read(name, offset, len);
    #[cfg(not(target_arch = "wasm32"))]
    return crate::testing::host::asset_read(name, offset, len);
}
