//! Values as they are stored: a version byte and MessagePack; in pieces when they are long.
//!
//! ```text
//! stored := 0 encoded                                  up to 4096 bytes
//!         | 1 pieces(u32) length(u64), little-endian   the encoded bytes are in the pieces' keys
//! encoded := version(u8) MessagePack
//! ```

use picket_journal::Position;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{StateError, Table, keys};

/// The longest piece, in bytes. A sled leaf holds at least 16 entries before it splits, and one of
/// 128 KiB or more would go to a file that sled does not sync.
pub(super) const PIECE_BYTES: usize = 4096;

/// The longest value that is put together again: twice a snapshot, so that a damaged length cannot
/// ask for more.
const MAX_VALUE_BYTES: u64 = 32 << 20;

const WHOLE: u8 = 0;
const PIECES: u8 = 1;

/// A kind of value with its own version.
pub(super) trait Versioned {
    /// For messages.
    const KIND: &'static str;
    /// What is written, and the newest that is read.
    const VERSION: u8;
}

pub(super) fn encode<T: Versioned + Serialize>(value: &T) -> Result<Vec<u8>, StateError> {
    let mut encoded = vec![T::VERSION];
    rmp_serde::encode::write(&mut encoded, value)
        .map_err(|error| StateError::Damaged { what: format!("a {} to be stored ({error})", T::KIND) })?;
    Ok(encoded)
}

pub(super) fn decode<T: Versioned + DeserializeOwned>(encoded: &[u8]) -> Result<T, StateError> {
    match encoded.split_first() {
        Some((&version, packed)) if (1..=T::VERSION).contains(&version) => rmp_serde::from_slice(packed)
            .map_err(|error| StateError::Damaged { what: format!("a stored {} ({error})", T::KIND) }),
        Some((&version, _)) if version > T::VERSION => Err(StateError::NewerVersion {
            what: format!("stored {}", T::KIND),
            found: version.into(),
            known: T::VERSION.into(),
        }),
        _ => Err(StateError::Damaged { what: format!("a stored {} (no version)", T::KIND) }),
    }
}

/// The value of a key.
pub(super) fn load<T: Versioned + DeserializeOwned>(
    table: &dyn Table,
    key: &[u8],
) -> Result<Option<T>, StateError> {
    match table.get(key)? {
        Some(stored) => decode(&assemble(key, &stored, |piece| table.get(piece))?).map(Some),
        None => Ok(None),
    }
}

/// The applied position by what is stored under its key, for who has no table yet.
pub(super) fn applied(stored: Option<&[u8]>) -> Result<Position, StateError> {
    let Some(stored) = stored else { return Ok(Position::ZERO) };
    // It is short, and has no pieces.
    let encoded = assemble(&keys::applied(), stored, |_| Ok(None))?;
    decode::<super::Applied>(&encoded).map(|found| found.position())
}

/// The encoded bytes of a stored value.
pub(super) fn assemble(
    key: &[u8],
    stored: &[u8],
    get: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, StateError>,
) -> Result<Vec<u8>, StateError> {
    match stored.split_first() {
        Some((&WHOLE, encoded)) => Ok(encoded.to_vec()),
        Some((&PIECES, head)) => {
            let damaged = || StateError::Damaged { what: format!("the stored value of {key:02x?}") };
            let (pieces, length) = read_head(head).ok_or_else(damaged)?;
            let mut encoded = Vec::with_capacity(length);
            for index in 0..pieces {
                encoded.extend(get(&keys::piece(key, index))?.ok_or_else(damaged)?);
            }
            (encoded.len() == length).then_some(encoded).ok_or_else(damaged)
        }
        Some((&other, _)) => Err(StateError::NewerVersion {
            what: "stored value".into(),
            found: other.into(),
            known: PIECES.into(),
        }),
        None => Err(StateError::Damaged { what: format!("the stored value of {key:02x?}") }),
    }
}

fn read_head(head: &[u8]) -> Option<(u32, usize)> {
    let pieces = u32::from_le_bytes(head.get(..4)?.try_into().ok()?);
    let length = u64::from_le_bytes(head.get(4..12)?.try_into().ok()?);
    let fits = length <= MAX_VALUE_BYTES && u64::from(pieces) == length.div_ceil(PIECE_BYTES as u64);
    fits.then_some((pieces, length as usize))
}

/// How many pieces a stored value has in keys of their own.
pub(super) fn pieces_of(stored: &[u8]) -> u32 {
    match stored.split_first() {
        Some((&PIECES, head)) => read_head(head).map_or(0, |(pieces, _)| pieces),
        _ => 0,
    }
}

/// What is stored under the key itself, and the pieces beside it.
pub(super) fn split(encoded: &[u8]) -> (Vec<u8>, impl Iterator<Item = &[u8]>) {
    let (stored, pieces) = if encoded.len() <= PIECE_BYTES {
        ([&[WHOLE], encoded].concat(), &[][..])
    } else {
        let pieces = encoded.len().div_ceil(PIECE_BYTES) as u32;
        let head = [&[PIECES][..], &pieces.to_le_bytes(), &(encoded.len() as u64).to_le_bytes()].concat();
        (head, encoded)
    };
    (stored, pieces.chunks(PIECE_BYTES))
}
