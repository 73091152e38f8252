//! The capability `state`: a durable key-value store of the plugin's own, shared by all its
//! generations. Granted by `state = "16MiB"`.
//!
//! Writes land together with the results of the call that made them, or not at all; a call sees its
//! own. Values are stored as MessagePack with field names. Keys hold 1 to 512 bytes, values 256 KiB.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::imports::picket::plugin::state as wit;
use crate::plugin::nanos;
use crate::{Error, Result, codec};

/// How many entries [`scan`] asks for at once; the host gives no more than 1000 or 1 MiB.
const PAGE: u32 = 256;

/// The value of a key.
pub fn get<T: DeserializeOwned>(key: impl AsRef<[u8]>) -> Result<Option<T>> {
    raw::get(key.as_ref()).map_err(refused)?.map(|value| codec::unpack(&value)).transpose()
}

/// Sets the value of a key, for good.
pub fn set<T: Serialize>(key: impl AsRef<[u8]>, value: &T) -> Result<()> {
    raw::set(key.as_ref(), &codec::pack(value)?, None).map_err(refused)
}

/// Sets the value of a key for a time; afterwards it is gone even if nobody asks for it.
pub fn set_for<T: Serialize>(key: impl AsRef<[u8]>, value: &T, ttl: Duration) -> Result<()> {
    raw::set(key.as_ref(), &codec::pack(value)?, Some(nanos(ttl))).map_err(refused)
}

/// Deletes a key, whether it exists or not.
pub fn delete(key: impl AsRef<[u8]>) -> Result<()> {
    raw::delete(key.as_ref()).map_err(refused)
}

/// The entries whose key begins with `prefix`, in the order of their keys, fetched by and by. A value
/// that is no `T` is an error in its place; an error of the host is the last item.
pub fn scan<T: DeserializeOwned>(prefix: impl AsRef<[u8]>) -> impl Iterator<Item = Result<(Vec<u8>, T)>> {
    let prefix = prefix.as_ref().to_vec();
    let mut after = None;
    let mut failed = false;
    let mut page = Vec::new().into_iter();
    std::iter::from_fn(move || {
        if page.len() == 0 && !failed {
            match raw::scan(&prefix, after.as_deref(), PAGE) {
                Ok(entries) => page = entries.into_iter(),
                Err(error) => {
                    failed = true;
                    return Some(Err(refused(error)));
                }
            }
        }
        let entry: wit::Entry = page.next()?;
        after = Some(entry.key.clone());
        Some(codec::unpack(&entry.value).map(|value| (entry.key, value)))
    })
}

fn refused(error: wit::StateError) -> Error {
    Error::new(match error {
        wit::StateError::QuotaExceeded(quota) => {
            format!("the plugin's state is full: its quota is {quota} bytes")
        }
        wit::StateError::KeyLength(bound) => format!("a state key must hold 1 to {bound} bytes"),
        wit::StateError::ValueTooLong(bound) => format!("a state value must hold at most {bound} bytes"),
        wit::StateError::Unavailable(reason) => format!("the state is unavailable: {reason}"),
    })
}

#[cfg(target_arch = "wasm32")]
use crate::bindings::imports::picket::plugin::state as raw;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::host::state as raw;
