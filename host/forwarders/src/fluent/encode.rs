//! Frames as events of the Forward protocol. An event's record has the fields of the `file` forwarder's lines, with
//! the same names and values, in MessagePack.

use picket_model::{Digest, Frame};
use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use crate::file::encode::Line;
use picket_http::Compression;
use picket_http::gzip;

/// The entries of a chunk: each the time and the record, end to end.
pub fn entries(frames: &[&Frame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for frame in frames {
        // Digests and ids are text, as in JSON.
        let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map().with_human_readable();
        let entry = (EventTime(frame.time()), Line(frame));
        entry.serialize(&mut serializer).expect("plain data always encodes into memory");
    }
    bytes
}

/// A chunk: a message in mode PackedForward, or CompressedPackedForward.
pub fn chunk(tag: &str, entries: &[u8], size: usize, id: &str, compression: Compression) -> Vec<u8> {
    let compressed = (compression == Compression::Gzip).then(|| gzip(entries));
    let options = Options { size, chunk: id, compressed: compressed.is_some() };
    let message = (tag, Bytes(compressed.as_deref().unwrap_or(entries)), options);
    rmp_serde::to_vec_named(&message).expect("plain data always encodes into memory")
}

/// The id of a chunk: 128 bits in base64, as the specification suggests, and the same whenever the same frames are
/// sent.
pub fn chunk_id(batch: &Digest, frames: &[usize]) -> String {
    use base64::Engine as _;
    let places = frames.iter().flat_map(|at| (*at as u64).to_le_bytes()).collect::<Vec<u8>>();
    let digest = Digest::of_parts([&batch.0[..], &places]);
    base64::engine::general_purpose::STANDARD.encode(&digest.0[..16])
}

/// Unix time in nanoseconds as the protocol's EventTime: extension type 0 with seconds and nanoseconds, 32 bits
/// each, big-endian. It ends in 2106, where the last second stays.
struct EventTime(u64);

impl Serialize for EventTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let seconds = u32::try_from(self.0 / 1_000_000_000).unwrap_or(u32::MAX);
        let nanos = (self.0 % 1_000_000_000) as u32;
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&seconds.to_be_bytes());
        bytes[4..].copy_from_slice(&nanos.to_be_bytes());
        serializer.serialize_newtype_struct(rmp_serde::MSGPACK_EXT_STRUCT_NAME, &(0_i8, Bytes(&bytes)))
    }
}

/// The third part of a message.
struct Options<'a> {
    size: usize,
    chunk: &'a str,
    compressed: bool,
}

impl Serialize for Options<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("Options", if self.compressed { 3 } else { 2 })?;
        map.serialize_field("size", &self.size)?;
        map.serialize_field("chunk", self.chunk)?;
        if self.compressed {
            map.serialize_field("compressed", "gzip")?;
        }
        map.end()
    }
}

/// Bytes that are no list of numbers.
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}
