//! The API over real sockets, with a small agent behind it.

mod data_source;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::config::Endpoints;
use super::dto::*;
use super::prometheus::view::{Found, Lookup, LookupError};
use super::*;
use crate::alerts::{NewSilence, Silence, SilenceError};
use crate::model::{Digest, EventId, Finding, Label, Origin, Severity};
use crate::pipeline::query::{AskError, Outcome, Pending, Question};

/// An agent of which the tests say how it is doing.
#[derive(Default)]
struct Agent {
    ready: AtomicBool,
    reloads: AtomicU64,
    /// Reloads wait until it is true.
    gate: Mutex<bool>,
    opened: Condvar,
    fails: AtomicBool,
    /// Queries that get no answer while they stand here.
    unanswered: Mutex<Vec<tokio::sync::oneshot::Sender<Outcome>>>,
}

impl Agent {
    fn open(&self) {
        *self.gate.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

fn finding(number: u32) -> FindingView {
    let digest = Digest::of(b"x");
    Finding {
        id: EventId::derive(&digest, 0, &digest, number),
        time: 1_700_000_000_000_000_000 + u64::from(number),
        origin: Origin { plugin: "web".into(), generation: digest },
        rule: "burst".into(),
        severity: Severity::High,
        message: "much".into(),
        attributes: vec![Label { name: "a".into(), value: "b".into() }],
        source: "nginx".into(),
        stream: "/var/log/x".into(),
        offset: Some(7),
        record: None,
    }
    .into()
}

impl View for Agent {
    fn is_started(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    fn ready(&self) -> Result<(), String> {
        match self.ready.load(Ordering::SeqCst) {
            true => Ok(()),
            false => Err("the journal's disk is full; free some space".into()),
        }
    }

    fn status(&self) -> Status {
        Status {
            version: "1.2.3".into(),
            pid: 7,
            started: Time(0),
            not_ready: None,
            data_dir: "/x".into(),
            config: ConfigStatus::default(),
            plugins: [("active".into(), 1)].into(),
            sources: vec![],
            forwarders: vec![ForwarderStatus { name: "out".into(), ..ForwarderStatus::default() }],
            journal: JournalStatus::default(),
            series: SeriesStatus::default(),
            rules: RulesStatus::default(),
            memory: MemoryStatus::default(),
        }
    }

    fn plugins(&self) -> Plugins {
        Plugins { plugins: vec![] }
    }

    fn findings(&self, query: &FindingQuery, deadline: Instant) -> Result<Findings, FindingsError> {
        assert!(deadline > Instant::now());
        match query.text.as_deref() {
            Some("damaged") => Err(FindingsError::Unreadable("the archive is damaged at segment 3".into())),
            Some("busy") => Err(FindingsError::Busy("another search runs".into())),
            Some("late") => Err(FindingsError::Late("the search took too long".into())),
            Some("large") => {
                let message = "x".repeat(10_000);
                let large = |number| FindingView { message: message.clone(), ..finding(number) };
                Ok(Findings { findings: (0..1000).map(large).collect(), truncated: false })
            }
            _ => Ok(Findings {
                findings: (0..5).map(finding).take(query.limit).collect(),
                truncated: query.limit < 5,
            }),
        }
    }

    fn retract(&self, query: &RetractQuery, deadline: Instant) -> Result<RetractReport, RetractError> {
        assert!(deadline > Instant::now());
        match query.plugin.as_str() {
            "full" => Err(RetractError::Uncommitted("the disk is full".into())),
            "busy" => Err(FindingsError::Busy("another search runs".into()).into()),
            _ => Ok(RetractReport { dry_run: query.dry_run, retracted: 7, ..RetractReport::default() }),
        }
    }

    fn alerts(&self) -> Vec<AlertView> {
        vec![]
    }

    fn ask(&self, question: Question) -> Result<Pending, AskError> {
        data_source::asked(&question, &self.unanswered)
    }

    fn label_names(&self, lookup: &Lookup, _: Instant) -> Result<Found<String>, LookupError> {
        data_source::found(lookup)
    }

    fn label_values(&self, name: &str, lookup: &Lookup, _: Instant) -> Result<Found<String>, LookupError> {
        assert_eq!(name, "some_name");
        data_source::found(lookup)
    }

    fn add_silence(&self, wanted: NewSilence) -> Result<SilenceView, SilenceError> {
        match wanted.comment.as_str() {
            "one too many" => Err(SilenceError::Full),
            _ => {
                let starts_at = wanted.starts_at;
                Ok(SilenceView::of(Silence { id: "7".into(), what: wanted }, starts_at))
            }
        }
    }

    fn expire_silence(&self, id: &str) -> Result<SilenceView, SilenceError> {
        Err(SilenceError::Unknown(id.to_owned()))
    }

    fn reload(&self) -> ReloadReport {
        let mut gate = self.gate.lock().unwrap();
        self.reloads.fetch_add(1, Ordering::SeqCst);
        self.opened.notify_all();
        while !*gate {
            gate = self.opened.wait(gate).unwrap();
        }
        let rejected = self.fails.load(Ordering::SeqCst);
        ReloadReport {
            problems: vec![],
            plugins: vec![ReloadedPlugin {
                plugin: "web".into(),
                outcome: if rejected { Outcome::Rejected } else { Outcome::Swapped },
                active: Some(Digest::of(b"x")),
                reason: rejected.then(|| "it imports `state`".into()),
            }],
        }
    }
}

struct Running {
    agent: Arc<Agent>,
    server: Option<Server>,
    endpoints: Endpoints,
    folder: tempfile::TempDir,
}

impl Running {
    fn start(change: impl FnOnce(&mut Endpoints)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut endpoints = Endpoints {
            listen: Some("127.0.0.1:0".parse().unwrap()),
            socket: folder.path().join("picket.sock"),
            connections: 8,
            timeout: Duration::from_secs(10),
            query_timeout: Duration::from_secs(5),
            query_engine: None,
        };
        change(&mut endpoints);
        let agent = Arc::new(Agent::default());
        let registry = ::prometheus::Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let server = start(&endpoints, agent.clone(), registry, metrics).unwrap();
        Self { agent, server: Some(server), endpoints, folder }
    }

    fn tcp(&self) -> TcpStream {
        let address = self.server.as_ref().unwrap().address().unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    fn unix(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.endpoints.socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    fn get(&self, path: &str) -> (u16, String) {
        ask(self.tcp(), "GET", path, "localhost")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop();
        }
    }
}

/// A request with a body of JSON.
fn tell(mut stream: impl Read + Write, path: &str, json: &str) -> (u16, String) {
    let length = json.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{json}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

/// One request by hand: a client library would hide what is on the wire.
fn ask(mut stream: impl Read + Write, method: &str, path: &str, host: &str) -> (u16, String) {
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

fn body<T: serde::de::DeserializeOwned>(answer: &str) -> T {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

#[test]
fn health_is_told_apart_from_readiness() {
    let running = Running::start(|_| {});
    assert_eq!(running.get("/healthz").0, 200);
    assert_eq!(running.get("/startupz").0, 503);
    let (status, answer) = running.get("/readyz");
    assert_eq!(status, 503);
    assert!(answer.contains("application/problem+json"), "{answer}");
    let problem: problem::Problem = body(&answer);
    assert_eq!(problem.code, problem::Code::Unavailable);
    assert!(problem.detail.contains("free some space"));
    running.agent.ready.store(true, Ordering::SeqCst);
    assert_eq!(running.get("/readyz").0, 200);
    assert_eq!(running.get("/startupz").0, 200);
}

#[test]
fn status_plugins_and_alerts_read_back_as_what_the_agent_said() {
    let running = Running::start(|_| {});
    assert_eq!(body::<Status>(&running.get("/api/v1/status").1), running.agent.status());
    let forwarders = body::<Forwarders>(&running.get("/api/v1/forwarders").1).forwarders;
    assert_eq!(forwarders, running.agent.status().forwarders);
    assert_eq!(body::<Plugins>(&running.get("/api/v1/plugins").1), running.agent.plugins());
    assert_eq!(body::<Alerts>(&running.get("/api/v1/alerts").1), Alerts { alerts: vec![] });
}

#[test]
fn findings_are_limited_and_bad_queries_refused() {
    let running = Running::start(|_| {});
    let found: Findings = body(&running.get("/api/v1/findings?limit=2&severity=low&since=2h").1);
    assert_eq!(found, Findings { findings: vec![finding(0), finding(1)], truncated: true });
    let found: Findings = body(&running.get("/api/v1/findings").1);
    assert_eq!((found.findings.len(), found.truncated), (5, false));
    for (query, says) in [
        ("limit=0", "`limit`"),
        ("severity=bad", "`severity`"),
        ("since=%00", "`since`"),
        ("colour=red", "unknown field"),
    ] {
        let (status, answer) = running.get(&format!("/api/v1/findings?{query}"));
        let problem: problem::Problem = body(&answer);
        assert_eq!((status, problem.code), (400, problem::Code::BadQuery));
        assert!(problem.detail.contains(says), "{}", problem.detail);
    }
    let (status, answer) = running.get("/api/v1/findings?text=damaged");
    assert_eq!(status, 500);
    assert!(answer.contains("damaged at segment 3"));
}

#[test]
fn a_search_that_cannot_be_made_now_says_when_to_ask_again() {
    let running = Running::start(|_| {});
    let (status, answer) = running.get("/api/v1/findings?text=busy");
    assert_eq!((status, body::<problem::Problem>(&answer).code), (503, problem::Code::Busy));
    assert!(answer.contains("another search runs"), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("\r\nretry-after: 1\r\n"), "{answer}");
    let (status, answer) = running.get("/api/v1/findings?text=late");
    assert_eq!((status, body::<problem::Problem>(&answer).code), (504, problem::Code::Timeout));
    assert!(!answer.to_ascii_lowercase().contains("retry-after"), "{answer}");
}

#[test]
fn what_is_not_there_says_what_is() {
    let running = Running::start(|_| {});
    let (status, answer) = running.get("/nowhere");
    assert_eq!(status, 404);
    assert!(answer.contains("/api/v1/findings"), "{answer}");
    let (status, answer) = ask(running.tcp(), "DELETE", "/api/v1/plugins", "localhost");
    assert_eq!(status, 405);
    assert!(answer.contains("method-not-allowed"), "{answer}");
}

#[test]
fn the_loopback_listener_changes_nothing_and_answers_to_local_names_only() {
    let running = Running::start(|_| {});
    running.agent.open();
    let (status, answer) = ask(running.tcp(), "POST", "/-/reload", "localhost");
    assert_eq!(status, 403);
    assert!(answer.contains("Unix socket"), "{answer}");
    assert_eq!(running.agent.reloads.load(Ordering::SeqCst), 0);
    for (host, expected) in
        [("127.0.0.1:9765", 200), ("[::1]:9765", 200), ("LOCALHOST", 200), ("evil.example", 403), ("", 403)]
    {
        assert_eq!(ask(running.tcp(), "GET", "/healthz", host).0, expected, "{host}");
    }
    assert_eq!(ask(running.unix(), "GET", "/healthz", "picket").0, 200);
}

/// A request with a body, as `curl -d` makes it.
fn send(mut stream: impl Read + Write, method: &str, path: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    // At once: a server that refuses does not wait for the rest.
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[test]
fn silences_are_shown_to_all_and_changed_on_the_socket_only() {
    let running = Running::start(|_| {});
    let path = "/api/v1/silences";
    assert_eq!(body::<Silences>(&running.get(path).1), Silences::default());
    let wanted = |comment: &str| {
        format!(
            r#"{{"matchers":[{{"name":"job","op":"!~","value":"a.*"}}],"duration":"2h","comment":"{comment}"}}"#
        )
    };
    let (status, answer) = send(running.unix(), "POST", path, &wanted("because"));
    assert_eq!(status, 201, "{answer}");
    let made: SilenceView = body(&answer);
    assert_eq!((made.id.as_str(), made.matchers[0].to_string().as_str()), ("7", "job!~\"a.*\""));
    assert_eq!(made.ends_at.0 - made.starts_at.0, 7_200_000_000_000);
    for (answer, status, code) in [
        (send(running.tcp(), "POST", path, &wanted("because")), 403, problem::Code::Forbidden),
        (send(running.tcp(), "DELETE", "/api/v1/silences/7", ""), 403, problem::Code::Forbidden),
        (send(running.unix(), "POST", path, "{}"), 400, problem::Code::BadBody),
        (send(running.unix(), "POST", path, &wanted("one too many")), 409, problem::Code::Full),
        (send(running.unix(), "DELETE", "/api/v1/silences/8", ""), 404, problem::Code::NotFound),
    ] {
        assert_eq!((answer.0, body::<problem::Problem>(&answer.1).code), (status, code), "{}", answer.1);
    }
    assert!(running.get("/metrics").1.contains("route=\"/api/v1/silences/{id}\",status=\"404\"} 1"));
}

#[test]
fn a_reload_says_what_is_active_or_why_not() {
    let running = Running::start(|_| {});
    running.agent.open();
    let (status, answer) = ask(running.unix(), "POST", "/-/reload", "picket");
    assert_eq!(status, 200, "{answer}");
    let report: ReloadReport = body(&answer);
    assert_eq!(report.plugins[0].outcome, Outcome::Swapped);
    running.agent.fails.store(true, Ordering::SeqCst);
    let (status, answer) = ask(running.unix(), "POST", "/-/reload", "picket");
    let problem: problem::Problem = body(&answer);
    assert_eq!((status, problem.code), (400, problem::Code::ReloadFailed));
    assert!(problem.detail.contains("plugin `web`: it imports `state`"), "{}", problem.detail);
    assert_eq!(problem.reload.unwrap().plugins[0].active, Some(Digest::of(b"x")));
}

#[test]
fn results_are_taken_back_over_the_socket_only() {
    let running = Running::start(|_| {});
    let path = "/api/v1/findings/retract";
    let asked = |json: &str| tell(running.unix(), path, json);
    let (status, answer) = asked(r#"{"plugin":"web","reason":"wrong","dry_run":true}"#);
    assert_eq!(status, 200, "{answer}");
    let report: RetractReport = body(&answer);
    assert_eq!((report.dry_run, report.retracted), (true, 7));
    for (json, status, says) in [
        ("{}", 400, "plugin"),
        (r#"{"plugin":"web","reason":"wrong","rules":["a"]}"#, 400, "rules"),
        (r#"{"plugin":"web","reason":""}"#, 400, "reason"),
        ("nonsense", 400, "JSON"),
        (r#"{"plugin":"full","reason":"r"}"#, 503, "disk is full"),
        (r#"{"plugin":"busy","reason":"r"}"#, 503, "another search runs"),
    ] {
        let (found, answer) = asked(json);
        assert_eq!(found, status, "{json}: {answer}");
        assert!(answer.contains(says), "{json}: {answer}");
    }
    let (status, answer) = tell(running.tcp(), path, r#"{"plugin":"web","reason":"wrong"}"#);
    assert_eq!(status, 403, "{answer}");
    assert_eq!(running.get(path).0, 405);
}

#[test]
fn reloads_asked_for_while_one_runs_become_one() {
    let agent = Arc::new(Agent::default());
    let view: Arc<dyn View> = agent.clone();
    let reloads = Arc::new(reload::Reloads::default());
    let ask = || {
        let (view, reloads) = (view.clone(), reloads.clone());
        tokio::spawn(async move { reloads.ask(&view).await })
    };
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let first = ask();
        while agent.reloads.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        // The first runs and cannot answer these: the files may have changed since it began.
        let later: Vec<_> = (0..5).map(|_| ask()).collect();
        // Tasks of this runtime run in turn, so now each of them has asked.
        tokio::task::yield_now().await;
        agent.open();
        assert!(first.await.unwrap().is_success());
        for task in later {
            assert!(task.await.unwrap().is_success());
        }
    });
    assert_eq!(agent.reloads.load(Ordering::SeqCst), 2);
}

#[test]
fn a_client_that_says_nothing_is_cut_off_and_makes_room() {
    let running = Running::start(|endpoints| {
        endpoints.connections = 1;
        endpoints.timeout = Duration::from_millis(50);
    });
    let mut silent = running.tcp();
    // The only place is taken: the answer comes once the silent one is cut off.
    assert_eq!(running.get("/healthz").0, 200);
    assert_eq!(silent.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn a_client_that_does_not_read_is_cut_off_and_makes_room() {
    let running = Running::start(|endpoints| {
        endpoints.connections = 1;
        endpoints.timeout = Duration::from_secs(1);
    });
    let mut silent = running.unix();
    write!(silent, "GET /api/v1/findings?text=large HTTP/1.1\r\nHost: picket\r\n\r\n").unwrap();
    // The only place of the socket is taken: the answer comes once the silent one is cut off.
    assert_eq!(ask(running.unix(), "GET", "/healthz", "picket").0, 200);
    let mut answer = Vec::new();
    silent.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    assert!(answer.len() < 10_000_000, "only what fits the buffers of the system was sent");
    assert!(running.get("/metrics").1.contains("picket_api_stalled_connections_total 1"));
}

#[test]
fn large_requests_are_refused() {
    let running = Running::start(|_| {});
    let (status, answer) = running.get(&format!("/{}", "x".repeat(100_000)));
    assert!((400..500).contains(&status), "{answer}");
    let mut stream = running.unix();
    write!(stream, "POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[test]
fn metrics_count_requests_with_bounded_labels() {
    let running = Running::start(|_| {});
    running.get("/healthz");
    running.get("/some/path");
    let (_, answer) = running.get("/metrics");
    assert!(answer.contains("picket_api_requests_total{route=\"/healthz\",status=\"200\"} 1"), "{answer}");
    assert!(answer.contains("picket_api_requests_total{route=\"other\",status=\"404\"} 1"), "{answer}");
    assert!(!answer.contains("/some/path"));
}

#[test]
fn the_socket_is_its_owners_alone_and_goes_with_the_agent() {
    let mut running = Running::start(|endpoints| endpoints.listen = None);
    let socket = running.endpoints.socket.clone();
    let metadata = std::fs::symlink_metadata(&socket).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    running.server.take().unwrap().stop();
    assert_eq!(std::fs::read_dir(running.folder.path()).unwrap().count(), 0);
}

#[test]
fn a_socket_that_somebody_answers_is_not_taken() {
    let running = Running::start(|_| {});
    let again = |socket: std::path::PathBuf| {
        let endpoints = Endpoints { listen: None, socket, ..running.endpoints.clone() };
        let registry = ::prometheus::Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        start(&endpoints, running.agent.clone(), registry, metrics).map(Server::stop)
    };
    let error = again(running.endpoints.socket.clone()).unwrap_err().to_string();
    assert!(error.contains("another agent answers"), "{error}");
    let file = running.folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let error = again(file.clone()).unwrap_err().to_string();
    assert!(error.contains("is no socket"), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), b"x");
    let left_behind = running.folder.path().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&left_behind).unwrap());
    again(left_behind).unwrap();
    let error = again(running.folder.path().join("no/such/folder.sock")).unwrap_err().to_string();
    assert!(error.contains("its folder exists"), "{error}");
}
