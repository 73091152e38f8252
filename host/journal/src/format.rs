//! Bytes of headers and records, as laid out in the crate's documentation. Pure: no files.

use crate::Position;

/// What this version writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

/// No record is longer. A reader allocates at most this much because a length field says so.
pub const MAX_RECORD_BYTES: u32 = 64 << 20;

pub(crate) const HEADER_BYTES: u64 = 44;
pub(crate) const RECORD_HEADER_BYTES: u64 = 8;

const MAGIC: [u8; 8] = *b"PICKETJ\n";

/// What a segment says about itself and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) segment: u64,
    /// Where the previous segment ends; zero for the first one.
    pub(crate) previous: Position,
}

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// Too short, or a checksum does not fit.
    Damaged,
    /// Written by a newer version.
    Newer(u32),
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES as usize);
        bytes.extend(MAGIC);
        bytes.extend(FORMAT_VERSION.to_le_bytes());
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes.extend(self.segment.to_le_bytes());
        bytes.extend(self.previous.segment.to_le_bytes());
        bytes.extend(self.previous.offset.to_le_bytes());
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let checked = |end: usize| {
            let crc = u32_at(bytes, end)?;
            (crc32fast::hash(&bytes[..end]) == crc).then_some(())
        };
        let version = (|| {
            checked(12)?;
            bytes.starts_with(&MAGIC).then(|| u32_at(bytes, 8))?
        })()
        .ok_or(HeaderError::Damaged)?;
        match version {
            1 => {}
            0 => return Err(HeaderError::Damaged),
            newer => return Err(HeaderError::Newer(newer)),
        }
        (|| {
            checked(40)?;
            let previous = Position { segment: u64_at(bytes, 24)?, offset: u64_at(bytes, 32)? };
            Some(Self { segment: u64_at(bytes, 16)?, previous })
        })()
        .ok_or(HeaderError::Damaged)
    }
}

fn record_crc(at: Position, payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&at.segment.to_le_bytes());
    crc.update(&at.offset.to_le_bytes());
    crc.update(payload);
    crc.finalize()
}

/// Writes a record that begins at `at` into an emptied buffer. The payload's length must have been
/// checked.
pub(crate) fn encode_record(at: Position, payload: &[u8], into: &mut Vec<u8>) {
    into.clear();
    into.extend((payload.len() as u32).to_le_bytes());
    into.extend(record_crc(at, payload).to_le_bytes());
    into.extend(payload);
}

/// The payload's length by a record's header, if it is possible at all.
pub(crate) fn payload_length(header: &[u8]) -> Option<u32> {
    u32_at(header, 0).filter(|length| (1..=MAX_RECORD_BYTES).contains(length))
}

/// The payload of the record that begins at `at` with these bytes, if it is whole and valid.
pub(crate) fn decode_record(at: Position, bytes: &[u8]) -> Option<&[u8]> {
    let length = payload_length(bytes)?;
    let payload = bytes.get(RECORD_HEADER_BYTES as usize..)?.get(..length as usize)?;
    (u32_at(bytes, 4)? == record_crc(at, payload)).then_some(payload)
}

/// What the bytes of one segment file hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedSegment<'a> {
    /// The segment's number.
    pub segment: u64,
    /// Where the segment before it ends.
    pub previous: Position,
    /// The payloads up to the end of the file or the first damage.
    pub records: Vec<&'a [u8]>,
    /// Where the last good record ends, in bytes.
    pub end: u64,
}

/// Reads a whole segment from memory; `None` when its header is damaged or newer. For tools and
/// fuzzing: [`Reader`](crate::Reader) reads files in bounded memory.
pub fn parse_segment(bytes: &[u8]) -> Option<ParsedSegment<'_>> {
    let header = Header::decode(bytes).ok()?;
    let mut records = Vec::new();
    let mut end = HEADER_BYTES;
    while let Some(payload) = usize::try_from(end)
        .ok()
        .and_then(|start| bytes.get(start..))
        .and_then(|rest| decode_record(Position { segment: header.segment, offset: end }, rest))
    {
        end += RECORD_HEADER_BYTES + payload.len() as u64;
        records.push(payload);
    }
    Some(ParsedSegment { segment: header.segment, previous: header.previous, records, end })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn segment(number: u64, payloads: &[Vec<u8>]) -> Vec<u8> {
        let previous = Position { segment: number - 1, offset: 99 };
        let mut bytes = Header { segment: number, previous }.encode();
        let mut record = Vec::new();
        for payload in payloads {
            encode_record(Position { segment: number, offset: bytes.len() as u64 }, payload, &mut record);
            bytes.extend(&record);
        }
        bytes
    }

    fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..8)
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let bytes = segment(2, &[b"ab".to_vec()]);
        assert_eq!(bytes.len() as u64, HEADER_BYTES + RECORD_HEADER_BYTES + 2);
        assert_eq!(&bytes[..12], b"PICKETJ\n\x01\0\0\0");
        assert_eq!(
            &bytes[16..40],
            [[2, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0], [99, 0, 0, 0, 0, 0, 0, 0]].concat()
        );
        assert_eq!(&bytes[44..48], [2, 0, 0, 0]);
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let mut bytes = segment(1, &[]);
        bytes[8] = 2;
        assert_eq!(Header::decode(&bytes), Err(HeaderError::Damaged));
        let crc = crc32fast::hash(&bytes[..12]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Header::decode(&bytes), Err(HeaderError::Newer(2)));
        assert_eq!(Header::decode(&bytes[..16]), Err(HeaderError::Newer(2)));
    }

    #[test]
    fn zeros_are_no_record_at_any_place() {
        for offset in 0..10_000 {
            assert_eq!(decode_record(Position { segment: 1, offset }, &[0; 64]), None);
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(number in 1u64.., payloads in payloads()) {
            let bytes = segment(number, &payloads);
            let parsed = parse_segment(&bytes).unwrap();
            prop_assert_eq!(parsed.segment, number);
            prop_assert_eq!(parsed.end, bytes.len() as u64);
            prop_assert_eq!(parsed.records, payloads);
        }

        #[test]
        fn one_wrong_byte_costs_what_follows_and_nothing_before(
            payloads in payloads(), at in any::<prop::sample::Index>(), flip in 1u8..
        ) {
            let mut bytes = segment(3, &payloads);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            match parse_segment(&bytes) {
                None => prop_assert!(at < HEADER_BYTES as usize),
                Some(parsed) => {
                    prop_assert!(parsed.end as usize <= at);
                    prop_assert_eq!(&parsed.records[..], &payloads[..parsed.records.len()]);
                    let lost = payloads.get(parsed.records.len()).unwrap();
                    prop_assert!(at < parsed.end as usize + 8 + lost.len());
                }
            }
        }

        #[test]
        fn any_bytes_are_parsed_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_segment(&bytes);
            let _ = decode_record(Position { segment: 1, offset: 44 }, &bytes);
        }

        #[test]
        fn a_record_is_valid_at_its_own_place_only(
            payload in prop::collection::vec(any::<u8>(), 1..50), moved in 1u64..1000
        ) {
            let mut record = Vec::new();
            encode_record(Position { segment: 1, offset: 44 }, &payload, &mut record);
            prop_assert_eq!(decode_record(Position { segment: 1, offset: 44 + moved }, &record), None);
            prop_assert_eq!(decode_record(Position { segment: 1 + moved, offset: 44 }, &record), None);
        }
    }
}
