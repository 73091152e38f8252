//! What is written and read, byte for byte.

use proptest::prelude::*;

use super::receiver::entries;
use super::*;
use crate::fluent::encode;
use crate::fluent::handshake::{Identity, shown};
use crate::fluent::wire::{self, Alien, Message};
use picket_http::secret::Secret;

fn secret(text: &str) -> Secret {
    let folder = tempfile::tempdir().unwrap();
    Secret::from_file(&key(folder.path(), text).unwrap()).unwrap()
}

#[test]
fn an_event_has_its_time_and_the_fields_of_the_ndjson_line() {
    for frame in examples() {
        let mut line = Vec::new();
        crate::file::encode::line(&frame, &mut line);
        let expected: serde_json::Value = serde_json::from_slice(&line).unwrap();
        let events = entries(&encode::entries(&[&frame]));
        assert_eq!(events, [(1_763_654_940, 250_000_000, expected)]);
    }
}

#[test]
fn a_chunk_is_a_packed_forward_message() {
    let frame = Frame::Sample(Sample { name: "n".into(), labels: vec![], time: 3_000_000_007, value: 1.0 });
    let entries = encode::entries(&[&frame]);
    assert_eq!(entries[..12], *b"\x92\xd7\x00\x00\x00\x00\x03\x00\x00\x00\x07\x86");
    let chunk = encode::chunk("t.sample", &entries, 1, "id", Compression::None);
    let expected =
        [&b"\x93\xa8t.sample\xc4"[..], &[entries.len() as u8], &entries, b"\x82\xa4size\x01\xa5chunk\xa2id"]
            .concat();
    assert_eq!(chunk, expected);
    let chunk = encode::chunk("t.sample", &entries, 1, "id", Compression::Gzip);
    assert!(chunk.ends_with(b"\x83\xa4size\x01\xa5chunk\xa2id\xaacompressed\xa4gzip"));
}

#[test]
fn a_chunk_id_depends_on_the_batch_and_on_what_of_it_is_sent() {
    let id = |batch: &[u8], frames: &[usize]| encode::chunk_id(&Digest::of(batch), frames);
    assert_eq!(id(b"a", &[1, 2]), id(b"a", &[1, 2]));
    assert_eq!(id(b"a", &[1, 2]).len(), 24);
    assert_ne!(id(b"a", &[1, 2]), id(b"b", &[1, 2]));
    assert_ne!(id(b"a", &[1, 2]), id(b"a", &[1]));
}

#[test]
fn messages_of_receivers_are_read_in_each_encoding() {
    let helo =
        |nonce: &[u8], keepalive| Some(Message::Helo { nonce: nonce.to_vec(), auth: vec![], keepalive });
    let read = |bytes: &[u8]| wire::message(bytes).unwrap().map(|(message, _)| message);
    assert_eq!(
        read(b"\x92\xa4HELO\x83\xa5nonce\xc4\x02\xff\x00\xa4auth\xa0\xa9keepalive\xc2"),
        helo(b"\xff\x00", false)
    );
    assert_eq!(read(b"\x92\xa4HELO\x82\xa5nonce\xa2\xff\x00\xa4auth\xa0"), helo(b"\xff\x00", true));
    let pong =
        Message::Pong { accepted: false, reason: b"no".to_vec(), hostname: b"h".to_vec(), digest: vec![] };
    assert_eq!(read(b"\x95\xa4PONG\xc2\xa2no\xa1h\xa0"), Some(pong));
    assert_eq!(wire::message(b"\x81\xa3ack\xa2id\x81").unwrap(), Some((Message::Ack(b"id".to_vec()), 8)));
    // What is new in later versions does not disturb.
    assert_eq!(
        read(b"\x82\xa5other\xcb\0\0\0\0\0\0\0\0\xa3ack\xd9\x02id"),
        Some(Message::Ack(b"id".to_vec()))
    );
}

#[test]
fn what_is_no_message_is_told_from_the_start_of_one() {
    let ack = b"\x81\xa3ack\xa2id";
    for end in 0..ack.len() {
        assert_eq!(wire::message(&ack[..end]), Ok(None));
    }
    for alien in
        [&b"HTTP/1.1 400"[..], b"\x15\x03\x03\x00\x02", b"\xc0", b"\xc1", b"\x91\x01", b"\x81\xa3nak\xa1x"]
    {
        assert_eq!(wire::message(alien), Err(Alien::Unknown), "{alien:?}");
    }
    assert_eq!(wire::message(b"\x81\xa3ack\xdb\xff\xff\xff\xff"), Err(Alien::TooLong));
    assert_eq!(wire::message(&[0x91; 9]), Err(Alien::TooDeep));
    let endless = [&[0xdd, 0xff, 0xff, 0xff, 0xff][..], &[0xc0; wire::MAX_MESSAGE]].concat();
    assert_eq!(wire::message(&endless), Err(Alien::TooLong));
}

#[test]
fn a_ping_fits_into_what_fluent_bit_reads() {
    let user = Some(("u".repeat(255), secret("p")));
    let identity = Identity::new(&"ö".repeat(200), secret("k"), user);
    assert!(identity.ping(&"0".repeat(32), &[0; 16], &[0; 16]).len() <= 1023);
}

/// Worked out with Python's `hashlib` from the specification's formula, salt + hostname + nonce + key.
#[test]
fn digests_are_those_of_the_specification() {
    let identity = Identity::new("node-7", secret("sesam"), None);
    let ping = identity.ping("00112233445566778899aabbccddeeff", &[1; 16], b"");
    let [word, hostname, salt, digest, user, password]: [String; 6] = rmp_serde::from_slice(&ping).unwrap();
    assert_eq!((&*word, &*hostname, &*salt), ("PING", "picket-node-7", "00112233445566778899aabbccddeeff"));
    assert_eq!((&*user, &*password), ("", ""));
    assert_eq!(digest, DIGEST);
}

const DIGEST: &str = "4e6607790f3133867a737f3958e7d74babff2252f16a90f051bb69072e0ce70f\
    b18169f15c3c7d12d43f195fb21a7b2a4fbe67dfb11d4104eb8399376a998433";

proptest! {
    #[test]
    fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..64), head in 0..4_usize) {
        let heads = [&b""[..], b"\x92\xa4HELO", b"\x95\xa4PONG\xc3", b"\x81\xa3ack"];
        let bytes = [heads[head], &bytes].concat();
        if let Ok(Some((_, taken))) = wire::message(&bytes) {
            prop_assert!((1..=bytes.len()).contains(&taken));
            // What stands behind a message does not change it, and a part of it is none.
            prop_assert_eq!(wire::message(&bytes[..taken]), wire::message(&bytes));
            prop_assert!(!matches!(wire::message(&bytes[..taken - 1]), Ok(Some(_))));
        }
    }

    #[test]
    fn any_reason_is_shown_in_one_short_line(reason in prop::collection::vec(any::<u8>(), 0..600)) {
        let text = shown(&reason);
        prop_assert!(!text.contains(char::is_control));
        prop_assert!(text.len() <= 300 * 10);
    }
}
