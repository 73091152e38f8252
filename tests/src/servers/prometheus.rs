//! Prometheus with its remote-write receiver. Unless a test has it scrape, it scrapes nothing, so that only what the
//! test sends moves its time.
//!
//! It refuses samples that are not in order and keeps no repeat, so order is shown here and repeats are shown at
//! VictoriaMetrics. It checks no header and ignores metadata.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;

use super::client::{Web, metric, quoted};
use super::daemon::Daemon;
use super::series::{DAYS, Series, labels, tomorrow};
use super::tls::Tls;
use crate::wait::until;

/// The external label of one that scrapes: what templates know as `$externalLabels`.
pub const REGION: (&str, &str) = ("region", "eu");

/// A running Prometheus.
pub struct Prometheus {
    daemon: Daemon,
    web: Web,
    /// Kept for its files, which are read at each launch.
    tls: Option<Tls>,
}

/// What a Prometheus starts with.
#[derive(Default)]
pub struct Builder {
    window: Option<String>,
    tls: Option<(Tls, bool)>,
    scraping: Option<Scraping>,
}

/// What is scraped, and the rules over it.
struct Scraping {
    job: String,
    targets: Vec<SocketAddr>,
    rules: String,
}

impl Builder {
    /// Scrapes targets each second, with the label `job`, and evaluates rules as often. Its external labels are
    /// [`REGION`].
    pub fn scraping(mut self, job: &str, targets: &[SocketAddr], rules: &str) -> Self {
        let (job, targets, rules) = (job.to_owned(), targets.to_owned(), rules.to_owned());
        self.scraping = Some(Scraping { job, targets, rules });
        self
    }

    /// Takes samples that are out of order by so much, such as `2h`.
    pub fn out_of_order(mut self, window: &str) -> Self {
        self.window = Some(window.to_owned());
        self
    }

    /// TLS, and the password of the one user.
    pub fn tls(mut self, tls: &Tls) -> Self {
        self.tls = Some((tls.clone(), false));
        self
    }

    /// TLS, the password, and a client's certificate.
    pub fn client_certificate(mut self, tls: &Tls) -> Self {
        self.tls = Some((tls.clone(), true));
        self
    }

    /// Starts it and waits until it is ready.
    pub fn start(self) -> Prometheus {
        let daemon = Daemon::new("prometheus");
        daemon.write("prometheus.yml", &self.config());
        if let Some(scraping) = &self.scraping {
            daemon.write("rules.yml", &scraping.rules);
        }
        let web = match &self.tls {
            None => Web::new(daemon.address()),
            Some((tls, demands_client)) => {
                tls.write_web_config(&daemon.path("web.yml"), *demands_client);
                Web::secured(daemon.address(), tls)
            }
        };
        let mut server = Prometheus { daemon, web, tls: self.tls.map(|(tls, _)| tls) };
        server.launch();
        server
    }

    fn config(&self) -> String {
        let window = self.window.as_deref().unwrap_or("0s");
        let storage = format!("storage: {{tsdb: {{out_of_order_time_window: {window}}}}}\n");
        let Some(Scraping { job, targets, .. }) = &self.scraping else {
            return format!("global: {{scrape_interval: 1h, evaluation_interval: 1h}}\n{storage}");
        };
        let targets: Vec<String> = targets.iter().map(|target| format!("\"{target}\"")).collect();
        format!(
            "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  evaluation_interval: 1s\n  \
             external_labels: {{{}: {}}}\n{storage}rule_files: [rules.yml]\n\
             scrape_configs: [{{job_name: {job}, static_configs: [{{targets: [{}]}}]}}]\n",
            REGION.0,
            REGION.1,
            targets.join(", ")
        )
    }
}

impl Prometheus {
    /// One in plain text that takes samples in order only.
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

    /// Its HTTP side.
    pub fn web(&self) -> &Web {
        &self.web
    }

    /// Where samples are sent to.
    pub fn write_url(&self) -> String {
        format!("{}/api/v1/write", self.web.url())
    }

    /// The result of a query at a time, in seconds since 1970, or now. Panics when it has an error.
    pub fn query(&self, expression: &str, time: Option<f64>) -> Value {
        let time = time.map_or_else(String::new, |time| format!("&time={time}"));
        let path = format!("/api/v1/query?query={}{time}", quoted(expression));
        let answer = self.web.get(&path).expect("Prometheus answers");
        assert_eq!(answer.status, 200, "{expression}: {}", answer.body);
        answer.json()["data"]["result"].clone()
    }

    /// The data of a good answer of its API, asked for as `alerts` or `query?query=up`; none without one.
    pub fn api(&self, rest: &str) -> Option<Value> {
        let answer = self.web.get(&format!("/api/v1/{rest}"))?;
        (answer.status == 200).then(|| answer.json()["data"].take())
    }

    /// All samples of the series of a selector, `up{job="x"}`, that are younger than 30 days. A stale
    /// marker is none of them.
    pub fn raw_samples(&self, selector: &str) -> Vec<Series> {
        let result = self.query(&format!("{selector}[{DAYS}d]"), Some(tomorrow() as f64));
        result.as_array().expect("a range of samples is a list of series").iter().map(series).collect()
    }

    /// How many samples those are: cheap, for waiting.
    pub fn count(&self, selector: &str) -> u64 {
        let expression = format!("sum(count_over_time({selector}[{DAYS}d]))");
        let result = self.query(&expression, Some(tomorrow() as f64));
        result[0]["value"][1].as_str().map_or(0, |count| count.parse().expect("a count is a number"))
    }

    /// Waits until there are so many; panics at once when there are more.
    pub fn until_count(&self, selector: &str, count: u64) {
        until(&format!("Prometheus has {count} samples of {selector}"), || {
            let found = self.count(selector);
            assert!(found <= count, "{found} samples of {selector} instead of {count}");
            (found == count).then_some(())
        });
    }

    /// One of its own metrics, such as `prometheus_tsdb_out_of_order_samples_total`.
    pub fn metric(&self, series: &str) -> f64 {
        metric(&self.web.get("/metrics").expect("Prometheus answers").body, series)
    }

    /// Ends it at once. What it has answered for is in its log.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Starts it again with its data, at the same address.
    pub fn launch(&mut self) {
        let address = self.daemon.address();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", self.daemon.path("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", self.daemon.path("data").display()))
            .arg(format!("--storage.tsdb.retention.time={DAYS}d"))
            .arg(format!("--web.listen-address={address}"))
            .arg("--web.enable-remote-write-receiver");
        if self.tls.is_some() {
            command.arg(format!("--web.config.file={}", self.daemon.path("web.yml").display()));
        }
        let web = self.web.clone();
        self.daemon.launch(&mut command, |_| web.get("/-/ready").is_some_and(|answer| answer.status == 200));
    }
}

fn series(json: &Value) -> Series {
    let sample = |pair: &Value| {
        let seconds = pair[0].as_f64().expect("a time is a number");
        let value = pair[1].as_str().and_then(|value| value.parse().ok()).expect("a value is a number");
        ((seconds * 1000.0).round() as i64, value)
    };
    let samples = json["values"].as_array().expect("a series has values").iter().map(sample).collect();
    Series { labels: labels(&json["metric"]), samples }
}
