//! The `otlp` forwarder: what stands in its requests, and what it makes of a receiver's answers.
#![allow(clippy::unwrap_used, reason = "tests")]

mod messages;
mod receiver;

use std::time::Duration;

use picket_http::Compression;
use picket_model::{Digest, Frame, FrameKind, Label, Sample};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::*;
use crate::file::tests::examples;
use crate::{Batch, Forwarder as _, Link, Refused, SendError, Sent, Unnamed};
use receiver::{Answer, Receiver};

/// A forwarder that sends to a receiver, and the runtime that it needs.
fn forwarder(receiver: &Receiver, change: impl FnOnce(&mut Config)) -> (OtlpForwarder, Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (_, stop) = watch::channel(None);
    let link = Link::new(runtime.handle().clone(), "node-7", stop);
    let mut config = Config::new(receiver.url().parse().unwrap());
    config.http.proxy = Some("none".into());
    change(&mut config);
    (OtlpForwarder::new(config, &link).unwrap(), runtime)
}

fn batch(frames: Vec<Frame>) -> Batch {
    Batch { id: Digest::of(b"one"), frames }
}

fn sample(name: &str, value: f64) -> Frame {
    let labels = vec![Label { name: "cpu".into(), value: "0".into() }];
    Frame::Sample(Sample { name: name.into(), labels, time: 7, value })
}

#[test]
fn logs_and_samples_arrive_each_where_they_belong() {
    for compression in [Compression::Gzip, Compression::None] {
        let receiver = Receiver::start(vec![]);
        let (mut forwarder, _runtime) = forwarder(&receiver, |config| config.compression = compression);
        assert_eq!(forwarder.send(&batch(examples())), Ok(Sent::all()));
        let seen = receiver.seen();
        assert_eq!(
            seen.iter().map(|seen| &*seen.path).collect::<Vec<_>>(),
            ["/base/v1/logs", "/base/v1/metrics"]
        );
        assert!(seen.iter().all(|seen| seen.content_type == "application/x-protobuf"));
        assert!(seen.iter().all(|seen| seen.is_gzip == (compression == Compression::Gzip)));
        assert_eq!(seen[0].logs().len() + seen[1].points(), examples().len());
    }
}

#[test]
fn what_was_accepted_is_not_sent_again_after_a_failure() {
    let busy = Answer::status(503).after(7);
    let receiver = Receiver::start(vec![Answer::ok(), busy, Answer::lost()]);
    let (mut forwarder, _runtime) = forwarder(&receiver, |_| ());
    let batch = batch(examples());
    let Err(SendError::Later { reason, after }) = forwarder.send(&batch) else { panic!("it was busy") };
    assert!(reason.contains("/v1/metrics answered HTTP 503"), "{reason}");
    assert_eq!(after, Some(Duration::from_secs(7)));
    assert!(matches!(forwarder.send(&batch), Err(SendError::Later { .. })));
    assert_eq!(forwarder.send(&batch), Ok(Sent::all()));
    let paths: Vec<_> = receiver.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/base/v1/logs", "/base/v1/metrics", "/base/v1/metrics", "/base/v1/metrics"]);
}

#[test]
fn another_batch_begins_anew() {
    let receiver = Receiver::start(vec![Answer::ok(), Answer::status(429)]);
    let (mut forwarder, _runtime) = forwarder(&receiver, |_| ());
    assert!(forwarder.send(&batch(examples())).is_err());
    let other = Batch { id: Digest::of(b"other"), frames: examples() };
    assert_eq!(forwarder.send(&other), Ok(Sent::all()));
    assert_eq!(receiver.seen().len(), 4);
}

#[test]
fn a_partial_success_is_not_sent_again_and_says_how_many_were_refused() {
    let receiver = Receiver::start(vec![Answer::partial(2, "no room"), Answer::partial(99, "")]);
    let (mut forwarder, _runtime) = forwarder(&receiver, |_| ());
    let sent = forwarder.send(&batch(examples())).unwrap();
    assert_eq!(sent.refused, []);
    let unnamed = |count, reason: &str| Unnamed { count, reason: reason.into() };
    // Three samples were sent, and more cannot be refused.
    assert_eq!(sent.refused_unnamed, [unnamed(2, "no room"), unnamed(3, "no reason was given")]);
    assert_eq!(receiver.seen().len(), 2);
}

#[test]
fn a_warning_and_strange_words_are_no_refusal() {
    let answers = vec![Answer::partial(0, "deprecated"), Answer::body("application/x-protobuf", b"\xff\xff")];
    let receiver = Receiver::start(answers);
    let (mut forwarder, _runtime) = forwarder(&receiver, |_| ());
    assert_eq!(forwarder.send(&batch(examples())), Ok(Sent::all()));
}

#[test]
fn what_is_final_is_refused_with_the_receivers_words_and_what_follows_is_sent() {
    for status in [400, 408, 422, 500, 501] {
        let receiver = Receiver::start(vec![Answer::status(status)]);
        let (mut forwarder, _runtime) = forwarder(&receiver, |_| ());
        let frames = vec![examples().remove(0), sample("a", 1.0)];
        let refused = vec![Refused { frame: 0, reason: format!("HTTP {status}: as told") }];
        assert_eq!(forwarder.send(&batch(frames)), Ok(Sent { refused, ..Sent::all() }));
        assert_eq!(receiver.seen().len(), 3, "the finding, an empty request, the sample");
    }
}

#[test]
fn what_is_too_large_for_the_receiver_is_halved_until_a_single_one_is_refused() {
    // Only requests with one data point other than the third are taken.
    let receiver = Receiver::judging(|seen| match seen.points() {
        1 if !seen.values().contains(&2.0) => Answer::ok(),
        _ => Answer::status(413),
    });
    let (mut forwarder, _runtime) = forwarder(&receiver, |_| ());
    let frames = (0..5).map(|at| sample("a", f64::from(at))).collect();
    let sent = forwarder.send(&batch(frames)).unwrap();
    assert_eq!(sent.refused, [Refused { frame: 2, reason: "HTTP 413: as told".into() }]);
    let taken: Vec<f64> =
        receiver.seen().iter().filter(|seen| seen.points() == 1).flat_map(|seen| seen.values()).collect();
    assert_eq!(taken, [0.0, 1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn a_batch_that_is_larger_than_a_request_goes_in_several() {
    let receiver = Receiver::start(vec![]);
    let (mut forwarder, _runtime) = forwarder(&receiver, |_| ());
    let frames = (0..6).map(|at| sample(&format!("{at}{}", "x".repeat(1 << 20)), 0.0)).collect();
    assert_eq!(forwarder.send(&batch(frames)), Ok(Sent::all()));
    let points: Vec<usize> = receiver.seen().iter().map(receiver::Seen::points).collect();
    assert_eq!(points, [3, 3]);
}

#[test]
fn a_wrong_password_or_path_refuses_nothing() {
    for status in [301, 400, 401, 403, 404, 405, 407, 415, 422] {
        let receiver = Receiver::judging(move |_| Answer::status(status));
        let (mut forwarder, _runtime) = forwarder(&receiver, |_| ());
        let Err(SendError::Unusable { reason }) = forwarder.send(&batch(examples())) else {
            panic!("{status}")
        };
        assert!(reason.contains(&format!("/base/v1/logs answered HTTP {status}: as told: ")), "{reason}");
        assert!(matches!(forwarder.probe(), Err(SendError::Unusable { .. })));
    }
}

#[test]
fn a_fault_of_the_receivers_own_refuses_nothing() {
    for status in [408, 500, 501, 599] {
        let receiver = Receiver::judging(move |_| Answer::status(status));
        let (mut forwarder, _runtime) = forwarder(&receiver, |_| ());
        assert!(matches!(forwarder.send(&batch(examples())), Err(SendError::Later { .. })), "{status}");
    }
}

#[test]
fn a_server_that_wants_tls_and_a_captive_portal_refuse_nothing() {
    let tls = b"Client sent an HTTP request to an HTTPS server.\n";
    let page = b"<html>Please log in</html>";
    for (status, content_type, body, expected) in [
        (400, "text/plain", &tls[..], "write `https://` in `url`"),
        (200, "text/html", &page[..], "no answer of OTLP: something before the receiver"),
    ] {
        let receiver = Receiver::judging(move |_| Answer::new(status, "", content_type, body));
        let (mut forwarder, _runtime) = forwarder(&receiver, |config| {
            config.url = format!("{}?key=hunter2", receiver.url()).parse().unwrap();
        });
        match forwarder.send(&batch(examples())) {
            Err(SendError::Unusable { reason }) => {
                assert!(reason.contains(expected) && !reason.contains("hunter2"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
    let receiver = Receiver::judging(|_| Answer::body("application/json", b"{\"partialSuccess\":{}}"));
    let (mut forwarder, _runtime) = forwarder(&receiver, |_| ());
    assert_eq!(forwarder.send(&batch(examples())), Ok(Sent::all()));
}

#[test]
fn what_is_refused_for_its_content_is_found_alone() {
    let receiver = Receiver::judging(|seen| match seen.values().contains(&77.0) {
        true => Answer::status(403),
        false => Answer::ok(),
    });
    let (mut forwarder, _runtime) = forwarder(&receiver, |_| ());
    let frames = (0..100).map(|at| sample("a", f64::from(at))).collect();
    let sent = forwarder.send(&batch(frames)).unwrap();
    assert_eq!(sent.refused, [Refused { frame: 77, reason: "HTTP 403: as told".into() }]);
    assert!(receiver.seen().len() < 30, "{}", receiver.seen().len());
}

#[test]
fn an_agent_that_stops_sends_nothing_more() {
    let receiver = Receiver::start(vec![]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (_stop, stopped) = watch::channel(Some(std::time::Instant::now()));
    let link = Link::new(runtime.handle().clone(), "node-7", stopped);
    let mut forwarder = OtlpForwarder::new(Config::new(receiver.url().parse().unwrap()), &link).unwrap();
    assert!(matches!(forwarder.send(&batch(examples())), Err(SendError::Later { .. })));
    assert_eq!(receiver.seen().len(), 0);
}

#[test]
fn a_receiver_that_takes_empty_requests_but_not_this_one_has_refused_it() {
    let receiver = Receiver::judging(|seen| match seen.body.is_empty() {
        true => Answer::ok(),
        false => Answer::status(403),
    });
    let (mut forwarder, _runtime) = forwarder(&receiver, |_| ());
    let sent = forwarder.send(&batch(examples())).unwrap();
    assert_eq!(sent.refused.len(), examples().len());
    assert!(sent.refused.iter().enumerate().all(|(at, refused)| refused.frame == at));
}

#[test]
fn a_probe_asks_both_services_and_leaves_nothing() {
    let receiver = Receiver::start(vec![]);
    let (mut forwarder, _runtime) = forwarder(&receiver, |_| ());
    assert_eq!(forwarder.probe(), Ok("an OTLP receiver that takes logs and metrics".into()));
    assert!(receiver.seen().iter().all(|seen| seen.body.is_empty()));
    assert_eq!(receiver.seen().len(), 2);
}

#[test]
fn a_receiver_that_is_away_is_waited_for() {
    let receiver = Receiver::start(vec![]);
    let (mut forwarder, _runtime) = forwarder(&receiver, |config| {
        config.url = "http://127.0.0.1:1".parse().unwrap();
    });
    assert!(matches!(forwarder.send(&batch(examples())), Err(SendError::Later { .. })));
    assert!(matches!(forwarder.probe(), Err(SendError::Later { .. })));
}

#[test]
fn only_the_url_is_needed_and_unknown_keys_are_errors() {
    let config: Config = toml::from_str("url = 'http://localhost:4318'").unwrap();
    assert_eq!(config, Config::new("http://localhost:4318".parse().unwrap()));
    assert!(config.includes(FrameKind::Sample));
    let text = "url = 'https://h/x'\ncompression = 'none'\nresource = { 'service.namespace' = 'edge' }\n[select]\ninclude = ['alert']";
    let config: Config = toml::from_str(text).unwrap();
    assert!(!config.includes(FrameKind::Sample) && config.includes(FrameKind::Alert));
    assert!(toml::from_str::<Config>("url = 'http://h'\nendpoint = 'x'").is_err());
    assert!(toml::from_str::<Config>("url = 'grpc://h'").is_err());
}
