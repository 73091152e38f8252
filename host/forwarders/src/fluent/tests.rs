//! The `fluent` forwarder: what it sends, and what it makes of a receiver's silence, words and hanging up.
#![allow(clippy::unwrap_used, reason = "tests")]

mod messages;
mod receiver;

use std::path::Path;

use picket_http::Compression;
use picket_model::{Digest, Frame, FrameKind, Label, Sample, Span};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::*;
use crate::file::tests::examples;
use crate::{Batch, Forwarder as _, Link, SendError, Sent};
use receiver::{Nonce, Reaction, Receiver, Security};

/// A forwarder that sends to a receiver, and the runtime that it needs.
fn forwarder(receiver: &Receiver, change: impl FnOnce(&mut Config)) -> (FluentForwarder, Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (_, stop) = watch::channel(None);
    let link = Link::new(runtime.handle().clone(), "node-7", stop);
    let mut config = Config::new(receiver.address());
    config.timeout = Span::seconds(1);
    change(&mut config);
    (FluentForwarder::new(config, &link).unwrap(), runtime)
}

fn batch(frames: Vec<Frame>) -> Batch {
    Batch { id: Digest::of(b"one"), frames }
}

/// One of many, with its number as its value and some weight.
fn sample(number: usize, weight: usize) -> Frame {
    let labels = vec![Label { name: "padding".into(), value: "x".repeat(weight) }];
    Frame::Sample(Sample { name: "n".into(), labels, time: 1, value: number as f64 })
}

fn key(folder: &Path, secret: &str) -> Option<std::path::PathBuf> {
    let file = folder.join("key");
    std::fs::write(&file, secret).unwrap();
    Some(file)
}

fn unusable(result: Result<impl std::fmt::Debug, SendError>) -> String {
    match result {
        Err(SendError::Unusable { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

fn later(result: Result<impl std::fmt::Debug, SendError>) -> String {
    match result {
        Err(SendError::Later { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_kind_is_a_chunk_under_its_tag_and_the_connection_is_kept() {
    for compression in [Compression::Gzip, Compression::None] {
        let receiver = Receiver::start(None, |_| Reaction::Ack);
        let (mut forwarder, _runtime) = forwarder(&receiver, |config| config.compression = compression);
        assert_eq!(forwarder.send(&batch(examples())), Ok(Sent::all()));
        assert_eq!(forwarder.prepare(), Ok(None));
        assert_eq!(
            forwarder.send(&Batch { id: Digest::of(b"two"), frames: vec![sample(0, 0)] }),
            Ok(Sent::all())
        );
        let seen = receiver.seen();
        let tags: Vec<_> = seen.iter().map(|chunk| (&*chunk.tag, chunk.entries.len(), chunk.size)).collect();
        assert_eq!(
            tags,
            [
                ("picket.finding", 2, 2),
                ("picket.verdict", 1, 1),
                ("picket.alert", 1, 1),
                ("picket.evidence", 1, 1),
                ("picket.notice", 1, 1),
                ("picket.sample", 3, 3),
                ("picket.retraction", 1, 1),
                ("picket.sample", 1, 1),
            ]
        );
        assert!(seen.iter().all(|chunk| chunk.connection == 0));
        assert!(seen.iter().all(|chunk| chunk.is_gzip == (compression == Compression::Gzip)));
    }
}

#[test]
fn a_retraction_comes_after_all_that_stands_before_it_in_the_batch() {
    let receiver = Receiver::start(None, |_| Reaction::Ack);
    let (mut forwarder, _runtime) = forwarder(&receiver, |_| ());
    let (first, last) = (examples().remove(0), examples().pop().unwrap());
    let frames = vec![last.clone(), first.clone(), last.clone(), last, first, sample(0, 0)];
    assert_eq!(forwarder.send(&batch(frames)), Ok(Sent::all()));
    let seen = receiver.seen();
    let tags: Vec<_> = seen.iter().map(|chunk| (&*chunk.tag, chunk.size)).collect();
    let (finding, retraction) = ("picket.finding", "picket.retraction");
    assert_eq!(tags, [(retraction, 1), (finding, 1), (retraction, 2), (finding, 1), ("picket.sample", 1)]);
}

#[test]
fn a_chunk_that_goes_unanswered_comes_again_under_the_same_id_and_the_others_do_not() {
    for reaction in [Reaction::Silence, Reaction::Close, Reaction::Wrong] {
        let receiver = Receiver::start(None, move |seen| match seen.number {
            1 => reaction,
            _ => Reaction::Ack,
        });
        let (mut forwarder, _runtime) = forwarder(&receiver, |_| ());
        let batch = batch(examples());
        later(forwarder.send(&batch));
        assert_eq!(forwarder.send(&batch), Ok(Sent::all()));
        let seen = receiver.seen();
        let tags: Vec<_> = seen.iter().map(|chunk| &*chunk.tag).collect();
        assert_eq!(tags[..4], ["picket.finding", "picket.verdict", "picket.verdict", "picket.alert"]);
        assert_eq!(seen[1].id, seen[2].id);
        assert_ne!(seen[1].connection, seen[2].connection);
        let mut ids: Vec<_> = seen.iter().map(|chunk| chunk.id.clone()).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), seen.len() - 1);
    }
}

#[test]
fn a_connection_that_the_receiver_closes_after_each_acknowledgement_is_made_anew() {
    let receiver = Receiver::start(None, |_| Reaction::AckAndClose);
    let (mut forwarder, _runtime) = forwarder(&receiver, |_| ());
    for number in 0..3 {
        // The receiver's end may be seen before the next chunk or only after it.
        let batch = Batch { id: Digest::of(&[number]), frames: vec![sample(0, 0)] };
        while forwarder.send(&batch).is_err() {}
    }
    let ids: std::collections::BTreeSet<_> = receiver.seen().into_iter().map(|chunk| chunk.id).collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn chunks_stay_below_a_megabyte_and_keep_the_order() {
    let receiver = Receiver::start(None, |_| Reaction::Ack);
    let (mut forwarder, _runtime) = forwarder(&receiver, |config| config.compression = Compression::None);
    let frames = (0..7).map(|number| sample(number, if number == 3 { 1_500_000 } else { 300_000 })).collect();
    assert_eq!(forwarder.send(&batch(frames)), Ok(Sent::all()));
    let seen = receiver.seen();
    assert!(seen.iter().all(|chunk| chunk.bytes <= 1_000_000 || chunk.entries.len() == 1));
    let numbers: Vec<_> = seen.iter().flat_map(|chunk| chunk.numbers()).collect();
    assert_eq!(numbers, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
}

#[test]
fn one_event_that_the_receiver_never_takes_is_refused_and_the_others_arrive() {
    let receiver = Receiver::start(None, |chunk| match chunk.numbers().contains(&5.0) {
        true => Reaction::Close,
        false => Reaction::Ack,
    });
    let (mut forwarder, _runtime) = forwarder(&receiver, |_| ());
    let batch = batch((0..8).map(|number| sample(number, 0)).collect());
    let sent = loop {
        if let Ok(sent) = forwarder.send(&batch) {
            break sent;
        }
    };
    assert_eq!(sent.refused.iter().map(|refused| refused.frame).collect::<Vec<_>>(), [5]);
    assert!(sent.refused[0].reason.contains("never acknowledged"), "{}", sent.refused[0].reason);
    let mut taken: Vec<f64> = receiver.seen().iter().flat_map(|chunk| chunk.numbers()).collect();
    taken.retain(|number| *number != 5.0);
    taken.dedup();
    taken.sort_by(f64::total_cmp);
    taken.dedup();
    assert_eq!(taken, [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 7.0]);
}

#[test]
fn a_network_that_breaks_now_and_then_costs_no_event() {
    let tries = std::sync::atomic::AtomicU32::new(0);
    let receiver = Receiver::start(None, move |chunk| match chunk.entries.len() {
        0 => Reaction::Ack,
        _ if tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 5 => Reaction::Close,
        _ => Reaction::Ack,
    });
    let (mut forwarder, _runtime) = forwarder(&receiver, |_| ());
    let batch = batch(vec![sample(0, 0)]);
    for _ in 0..5 {
        later(forwarder.send(&batch));
    }
    assert_eq!(forwarder.send(&batch), Ok(Sent::all()));
}

#[test]
fn a_receiver_that_acknowledges_nothing_refuses_nothing() {
    let receiver = Receiver::start(None, |_| Reaction::Close);
    let (mut forwarder, _runtime) = forwarder(&receiver, |_| ());
    for _ in 0..20 {
        later(forwarder.send(&batch(vec![sample(0, 0)])));
    }
    later(forwarder.probe());
}

#[test]
fn with_a_key_both_sides_prove_that_they_know_it() {
    let folder = tempfile::tempdir().unwrap();
    for nonce in [Nonce::Binary, Nonce::Text] {
        for user in [None, Some(("anna", "geheim"))] {
            let security = Security { key: "sesam", user, nonce, hostname: "srv1", liar: false };
            let receiver = Receiver::start(Some(security), |_| Reaction::Ack);
            let (mut forwarder, _runtime) = forwarder(&receiver, |config| {
                config.shared_key_file = key(folder.path(), "sesam");
                if let Some((name, password)) = user {
                    let file = folder.path().join("password");
                    std::fs::write(&file, password).unwrap();
                    (config.username, config.password_file) = (Some(name.into()), Some(file));
                }
            });
            assert_eq!(forwarder.send(&batch(examples())), Ok(Sent::all()));
            assert_eq!(forwarder.probe(), Ok("`srv1`, which knows the shared key".into()));
        }
    }
}

#[test]
fn a_handshake_that_fails_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let security = Security { key: "sesam", user: None, nonce: Nonce::Binary, hostname: "srv1", liar: false };
    let with = |security, secret: &str| {
        let receiver = Receiver::start(security, |_| Reaction::Ack);
        let (mut forwarder, _runtime) =
            forwarder(&receiver, |config| config.shared_key_file = key(folder.path(), secret));
        let reason = unusable(forwarder.send(&batch(examples())));
        assert!(receiver.seen().is_empty() && !reason.contains("sesam"), "{reason}");
        reason
    };
    let wrong = with(Some(security), "other");
    assert!(wrong.contains("shared key mismatch") && wrong.contains("shared_key_file"), "{wrong}");
    let liar = with(Some(Security { liar: true, ..security }), "sesam");
    assert!(liar.contains("does not know the shared key"), "{liar}");
    let same = with(Some(Security { hostname: "picket-node-7", ..security }), "sesam");
    assert!(same.contains("another name"), "{same}");
    let no_helo = with(None, "sesam");
    assert!(no_helo.contains("did not ask for the shared key"), "{no_helo}");
}

#[test]
fn a_receiver_that_asks_for_a_key_that_is_not_configured_is_unusable() {
    let security = Security { key: "sesam", user: None, nonce: Nonce::Binary, hostname: "srv1", liar: false };
    let receiver = Receiver::start(Some(security), |_| Reaction::Ack);
    let (mut forwarder, _runtime) = forwarder(&receiver, |_| ());
    for reason in [unusable(forwarder.send(&batch(examples()))), unusable(forwarder.probe())] {
        assert!(reason.contains("asks for a shared key"), "{reason}");
    }
}

#[test]
fn a_receiver_that_speaks_something_else_is_unusable() {
    let receiver = Receiver::start(None, |_| Reaction::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    let (mut forwarder, _runtime) = forwarder(&receiver, |_| ());
    let reason = unusable(forwarder.send(&batch(examples())));
    assert!(reason.contains("no message of the Forward protocol"), "{reason}");
}

#[test]
fn a_receiver_that_is_away_is_waited_for() {
    let receiver = Receiver::start(None, |_| Reaction::Ack);
    let (mut forwarder, _runtime) =
        forwarder(&receiver, |config| config.address = "127.0.0.1:1".parse().unwrap());
    assert!(later(forwarder.send(&batch(examples()))).contains("cannot connect to 127.0.0.1:1"));
    later(forwarder.probe());
}

#[test]
fn a_probe_leaves_nothing() {
    let receiver = Receiver::start(None, |_| Reaction::Ack);
    let (mut forwarder, _runtime) = forwarder(&receiver, |_| ());
    assert_eq!(forwarder.probe(), Ok("a receiver that asks for no key".into()));
    assert!(receiver.seen().iter().all(|chunk| chunk.entries.is_empty() && chunk.size == 0));
}

#[test]
fn an_agent_that_stops_waits_for_no_acknowledgement() {
    let receiver = Receiver::start(None, |_| Reaction::Silence);
    let runtime = Runtime::new().unwrap();
    let (_, stop) = watch::channel(Some(std::time::Instant::now()));
    let link = Link::new(runtime.handle().clone(), "node-7", stop);
    let config = Config { timeout: Span::seconds(300), ..Config::new(receiver.address()) };
    let mut forwarder = FluentForwarder::new(config, &link).unwrap();
    assert!(later(forwarder.send(&batch(examples()))).contains("the agent stops"));
}

#[test]
fn over_tls_events_arrive_and_without_it_the_receiver_says_so() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../http/testdata/tls");
    let receiver = Receiver::secured(&data.join("server.pem"), &data.join("server.key"));
    let tls = |ca: &str| {
        let ca_file = Some(data.join(ca));
        Some(picket_http::tls::Config {
            ca_file,
            server_name: Some("localhost".into()),
            ..Default::default()
        })
    };
    let (mut trusting, _runtime) = forwarder(&receiver, |config| config.tls = tls("ca.pem"));
    assert_eq!(trusting.send(&batch(examples())), Ok(Sent::all()));
    let (mut strict, _runtime) = forwarder(&receiver, |config| config.tls = tls("other-ca.pem"));
    assert!(unusable(strict.send(&batch(examples()))).contains("tls.ca_file"));
    let (mut plain, _runtime) = forwarder(&receiver, |_| ());
    assert!(plain.send(&batch(examples())).is_err());
}

#[test]
fn settings_that_do_not_fit_together_are_named() {
    let config = |text: &str| toml::from_str::<Config>(&format!("address = 'logs:24224'\n{text}"));
    assert_eq!(config("").unwrap(), Config::new("logs".parse().unwrap()));
    assert!(!config("").unwrap().includes(FrameKind::Sample));
    assert!(config("[select]\ninclude = ['sample']").unwrap().includes(FrameKind::Sample));
    assert!(config("tls = {}").unwrap().tls.is_some());
    assert!(config("host = 'x'").is_err());
    for (text, expected) in [
        ("shared_key_file = 'a'\nshared_key_env = 'b'", Unfit::Twice("shared_key")),
        ("username = 'a'", Unfit::HalfUser),
        ("password_env = 'a'", Unfit::HalfUser),
        ("username = 'a'\npassword_env = 'a'", Unfit::UserWithoutKey),
        ("tag = ''", Unfit::Tag(String::new())),
        ("tag = 'a b'", Unfit::Tag("a b".into())),
    ] {
        assert_eq!(config(text).unwrap().check(), Err(expected), "{text}");
    }
    let long = format!("shared_key_env = 'k'\npassword_env = 'p'\nusername = '{}'", "x".repeat(256));
    assert_eq!(config(&long).unwrap().check(), Err(Unfit::LongUsername));
}
