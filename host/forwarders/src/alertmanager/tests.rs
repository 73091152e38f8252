//! The `alertmanager` forwarder against a server that answers as Alertmanager 0.25 was seen to.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use picket_model::{
    AlertEvent, AlertState, Digest, EventId, Finding, Frame, FrameKind, Label, Origin, Severity, now_nanos,
};
use proptest::prelude::*;
use serde_json::Value;

use super::encode::{Generator, GeneratorError, Pairs};
use super::kept::{Kept, Life, NoteError, Words};
use super::*;
use crate::tests::{Reply, Server, documented, link, nowhere};
use crate::{Batch, Forwarder, Refused, SendError, Sent};
use picket_http::Url;

const SECOND: u64 = 1_000_000_000;

fn labels(text: &str) -> Vec<Label> {
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    text.split(' ').filter_map(pair).map(|(name, value)| Label { name, value }).collect()
}

/// An alert that began a minute ago, in a state since half a minute.
fn event(state: AlertState, text: &str) -> AlertEvent {
    let digest = Digest::of(text.as_bytes());
    AlertEvent {
        id: EventId::derive(&digest, 0, &digest, state as u32),
        time: now_nanos() - 30 * SECOND,
        origin: Origin { plugin: "thresholds".into(), generation: digest },
        group: "disk".into(),
        rule: "disk-full".into(),
        state,
        labels: labels(text),
        annotations: labels("summary=full"),
        value: 1.0,
        active_since: now_nanos() - 60 * SECOND,
        silenced_by: None,
    }
}

fn firing(text: &str) -> AlertEvent {
    event(AlertState::Firing, text)
}

fn resolved(text: &str) -> AlertEvent {
    event(AlertState::Resolved, text)
}

fn batch(events: impl IntoIterator<Item = AlertEvent>) -> Batch {
    let frames: Vec<Frame> = events.into_iter().map(Frame::Alert).collect();
    Batch { id: Digest::of(&rmp_serde::to_vec(&frames).unwrap()), frames }
}

/// Answers like Alertmanager 0.25: an alert with a label `bad` is refused, others of its request are taken.
fn alertmanager() -> Server {
    Server::start(|seen, _| {
        Some(match (seen.method.as_str(), seen.path.as_str()) {
            ("GET", "/api/v2/status") => Reply::new(200, r#"{"versionInfo":{"version":"0.25.0"}}"#),
            ("POST", "/api/v2/alerts") if seen.header("content-type") != "application/json" => {
                Reply::new(415, r#"{"code":415}"#)
            }
            ("POST", "/api/v2/alerts") => {
                let bad = |alert: &Value| alert["labels"].get("bad").is_some();
                match seen.json().as_array().unwrap().iter().any(bad) {
                    true => Reply::new(400, "\"invalid label set\"\n"),
                    false => Reply::new(200, ""),
                }
            }
            _ => Reply::new(404, r#"{"code":404,"message":"path was not found"}"#),
        })
    })
}

fn forwarder(urls: Vec<Url>) -> AlertmanagerForwarder {
    AlertmanagerForwarder::new(&Config::new(urls), &link()).unwrap()
}

/// The alerts that came in, in order, as `label` and whether they fire.
fn told(server: &Server, label: &str) -> Vec<(String, bool)> {
    let requests = server.take().into_iter().filter(|seen| seen.path == "/api/v2/alerts");
    let alerts = requests.flat_map(|seen| seen.json().as_array().unwrap().clone());
    let time = |alert: &Value, name: &str| alert[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    alerts
        .map(|alert| {
            assert!(time(&alert, "startsAt") <= time(&alert, "endsAt"), "{alert}");
            let name = alert["labels"][label].as_str().unwrap().to_owned();
            (name, time(&alert, "endsAt") > jiff::Timestamp::now())
        })
        .collect()
}

fn fires(name: &str) -> (String, bool) {
    (name.to_owned(), true)
}

fn ended(name: &str) -> (String, bool) {
    (name.to_owned(), false)
}

#[test]
fn an_alert_is_written_as_the_api_has_it() {
    let words = Words {
        node: "n1".into(),
        generator: "https://p/{plugin}?r={rule}".parse().ok(),
        valid_for: MINUTE * 4,
    };
    let mut event = firing("alertname=DiskFull mountpoint=/ empty=");
    (event.active_since, event.rule) = (1_763_654_640_000_000_000, "a b".into());
    let now = 1_763_654_940_250_000_000;
    let alert = Life::of(&event, now).unwrap().alert(&words, now);
    assert_eq!(
        std::str::from_utf8(&encode::body([&alert])).unwrap(),
        r#"[{"labels":{"alertname":"DiskFull","instance":"n1","mountpoint":"/"},"annotations":{"summary":"full"},"startsAt":"2025-11-20T16:04:00.000000000Z","endsAt":"2025-11-20T16:13:00.250000000Z","generatorURL":"https://p/thresholds?r=a%20b"}]"#
    );
}

const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);

#[test]
fn names_and_times_are_put_right() {
    let pairs = |text: &str| encode::labels(&labels(text), "rule", "n1");
    let expected =
        |text: &str| -> Pairs { labels(text).into_iter().map(|label| (label.name, label.value)).collect() };
    assert_eq!(
        pairs("a-b=1 a_b=2 1x=3 é=4 =5"),
        expected("a_b_=1 a_b=2 _1x=3 _=4 __=5 alertname=rule instance=n1")
    );
    assert_eq!(pairs("alertname=A instance=i"), expected("alertname=A instance=i"));
    assert_eq!(pairs("alertname= instance="), expected("alertname=rule instance=n1"));
    // A clock that was put back, and an end before the beginning.
    assert_eq!(encode::firing_times(9, 5, MINUTE * 4), (5, 5 + 240 * SECOND));
    assert_eq!(encode::resolved_times(9, 7, 8), (7, 7));
    assert_eq!(encode::resolved_times(1, 9, 8), (1, 8));
}

#[test]
fn a_generator_url_has_known_places_only() {
    let parsed = |text: &str| text.parse::<Generator>();
    let generator = parsed("http://x/{node}/{group}").unwrap();
    assert_eq!(generator.url("p", "{rule}/ü", "r", "n"), "http://x/n/%7Brule%7D%2F%C3%BC");
    assert_eq!(parsed("http://x/{nodes}"), Err(GeneratorError::Place("nodes".into())));
    for text in ["", "x", "/x", "http://", "http://{plugin"] {
        assert!(parsed(text).is_err(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_labels_are_called_the_form_is_right(given in prop::collection::vec((".{0,6}", ".{0,6}"), 0..12)) {
        let given: Vec<Label> = given.into_iter().map(|(name, value)| Label { name, value }).collect();
        let name = regex::Regex::new("^[a-zA-Z_][a-zA-Z0-9_]*$").unwrap();
        let labels = encode::labels(&given, "rule", "node");
        prop_assert!(labels.contains_key("alertname") && labels.contains_key("instance"));
        prop_assert!(labels.iter().all(|(key, value)| name.is_match(key) && !value.is_empty()));
        // No value is lost but empty ones and those of a repeated name.
        let values: BTreeMap<&str, ()> = given.iter().map(|label| (label.value.as_str(), ())).collect();
        prop_assert!(labels.values().all(|value| values.contains_key(value.as_str()) || value == "rule" || value == "node"));
    }

    /// A peer that fails now and then, and an agent that is restarted now and then.
    #[test]
    fn no_older_state_is_told_after_a_newer_one(steps in prop::collection::vec((0..3_u8, 0..6_u8), 1..25), fails in prop::collection::vec(any::<bool>(), 50)) {
        let taken = Server::start(move |_, number| (!fails.get(number).copied().unwrap_or(false)).then(|| Reply::new(200, "")));
        let mut forwarder = forwarder(vec![taken.url("")]);
        let mut note = Vec::new();
        let mut last = BTreeMap::new();
        for (number, (name, step)) in steps.into_iter().enumerate() {
            let text = format!("a={name}");
            let mut event = if step % 2 == 0 { firing(&text) } else { resolved(&text) };
            event.annotations = labels(&format!("number={number}"));
            last.insert(name.to_string(), (number as u64, event.state == AlertState::Firing));
            let batch = batch([event]);
            loop {
                if step >= 4 {
                    forwarder.due = Instant::now();
                }
                match forwarder.prepare().and_then(|_| forwarder.send(&batch)) {
                    Ok(sent) => break note = sent.note.unwrap(),
                    Err(_) => forwarder.resume(&note).unwrap(),
                }
            }
        }
        let mut newest: BTreeMap<String, (u64, bool)> = BTreeMap::new();
        for alert in taken.take().iter().flat_map(|seen| seen.json().as_array().unwrap().clone()) {
            let ends: jiff::Timestamp = alert["endsAt"].as_str().unwrap().parse().unwrap();
            let number = alert["annotations"]["number"].as_str().unwrap().parse().unwrap();
            let state = (number, ends > jiff::Timestamp::now());
            let before = newest.insert(alert["labels"]["a"].as_str().unwrap().to_owned(), state);
            prop_assert!(before.is_none_or(|before| before.0 <= number), "{:?} then {:?}", before, state);
        }
        prop_assert_eq!(newest, last);
    }

    #[test]
    fn a_note_reads_back_and_no_bytes_panic(names in prop::collection::vec(("[a-c]", any::<bool>()), 0..8), junk in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut kept = Kept::default();
        for (name, fires) in names {
            let event = if fires { firing(&format!("a={name}")) } else { resolved(&format!("a={name}")) };
            kept.put(Life::of(&event, now_nanos()).unwrap());
        }
        prop_assert_eq!(Kept::read(&kept.note()).unwrap(), kept);
        let _ = Kept::read(&junk);
    }
}

#[test]
fn every_peer_gets_the_last_state_of_each_alert_and_no_pending_one() {
    let (one, other) = (alertmanager(), alertmanager());
    let mut forwarder = forwarder(vec![one.url(""), other.url("/")]);
    assert!(forwarder.wants(FrameKind::Alert) && !forwarder.wants(FrameKind::Finding));
    let events = [firing("a=1"), event(AlertState::Pending, "a=2"), firing("a=3"), resolved("a=1")];
    let sent = forwarder.send(&batch(events)).unwrap();
    assert_eq!(sent.refused, []);
    for server in [one, other] {
        let seen = told(&server, "a");
        assert_eq!(seen, [ended("1"), fires("3")]);
    }
    // Nothing to tell, and nothing new to remember.
    assert_eq!(forwarder.send(&batch([event(AlertState::Pending, "a=9")])).unwrap(), Sent::all());
}

#[test]
fn a_silenced_alert_is_neither_told_nor_repeated_until_its_silence_ends() {
    let server = alertmanager();
    let mut forwarder = forwarder(vec![server.url("")]);
    let silenced = |event: AlertEvent| AlertEvent { silenced_by: Some("s".into()), ..event };
    forwarder.send(&batch([firing("a=1"), firing("a=2"), silenced(firing("a=3"))])).unwrap();
    assert_eq!(told(&server, "a"), [fires("1"), fires("2")]);
    // A silence begins: nothing is said, and the alert is not repeated any more.
    let sent = forwarder.send(&batch([silenced(firing("a=2"))])).unwrap();
    assert!(sent.note.is_some() && sent.refused.is_empty());
    forwarder.due = Instant::now();
    forwarder.prepare().unwrap();
    assert_eq!(told(&server, "a"), [fires("1")]);
    // One ends under its silence, of the other the silence ends.
    forwarder.send(&batch([silenced(resolved("a=3")), firing("a=2")])).unwrap();
    assert_eq!(told(&server, "a"), [fires("2")]);
}

#[test]
fn bad_alerts_are_found_and_set_aside() {
    let server = alertmanager();
    let mut forwarder = forwarder(vec![server.url("")]);
    let events =
        (0..20).map(|at| firing(&if at % 7 == 3 { format!("a={at} bad=x") } else { format!("a={at}") }));
    let sent = forwarder.send(&batch(events)).unwrap();
    let places: Vec<usize> = sent.refused.iter().map(|refused| refused.frame).collect();
    assert_eq!(places, [3, 10, 17]);
    assert_eq!(sent.refused[0], Refused { frame: 3, reason: "HTTP 400: invalid label set".into() });
    // They are not repeated either.
    server.take();
    forwarder.due = Instant::now();
    forwarder.prepare().unwrap();
    assert_eq!(told(&server, "a").len(), 17);
}

#[test]
fn a_refusal_of_everything_blames_the_configuration() {
    for (status, body) in
        [(400, "Client sent an HTTP request to an HTTPS server."), (404, ""), (401, ""), (302, "")]
    {
        let server = Server::always(Reply::new(status, body));
        let error = forwarder(vec![server.url("")]).send(&batch([firing("a=1")])).unwrap_err();
        assert!(matches!(&error, SendError::Unusable { .. }), "{status}: {error:?}");
        assert!(error.to_string().contains(&server.url("").to_string()[..20]), "{error}");
    }
}

#[test]
fn what_a_firewall_does_not_like_is_found_alone() {
    for status in [401, 403, 404, 405, 407, 415, 302] {
        let server = Server::start(move |seen, _| {
            let bad = seen.body.windows(8).any(|text| text == b"<script>");
            Some(Reply::new(if bad { status } else { 200 }, "blocked"))
        });
        let mut forwarder = forwarder(vec![server.url("")]);
        let events =
            (0..9).map(|at| firing(&if at == 5 { format!("a={at} b=<script>") } else { format!("a={at}") }));
        let sent = forwarder.send(&batch(events)).unwrap();
        assert_eq!(sent.refused, [Refused { frame: 5, reason: format!("HTTP {status}: blocked") }]);
    }
}

#[test]
fn a_password_that_is_changed_during_the_search_refuses_nothing() {
    // All, nothing, and then not even that.
    let server = Server::start(|_, number| Some(Reply::new(if number == 1 { 200 } else { 401 }, "")));
    let error = forwarder(vec![server.url("")]).send(&batch([firing("a=1"), firing("a=2")])).unwrap_err();
    assert!(matches!(error, SendError::Unusable { .. }), "{error:?}");
}

#[test]
fn a_peer_that_refuses_everything_costs_a_bounded_number_of_requests_and_delays_no_other() {
    let refusing = Server::start(|seen, _| {
        let status = if &seen.body[..] == b"[]" { 200 } else { 400 };
        Some(Reply::new(status, "no"))
    });
    let events: Vec<AlertEvent> = (0..1500).map(|at| firing(&format!("a={at}"))).collect();
    let sent = forwarder(vec![refusing.url("")]).send(&batch(events.clone())).unwrap();
    assert_eq!(sent.refused.len(), 1500);
    assert!(sent.refused.iter().any(|refused| refused.reason.contains("other alerts; too many")));
    assert!(refusing.seen().len() < 410, "{}", refusing.seen().len());

    // The second chunk reaches the one that takes everything before the other one's first is tried in parts.
    let taken = Arc::new(AtomicUsize::new(0));
    let (counted, looked) = (taken.clone(), taken.clone());
    let there = Server::start(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        Some(Reply::new(200, ""))
    });
    let refusing = Server::start(move |seen, _| match &seen.body[..] == b"[]" {
        true => Some(Reply::new(if looked.load(Ordering::SeqCst) == 2 { 200 } else { 500 }, "")),
        false => Some(Reply::new(400, "no")),
    });
    let mut forwarder = forwarder(vec![refusing.url(""), there.url("")]);
    assert_eq!(forwarder.send(&batch(events)).unwrap().refused, []);
    assert!(refusing.seen().len() > 3, "it was there when the other had everything");
}

#[test]
fn a_slow_peer_neither_ends_alerts_nor_puts_off_their_repeats() {
    let slow = Server::start(|_, _| {
        std::thread::sleep(std::time::Duration::from_millis(300));
        Some(Reply::new(200, ""))
    });
    let mut forwarder = forwarder(vec![slow.url("")]);
    forwarder.send(&batch([firing("a=1")])).unwrap();
    let alert = slow.take()[0].json()[0].clone();
    let ends: jiff::Timestamp = alert["endsAt"].as_str().unwrap().parse().unwrap();
    // Four times `resend`, the timeout, and 20 s.
    let lasts = ends.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((285..=290).contains(&lasts), "{lasts}");
    let begun = Instant::now();
    forwarder.due = begun;
    forwarder.prepare().unwrap();
    assert!(forwarder.due < begun + MINUTE + std::time::Duration::from_millis(250));
}

#[test]
fn one_peer_is_enough_and_one_that_was_away_gets_the_state() {
    let (there, flaky) =
        (alertmanager(), Server::start(|_, number| (number > 0).then(|| Reply::new(200, ""))));
    let mut forwarder = forwarder(vec![there.url(""), flaky.url(""), nowhere("")]);
    forwarder.send(&batch([firing("a=1"), firing("a=2")])).unwrap();
    flaky.take();
    // While another one is there, nobody waits for those that are not.
    forwarder.send(&batch([resolved("a=1")])).unwrap();
    assert_eq!(flaky.take().len(), 0);
    forwarder.due = Instant::now();
    forwarder.prepare().unwrap();
    assert_eq!(told(&flaky, "a"), [ended("1"), fires("2")]);
    // It is there again, so it gets changes again.
    forwarder.send(&batch([firing("a=3")])).unwrap();
    assert_eq!(told(&flaky, "a"), [fires("3")]);
}

#[test]
fn without_any_peer_the_batch_waits_and_what_was_asked_for_is_honoured() {
    let server = Server::start(|_, _| Some(Reply::new(429, "slow down").with("retry-after", "7")));
    let mut forwarder = forwarder(vec![server.url("")]);
    let batch = batch([firing("a=1")]);
    let Err(SendError::Later { reason, after }) = forwarder.send(&batch) else { panic!("it was accepted") };
    assert_eq!(after, Some(std::time::Duration::from_secs(7)));
    assert!(reason.contains("429") && reason.contains("slow down"), "{reason}");
    let Err(SendError::Later { after: Some(after), .. }) = forwarder.send(&batch) else { panic!("accepted") };
    assert!(after <= std::time::Duration::from_secs(7), "{after:?}");
    assert_eq!(server.seen().len(), 1, "it is left alone");
}

#[test]
fn a_peer_that_came_back_is_told_everything_at_once() {
    let server = Server::start(|_, number| Some(Reply::new(if number == 1 { 503 } else { 200 }, "")));
    let mut forwarder = forwarder(vec![server.url("")]);
    let note = forwarder.send(&batch([firing("a=1")])).unwrap().note.unwrap();
    forwarder.due = Instant::now();
    assert!(forwarder.prepare().is_err());
    forwarder.resume(&note).unwrap();
    forwarder.due = Instant::now() + MINUTE;
    forwarder.prepare().unwrap();
    server.take();
    forwarder.send(&batch([firing("a=2")])).unwrap();
    assert_eq!(told(&server, "a"), [fires("2")]);
    forwarder.prepare().unwrap();
    assert_eq!(told(&server, "a"), [fires("1"), fires("2")]);
    forwarder.prepare().unwrap();
    assert_eq!(told(&server, "a"), []);
}

#[test]
fn what_fires_is_repeated_after_a_restart_and_what_ended_for_a_while() {
    let server = alertmanager();
    let mut before = forwarder(vec![server.url("")]);
    before.send(&batch([firing("a=1"), firing("a=2")])).unwrap();
    let note = before.send(&batch([resolved("a=1")])).unwrap().note.unwrap();
    let mut after = forwarder(vec![server.url("")]);
    after.resume(&note).unwrap();
    server.take();
    // Not before what a crash may have left half-done was sent.
    after.prepare().unwrap();
    assert_eq!(server.take().len(), 0);
    after.due = Instant::now();
    assert_eq!(after.prepare().unwrap(), None);
    assert_eq!(told(&server, "a"), [ended("1"), fires("2")]);
    // Not due yet.
    after.prepare().unwrap();
    assert_eq!(told(&server, "a"), []);
    after.kept.expire(now_nanos() + 15 * 60 * SECOND);
    after.due = Instant::now();
    after.prepare().unwrap();
    assert_eq!(told(&server, "a"), [fires("2")]);
    // A failure takes the memory back to the note, and that is told then.
    after.resume(&[]).unwrap();
    after.due = Instant::now();
    after.prepare().unwrap();
    assert_eq!(told(&server, "a"), []);
}

#[test]
fn a_note_of_a_newer_agent_is_refused_and_a_damaged_one_begins_anew() {
    assert!(matches!(Kept::read(&[2]), Err(NoteError::Newer(2))));
    let server = alertmanager();
    let mut forwarder = forwarder(vec![server.url("")]);
    assert!(matches!(forwarder.resume(&[2, 0x90]), Err(SendError::Unusable { .. })));
    forwarder.resume(&[1, 0xff, 0xff]).unwrap();
    assert_eq!(forwarder.kept, Kept::default());
}

#[test]
fn alerts_of_two_rules_with_the_same_labels_end_together() {
    let server = alertmanager();
    let mut forwarder = forwarder(vec![server.url("")]);
    let of = |mut event: AlertEvent, rule: &str| {
        event.rule = rule.into();
        event
    };
    forwarder.send(&batch([of(firing("alertname=A"), "x"), of(firing("alertname=A"), "y")])).unwrap();
    assert_eq!(told(&server, "alertname"), [fires("A")]);
    forwarder.send(&batch([of(resolved("alertname=A"), "x")])).unwrap();
    assert_eq!(told(&server, "alertname"), []);
    forwarder.due = Instant::now();
    forwarder.prepare().unwrap();
    assert_eq!(told(&server, "alertname"), [fires("A")]);
    forwarder.send(&batch([of(resolved("alertname=A"), "y")])).unwrap();
    assert_eq!(told(&server, "alertname"), [ended("A")]);
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut kept = Kept::default();
    let now = now_nanos();
    let life = |event: AlertEvent| Life::of(&event, now).unwrap();
    for at in 0..MAX_KEPT - 1 {
        assert!(kept.put(life(firing(&format!("a={at}")))));
    }
    assert!(kept.put(life(resolved("a=x"))));
    assert!(kept.put(life(firing("a=y"))), "an end makes room");
    assert!(!kept.put(life(firing("a=z"))));
    assert!(kept.put(life(firing("a=1"))), "what is known changes all the same");
    assert!(kept.note().len() <= MAX_NOTE);
    let mut kept = Kept::default();
    let large = |at| life(firing(&format!("a={at} b={}", "x".repeat(MAX_NOTE / 2))));
    assert!(kept.put(large(1)) && !kept.put(large(2)));
    kept.remove(&large(1).key());
    assert!(kept.put(large(2)) && kept.note().len() <= MAX_NOTE);
}

#[test]
fn a_probe_leaves_nothing_and_says_what_it_found() {
    let server = alertmanager();
    let found = forwarder(vec![server.url("")]).probe().unwrap();
    assert!(found.contains("Alertmanager 0.25.0"), "{found}");
    let alerts: Vec<_> = server.take().into_iter().filter(|seen| seen.method == "POST").collect();
    assert!(alerts.iter().all(|seen| &seen.body[..] == b"[]"));
    let error = forwarder(vec![server.url(""), server.url("/prefix")]).probe().unwrap_err();
    assert!(error.to_string().contains("no API v2") && error.to_string().contains("0.25.0"), "{error}");
    let mut away = forwarder(vec![nowhere("")]);
    assert!(matches!(away.probe(), Err(SendError::Later { .. })));
    assert!(matches!(away.send(&batch([firing("a=1")])), Err(SendError::Later { after: None, .. })));
}

#[test]
fn the_configuration_is_checked() {
    let made = |text: &str| {
        let config: Config = toml::from_str(text).unwrap();
        AlertmanagerForwarder::new(&config, &link()).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(made("urls = ['http://a:9093', 'https://b/am/']\nresend = '30s'"), Ok(()));
    assert!(made("urls = []").unwrap_err().contains("names 0"));
    assert!(made("urls = ['http://a']\ngenerator_url = 'http://b/{x}'").unwrap_err().contains("{x}"));
    assert!(made("urls = ['http://a']\nselect.include = ['finding']").unwrap_err().contains("include"));
    for text in ["", "urls = ['ftp://a']", "urls = ['http://a']\nurl = 'b'"] {
        assert!(toml::from_str::<Config>(text).is_err(), "{text}");
    }
    let config: Config = toml::from_str("urls = ['http://a']").unwrap();
    assert_eq!(config, Config::new(vec!["http://a".parse().unwrap()]));
    assert_eq!(config.batch_limits(), BATCH);
}

#[test]
fn other_frames_in_a_batch_are_no_alerts() {
    let finding = Finding {
        id: firing("a=1").id,
        time: 0,
        origin: firing("a=1").origin,
        rule: "r".into(),
        severity: Severity::High,
        message: "m".into(),
        attributes: vec![],
        source: String::new(),
        stream: String::new(),
        offset: None,
        record: None,
    };
    let batch = Batch { id: Digest::of(b"x"), frames: vec![Frame::Finding(finding)] };
    assert_eq!(forwarder(vec![nowhere("")]).send(&batch), Ok(Sent::all()));
}

#[test]
fn what_is_documented_can_be_configured() {
    let documented = documented("alertmanager");
    assert_eq!(documented.len(), 1);
    let config: Config = documented[0].clone().try_into().unwrap();
    let generator = config.generator().unwrap().unwrap();
    assert_eq!(generator.url("p", "g", "r", "n"), "https://wiki.example/runbooks/r");
    assert_eq!(config.pages().unwrap().len(), 2);
}
