//! The keys of the one tree.
//!
//! ```text
//! a                                     applied position
//! f                                     format version
//! k plugin key                          a plugin's own state
//! q plugin                              how many bytes that is, keys and values together
//! t expiry(u64, big-endian) plugin key  index of what expires
//! c plugin source stream                checkpoint
//! s plugin                              snapshot
//! l plugin key                          alert
//! n plugin generation content           scan cache, with the day of its last use
//! d sha-256 of key                      digest of a file, with the day of its last use
//! m name                                facts outside commits
//! x key index(u32, big-endian)          a piece of the value of a key
//! ```
//!
//! Names (plugin, source) stand with their length (u16, big-endian) before them, so that no name is
//! the start of another.

use super::{MAX_KEY_BYTES, StateError};
use crate::model::Digest;

pub(super) const PLUGIN: u8 = b'k';
pub(super) const CHECKPOINT: u8 = b'c';
pub(super) const ALERT: u8 = b'l';
pub(super) const SCANNED: u8 = b'n';
pub(super) const EXPIRY: u8 = b't';
const FILE_DIGEST: u8 = b'd';
pub(super) const SNAPSHOT: u8 = b's';
pub(super) const ACCOUNT: u8 = b'q';
const META: u8 = b'm';

/// Where what is remembered of files lies, in the order of the keys.
pub(super) const REMEMBERED: [u8; 2] = [FILE_DIGEST, SCANNED];

/// How the keys of facts begin, those of their pieces included.
pub(super) const FACTS: [&[u8]; 2] = [b"m", b"xm"];

pub(super) fn is_fact(key: &[u8]) -> bool {
    FACTS.iter().any(|prefix| key.starts_with(prefix))
}

/// Whether it belongs to what is remembered of files, which can be made again.
pub(super) fn is_cache(key: &[u8]) -> bool {
    let own = key.strip_prefix(b"x").unwrap_or(key);
    own.first().is_some_and(|namespace| REMEMBERED.contains(namespace))
}

pub(super) fn applied() -> Vec<u8> {
    b"a".to_vec()
}

pub(super) fn format() -> Vec<u8> {
    b"f".to_vec()
}

/// The start of all keys of a plugin in a namespace.
pub(super) fn of_plugin(namespace: u8, plugin: &str) -> Vec<u8> {
    let mut key = vec![namespace];
    name(&mut key, plugin);
    key
}

/// Behind all keys of a plugin in a namespace.
pub(super) fn behind_plugin(namespace: u8, plugin: &str) -> Vec<u8> {
    [&of_plugin(namespace, plugin)[..], &[0xff; MAX_KEY_BYTES + 1]].concat()
}

pub(super) fn plugin(plugin: &str, key: &[u8]) -> Vec<u8> {
    [&of_plugin(PLUGIN, plugin), key].concat()
}

pub(super) fn plugin_bytes(plugin: &str) -> Vec<u8> {
    of_plugin(ACCOUNT, plugin)
}

/// `plugin_key` is a key made by [`plugin`].
pub(super) fn expiry(expires: u64, plugin_key: &[u8]) -> Vec<u8> {
    [&[EXPIRY][..], &expires.to_be_bytes(), &plugin_key[1..]].concat()
}

/// The time in a key made by [`expiry`], and the key of the plugin's entry.
pub(super) fn split_expiry(key: &[u8]) -> Option<(u64, Vec<u8>)> {
    let expires = u64::from_be_bytes(key.get(1..9)?.try_into().ok()?);
    Some((expires, [&[PLUGIN][..], key.get(9..)?].concat()))
}

/// The plugin's name and what stands behind it, from any key that begins with [`of_plugin`].
pub(super) fn split_plugin(key: &[u8]) -> Option<(&str, &[u8])> {
    let length = u16::from_be_bytes(key.get(1..3)?.try_into().ok()?);
    let (name, own) = key.get(3..)?.split_at_checked(length.into())?;
    Some((std::str::from_utf8(name).ok()?, own))
}

pub(super) fn checkpoints(plugin: &str, source: &str) -> Vec<u8> {
    let mut key = of_plugin(CHECKPOINT, plugin);
    name(&mut key, source);
    key
}

pub(super) fn checkpoint(plugin: &str, source: &str, stream: &Digest) -> Vec<u8> {
    [&checkpoints(plugin, source)[..], &stream.0].concat()
}

pub(super) fn snapshot(plugin: &str) -> Vec<u8> {
    of_plugin(SNAPSHOT, plugin)
}

pub(super) fn alert(plugin: &str, key: &[u8]) -> Vec<u8> {
    [&of_plugin(ALERT, plugin), key].concat()
}

pub(super) fn scanned_by(plugin: &str, generation: &Digest) -> Vec<u8> {
    [&of_plugin(SCANNED, plugin)[..], &generation.0].concat()
}

pub(super) fn scanned(plugin: &str, generation: &Digest, content: &Digest) -> Vec<u8> {
    [&scanned_by(plugin, generation)[..], &content.0].concat()
}

pub(super) fn file_digest(key: &[u8]) -> Vec<u8> {
    [&[FILE_DIGEST][..], &Digest::of(key).0].concat()
}

pub(super) fn meta(name: &str) -> Vec<u8> {
    [&[META], name.as_bytes()].concat()
}

pub(super) fn piece(key: &[u8], index: u32) -> Vec<u8> {
    [b"x", key, &index.to_be_bytes()].concat()
}

/// What stands behind a known prefix.
pub(super) fn rest<'a>(key: &'a [u8], prefix: &[u8]) -> Result<&'a [u8], StateError> {
    key.strip_prefix(prefix).ok_or_else(|| StateError::Damaged { what: format!("the key {key:02x?}") })
}

fn name(key: &mut Vec<u8>, name: &str) {
    // Names are bounded by `Write::check`; a longer one can only be asked for, and is not there.
    key.extend((name.len().min(usize::from(u16::MAX)) as u16).to_be_bytes());
    key.extend(name.as_bytes());
}
