//! VictoriaMetrics, which takes nearly everything and keeps every repeat: the place to count them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;

use super::client::{Web, metric, quoted};
use super::daemon::Daemon;
use super::series::{DAYS, Series, labels, tomorrow};
use super::tls::{PASSWORD, Tls, USER};
use crate::http::Response;
use crate::wait::until;

/// A running VictoriaMetrics.
pub struct VictoriaMetrics {
    daemon: Daemon,
    web: Web,
    tls: Option<Tls>,
}

impl VictoriaMetrics {
    /// One in plain text.
    pub fn start() -> Self {
        Self::new(None)
    }

    /// One with TLS and the password. It knows no client certificates.
    pub fn secured(tls: &Tls) -> Self {
        Self::new(Some(tls))
    }

    fn new(tls: Option<&Tls>) -> Self {
        let daemon = Daemon::new("victoria-metrics");
        let web = match tls {
            Some(tls) => Web::secured(daemon.address(), tls),
            None => Web::new(daemon.address()),
        };
        let mut server = Self { daemon, web, tls: tls.cloned() };
        server.launch(&[]);
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

    /// Where samples are sent to.
    pub fn write_url(&self) -> String {
        format!("{}/api/v1/write", self.web.url())
    }

    /// Every sample that it took of the series of a selector, with repeats, by time.
    pub fn export(&self, selector: &str) -> Vec<Series> {
        self.flush();
        // Without an end it leaves out what is younger than its clock, which is a second or two behind.
        let path = format!("/api/v1/export?match[]={}&start=0&end={}", quoted(selector), tomorrow());
        merged(&self.get(&path).body)
    }

    /// How many samples those are without stale markers, of the last 30 days, with repeats: cheap, for waiting.
    pub fn count(&self, selector: &str) -> u64 {
        self.flush();
        let expression = quoted(&format!("sum(count_over_time({selector}[{DAYS}d]))"));
        let path = format!("/api/v1/query?query={expression}&time={}&nocache=1", tomorrow());
        let result = &self.get(&path).json()["data"]["result"];
        result[0]["value"][1].as_str().map_or(0, |count| count.parse().expect("a count is a number"))
    }

    /// What came in shows at once; otherwise a second later, or ten.
    fn flush(&self) {
        self.get("/internal/force_flush");
    }

    fn get(&self, path: &str) -> Response {
        let answer = self.web.get(path).expect("VictoriaMetrics answers");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer
    }

    /// Waits until there are at least so many.
    pub fn until_count(&self, selector: &str, count: u64) {
        until(&format!("VictoriaMetrics has {count} samples of {selector}"), || {
            (self.count(selector) >= count).then_some(())
        });
    }

    /// One of its own metrics, such as `vm_rows_inserted_total{type="promremotewrite"}`.
    pub fn metric(&self, series: &str) -> f64 {
        metric(&self.web.get("/metrics").expect("VictoriaMetrics answers").body, series)
    }

    /// Ends it so that all it took is on disk. It must not be killed: it answers before it has written.
    pub fn stop(&mut self) {
        self.daemon.stop();
    }

    /// Starts it again with its data, at the same address, with more flags. [`READ_ONLY`](Self::READ_ONLY)
    /// makes it answer 503.
    pub fn launch(&mut self, flags: &[&str]) {
        let mut command = Command::new("victoria-metrics");
        command
            .arg(format!("-httpListenAddr={}", self.daemon.address()))
            .arg(format!("-storageDataPath={}", self.daemon.path("data").display()))
            // Samples older than that would be taken and vanish; the default is a month.
            .args(["-retentionPeriod=100y", "-search.latencyOffset=0s", "-memory.allowedBytes=256MiB"])
            .args(flags);
        if let Some(tls) = &self.tls {
            let (certificate, key) = tls.server();
            command
                .args([
                    "-tls",
                    &format!("-httpAuth.username={USER}"),
                    &format!("-httpAuth.password={PASSWORD}"),
                ])
                .arg(format!("-tlsCertFile={}", certificate.display()))
                .arg(format!("-tlsKeyFile={}", key.display()));
        }
        let web = self.web.clone();
        self.daemon.launch(&mut command, |_| web.get("/health").is_some_and(|answer| answer.status == 200));
    }

    /// A flag that lets it believe that its disk is full.
    pub const READ_ONLY: &str = "-storage.minFreeDiskSpaceBytes=10000GB";
}

/// The series of an export, which may stand on several lines each.
fn merged(lines: &str) -> Vec<Series> {
    let mut all: BTreeMap<_, Vec<(i64, f64)>> = BTreeMap::new();
    for line in lines.lines().filter(|line| !line.is_empty()) {
        let json: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}"));
        let times = json["timestamps"].as_array().expect("a series has times");
        let values = json["values"].as_array().expect("a series has values");
        let samples = times.iter().zip(values).map(|(time, value)| {
            (time.as_i64().expect("a time is a number"), value.as_f64().unwrap_or(f64::NAN))
        });
        all.entry(labels(&json["metric"])).or_default().extend(samples);
    }
    let by_time = |(labels, mut samples): (_, Vec<(i64, f64)>)| {
        samples.sort_by_key(|(time, _)| *time);
        Series { labels, samples }
    };
    all.into_iter().map(by_time).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_series_are_one_series() {
        let line = |value: &str, time: i64| {
            format!(r#"{{"metric":{{"__name__":"a"}},"values":[{value}],"timestamps":[{time}]}}"#)
        };
        let all = merged(&[line("2", 7), line("null", 9), line("1", 7)].join("\n"));
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].samples[..2], [(7, 2.0), (7, 1.0)]);
        assert!(all[0].samples[2].1.is_nan());
        assert_eq!((all[0].repeats(), all[0].label("__name__"), all[0].label("job")), (1, "a", ""));
    }
}
