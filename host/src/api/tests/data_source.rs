//! Prometheus' API over real sockets.
#![allow(clippy::unwrap_used, reason = "tests")]

use picket_sandbox::{Answer, AnswerValue};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::*;
use crate::api::prometheus::view::{Found, Lookup, LookupError};
use crate::pipeline::query::{AskError, Outcome, Pending, Question};

/// What the agent of the tests answers to an expression: itself, unless it has a meaning.
pub(super) fn asked(
    question: &Question,
    unanswered: &Mutex<Vec<oneshot::Sender<Outcome>>>,
) -> Result<Pending, AskError> {
    let (answer, pending) = oneshot::channel();
    let outcome = match question.expression.as_str() {
        "busy" => return Err(AskError::Busy),
        "never" => {
            unanswered.lock().unwrap().push(answer);
            return Ok(pending);
        }
        "panic" => return Ok(pending),
        "up{" => Err(AskError::BadExpression("1:4: a label's name is missing".into())),
        text => Ok(Answer {
            value: AnswerValue::Text(text.to_owned()),
            warnings: Vec::new(),
            infos: vec!["a text".into()],
        }),
    };
    answer.send(outcome).unwrap();
    Ok(pending)
}

pub(super) fn found(lookup: &Lookup) -> Result<Found<String>, LookupError> {
    match lookup.selectors.first().map(String::as_str) {
        Some("up{") => Err(LookupError::BadSelector("`up{` is no selector".into())),
        _ => Ok(Found { items: vec!["a".into(), "b".into()], truncated: lookup.limit < 3 }),
    }
}

const API: &str = "/prometheus/api/v1";

fn get(running: &Running, rest: &str) -> (u16, Value) {
    let (status, answer) = running.get(&format!("{API}/{rest}"));
    (status, body(&answer))
}

fn post(running: &Running, rest: &str, form: &str) -> (u16, String) {
    let mut stream = running.tcp();
    let length = form.len();
    write!(
        stream,
        "POST {API}/{rest} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[test]
fn expressions_are_asked_by_get_and_by_post() {
    let running = Running::start(|_| {});
    let expected = json!({
        "status": "success",
        "data": { "resultType": "string", "result": [1.5, "a + b"] },
        "infos": ["a text"],
    });
    assert_eq!(get(&running, "query?query=a%20%2B%20b&time=1.5"), (200, expected.clone()));
    let (status, answer) = post(&running, "query", "query=a+%2B+b&time=1.5");
    assert_eq!((status, body::<Value>(&answer)), (200, expected));
    let (status, found) = get(&running, "query_range?query=x&start=0&end=60&step=15s");
    assert_eq!((status, &found["data"]["result"]), (200, &json!([60, "x"])));
}

#[test]
fn errors_are_those_of_prometheus() {
    let running = Running::start(|_| {});
    for (path, status, sort, says) in [
        ("query?query=up%7B", 400, "bad_data", "invalid parameter \"query\": 1:4: a label's name is missing"),
        ("query?query=x&time=soon", 400, "bad_data", "invalid parameter \"time\""),
        ("query_range?query=x&start=0&end=11000&step=1", 400, "bad_data", "11,000 points"),
        ("query?query=never&timeout=10ms", 503, "timeout", "timed out"),
        ("query?query=busy", 503, "unavailable", "ask again"),
        ("query?query=panic", 500, "internal", "look at the agent's log"),
        ("series", 400, "bad_data", "no match[] parameter provided"),
        ("labels?match[]=up%7B", 400, "bad_data", "invalid parameter \"match[]\": `up{` is no selector"),
        ("rules?type=x", 400, "bad_data", "invalid parameter \"type\""),
    ] {
        let (code, found) = get(&running, path);
        assert_eq!(
            (code, &found["status"], &found["errorType"]),
            (status, &json!("error"), &json!(sort)),
            "{path}"
        );
        assert!(found["error"].as_str().unwrap().contains(says), "{path}: {found}");
    }
}

#[test]
fn what_was_looked_up_is_a_list() {
    let running = Running::start(|_| {});
    assert_eq!(get(&running, "labels").1, json!({ "status": "success", "data": ["a", "b"] }));
    let values = get(&running, "label/some_name/values?limit=2").1;
    assert_eq!(
        (&values["data"], &values["warnings"][0]),
        (&json!(["a", "b"]), &json!("results truncated due to limit"))
    );
    assert_eq!(get(&running, "rules").1["data"], json!({ "groups": [] }));
    assert_eq!(get(&running, "alerts").1["data"], json!({ "alerts": [] }));
    assert_eq!(get(&running, "metadata").1["data"], json!({}));
    assert_eq!(get(&running, "status/runtimeinfo").1["data"]["CWD"], "/x");
    let (_, answer) = running.get("/metrics");
    let counted =
        "picket_api_requests_total{route=\"/prometheus/api/v1/label/{name}/values\",status=\"200\"} 1";
    assert!(answer.contains(counted), "{answer}");
}

#[test]
fn health_is_told_where_prometheus_tells_it() {
    let running = Running::start(|_| {});
    assert_eq!(running.get("/prometheus/-/healthy").0, 200);
    assert_eq!(running.get("/prometheus/-/ready").0, 503);
    running.agent.ready.store(true, Ordering::SeqCst);
    assert_eq!(running.get("/prometheus/-/ready").0, 200);
}

#[test]
fn what_only_reads_takes_post_only_where_parameters_are_long() {
    let running = Running::start(|_| {});
    assert_eq!(post(&running, "rules", "").0, 405);
    assert_eq!(post(&running, "labels", "").0, 200);
}

#[test]
fn no_more_answers_are_made_at_once_than_there_are_places_and_others_wait_for_one() {
    let running = Running::start(|endpoints| {
        endpoints.connections = 64;
        endpoints.query_timeout = Duration::from_secs(60);
    });
    let held: Vec<TcpStream> = (0..16)
        .map(|_| {
            let mut stream = running.tcp();
            write!(stream, "GET {API}/query?query=never HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            stream
        })
        .collect();
    let deadline = Instant::now() + Duration::from_secs(60);
    while running.agent.unanswered.lock().unwrap().len() < held.len() {
        assert!(Instant::now() < deadline, "the queries were not asked");
        std::thread::yield_now();
    }
    let mut waits = running.tcp();
    let path = format!("{API}/query?query=1");
    write!(waits, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let (status, answer) = running.get(&format!("{path}&timeout=100ms"));
    assert_eq!((status, &body::<Value>(&answer)["errorType"]), (503, &json!("unavailable")));
    assert!(answer.to_ascii_lowercase().contains("\r\nretry-after: 1\r\n"), "{answer}");

    // One waits already.
    let mut too_many = Vec::new();
    let refused = loop {
        assert!(too_many.len() < 40, "more wait than may");
        let mut stream = running.tcp();
        write!(stream, "GET {API}/query?query=never HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut answer = [0; 1024];
        match stream.read(&mut answer) {
            Ok(length) => break String::from_utf8_lossy(&answer[..length]).into_owned(),
            Err(_) => too_many.push(stream),
        }
    };
    assert!(refused.contains("requests are being answered and 24 wait"), "{refused}");
    // Some connections are left for others.
    assert_eq!(running.get("/healthz").0, 200);
    drop(too_many);

    let ends = running.agent.unanswered.lock().unwrap().pop().unwrap();
    ends.send(Err(AskError::Late)).unwrap();
    let mut answer = String::new();
    waits.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
