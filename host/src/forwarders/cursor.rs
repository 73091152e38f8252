//! How far a drain has come, as it is stored: MessagePack behind a version byte.

use serde::{Deserialize, Serialize};

use crate::lanes::Place;

/// The first byte of a stored cursor.
const VERSION: u8 = 2;

/// The version that had one place in the journal of commits.
const WITHOUT_LANES: u8 = 1;

/// A place in each lane, and what its owner wants to be told again there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cursor {
    /// Where its owner goes on in each lane, in the order of [`crate::model::Lane::ALL`].
    pub places: [Place; 2],
    /// What its forwarder wants to be told again there.
    pub note: Vec<u8>,
}

/// A stored cursor that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// A newer agent stored it.
    #[error(
        "the cursor `{name}` has version {found}, and this agent knows only up to {VERSION}: start the newer \
         agent that stored it"
    )]
    NewerVersion {
        /// Whose it is.
        name: String,
        /// Its first byte.
        found: u8,
    },
    /// Its bytes mean nothing.
    #[error("the cursor `{name}` is damaged: {cause}")]
    Damaged {
        /// Whose it is.
        name: String,
        /// What the decoder says.
        cause: String,
    },
}

impl Cursor {
    /// As it is stored.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        rmp_serde::encode::write(&mut bytes, self).expect("plain data always encodes into memory");
        bytes
    }

    /// Reads what was stored under a name. Fails on what a newer agent stored, and on what is damaged.
    pub fn decode(name: &str, bytes: &[u8]) -> Result<Self, CursorError> {
        let damaged = |cause: String| CursorError::Damaged { name: name.to_owned(), cause };
        match bytes.split_first() {
            Some((&VERSION, packed)) => {
                rmp_serde::from_slice(packed).map_err(|error| damaged(error.to_string()))
            }
            // Its place means nothing in the lanes: some results come again, and none is lost.
            Some((&WITHOUT_LANES, packed)) => {
                let (_, _, note): (u64, u64, Vec<u8>) =
                    rmp_serde::from_slice(packed).map_err(|error| damaged(error.to_string()))?;
                Ok(Self { note, ..Self::default() })
            }
            Some((&found, _)) if found > VERSION => {
                Err(CursorError::NewerVersion { name: name.to_owned(), found })
            }
            _ => Err(damaged("it has no version".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use picket_journal::Position;

    use super::*;

    #[test]
    fn a_cursor_reads_back_as_stored() {
        let place = Place::new(Position { segment: 7, offset: 1 << 40 }, Some(3));
        let cursor = Cursor { places: [place, Place::default()], note: vec![1, 2] };
        assert_eq!(Cursor::decode("x", &cursor.encode()), Ok(cursor));
    }

    #[test]
    fn a_cursor_of_version_1_keeps_its_note() {
        let packed = rmp_serde::to_vec(&(7_u64, 9_u64, vec![1_u8, 2])).unwrap();
        let cursor = Cursor::decode("x", &[&[1], &packed[..]].concat()).unwrap();
        assert_eq!(cursor, Cursor { note: vec![1, 2], ..Cursor::default() });
    }

    fn check_refused(bytes: &[u8], expected: &str) {
        let error = Cursor::decode("results", bytes).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("results"), "{error}");
    }

    #[test]
    fn what_is_no_cursor_says_whose_it_was() {
        check_refused(&[], "damaged");
        check_refused(&[1, 0xc1], "damaged");
        check_refused(&[3, 0x93], "version 3");
    }
}
