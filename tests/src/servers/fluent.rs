//! The Forward server of npm's `@fluent-org/logger`, which `tests/servers/forward-server.js` wraps.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;

use super::daemon::Daemon;
use super::lines::Lines;
use super::need;
use super::tls::{PASSWORD, Tls, USER};
use crate::wait::until;

/// A running Forward server.
pub struct Fluent {
    daemon: Daemon,
    lines: Lines,
    options: Vec<String>,
    /// Kept for its files, which are read at each launch.
    _tls: Option<Tls>,
}

/// What a Forward server starts with.
#[derive(Default)]
pub struct Builder {
    options: Vec<String>,
    tls: Option<Tls>,
}

impl Builder {
    /// Demands the handshake with this key.
    pub fn shared_key(self, key: &str) -> Self {
        self.option("shared-key", key).option("hostname", Fluent::HOSTNAME)
    }

    /// Demands the one user and the password, beside the key.
    pub fn user(self) -> Self {
        self.option("user", USER).option("password", PASSWORD)
    }

    /// TLS from the first byte.
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

    /// Starts it and waits until it listens.
    pub fn start(self) -> Fluent {
        let daemon = Daemon::new("forward-server");
        let lines = Lines::of(daemon.path("lines.json"));
        let mut server = Fluent { daemon, lines, options: self.options, _tls: self.tls };
        server.launch();
        server
    }

    fn option(mut self, name: &str, value: &str) -> Self {
        self.options.extend([format!("--{name}"), value.to_owned()]);
        self
    }
}

impl Fluent {
    /// What it calls itself in the handshake. A client with this name is refused.
    pub const HOSTNAME: &str = "forward-server";

    /// One in plain text without a handshake.
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

    /// All events so far in order, repeats included: each with `tag`, `time` (`s` and `ns`, or a number),
    /// `record`, and the `chunk` and `mode` of the message that it came in.
    pub fn events(&self) -> Vec<Value> {
        self.lines.all("event")
    }

    /// How many events those are: cheap, for waiting.
    pub fn count(&self) -> usize {
        self.lines.count("event")
    }

    /// Waits until there are at least so many.
    pub fn until_count(&self, count: usize) {
        until(&format!("{count} events arrive"), || (self.count() >= count).then_some(()));
    }

    /// All messages so far: each with `mode`, `tag`, `chunk`, `size`, `compressed`, `entries`, and whether it
    /// was `acked`.
    pub fn messages(&self) -> Vec<Value> {
        self.lines.all("message")
    }

    /// The handshakes that were refused, with the `reason`.
    pub fn refused(&self) -> Vec<Value> {
        self.lines.all("refused")
    }

    /// The handshakes that were not: each with the client's name as `client` and the `user`.
    pub fn authenticated(&self) -> Vec<Value> {
        self.lines.all("authenticated")
    }

    /// Changes what it does with acknowledgements or connections, from now on: `ack off`, `ack on`,
    /// `ack wrong`, `ack delay 500`, `ack drop 3`, `close`, `reset`, `close-after 2`, `reset-after 2`. Returns
    /// when it is so. A message whose acknowledgement is not sent has been taken all the same.
    pub fn tell(&mut self, order: &str) {
        let told = self.lines.count("told");
        self.daemon.tell(order);
        until("the Forward server has taken the order", || (self.lines.count("told") > told).then_some(()));
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Starts it again at the same address. What arrived before is still known.
    pub fn launch(&mut self) {
        let listening = self.lines.count("listening");
        let mut command = Command::new("node");
        command
            .arg(need::source("forward-server.js"))
            .args(["--port", &self.daemon.address().port().to_string()])
            .arg("--modules")
            .arg(need::installed("npm").join("node_modules"))
            .arg("--out")
            .arg(self.daemon.path("lines.json"))
            .args(&self.options);
        let lines = &self.lines;
        self.daemon.launch(&mut command, |_| lines.count("listening") > listening);
    }
}
