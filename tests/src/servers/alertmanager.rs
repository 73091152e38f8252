//! Alertmanager. A resolved alert is invisible to its queries at once, so what it notifies of is kept: the
//! notifications go to a [`Hook`], each alert by itself and without delay.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;

use super::client::{Web, metric, quoted};
use super::daemon::Daemon;
use super::hook::Hook;
use super::tls::{PASSWORD, Tls, USER};
use crate::ran::Ran;

/// A running Alertmanager and the receiver of its notifications.
pub struct Alertmanager {
    daemon: Daemon,
    web: Web,
    hook: Hook,
    /// Kept for its files, which are read at each launch.
    tls: Option<Tls>,
}

impl Alertmanager {
    /// One in plain text.
    pub fn start() -> Self {
        Self::new(None)
    }

    /// One with TLS, the password, and where it is demanded a client's certificate.
    pub fn secured(tls: &Tls, demands_client: bool) -> Self {
        Self::new(Some((tls, demands_client)))
    }

    fn new(tls: Option<(&Tls, bool)>) -> Self {
        let daemon = Daemon::new("alertmanager");
        let hook = Hook::start();
        let url = hook.url();
        let config = format!(
            "route: {{receiver: hook, group_by: ['...'], group_wait: 0s, group_interval: 1s, \
             repeat_interval: 1h}}\nreceivers:\n- name: hook\n  webhook_configs: [{{url: '{url}', \
             send_resolved: true}}]\n"
        );
        daemon.write("alertmanager.yml", &config);
        let web = match tls {
            None => Web::new(daemon.address()),
            Some((tls, demands_client)) => {
                tls.write_web_config(&daemon.path("web.yml"), demands_client);
                let (certificate, key) = tls.client();
                let config = format!(
                    "basic_auth: {{username: {USER}, password: {PASSWORD}}}\n\
                     tls_config: {{ca_file: {}, cert_file: {}, key_file: {}}}\n",
                    tls.authority().display(),
                    certificate.display(),
                    key.display()
                );
                daemon.write("amtool.yml", &config);
                Web::secured(daemon.address(), tls)
            }
        };
        let mut server = Self { daemon, web, hook, tls: tls.map(|(tls, _)| tls.clone()) };
        server.launch();
        server
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.daemon.address()
    }

    /// Its HTTP side.
    pub fn web(&self) -> &Web {
        &self.web
    }

    /// The alerts that fire there now and match all of the filters, `alertname="A"`.
    pub fn alerts(&self, filters: &[&str]) -> Vec<Value> {
        let filters: Vec<_> = filters.iter().map(|filter| format!("filter={}", quoted(filter))).collect();
        let path = format!("/api/v2/alerts?{}", filters.join("&"));
        let answer = self.web.get(&path).expect("Alertmanager answers");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json().as_array().expect("the answer is a list of alerts").clone()
    }

    /// Runs its command-line tool: `amtool(&["alert", "query", "-o", "json"])`.
    pub fn amtool(&self, words: &[&str]) -> Ran {
        let mut command = Command::new("amtool");
        command.arg(format!("--alertmanager.url={}", self.web.url()));
        if self.tls.is_some() {
            command.arg(format!("--http.config.file={}", self.daemon.path("amtool.yml").display()));
        }
        Ran::of(command.args(words))
    }

    /// What it has notified of so far, alert by alert, in order: each with `status` (`firing` or `resolved`),
    /// `labels`, `annotations`, `startsAt`, `endsAt`, `generatorURL`.
    pub fn notifications(&self) -> Vec<Value> {
        let requests = self.hook.requests();
        let alerts = |json: Value| json["alerts"].as_array().expect("a notification has alerts").clone();
        requests.iter().flat_map(|request| alerts(request.json())).collect()
    }

    /// How many alerts it was sent: `firing` or `resolved`, each time anew.
    pub fn received(&self, status: &str) -> f64 {
        let page = self.web.get("/metrics").expect("Alertmanager answers").body;
        let series = format!("alertmanager_alerts_received_total{{status=\"{status}\",version=\"v2\"}}");
        metric(&page, &series)
    }

    /// Ends it at once. It keeps alerts in memory only.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Starts it again at the same address, without an alert.
    pub fn launch(&mut self) {
        let mut command = Command::new("prometheus-alertmanager");
        command
            .arg(format!("--config.file={}", self.daemon.path("alertmanager.yml").display()))
            .arg(format!("--storage.path={}", self.daemon.path("data").display()))
            .arg(format!("--web.listen-address={}", self.daemon.address()))
            // Without it, it listens to other Alertmanagers on all addresses.
            .args(["--cluster.listen-address=", "--log.level=debug"]);
        if self.tls.is_some() {
            command.arg(format!("--web.config.file={}", self.daemon.path("web.yml").display()));
        }
        let web = self.web.clone();
        self.daemon.launch(&mut command, |_| web.get("/-/ready").is_some_and(|answer| answer.status == 200));
    }
}
