//! A silence as it is stored: MessagePack behind a version byte.

use super::Silence;

/// The first byte of a stored silence.
const VERSION: u8 = 1;

/// Why a stored silence cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error(
        "it has version {0}, and this agent knows only up to {VERSION}: start the newer agent that stored it"
    )]
    Newer(u8),
    #[error("it is damaged: {0}")]
    Damaged(String),
}

pub(super) fn encode(silence: &Silence) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    rmp_serde::encode::write(&mut bytes, silence).expect("plain data always encodes into memory");
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> Result<Silence, Unreadable> {
    match bytes.split_first() {
        Some((&VERSION, packed)) => {
            rmp_serde::from_slice(packed).map_err(|error| Unreadable::Damaged(error.to_string()))
        }
        Some((&found, _)) if found > VERSION => Err(Unreadable::Newer(found)),
        _ => Err(Unreadable::Damaged("it has no version".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::super::NewSilence;
    use super::*;

    #[test]
    fn a_silence_survives_its_encoding_and_anything_else_is_told() {
        let what = NewSilence {
            matchers: vec!["alertname=A".parse().unwrap(), "job=~\"a|b\"".parse().unwrap()],
            starts_at: 1,
            ends_at: u64::MAX,
            created_by: "me".into(),
            comment: "because".into(),
        };
        let silence = Silence { id: "0123456789abcdef".into(), what };
        let bytes = encode(&silence);
        assert_eq!(decode(&bytes), Ok(silence));
        assert_eq!(decode(&[2, 1]), Err(Unreadable::Newer(2)));
        for damaged in [&b""[..], &[0, 1], &bytes[..bytes.len() - 1]] {
            assert!(matches!(decode(damaged), Err(Unreadable::Damaged(_))), "{damaged:?}");
        }
    }
}
