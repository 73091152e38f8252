//! A receiver of OTLP/HTTP around PyPI's `opentelemetry-proto`: `tests/servers/otlp-server.py`. It decodes what
//! it gets, and answers as a test has planned.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::{Value, json};

use super::client::Web;
use super::daemon::Daemon;
use super::lines::Lines;
use super::need;
use super::tls::Tls;
use crate::wait::until;

/// A running receiver of OTLP.
pub struct Otlp {
    daemon: Daemon,
    lines: Lines,
    options: Vec<String>,
    /// Kept for its files, which are read at each launch.
    _tls: Option<Tls>,
}

/// What a receiver starts with.
#[derive(Default)]
pub struct Builder {
    options: Vec<String>,
    tls: Option<Tls>,
}

impl Builder {
    /// TLS.
    pub fn tls(mut self, tls: &Tls) -> Self {
        self.tls = Some(tls.clone());
        let (certificate, key) = tls.server();
        self.option("tls-cert", &certificate.display().to_string())
            .option("tls-key", &key.display().to_string())
    }

    /// TLS, and a client's certificate.
    pub fn client_certificate(self, tls: &Tls) -> Self {
        self.tls(tls).option("client-ca", &tls.authority().display().to_string())
    }

    /// Answers 401 to whoever has not this bearer token.
    pub fn bearer(self, token: &str) -> Self {
        self.option("bearer", token)
    }

    /// Starts it and waits until it listens.
    pub fn start(self) -> Otlp {
        let daemon = Daemon::new("otlp-server");
        let lines = Lines::of(daemon.path("lines.json"));
        let mut server = Otlp { daemon, lines, options: self.options, _tls: self.tls };
        server.launch();
        server
    }

    fn option(mut self, name: &str, value: &str) -> Self {
        self.options.extend([format!("--{name}"), value.to_owned()]);
        self
    }
}

impl Otlp {
    /// One in plain text that accepts everything.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// For another one.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.daemon.address()
    }

    /// Its HTTP side; without TLS only.
    pub fn web(&self) -> Web {
        Web::new(self.address())
    }

    /// The log records that it kept, in order: `time`, `severity_number`, `severity_text`, `event_name`, `body`,
    /// `attributes`, `resource`, `scope`; see the script.
    pub fn logs(&self) -> Vec<Value> {
        self.lines.all("log")
    }

    /// The data points that it kept, in order: `name`, `kind`, `attributes`, `time`, `flags`, `as_double`; see the
    /// script.
    pub fn points(&self) -> Vec<Value> {
        self.lines.all("metric")
    }

    /// All requests, in order: `path`, `headers`, `status` (0 without an answer), `records`, `rejected`, `encoding`.
    pub fn requests(&self) -> Vec<Value> {
        self.lines.all("request")
    }

    /// How many `log`, `metric` or `request` lines there are: cheap, for waiting.
    pub fn count(&self, kind: &str) -> usize {
        self.lines.count(kind)
    }

    /// Waits until there are at least so many.
    pub fn until_count(&self, kind: &str, count: usize) {
        until(&format!("{count} of `{kind}` arrive"), || (self.count(kind) >= count).then_some(()));
    }

    /// What the next requests get, one step each, before everything is accepted again: `{"do": "status", "code":
    /// 429, "retry_after": 2, "times": 3, "for": "/v1/logs"}`, `{"do": "partial", "rejected": 1, "message":
    /// "no"}`, `reset`, `reset_mid`, `lost`, `hang`, `slow`, `garbage`; see the script.
    pub fn plan(&mut self, steps: &Value) {
        let told = self.lines.count("told");
        self.daemon.tell(&json!({ "steps": steps }).to_string());
        until("the OTLP server has taken the plan", || (self.lines.count("told") > told).then_some(()));
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Starts it again at the same address, without a plan. What arrived before is still known.
    pub fn launch(&mut self) {
        let listening = self.lines.count("listening");
        let mut command = Command::new("python3");
        command
            .arg(need::source("otlp-server.py"))
            .args(["--port", &self.daemon.address().port().to_string()])
            .arg("--packages")
            .arg(need::installed("py"))
            .arg("--out")
            .arg(self.daemon.path("lines.json"))
            .args(&self.options);
        let lines = &self.lines;
        self.daemon.launch(&mut command, |_| lines.count("listening") > listening);
    }
}
