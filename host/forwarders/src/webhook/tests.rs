//! The `webhook` forwarder: what it posts, where to, and what it makes of the answers.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use picket_model::{
    AlertEvent, AlertState, Digest, EventId, Finding, Frame, FrameKind, Label, LifecycleEvent, Notice,
    Origin, RetractedBy, Retraction, Severity, Verdict, VerdictKind,
};
use proptest::prelude::*;
use serde_json::json;

use super::sign::{SignError, Signer};
use super::template::{Template, TemplateError};
use super::*;
use crate::tests::{Reply, Server, documented, link, nowhere};
use crate::{Batch, Forwarder, Refused, SendError, Sent};
use picket_http::secret::Secret;

const TIME: u64 = 1_763_654_940_250_000_000;

fn origin() -> Origin {
    Origin { plugin: "auth-guard".into(), generation: Digest([0x2a; 32]) }
}

fn id(number: u8) -> EventId {
    EventId([number; 16])
}

fn pairs(text: &str) -> Vec<Label> {
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    text.split(' ').filter_map(pair).map(|(name, value)| Label { name, value }).collect()
}

fn finding(number: u8, severity: Severity) -> Finding {
    Finding {
        id: id(number),
        time: TIME,
        origin: origin(),
        rule: "ssh-brute-force".into(),
        severity,
        message: format!("Number {number}."),
        attributes: pairs("user=root"),
        source: String::new(),
        stream: "/var/log/auth.log".into(),
        offset: None,
        record: None,
    }
}

fn found(number: u8) -> Frame {
    Frame::Finding(finding(number, Severity::High))
}

fn alert(state: AlertState, labels: &str) -> Frame {
    Frame::Alert(AlertEvent {
        id: id(9),
        time: TIME,
        origin: origin(),
        group: "g".into(),
        rule: "disk-full".into(),
        state,
        labels: pairs(labels),
        annotations: pairs("summary=full"),
        value: 1.0,
        active_since: TIME,
        silenced_by: None,
    })
}

fn verdict(verdict: VerdictKind) -> Frame {
    Frame::Verdict(Verdict {
        id: id(8),
        time: TIME,
        origin: origin(),
        source: "uploads".into(),
        path: "/srv/a.jpg".into(),
        sha256: Digest([7; 32]),
        size: 3,
        verdict,
        reason: "It is an executable.".into(),
    })
}

/// Takes back the findings of these numbers.
fn retraction(numbers: &[u8]) -> Frame {
    Frame::Retraction(Retraction {
        id: id(0xee),
        time: TIME,
        origin: origin(),
        by: RetractedBy::Operator,
        reason: "The rule took the backup for an attack.".into(),
        retracts: numbers.iter().map(|number| id(*number)).collect(),
    })
}

fn batch(frames: impl IntoIterator<Item = Frame>) -> Batch {
    let frames: Vec<Frame> = frames.into_iter().collect();
    Batch { id: Digest::of(&rmp_serde::to_vec(&frames).unwrap()), frames }
}

fn config(server: &Server, format: Format) -> Config {
    Config { url: Some(server.url("/hook")), format, ..Config::default() }
}

fn forwarder(config: &Config) -> WebhookForwarder {
    WebhookForwarder::new(config, &link()).unwrap()
}

fn fine() -> Server {
    Server::always(Reply::new(200, "ok"))
}

/// The messages of the findings that came in.
fn messages(server: &Server) -> Vec<String> {
    server.take().iter().map(|seen| seen.json()["data"]["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_silenced_alert_is_for_nobody() {
    let server = fine();
    let silenced = |frame: Frame| match frame {
        Frame::Alert(event) => Frame::Alert(AlertEvent { silenced_by: Some("s".into()), ..event }),
        other => other,
    };
    let fires = || alert(AlertState::Firing, "alertname=A");
    let sent = forwarder(&config(&server, Format::Json)).send(&batch([silenced(fires()), fires()])).unwrap();
    assert_eq!((sent, server.take().len()), (Sent::all(), 1));
}

#[test]
fn an_event_is_one_request_in_the_shape_of_standard_webhooks() {
    let server = fine();
    let sent = forwarder(&config(&server, Format::Json)).send(&batch([found(1), found(2)])).unwrap();
    assert_eq!(sent, Sent::all());
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[0].path.as_str(), seen[0].header("content-type")), ("/hook", "application/json"));
    assert_eq!(seen[0].header("webhook-id"), "01010101010101010101010101010101");
    let expected = json!({
        "type": "picket.finding",
        "timestamp": "2025-11-20T16:09:00.250000000Z",
        "data": {
            "kind": "finding", "id": "01010101010101010101010101010101",
            "timestamp": "2025-11-20T16:09:00.250000000Z", "time": TIME,
            "plugin": "auth-guard", "generation": "2a".repeat(32),
            "rule": "ssh-brute-force", "severity": "high", "message": "Number 1.",
            "attributes": { "user": "root" }, "stream": "/var/log/auth.log",
        },
    });
    assert_eq!(seen[0].json(), expected);
}

#[test]
fn signatures_are_those_of_the_specifications() {
    let folder = tempfile::tempdir().unwrap();
    let signer = |text: &str| {
        let file = folder.path().join("secret");
        std::fs::write(&file, text).unwrap();
        Signer::new(&Secret::from_file(&file).unwrap())
    };
    let body = br#"{"test": 2432232314}"#;
    let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let signed = |signer: &Signer| signer.standard("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
    assert_eq!(signed(&signer(key).unwrap()), expected);
    let two = signer(&format!("another key\n{key}\n")).unwrap();
    assert_eq!(signed(&two).split(' ').nth(1), Some(expected));
    // The example of GitHub's documentation.
    assert_eq!(
        signer("It's a Secret to Everybody").unwrap().of_body(b"Hello, World!"),
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    );
    assert_eq!(signer("whsec_?").err(), Some(SignError::Base64));
    assert_eq!(signer("whsec_AAAA").err(), Some(SignError::Length(3)));
    assert_eq!(signer("a\nb\nc\nd\ne").err(), Some(SignError::Keys(5)));
}

#[test]
fn a_request_is_signed_anew_at_each_attempt_under_the_same_id() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "key").unwrap();
    let server = Server::start(|_, number| Some(Reply::new(if number == 0 { 503 } else { 204 }, "")));
    let config = Config {
        secret_file: Some(file.clone()),
        signature_header: Some("X-Hub-Signature-256".into()),
        ..config(&server, Format::Json)
    };
    let mut forwarder = forwarder(&config);
    assert!(matches!(forwarder.send(&batch([found(1)])), Err(SendError::Later { .. })));
    forwarder.resume(&[]).unwrap();
    forwarder.send(&batch([found(1)])).unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].header("webhook-id"), seen[1].header("webhook-id"));
    let signer = Signer::new(&Secret::from_file(&file).unwrap()).unwrap();
    for request in seen {
        let timestamp: u64 = request.header("webhook-timestamp").parse().unwrap();
        let signed = signer.standard(request.header("webhook-id"), timestamp, &request.body);
        assert_eq!(request.header("webhook-signature"), signed);
        assert_eq!(request.header("x-hub-signature-256"), signer.of_body(&request.body));
    }
}

#[test]
fn what_was_accepted_is_not_sent_again_and_order_holds() {
    // The second request fails once, and so does the fourth: its answer is lost.
    let server = Server::start(|_, number| match number {
        1 => Some(Reply::new(503, "busy").with("retry-after", "3")),
        3 => None,
        _ => Some(Reply::new(200, "")),
    });
    let mut forwarder = forwarder(&config(&server, Format::Json));
    let batch = batch((1..=4).map(found));
    let Err(SendError::Later { after, reason }) = forwarder.send(&batch) else { panic!("it was accepted") };
    assert_eq!(after, Some(Duration::from_secs(3)));
    assert!(reason.contains("busy"), "{reason}");
    let mut tries = 1;
    while forwarder.send(&batch).is_err() {
        forwarder.resume(&[]).unwrap();
        tries += 1;
        assert!(tries < 5, "it never ends");
    }
    let numbers = ["Number 1.", "Number 2.", "Number 2.", "Number 3.", "Number 3.", "Number 4."];
    assert_eq!(messages(&server), numbers);
    // Another batch begins anew.
    let another = Batch { id: Digest::of(b"another"), frames: vec![found(1)] };
    forwarder.send(&another).unwrap();
    assert_eq!(messages(&server), ["Number 1."]);
}

#[test]
fn answers_that_blame_the_event_set_it_aside_and_others_wait() {
    let sent = |status: u16| {
        let server = Server::start(move |seen, _| {
            let bad = seen.json()["data"]["message"] == "Number 1.";
            Some(Reply::new(if bad { status } else { 200 }, "no_text"))
        });
        (forwarder(&config(&server, Format::Json)).send(&batch([found(1), found(2)])), server.seen().len())
    };
    for status in [400, 402, 406, 409, 413, 415, 422] {
        let refused = vec![Refused { frame: 0, reason: format!("HTTP {status}: no_text") }];
        assert_eq!(sent(status), (Ok(Sent { refused, ..Sent::default() }), 2));
    }
    for status in [301, 401, 403, 404, 405, 407, 410] {
        assert!(matches!(sent(status), (Err(SendError::Unusable { .. }), 1)), "{status}");
    }
    for status in [408, 425, 429, 500, 501, 502, 503, 504] {
        assert!(matches!(sent(status), (Err(SendError::Later { .. }), 1)), "{status}");
    }
    let server = Server::always(Reply::new(400, "Client sent an HTTP request to an HTTPS server.\n"));
    let error = forwarder(&config(&server, Format::Json)).send(&batch([found(1)])).unwrap_err();
    assert!(
        matches!(&error, SendError::Unusable { .. }) && error.to_string().contains("https://"),
        "{error}"
    );
}

#[test]
fn an_event_that_is_forbidden_again_and_again_holds_up_no_others() {
    for format in [Format::Json, Format::Slack] {
        let server = Server::start(|seen, _| {
            let bad = String::from_utf8_lossy(&seen.body).contains("Number 1.");
            Some(Reply::new(if bad { 403 } else { 200 }, "blocked"))
        });
        let mut forwarder = forwarder(&config(&server, format));
        let batch = batch([found(1), found(2), found(3)]);
        let mut tries = 0;
        let sent = loop {
            tries += 1;
            assert!(tries < 50, "it is never done with");
            match forwarder.send(&batch) {
                Ok(sent) => break sent,
                Err(error) => assert!(matches!(error, SendError::Unusable { .. })),
            }
        };
        let reason = "HTTP 403: blocked (20 times in a row)".to_owned();
        assert_eq!(sent.refused, [Refused { frame: 0, reason }]);
        // Several in one message are tried as often together.
        assert_eq!(tries, if format == Format::Slack { 39 } else { 20 });
        assert_eq!(server.seen().len(), tries + if format == Format::Slack { 3 } else { 2 });
    }
}

#[test]
fn only_what_a_person_should_see_is_sent() {
    let server = fine();
    let mut forwarder = forwarder(&config(&server, Format::Slack));
    assert!(
        [FrameKind::Finding, FrameKind::Verdict, FrameKind::Alert].iter().all(|kind| forwarder.wants(*kind))
    );
    assert!(
        ![FrameKind::Evidence, FrameKind::Notice, FrameKind::Sample]
            .iter()
            .any(|kind| forwarder.wants(*kind))
    );
    let frames = [
        verdict(VerdictKind::Clean),
        verdict(VerdictKind::Skipped),
        alert(AlertState::Pending, ""),
        verdict(VerdictKind::Malicious),
        alert(AlertState::Resolved, "alertname=DiskFull mountpoint=/"),
    ];
    assert_eq!(forwarder.send(&batch(frames)).unwrap(), Sent::all());
    let [seen] = &server.seen()[..] else { panic!("not one message") };
    let expected = format!(
        "*[MALICIOUS] /srv/a.jpg*\nIt is an executable.\n3 bytes, SHA-256 {}\nauth-guard on node-1\n\n\
         *[RESOLVED] DiskFull*\nfull\nmountpoint: /\nauth-guard on node-1",
        "07".repeat(32)
    );
    assert_eq!(seen.json(), json!({ "text": expected, "unfurl_links": false, "unfurl_media": false }));
    // Nothing of a batch is for anybody.
    assert_eq!(forwarder.send(&batch([verdict(VerdictKind::Clean)])).unwrap(), Sent::all());
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn chat_text_cannot_be_made_to_say_more_than_its_event() {
    let evil = Finding {
        message: "<!channel> a&b\n*[CRITICAL] forged*\u{202e}".into(),
        ..finding(1, Severity::Low)
    };
    let text = slack::text(&Frame::Finding(evil), "n<1>");
    assert_eq!(
        text,
        "*[LOW] ssh-brute-force*\n&lt;!channel&gt; a&amp;b *[CRITICAL] forged* \nuser: root\n\
         /var/log/auth.log\nauth-guard on n&lt;1&gt;"
    );
}

proptest! {
    #[test]
    fn chat_messages_are_short_and_lose_no_event(message in "[<&>a-c]{0,1200}", many in 1_usize..30) {
        let one = Frame::Finding(Finding { message: message.clone(), attributes: vec![Label { name: message.clone(), value: message }], ..finding(1, Severity::Low) });
        let text = slack::text(&one, "node");
        prop_assert!(text.chars().count() <= slack::MAX_MESSAGE);
        // No escaped character is cut in two.
        let plain = text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
        prop_assert!(!plain.contains(['&', '<', '>']), "{}", text);
        let texts = vec![text; many];
        let joined = slack::join(&texts);
        let numbers: Vec<usize> = joined.iter().flat_map(|(numbers, _)| numbers.clone()).collect();
        prop_assert_eq!(numbers, (0..many).collect::<Vec<_>>());
        prop_assert!(joined.iter().all(|(_, text)| text.chars().count() <= slack::MAX_MESSAGE));
    }
}

#[test]
fn a_chat_message_that_is_refused_is_taken_apart() {
    let server = Server::start(|seen, _| {
        let bad = seen.json()["text"].as_str().unwrap().contains("Number 2.");
        Some(if bad { Reply::new(400, "invalid_payload") } else { Reply::new(200, "ok") })
    });
    let sent = forwarder(&config(&server, Format::Slack)).send(&batch((1..=3).map(found))).unwrap();
    assert_eq!(sent.refused, [Refused { frame: 1, reason: "HTTP 400: invalid_payload".into() }]);
    assert_eq!(server.seen().len(), 4, "all together, then each by itself");
}

#[test]
fn events_go_to_the_first_route_that_fits() {
    let (pager, chat, rest) = (fine(), fine(), Server::always(Reply::new(503, "")));
    let route = |server: &Server, min_severity| Route {
        min_severity,
        url: Some(server.url("/")),
        url_file: None,
        url_env: None,
    };
    let routes = vec![route(&pager, Severity::Critical), route(&chat, Severity::Medium)];
    let only = Config { routes: routes.clone(), ..Config::default() };
    let severities = [Severity::Low, Severity::Critical, Severity::High, Severity::Medium];
    let mixed = batch(severities.map(|severity| Frame::Finding(finding(severity as u8, severity))));
    assert_eq!(forwarder(&only).send(&mixed).unwrap(), Sent::all());
    assert_eq!(
        (messages(&pager), messages(&chat)),
        (vec!["Number 4.".into()], vec!["Number 3.".into(), "Number 2.".into()])
    );
    // One that fails does not keep from the others what is theirs, and they get it once.
    let mut all = forwarder(&Config { routes, ..config(&rest, Format::Json) });
    assert!(matches!(all.send(&mixed), Err(SendError::Later { .. })));
    assert!(matches!(all.send(&mixed), Err(SendError::Later { .. })));
    assert_eq!((messages(&pager).len(), messages(&chat).len(), messages(&rest).len()), (1, 2, 2));
    for (labels, severity) in [
        ("severity=page", Severity::Critical),
        ("severity=Warning", Severity::Medium),
        ("", Severity::Medium),
        ("severity=info", Severity::Info),
    ] {
        assert_eq!(encode::severity(&alert(AlertState::Resolved, labels)), severity, "{labels}");
    }
}

#[test]
fn a_retraction_goes_once_to_all_who_may_have_what_it_takes_back() {
    let (pager, chat) = (fine(), Server::start(|_, number| (number > 1).then(|| Reply::new(200, ""))));
    let route = |server: &Server, min_severity| Route {
        min_severity,
        url: Some(server.url("/")),
        url_file: None,
        url_env: None,
    };
    let routes = vec![route(&pager, Severity::Critical), route(&chat, Severity::High)];
    let mut forwarder = forwarder(&Config { routes, ..Config::default() });
    assert!(forwarder.wants(FrameKind::Retraction));
    let batch = batch([found(1), retraction(&[1])]);
    // The chat answers neither the first nor the second time, and the pager gets no repeat.
    assert!(matches!(forwarder.send(&batch), Err(SendError::Later { .. })));
    assert!(matches!(forwarder.send(&batch), Err(SendError::Later { .. })));
    assert_eq!(forwarder.send(&batch), Ok(Sent::all()));
    let kinds = |server: &Server| -> Vec<String> {
        server.seen().iter().map(|seen| seen.json()["type"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds(&pager), ["picket.retraction"]);
    let found = "picket.finding";
    assert_eq!(kinds(&chat), [found, found, found, "picket.retraction"]);
    let last = chat.seen().pop().unwrap();
    assert_eq!(last.header("webhook-id"), "ee".repeat(16));
    assert_eq!(last.json()["data"]["retracts"], json!(["01".repeat(16)]));
}

#[test]
fn a_retraction_that_all_refuse_is_refused_once() {
    let server = Server::always(Reply::new(400, "no"));
    let route =
        |min_severity| Route { min_severity, url: Some(server.url("/")), url_file: None, url_env: None };
    let routes = vec![route(Severity::Critical), route(Severity::Low)];
    let sent = forwarder(&Config { routes, ..Config::default() }).send(&batch([retraction(&[1])])).unwrap();
    assert_eq!(sent.refused, [Refused { frame: 0, reason: "HTTP 400: no".into() }]);
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn a_chat_is_told_in_a_few_words_how_much_was_taken_back_and_why() {
    assert_eq!(
        slack::text(&retraction(&[1, 2]), "node-1"),
        "*[RETRACTED] 2 results of auth-guard were taken back*\nThe rule took the backup for an attack.\n\
         auth-guard on node-1"
    );
    assert!(slack::text(&retraction(&[1]), "n").contains("1 result of auth-guard was taken back"));
}

#[test]
fn a_url_that_is_a_secret_is_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    let server = Server::start(|seen, _| {
        let piece = seen.path.rsplit('/').next().unwrap_or_default();
        let padding = "x".repeat(270);
        Some(Reply::new(404, &format!("path {} was not found, nor {piece}; {padding}{piece}", seen.path)))
    });
    let shown_by = |url: &str| {
        std::fs::write(&file, url).unwrap();
        let config = Config { url_file: Some(file.clone()), ..Config::default() };
        let made = WebhookForwarder::new(&config, &link());
        let mut forwarder = match made {
            Ok(forwarder) => forwarder,
            Err(error) => return format!("{error} {error:?}"),
        };
        let error = forwarder.send(&batch([found(1)])).unwrap_err();
        format!("{error} {error:?} {:?} {config:?}", forwarder.probe())
    };
    let at = server.url("").to_string();
    for url in
        [server.url("/services/T0/hunter2"), server.url("/x?key=hunter2"), nowhere("/services/hunter2")]
    {
        let shown = shown_by(&url.to_string());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let shown = shown_by(&format!("{at}services/hunter2\n"));
    assert!(shown.contains(at.trim_end_matches('/')) && shown.contains("not found"), "{shown}");
    for url in ["hunter2", "ftp://x/hunter2", "https://u:hunter2@x/", "http://x/ hunter2"] {
        let shown = shown_by(url);
        assert!(!shown.contains("hunter2") && shown.contains("is no URL"), "{shown}");
    }
}

#[test]
fn the_query_of_a_url_is_not_shown() {
    let server = Server::start(|_, _| Some(Reply::new(404, "no page at ?key=hunter2")));
    let config = Config { url: Some(server.url("/hook?key=hunter2")), ..Config::default() };
    let error = forwarder(&config).send(&batch([found(1)])).unwrap_err().to_string();
    assert!(error.contains("/hook ") && !error.contains("hunter2"), "{error}");
    let error = "ftp://x/?key=hunter2".parse::<picket_http::Url>().unwrap_err().to_string();
    assert!(error.contains("ftp://x/?…") && !error.contains("hunter2"), "{error}");
}

#[test]
fn a_changed_secret_is_read_after_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    let (gone, new) = (Server::always(Reply::new(410, "channel_is_archived")), fine());
    std::fs::write(&file, gone.url("/a").to_string()).unwrap();
    let mut forwarder = forwarder(&Config { url_file: Some(file.clone()), ..Config::default() });
    assert!(matches!(forwarder.send(&batch([found(1)])), Err(SendError::Unusable { .. })));
    std::fs::write(&file, new.url("/b").to_string()).unwrap();
    forwarder.resume(&[]).unwrap();
    forwarder.send(&batch([found(1)])).unwrap();
    assert_eq!(new.seen().len(), 1);
}

fn template(source: &str, content_type: &str) -> Result<Template, TemplateError> {
    Template::new("`template`", source.to_owned(), content_type)
}

#[test]
fn a_template_makes_the_body() {
    let server = fine();
    let source = r#"{"summary": {{ "[" ~ tag ~ "] " ~ title }}, "sev": {{ severity }}, "user": {{ attributes.user }},
        "none": {{ no.such.thing }}, "more": {{ event.attributes }}, "lines": {{ text }}, "of": {{ node }}}"#;
    let config = Config { template: Some(source.into()), ..config(&server, Format::Template) };
    forwarder(&config).send(&batch([found(1), verdict(VerdictKind::Malicious)])).unwrap();
    let seen = server.seen();
    let expected = json!({
        "summary": "[HIGH] ssh-brute-force", "sev": "high", "user": "root", "none": null,
        "more": { "user": "root" }, "of": "node-1",
        "lines": "Number 1.\nuser: root\n/var/log/auth.log\nauth-guard on node-1",
    });
    assert_eq!(seen[0].json(), expected);
    assert_eq!((&seen[1].json()["sev"], &seen[1].json()["user"]), (&json!("high"), &json!(null)));
    let text = template("{{ tag }} <{{ message }}>{{ nothing }}", "text/plain").unwrap();
    assert_eq!(&text.render(&found(1), "n").unwrap()[..], b"HIGH <Number 1.>");
}

#[test]
fn a_wrong_template_is_told_at_the_start_with_its_place() {
    for (source, line, column) in [
        ("{{ title }", 1, 10),
        ("{\n  \"a\": {{ title | nosuch }}\n}", 2, 20),
        ("\n{% for a in b %}", 2, 16),
        ("{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}", 1, 1),
    ] {
        match template(source, "application/json").err() {
            Some(TemplateError::Wrong { line: found, column: at, what, .. }) => {
                assert_eq!((found, at > 0), (line, true), "{source}: {what}");
                assert!(column == 1 || at.abs_diff(column) <= 2, "{source}: column {at}, {what}");
            }
            other => panic!("{source}: {other:?}"),
        }
    }
    for source in ["{\"text\": \"{{ title }}\"}", "{{ title }} and more", ""] {
        let error = template(source, "application/json").err().unwrap();
        assert!(matches!(&error, TemplateError::NoJson { .. }), "{source}: {error}");
    }
    assert!(matches!(
        template(&" ".repeat(300 << 10), "text/plain").err(),
        Some(TemplateError::TooLong { .. })
    ));
}

#[test]
fn an_event_that_the_template_fails_for_is_set_aside() {
    let server = fine();
    let source = "{% if kind == 'alert' %}{{ {} % 1 }}{% endif %}{{ title }}";
    let config = Config { template: Some(source.into()), ..config(&server, Format::Template) };
    let sent = forwarder(&config).send(&batch([alert(AlertState::Firing, ""), found(1)])).unwrap();
    assert_eq!(sent.refused.len(), 1);
    assert!(sent.refused[0].frame == 0 && sent.refused[0].reason.contains("`template`, line 1"), "{sent:?}");
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_probe_posts_nothing() {
    let server = Server::always(Reply::new(404, ""));
    let found = forwarder(&config(&server, Format::Slack)).probe().unwrap();
    assert!(found.contains("404") && found.contains("not tried"), "{found}");
    let seen = server.seen();
    assert!(seen.len() == 1 && seen[0].method == "GET" && seen[0].path == "/", "{seen:?}");
    let away = Config { url: Some(nowhere("/x")), ..Config::default() };
    assert!(matches!(forwarder(&away).probe(), Err(SendError::Later { .. })));
}

#[test]
fn the_configuration_is_checked() {
    let made = |text: &str| {
        let config: Config = toml::from_str(text).unwrap();
        WebhookForwarder::new(&config, &link()).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(made("url = 'https://x/y'"), Ok(()));
    assert_eq!(made("format = 'slack'\nroutes = [{ min_severity = 'high', url = 'https://x/y' }]"), Ok(()));
    for (text, expected) in [
        ("", "nowhere"),
        ("url = 'https://x'\nurl_env = 'X'", "set one of"),
        ("routes = [{ min_severity = 'high' }]", "number 1"),
        ("url_env = 'PICKET_TEST_NO_SUCH_VARIABLE'", "PICKET_TEST_NO_SUCH_VARIABLE"),
        ("url = 'https://x'\nformat = 'template'", "needs one of"),
        ("url = 'https://x'\ntemplate = 'x'", "format = \"template\""),
        ("url = 'https://x'\nformat = 'template'\ntemplate_file = '/no/such'", "/no/such"),
        ("url = 'https://x'\nformat = 'template'\ntemplate = '{{ x'", "line 1"),
        ("url = 'https://x'\nsignature_header = 'X-S'", "secret_file"),
        ("url = 'https://x'\nselect.include = ['sample']", "sample"),
        ("url = 'https://x'\nsecret_env = 'PATH'\nsignature_header = 'webhook-id'", "webhook-id"),
        ("url = 'https://x'\nsecret_env = 'PATH'\nsignature_header = 'a b'", "a b"),
    ] {
        let error = made(text).expect_err(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
    for text in ["url = 'x'", "format = 'teams'", "routes = [{ url = 'https://x' }]", "uri = 'https://x'"] {
        assert!(toml::from_str::<Config>(text).is_err(), "{text}");
    }
    assert_eq!(Config::default().batch_limits(), BATCH);
    assert_eq!(Config { format: Format::Slack, ..Config::default() }.batch_limits(), SLACK_BATCH);
}

#[test]
fn notices_are_sent_when_they_are_asked_for() {
    let server = fine();
    let mut wanted: Config = toml::from_str("select.include = ['notice']").unwrap();
    wanted.url = Some(server.url("/"));
    let mut forwarder = forwarder(&wanted);
    assert!(forwarder.wants(FrameKind::Notice) && !forwarder.wants(FrameKind::Finding));
    let notice = Notice {
        id: id(1),
        time: TIME,
        origin: origin(),
        event: LifecycleEvent::Rejected,
        reason: "r".into(),
    };
    forwarder.send(&batch([Frame::Notice(notice)])).unwrap();
    assert_eq!(server.seen()[0].json()["type"], "picket.notice");
}

#[test]
fn what_is_documented_can_be_configured() {
    let documented = documented("webhook");
    assert_eq!(documented.len(), 4);
    for table in documented {
        let config: Config = table.try_into().unwrap();
        if let Some(template) = config.template {
            let body = Template::new("", template, "application/json").unwrap();
            let body: serde_json::Value =
                serde_json::from_slice(&body.render(&found(1), "n").unwrap()).unwrap();
            assert_eq!(
                (&body["summary"], &body["severity"]),
                (&json!("[HIGH] ssh-brute-force"), &json!("ticket"))
            );
        }
    }
}

#[test]
fn the_documented_example_is_what_is_sent() {
    let document = include_str!("../../../../docs/forwarders.md");
    let example = document.lines().find(|line| line.starts_with(r#"{"type":"picket.finding""#)).unwrap();
    let event = Finding {
        id: EventId(std::array::from_fn(|at| at as u8)),
        message: "20 failed logins for root.".into(),
        stream: String::new(),
        ..finding(0, Severity::High)
    };
    assert_eq!(std::str::from_utf8(&encode::json(&Frame::Finding(event))).unwrap(), example);
}
