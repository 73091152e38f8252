//! What becomes of a batch, with a receiver on loopback.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use picket_model::{Digest, Frame, FrameKind, now_nanos};
use proptest::prelude::*;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::super::{Config, RemoteWrite};
use super::receiver::{Prometheus, Received, Receiver, Reply, accepted};
use super::sample;
use crate::{Batch, Description, Forwarder as _, Link, MetricType, SendError, Sent};

/// A forwarder and its receiver.
struct Rig {
    forwarder: RemoteWrite,
    receiver: Receiver,
    _stop: watch::Sender<Option<Instant>>,
    _runtime: Runtime,
}

impl Rig {
    fn new(more: &str, script: impl FnMut(&Received) -> Reply + Send + 'static) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let receiver = Receiver::start(runtime.handle(), script);
        let config = format!(
            "url = 'http://127.0.0.1:{}/api/v1/write'\n{more}\n[http]\nproxy = 'none'",
            receiver.port
        );
        let config: Config = toml::from_str(&config).unwrap();
        let (stop, stopped) = watch::channel(None);
        let description =
            || vec![Description { name: "m".into(), kind: MetricType::Gauge, help: "A metric.".into() }];
        let link = Link::new(runtime.handle().clone(), "node", stopped).describing(description);
        Self {
            forwarder: RemoteWrite::new(&config, &link).unwrap(),
            receiver,
            _stop: stop,
            _runtime: runtime,
        }
    }

    /// Sends until the batch is done with; how often it failed, and what became of it.
    fn until_sent(&mut self, batch: &Batch) -> (usize, Sent) {
        for failures in 0..200 {
            match self.forwarder.send(batch) {
                Ok(sent) => return (failures, sent),
                Err(SendError::Later { .. }) => self.forwarder.resume(&[]).unwrap(),
                Err(error) => panic!("{error}"),
            }
        }
        panic!("the batch is never done with")
    }
}

/// Without metadata, with one shard.
const PLAIN: &str = "metadata_interval = '0s'\nshards = 1";

fn batch(frames: Vec<Frame>) -> Batch {
    Batch { id: Digest::of(format!("{frames:?}").as_bytes()), frames }
}

/// Later than the forwarder's start, whenever that was in this test.
fn soon() -> i64 {
    (now_nanos() / 1_000_000) as i64 + 60_000
}

fn refused(sent: &Sent) -> Vec<(usize, &str)> {
    sent.refused.iter().map(|refused| (refused.frame, refused.reason.as_str())).collect()
}

/// Samples of one series each.
fn many(count: usize, time: i64) -> Vec<Frame> {
    (0..count).map(|number| sample("m", &[("n", &number.to_string())], time, 1.0)).collect()
}

#[test]
fn a_batch_is_sent_with_the_headers_of_the_protocol_and_then_what_its_metrics_are() {
    let mut rig = Rig::new("", |_| accepted());
    assert!(rig.forwarder.wants(FrameKind::Sample) && !rig.forwarder.wants(FrameKind::Finding));
    assert_eq!(rig.forwarder.send(&batch(many(1, 5))), Ok(Sent::all()));
    let received = rig.receiver.received.lock().unwrap();
    let [samples, metadata] = &received[..] else { panic!("{received:?}") };
    for (name, value) in [
        ("content-encoding", "snappy"),
        ("content-type", "application/x-protobuf"),
        ("x-prometheus-remote-write-version", "0.1.0"),
    ] {
        assert_eq!(samples.headers[name], value);
    }
    assert!(samples.headers["user-agent"].to_str().unwrap().starts_with("picket/"));
    assert_eq!(samples.request.timeseries[0].samples[0].timestamp, 5);
    assert!(metadata.request.timeseries.is_empty());
    assert_eq!(metadata.request.metadata[0].metric_family_name, "m");
}

#[test]
fn the_label_instance_is_the_node_unless_it_is_said_or_there() {
    let url = "url = 'http://h/w'";
    let instance = |text: &str| {
        let config: Config = toml::from_str(&format!("{url}\n{text}")).unwrap();
        let select = crate::select::Select::new(&config.select("node-1")).unwrap();
        match select.apply(sample("up", &[], 1, 1.0)) {
            Some(Frame::Sample(sample)) => picket_relabel::value(&sample.labels, "instance").to_owned(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(instance(""), "node-1");
    assert_eq!(instance("select.labels.instance = 'other'"), "other");
    assert_eq!(instance("select.labels.instance = ''"), "");
    assert_eq!(instance("select.relabel = [{ action = 'labeldrop', regex = 'instance' }]"), "");
}

#[test]
fn the_probe_leaves_nothing_there_and_says_what_is_wrong() {
    let probe = |reply: Reply| {
        let mut rig = Rig::new(PLAIN, move |received| {
            assert_eq!(&received.body[..], [0]);
            reply.clone()
        });
        rig.forwarder.probe()
    };
    assert_eq!(probe(accepted()), Ok("takes remote write 1.0".to_owned()));
    for (status, body, remedy) in [
        (404, "remote write receiver needs to be enabled with --x\n", "--web.enable-remote-write-receiver"),
        (404, "404 page not found", "check the path"),
        (405, "Method Not Allowed", "check the path"),
        (400, "unsupported path requested: \"/x\"", "check the path"),
        (307, "", "redirects are not followed"),
        (401, "Unauthorized", "http.basic_auth"),
        (400, "Client sent an HTTP request to an HTTPS server.", "https://"),
        (415, "", "remote write 1.0"),
    ] {
        match probe(Reply::Says(status, body.to_owned())) {
            Err(SendError::Unusable { reason }) => assert!(reason.contains(remedy), "{reason}"),
            other => panic!("{status}: {other:?}"),
        }
    }
    assert!(matches!(probe(Reply::Says(503, String::new())), Err(SendError::Later { .. })));
}

#[test]
fn what_is_refused_is_found_alone_and_everything_else_arrives() {
    let store = Arc::new(Mutex::new(BTreeSet::new()));
    let kept = store.clone();
    let mut rig = Rig::new(PLAIN, move |received| {
        let labels = received.request.timeseries.iter().map(|series| series.labels[1].value.clone());
        let labels: Vec<String> = labels.collect();
        if labels.iter().any(|label| label == "7" || label == "300") {
            return Reply::Says(400, "invalid label\n".to_owned());
        }
        kept.lock().unwrap().extend(labels);
        accepted()
    });
    let (failures, sent) = rig.until_sent(&batch(many(500, 1)));
    assert_eq!(refused(&sent), [(7, "HTTP 400: invalid label"), (300, "HTTP 400: invalid label")]);
    assert_eq!((failures, store.lock().unwrap().len()), (0, 498));
    assert!(rig.receiver.sizes().len() < 45, "{:?}", rig.receiver.sizes());
}

#[test]
fn a_receiver_that_refuses_everything_does_not_hold_up_what_follows() {
    let mut rig = Rig::new(PLAIN, |received| match received.request.timeseries.is_empty() {
        true => accepted(),
        false => Reply::Says(400, "no\n".to_owned()),
    });
    let (_, sent) = rig.until_sent(&batch(many(3000, 1)));
    assert_eq!(sent.refused.len(), 3000);
    assert!(sent.refused.iter().enumerate().all(|(at, refused)| refused.frame == at));
    assert!(sent.refused[2999].reason.contains("other samples; too many"), "{:?}", sent.refused[2999]);
    assert!(rig.receiver.sizes().len() < 2100, "{}", rig.receiver.sizes().len());
}

#[test]
fn a_receiver_that_cannot_be_used_refuses_nothing() {
    for (status, body) in
        [(401, ""), (403, ""), (404, ""), (405, ""), (307, ""), (415, ""), (400, "unsupported path")]
    {
        let mut rig = Rig::new(PLAIN, move |_| Reply::Says(status, body.to_owned()));
        assert!(
            matches!(rig.forwarder.send(&batch(many(3, 1))), Err(SendError::Unusable { .. })),
            "{status}"
        );
        assert_eq!(rig.receiver.sizes(), [3, 0], "the batch, then an empty request");
    }
    let mut rig = Rig::new(PLAIN, |received| match received.request.timeseries.is_empty() {
        true => Reply::Says(503, String::new()),
        false => Reply::Says(400, String::new()),
    });
    assert!(matches!(rig.forwarder.send(&batch(many(3, 1))), Err(SendError::Later { .. })));
}

#[test]
fn a_refusal_of_one_content_with_a_strange_status_is_still_a_refusal() {
    let mut rig = Rig::new(PLAIN, |received| {
        let bad = received.request.timeseries.iter().any(|series| series.labels[1].value == "1");
        if bad { Reply::Says(403, "blocked".to_owned()) } else { accepted() }
    });
    let (_, sent) = rig.until_sent(&batch(many(3, 1)));
    assert_eq!(refused(&sent), [(1, "HTTP 403: blocked")]);
}

#[test]
fn a_busy_receiver_is_left_alone_as_long_as_it_wants() {
    let mut first = true;
    let mut rig = Rig::new(PLAIN, move |_| match std::mem::take(&mut first) {
        true => Reply::Busy(17),
        false => accepted(),
    });
    let batch = batch(many(2, 1));
    match rig.forwarder.send(&batch) {
        Err(SendError::Later { after, .. }) => assert_eq!(after, Some(Duration::from_secs(17))),
        other => panic!("{other:?}"),
    }
    assert_eq!(rig.forwarder.send(&batch), Ok(Sent::all()));
}

#[test]
fn what_was_accepted_of_a_batch_is_not_sent_again() {
    let mut number = 0;
    let mut rig = Rig::new("metadata_interval = '0s'\nshards = 1\nsamples_per_request = 10", move |_| {
        number += 1;
        if number == 3 { Reply::Says(503, String::new()) } else { accepted() }
    });
    let (failures, _) = rig.until_sent(&batch(many(45, 1)));
    assert_eq!((failures, rig.receiver.sizes()), (1, vec![10, 10, 10, 10, 10, 5]));
}

#[test]
fn a_repeat_whose_first_reply_was_lost_is_not_counted_as_refused() {
    let mut store = Prometheus::default();
    let mut lose = true;
    let mut rig = Rig::new(PLAIN, move |received| {
        let reply = store.write(&received.request);
        if std::mem::take(&mut lose) { Reply::Lost } else { reply }
    });
    let soon = soon();
    let frames = (0..20).map(|number| sample("m", &[("n", &(number % 4).to_string())], soon + number, 1.0));
    let (failures, sent) = rig.until_sent(&batch(frames.collect()));
    assert_eq!((failures, refused(&sent)), (1, vec![]));

    // With an answer the same words mean that it was not taken.
    let (_, sent) = rig.until_sent(&batch(vec![sample("m", &[("n", "1")], soon - 1, 1.0)]));
    assert_eq!(refused(&sent), [(0, "HTTP 400: out of order sample")]);
}

#[test]
fn what_may_have_been_handed_over_before_a_crash_is_not_counted_as_refused() {
    let store = Arc::new(Mutex::new(Prometheus::default()));
    let now = (now_nanos() / 1_000_000) as i64 - 60_000;
    let frames = batch((0..20).map(|number| sample("m", &[], now + number, 1.0)).collect());
    for _ in 0..2 {
        let store = store.clone();
        let mut rig = Rig::new(PLAIN, move |received| store.lock().unwrap().write(&received.request));
        assert_eq!(refused(&rig.until_sent(&frames).1), []);
    }
    assert_eq!(store.lock().unwrap().stored.values().next().unwrap().len(), 20);
}

#[test]
fn what_is_new_after_a_crash_is_not_refused_with_what_was_handed_over_before() {
    let store = Arc::new(Mutex::new(Prometheus::default()));
    let before = (now_nanos() / 1_000_000) as i64 - 60_000;
    let old = (0..300).map(|number| sample("m", &[("n", &(number % 3).to_string())], before + number, 1.0));
    let old: Vec<Frame> = old.collect();
    let first = store.clone();
    let mut rig = Rig::new(PLAIN, move |received| first.lock().unwrap().write(&received.request));
    assert_eq!(refused(&rig.until_sent(&batch(old.clone())).1), []);
    let all: Vec<Frame> = old.into_iter().chain(many(5, soon())).collect();
    let kept = store.clone();
    let mut rig = Rig::new(PLAIN, move |received| kept.lock().unwrap().write(&received.request));
    assert_eq!(refused(&rig.until_sent(&batch(all)).1), []);
    assert_eq!(store.lock().unwrap().stored.values().map(Vec::len).sum::<usize>(), 305);
    let received = rig.receiver.received.lock().unwrap();
    for request in received.iter().map(|received| &received.request) {
        let times = request.timeseries.iter().flat_map(|series| series.samples.iter().map(|at| at.timestamp));
        let new = times.filter(|time| *time > before + 300).count();
        assert!(new == 0 || new == 5, "{request:?}");
    }
}

#[test]
fn repeats_do_not_use_up_the_halvings_of_bad_samples() {
    let mut rig = Rig::new(PLAIN, |received| {
        let mut labels = received.request.timeseries.iter().map(|series| series.labels[1].value.as_str());
        match labels.next() {
            None => accepted(),
            Some("bad") => Reply::Says(400, "invalid label\n".to_owned()),
            Some(_) => Reply::Says(400, "out of order sample\n".to_owned()),
        }
    });
    let count = 1200;
    let mut frames = many(count, 1);
    frames.push(sample("m", &[("n", "bad")], 2, 1.0));
    let (_, sent) = rig.until_sent(&batch(frames));
    assert_eq!(refused(&sent), [(count, "HTTP 400: invalid label")]);
}

#[test]
fn what_is_too_far_in_the_future_or_young_takes_nothing_older_with_it() {
    let now = (now_nanos() / 1_000_000) as i64;
    for (words, time) in [
        ("out of bounds: timestamp is too far in the future", now - 7_200_000),
        ("out of bounds", now - 60_000),
    ] {
        let store = Arc::new(Mutex::new(0));
        let kept = store.clone();
        let mut rig = Rig::new(PLAIN, move |received| {
            let series = &received.request.timeseries;
            if series.iter().any(|series| series.labels[1].value == "0") {
                return Reply::Says(400, format!("{words}\n"));
            }
            *kept.lock().unwrap() += series.len();
            accepted()
        });
        let (_, sent) = rig.until_sent(&batch(many(100, time)));
        assert_eq!(refused(&sent), [(0, &*format!("HTTP 400: {words}"))]);
        assert_eq!(*store.lock().unwrap(), 99);
    }
}

#[test]
fn of_a_backlog_that_is_partly_too_old_the_rest_arrives() {
    let store = Arc::new(Mutex::new(Prometheus::default()));
    let kept = store.clone();
    let mut rig =
        Rig::new("metadata_interval = '0s'", move |received| kept.lock().unwrap().write(&received.request));
    let now = (now_nanos() / 1_000_000) as i64;
    rig.until_sent(&batch(vec![sample("other", &[], now, 1.0)]));
    // Two hours, a sample a minute, of fifty series; the last hour can still be stored.
    let backlog = (0..120).flat_map(|minute| {
        let time = now - 7_200_000 + minute * 60_000;
        (0..50).map(move |series| sample("m", &[("n", &series.to_string())], time, 1.0))
    });
    let before = rig.receiver.sizes().len();
    let (_, sent) = rig.until_sent(&batch(backlog.collect()));
    assert_eq!(
        refused(&sent).iter().map(|(frame, _)| *frame).collect::<Vec<_>>(),
        (0..3000).collect::<Vec<_>>()
    );
    assert!(refused(&sent).iter().all(|(_, reason)| *reason == "HTTP 400: out of bounds"));
    let stored: usize = store.lock().unwrap().stored.values().map(Vec::len).sum();
    assert_eq!(stored, 3001);
    let requests = rig.receiver.sizes().len() - before;
    // Each of four shards finds each of sixty minutes out; tried alone, three thousand samples would take six thousand.
    assert!(requests < 700, "{requests}");
}

#[test]
fn words_that_sound_final_are_believed_after_some_attempts() {
    let old = |received: &Received| {
        received.request.timeseries.iter().any(|series| series.samples[0].timestamp < 5)
    };
    let mut rig = Rig::new(PLAIN, move |received| match old(received) {
        true => Reply::Says(500, "too old sample\n".to_owned()),
        false => accepted(),
    });
    let with_old = |name: &str| {
        let mut frames = many(30, 9);
        frames.push(sample(name, &[("n", "x")], 1, 1.0));
        batch(frames)
    };
    let (failures, sent) = rig.until_sent(&with_old("a"));
    assert_eq!((failures, refused(&sent)), (4, vec![(30, "HTTP 500: too old sample")]));
    let (failures, sent) = rig.until_sent(&with_old("b"));
    assert_eq!((failures, refused(&sent)), (0, vec![(30, "HTTP 500: too old sample")]), "it is known by now");

    let mut full = 20;
    let mut rig = Rig::new(PLAIN, move |_| {
        full -= 1;
        if full > 0 {
            Reply::Says(500, "write to WAL: no space left on device".to_owned())
        } else {
            accepted()
        }
    });
    let (failures, sent) = rig.until_sent(&batch(many(3, 1)));
    assert_eq!((failures, refused(&sent)), (19, vec![]));
}

#[test]
fn another_batch_after_a_failure_is_begun_anew() {
    let mut first = true;
    let mut rig = Rig::new(PLAIN, move |_| match std::mem::take(&mut first) {
        true => Reply::Says(503, String::new()),
        false => accepted(),
    });
    assert!(rig.forwarder.send(&batch(many(2, 1))).is_err());
    assert_eq!(rig.forwarder.send(&batch(many(3, 1))), Ok(Sent::all()));
    assert_eq!(rig.receiver.sizes(), [2, 3]);
}

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    Busy,
    LostBefore,
    LostAfter,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever goes wrong on the way to a receiver with Prometheus' rules: at the end it has each sample, and a
    /// request is repeated only if its reply was lost.
    #[test]
    fn every_sample_arrives(
        wanted in prop::collection::vec((0..5_u8, 0..200_i64), 1..80),
        faults in prop::collection::vec(prop_oneof![
            2 => Just(Fault::None), 1 => Just(Fault::Busy), 1 => Just(Fault::LostBefore), 1 => Just(Fault::LostAfter)
        ], 0..12),
        shards in 1..4_u32,
    ) {
        let store = Arc::new(Mutex::new(Prometheus::default()));
        let (kept, mut faults) = (store.clone(), faults.into_iter());
        let answered = Arc::new(Mutex::new(BTreeMap::<Vec<u8>, usize>::new()));
        let counted = answered.clone();
        let settings = format!("metadata_interval = '0s'\nshards = {shards}\nsamples_per_request = 7");
        let mut rig = Rig::new(&settings, move |received| match faults.next().unwrap_or(Fault::None) {
            Fault::Busy => Reply::Says(503, String::new()),
            Fault::LostBefore => Reply::Lost,
            Fault::LostAfter => {
                kept.lock().unwrap().write(&received.request);
                Reply::Lost
            }
            Fault::None => {
                let reply = kept.lock().unwrap().write(&received.request);
                if matches!(reply, Reply::Says(204, _)) && received.body.len() > 1 {
                    *counted.lock().unwrap().entry(received.body.to_vec()).or_default() += 1;
                }
                reply
            }
        });
        let soon = soon();
        let frames = wanted.iter().map(|(series, time)| sample("m", &[("s", &series.to_string())], soon + time, 1.0));
        let (_, sent) = rig.until_sent(&batch(frames.collect()));
        prop_assert_eq!(refused(&sent), vec![]);
        let store = store.lock().unwrap();
        let stored: BTreeSet<(u8, i64)> = store.stored.iter().flat_map(|(labels, samples)| {
            let series: u8 = labels[1].value.parse().unwrap();
            samples.iter().map(move |(time, _)| (series, time - soon))
        }).collect();
        prop_assert_eq!(stored, wanted.into_iter().collect::<BTreeSet<_>>());
        prop_assert!(answered.lock().unwrap().values().all(|times| *times == 1));
    }
}
