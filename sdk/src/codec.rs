//! MessagePack with field names, for state values and snapshots: half the size of JSON, and still
//! readable by a version of the plugin that knows more or fewer fields.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// A value as MessagePack.
pub(crate) fn pack<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    rmp_serde::to_vec_named(value).map_err(|error| Error::new(format!("cannot be stored: {error}")))
}

/// A value from MessagePack, and nothing behind it: bytes that are something else often begin like a
/// small number.
pub(crate) fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut rest = bytes;
    let value = rmp_serde::from_read(&mut rest)
        .map_err(|error| Error::new(format!("cannot be read back: {error}")))?;
    match rest.len() {
        0 => Ok(value),
        more => Err(Error::new(format!("cannot be read back: {more} bytes are left over"))),
    }
}
