//! The harness' real receivers and the trouble before them do what other scenarios take for granted. No agent
//! runs here; what is sent is put together by hand.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use picket_tests::servers::{
    Alertmanager, Counts, Fault, Flaky, Fluent, Hook, Nobody, Otlp, Prometheus, Server, Tls, VictoriaMetrics,
    Web, need,
};
use picket_tests::until;
use serde_json::{Value, json};

/// A protobuf field that holds bytes; short ones, so that the length is one byte.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

fn varint(mut whole: u64) -> Vec<u8> {
    let mut encoded = Vec::new();
    while whole > 127 {
        encoded.push(whole as u8 | 128);
        whole >>= 7;
    }
    encoded.push(whole as u8);
    encoded
}

/// Remote write of one sample, in snappy's form for bytes that are not compressed.
fn sample(name: &str, time: u64, value: f64) -> Vec<u8> {
    let label = [field(1, b"__name__"), field(2, name.as_bytes())].concat();
    let sample = [&[1 << 3 | 1], &value.to_le_bytes()[..], &[2 << 3], &varint(time)].concat();
    let request = field(1, &[field(1, &label), field(2, &sample)].concat());
    let length = u8::try_from(request.len()).unwrap();
    assert!(length <= 60, "snappy writes longer pieces in another way");
    [&[length, (length - 1) << 2], &request[..]].concat()
}

/// Milliseconds since 1970.
fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Sends a request of remote write; the answer's status, none without one.
fn write(web: &Web, body: &[u8]) -> Option<u16> {
    let headers = [("Content-Encoding", "snappy"), ("Content-Type", "application/x-protobuf")];
    web.post("/api/v1/write", &headers, body).map(|answer| answer.status)
}

/// One zero byte: nothing at all, compressed.
const EMPTY: &[u8] = &[0];

#[test]
fn prometheus_takes_samples_and_gives_them_back_also_after_it_was_killed() {
    if !need(&[Server::Prometheus]) {
        return;
    }
    let mut prometheus = Prometheus::start();
    let web = prometheus.web().clone();
    assert_eq!(write(&web, EMPTY), Some(204));
    let time = now();
    assert_eq!(prometheus.count("taken"), 0);
    assert_eq!(write(&web, &sample("taken", time - 1000, 1.5)), Some(204));
    assert_eq!(write(&web, &sample("taken", time, 2.5)), Some(204));
    assert_eq!(write(&web, &sample("taken", time - 500, 2.0)), Some(400), "it is out of order");

    prometheus.kill();
    assert_eq!(write(&web, EMPTY), None, "nobody listens");
    prometheus.launch();
    prometheus.until_count("taken", 2);
    let series = prometheus.raw_samples("{__name__=\"taken\"}");
    let time = i64::try_from(time).unwrap();
    assert_eq!(series.len(), 1);
    assert_eq!((series[0].label("__name__"), series[0].repeats()), ("taken", 0));
    assert_eq!(series[0].samples, [(time - 1000, 1.5), (time, 2.5)]);
    assert_eq!(prometheus.query("vector(1) + 1", None)[0]["value"][1], "2");
    assert_eq!(prometheus.metric("prometheus_tsdb_head_series"), 1.0);
}

#[test]
fn prometheus_with_a_window_takes_samples_out_of_order() {
    if !need(&[Server::Prometheus]) {
        return;
    }
    let prometheus = Prometheus::builder().out_of_order("2h").start();
    let time = now();
    assert_eq!(write(prometheus.web(), &sample("late", time, 2.0)), Some(204));
    assert_eq!(write(prometheus.web(), &sample("late", time - 60_000, 1.0)), Some(204));
    prometheus.until_count("late", 2);
}

#[test]
fn secured_servers_demand_what_they_are_set_to() {
    if !need(&[Server::Prometheus, Server::Alertmanager, Server::VictoriaMetrics, Server::Tls]) {
        return;
    }
    let (tls, other) = (Tls::make(), Tls::make());
    let open = Prometheus::builder().tls(&tls).start();
    let closed = Prometheus::builder().client_certificate(&tls).start();
    for prometheus in [&open, &closed] {
        assert!(prometheus.write_url().starts_with("https://127.0.0.1:"));
        assert_eq!(write(prometheus.web(), EMPTY), Some(204));
        assert_eq!(write(&Web::new(prometheus.address()), EMPTY), Some(400), "it is no TLS");
        assert_eq!(
            write(&Web::secured(prometheus.address(), &other), EMPTY),
            None,
            "the authority is another"
        );
    }
    let victoria = VictoriaMetrics::secured(&tls);
    assert_eq!(write(victoria.web(), EMPTY), Some(204));
    assert_eq!(victoria.count("{__name__!=\"\"}"), 0);
    let alertmanager = Alertmanager::secured(&tls, true);
    assert!(alertmanager.alerts(&[]).is_empty());
    alertmanager.amtool(&["alert", "query", "--output", "json"]).expect(0, &["[]"]);
}

#[test]
fn victoria_metrics_keeps_repeats_and_says_when_it_cannot_write() {
    if !need(&[Server::VictoriaMetrics]) {
        return;
    }
    let mut victoria = VictoriaMetrics::start();
    let web = victoria.web().clone();
    let time = now();
    let repeated = sample("repeated", time, 1.0);
    assert_eq!(write(&web, EMPTY), Some(204));
    assert_eq!(write(&web, &repeated), Some(204));
    assert_eq!(write(&web, &repeated), Some(204));
    victoria.until_count("repeated", 2);
    assert_eq!(victoria.export("repeated")[0].repeats(), 1);

    victoria.stop();
    victoria.launch(&[VictoriaMetrics::READ_ONLY]);
    until("it notices that its disk is full", || (write(&web, &repeated) == Some(503)).then_some(()));
    victoria.stop();
    victoria.launch(&[]);
    assert_eq!(write(&web, &sample("repeated", time + 1, 2.0)), Some(204));
    let series = &victoria.export("repeated")[0];
    assert!(series.repeats() >= 1, "{series:?}");
    assert_eq!(series.samples.last(), Some(&(i64::try_from(time).unwrap() + 1, 2.0)));
    assert_eq!(victoria.metric("vm_rows_inserted_total{type=\"promremotewrite\"}"), 1.0);
}

/// Posts one alert that ends at a time.
fn post(alertmanager: &Alertmanager, ends_at: &str) {
    let alert = json!([{ "labels": { "alertname": "Late", "job": "x" }, "endsAt": ends_at }]).to_string();
    let headers = [("Content-Type", "application/json")];
    let answer = alertmanager.web().post("/api/v2/alerts", &headers, alert.as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[test]
fn alertmanager_shows_what_fires_and_notifies_of_what_is_resolved() {
    if !need(&[Server::Alertmanager]) {
        return;
    }
    let alertmanager = Alertmanager::start();
    let headers = [("Content-Type", "application/json")];
    assert_eq!(alertmanager.web().post("/api/v2/alerts", &headers, b"[]").unwrap().status, 200);
    assert!(alertmanager.alerts(&[]).is_empty());

    post(&alertmanager, "2099-01-01T00:00:00Z");
    let alerts = alertmanager.alerts(&["alertname=\"Late\"", "job=~\"x|y\""]);
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0]["labels"]["job"], "x");
    assert!(alertmanager.alerts(&["job=\"y\""]).is_empty());
    let query = alertmanager.amtool(&["alert", "query", "--output", "json", "alertname=Late"]);
    assert_eq!(query.json()[0]["labels"]["alertname"], "Late", "{query:?}");
    let has = |status| alertmanager.notifications().iter().any(|alert| alert["status"] == status);
    until("the alert is notified of", || has("firing").then_some(()));

    post(&alertmanager, "2020-01-01T00:00:00Z");
    assert!(alertmanager.alerts(&[]).is_empty());
    until("its end is notified of", || has("resolved").then_some(()));
    assert_eq!((alertmanager.received("firing"), alertmanager.received("resolved")), (1.0, 1.0));
}

/// A message of the Forward protocol with one event, that asks for the acknowledgement of `c1`.
const MESSAGE: &[u8] = b"\x94\xa5a.tag\x01\x81\xa1k\xa1v\x81\xa5chunk\xa2c1";

/// The answer to it.
const ACK: &[u8] = b"\x81\xa3ack\xa2c1";

/// What comes back for a message until it ends or has `length` bytes.
fn answer(mut stream: impl Read + Write, message: &[u8], length: usize) -> Vec<u8> {
    let mut answer = Vec::new();
    // Whoever refuses may close before it has read, and close as it likes.
    let _ = stream.write_all(message).and_then(|()| stream.flush());
    let _ = stream.take(length as u64).read_to_end(&mut answer);
    answer
}

/// The same over a new connection.
fn forward(fluent: &Fluent, message: &[u8], length: usize) -> Vec<u8> {
    let stream = TcpStream::connect(fluent.address()).unwrap();
    stream.set_read_timeout(Some(picket_tests::HOPELESS)).unwrap();
    answer(stream, message, length)
}

#[test]
fn the_forward_server_acknowledges_what_it_takes_unless_it_is_told_not_to() {
    if !need(&[Server::Fluent]) {
        return;
    }
    let mut fluent = Fluent::start();
    assert_eq!(forward(&fluent, MESSAGE, ACK.len()), ACK);
    fluent.until_count(1);
    let event =
        json!({ "tag": "a.tag", "time": 1, "record": { "k": "v" }, "chunk": "c1", "mode": "Message" });
    assert_eq!(fluent.events(), [event]);
    assert_eq!(fluent.messages()[0]["acked"], true);

    fluent.tell("reset-after 1");
    assert_eq!(forward(&fluent, MESSAGE, ACK.len()), b"");
    fluent.until_count(2);
    assert_eq!(fluent.messages()[1]["acked"], false);

    fluent.kill();
    assert!(TcpStream::connect(fluent.address()).is_err());
    fluent.launch();
    assert_eq!(forward(&fluent, MESSAGE, ACK.len()), ACK);
    fluent.until_count(3);
}

#[test]
fn the_forward_server_with_a_key_speaks_first() {
    if !need(&[Server::Fluent, Server::Tls]) {
        return;
    }
    let fluent = Fluent::builder().shared_key("key").user().start();
    assert_eq!(forward(&fluent, b"", 6), b"\x92\xa4HELO");
    assert!(fluent.events().is_empty());
}

#[test]
fn the_forward_server_with_tls_knows_its_clients() {
    if !need(&[Server::Fluent, Server::Tls]) {
        return;
    }
    let (tls, other) = (Tls::make(), Tls::make());
    let fluent = Fluent::builder().client_certificate(&tls).start();
    let connect = || TcpStream::connect(fluent.address()).unwrap();
    assert_ne!(forward(&fluent, MESSAGE, ACK.len()), ACK, "it is no TLS");
    assert_eq!(answer(other.over(connect()), MESSAGE, ACK.len()), b"", "the authority is another");
    assert_eq!(answer(tls.over(connect()), MESSAGE, ACK.len()), ACK);
    fluent.until_count(1);
}

/// An OTLP request with log records of one word each.
fn records(words: &[&str]) -> Vec<u8> {
    let record = |word: &&str| field(2, &field(5, &field(1, word.as_bytes())));
    field(1, &field(2, &words.iter().flat_map(record).collect::<Vec<u8>>()))
}

#[test]
fn the_otlp_server_decodes_and_answers_as_planned() {
    if !need(&[Server::Otlp]) {
        return;
    }
    let mut otlp = Otlp::builder().bearer("token").start();
    let headers = [("Content-Type", "application/x-protobuf"), ("Authorization", "Bearer token")];
    let post = |body: &[u8]| otlp.web().post("/v1/logs", &headers, body);
    assert_eq!(post(b"").unwrap().status, 200);
    assert_eq!(otlp.web().post("/v1/logs", &headers[..1], b"").unwrap().status, 401);
    assert_eq!(post(b"\xff\xff").unwrap().status, 400);
    assert_eq!(otlp.web().post("/v1/wrong", &headers, b"").unwrap().status, 404);

    let steps = json!([
        { "do": "status", "code": 429, "retry_after": 2 },
        { "do": "reset" },
        { "do": "lost", "for": "/v1/logs" },
        { "do": "partial", "rejected": 1, "message": "no" },
    ]);
    otlp.plan(&steps);
    let post = |body: &[u8]| otlp.web().post("/v1/logs", &headers, body);
    let slow = post(&records(&["slow"])).unwrap();
    assert_eq!((slow.status, slow.header("retry-after")), (429, Some("2")));
    assert!(post(&records(&["reset"])).is_none());
    assert!(post(&records(&["lost"])).is_none());
    let partial = post(&records(&["refused", "taken"])).unwrap();
    assert_eq!((partial.status, partial.body.as_str()), (200, "\n\x06\x08\x01\x12\x02no"));
    otlp.until_count("log", 2);
    let bodies: Vec<Value> = otlp.logs().iter().map(|record| record["body"].clone()).collect();
    assert_eq!(bodies, ["lost", "taken"]);
    assert_eq!(otlp.requests().last().unwrap()["rejected"], 1);
    assert!(otlp.points().is_empty());

    otlp.kill();
    otlp.launch();
    assert_eq!(otlp.web().post("/v1/metrics", &headers, b"").unwrap().status, 200);
    assert_eq!(otlp.count("log"), 2, "what arrived before is still known");
}

/// Posts to a server; the answer's status, none without one.
fn status(flaky: &Flaky, body: &[u8]) -> Option<u16> {
    Web::new(flaky.address()).post("/path?query", &[("X-Mine", "yes")], body).map(|answer| answer.status)
}

#[test]
fn the_flaky_proxy_makes_each_kind_of_trouble_and_counts_it() {
    let hook = Hook::start();
    let flaky = Flaky::http(hook.address());
    assert_eq!(status(&flaky, b"one"), Some(200));
    let arrived = hook.requests();
    assert_eq!((arrived[0].path.as_str(), &arrived[0].body[..]), ("/path?query", &b"one"[..]));
    assert_eq!(arrived[0].headers["x-mine"], "yes");

    flaky.once(&[Fault::Answer(429, Some("7")), Fault::Answer(503, None), Fault::Reset, Fault::Reset]);
    let told = Web::new(flaky.address()).post("/", &[], b"two").unwrap();
    assert_eq!((told.status, told.header("retry-after")), (429, Some("7")));
    assert_eq!(status(&flaky, b"two"), Some(503));
    assert_eq!(status(&flaky, b"two"), None);
    assert_eq!(status(&flaky, &vec![2; 1 << 20]), None, "reset in the middle of it");
    assert_eq!(hook.requests().len(), 1, "nothing of that went on");

    flaky.once(&[Fault::LoseReply]);
    assert_eq!(status(&flaky, b"three"), None);
    assert_eq!(hook.requests()[1].body, b"three", "it was accepted all the same");
    assert_eq!(flaky.lost_bodies(), [b"three"]);
    hook.answer(400);
    flaky.once(&[Fault::LoseReply]);
    assert_eq!(status(&flaky, b"four"), Some(400), "a refusal comes back");

    let expected = Counts { begun: 7, passed: 2, answered: 2, resets: 2, lost: 1, unreachable: 0 };
    assert_eq!(flaky.counts(), expected);
}

#[test]
fn the_flaky_proxy_repeats_its_faults_in_turn() {
    let hook = Hook::start();
    let flaky = Flaky::http(hook.address());
    flaky.repeat(&[Fault::Pass, Fault::Answer(503, None)]);
    flaky.once(&[Fault::Answer(429, None)]);
    let got: Vec<_> = (0..5).map(|_| status(&flaky, b"").unwrap()).collect();
    assert_eq!(got, [429, 200, 503, 200, 503]);
    flaky.repeat(&[Fault::Delay(Duration::from_millis(200))]);
    let begun = Instant::now();
    assert_eq!(status(&flaky, b""), Some(200));
    assert!(begun.elapsed() >= Duration::from_millis(200));
}

#[test]
fn the_flaky_proxy_refuses_at_the_same_address_and_comes_back() {
    let hook = Hook::start();
    let flaky = Flaky::http(hook.address());
    let mut open = TcpStream::connect(flaky.address()).unwrap();
    assert_eq!(status(&flaky, b""), Some(200));
    flaky.refuse();
    let refused = TcpStream::connect(flaky.address()).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(matches!(open.read(&mut [0]), Ok(0) | Err(_)), "what was open is closed");
    flaky.refuse();
    flaky.allow();
    assert_eq!(status(&flaky, b""), Some(200));
    flaky.allow();
    assert_eq!(status(&flaky, b""), Some(200));
}

#[test]
fn a_receiver_that_is_away_behind_the_proxy_is_counted() {
    let nobody = Nobody::reserve();
    assert!(TcpStream::connect(nobody.address()).is_err());
    let flaky = Flaky::http(nobody.address());
    assert_eq!(status(&flaky, b""), None);
    assert_eq!(flaky.counts().unreachable, 1);
}

#[test]
fn a_sender_that_goes_away_has_lost_its_reply() {
    let hook = Hook::start();
    let slow = Flaky::http(hook.address());
    let flaky = Flaky::http(slow.address());
    slow.repeat(&[Fault::Delay(Duration::from_millis(100))]);
    let mut sent = 0;
    // On a busy machine the reply may be written before it is seen that nobody reads it.
    until("a reply is lost", || {
        let mut sender = TcpStream::connect(flaky.address()).unwrap();
        sender.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nbye").unwrap();
        sent += 1;
        until("the request is on its way", || (slow.counts().begun == sent).then_some(()));
        drop(sender);
        let ended = || flaky.counts().passed + flaky.counts().lost;
        until("its reply is there", || (ended() == sent).then_some(()));
        (flaky.counts().lost > 0).then_some(())
    });
    assert!(flaky.lost_bodies().iter().all(|body| body == b"bye"));
    assert_eq!(hook.requests().len() as u64, sent, "the receiver got it all the same");
}

#[test]
fn bytes_of_any_protocol_pass_and_are_reset() {
    let hook = Hook::start();
    let flaky = Flaky::tcp(hook.address());
    assert_eq!(status(&flaky, b"one"), Some(200));
    flaky.once(&[Fault::Reset, Fault::LoseReply]);
    assert_eq!(status(&flaky, b"two"), None);
    assert_eq!(hook.requests().len(), 1);
    assert_eq!(status(&flaky, b"three"), None);
    assert_eq!(hook.requests()[1].body, b"three");
    assert_eq!(status(&flaky, b"four"), Some(200));
    until("all are counted", || (flaky.counts().passed == 2).then_some(()));
    assert_eq!((flaky.counts().resets, flaky.counts().lost), (1, 1));
    flaky.refuse();
    assert_eq!(status(&flaky, b"five"), None);
}
