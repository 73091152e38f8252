//! The settings of a `prometheus` source.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use picket_http::{BasicAuth, Headers};
use picket_relabel::Rule;
use picket_scrape::targets::{Defaults, Group, resolve};
use picket_scrape::{Limits, MAX_BODY, Rules};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{ByteSize, Span};

/// More often only costs: what is scraped changes no faster, and a node has hundreds of series.
pub const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// How long a scrape may take when nothing else is set; no longer than the interval.
const TIMEOUT: Span = Span::seconds(10);

/// A `prometheus` source: scrapes targets on this machine, or near it, in the text format of Prometheus and in
/// OpenMetrics. What can be set has the names and the meaning of Prometheus' `scrape_config`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What is scraped, `HOST:PORT` each.
    pub targets: Vec<String>,
    /// A file with more targets, in Prometheus' `file_sd` format: a list of groups with `targets` and `labels`, in JSON,
    /// or in YAML when its name ends with `.yml` or `.yaml`. It is read again when it has changed; while it cannot be
    /// used, its former targets stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets_file: Option<PathBuf>,
    /// The label `job` of all samples; by default the source's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// How often each target is scraped; 1s or longer. Targets are spread over the interval.
    pub interval: Span,
    /// How long a scrape may take, between 1s and `interval`. By default 10s, or `interval` when that is shorter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// `http` or `https`; a group of `targets_file` can have its own in the label `__scheme__`.
    pub scheme: Scheme,
    /// The path of the page; a group of `targets_file` can have its own in the label `__metrics_path__`.
    pub metrics_path: String,
    /// Parameters of the query: lists of values by name. A group of `targets_file` can have its own first value in a
    /// label `__param_NAME`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Vec<String>>,
    /// Labels of all targets.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Where a sample on the page has a label that its target has too, the page's is kept. By default the target's is,
    /// and the page's is renamed to `exported_…`.
    pub honor_labels: bool,
    /// Times that the page gives samples are kept. Series with such times get no stale markers.
    pub honor_timestamps: bool,
    /// Rules that change the labels of samples, and keep or drop them, as Prometheus' `metric_relabel_configs`; at most
    /// 64.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metric_relabel_configs: Vec<Rule>,
    /// A scrape whose page is larger, uncompressed, fails; at most 256MiB.
    pub body_size_limit: ByteSize,
    /// A scrape with more samples after relabelling fails. 0 is no limit but the agent's own, 250000.
    pub sample_limit: u32,
    /// A scrape with a sample that has more labels after relabelling, its name counted, fails; 0 is no limit.
    pub label_limit: u32,
    /// A scrape with a label whose name has more bytes after relabelling fails; 0 is no limit.
    pub label_name_length_limit: u32,
    /// A scrape with a label whose value has more bytes after relabelling fails; 0 is no limit.
    pub label_value_length_limit: u32,
    /// How targets are reached.
    pub http: Http,
}

/// The scheme of a target's URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Scheme {
    /// Without TLS.
    #[default]
    Http,
    /// With TLS.
    Https,
}

/// `[sources.NAME.http]`: how targets are reached.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Headers that every request gets. They cannot replace those that the protocol needs.
    pub headers: Headers,
    /// A name and a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// A file that holds a bearer token; read again after a target has refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token_file: Option<PathBuf>,
    /// An environment variable that holds a bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token_env: Option<String>,
    /// The proxy's URL, `http://HOST:PORT` or `https://HOST:PORT`. By default none is used, whatever the agent's
    /// environment says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Certificates.
    pub tls: picket_http::tls::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            targets_file: None,
            job: None,
            interval: Span::seconds(15),
            timeout: None,
            scheme: Scheme::Http,
            metrics_path: "/metrics".to_owned(),
            params: BTreeMap::new(),
            labels: BTreeMap::new(),
            honor_labels: false,
            honor_timestamps: true,
            metric_relabel_configs: Vec::new(),
            body_size_limit: ByteSize(16 << 20),
            sample_limit: 0,
            label_limit: 0,
            label_name_length_limit: 0,
            label_value_length_limit: 0,
            http: Http::default(),
        }
    }
}

/// A setting of a `prometheus` source cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ConfigError {
    /// Its path below the source's section, joined by dots.
    pub key: String,
    /// What is wrong with it, and what to do.
    pub what: String,
}

/// A [`Config`] ready to use.
#[derive(Debug, Clone)]
pub struct Checked {
    /// See [`Config::interval`].
    pub interval: Duration,
    /// How targets are reached, with the time that a scrape may take.
    pub client: picket_http::Config,
    /// See [`Config::body_size_limit`].
    pub body: usize,
    /// How pages become samples.
    pub rules: Rules,
    /// What targets have when their group has nothing of its own.
    pub defaults: Defaults,
    /// The targets of the configuration.
    pub fixed: Group,
    /// See [`Config::targets_file`].
    pub targets_file: Option<PathBuf>,
}

impl Config {
    /// Checks everything that can be checked without looking at files and targets.
    pub fn check(&self) -> Result<Checked, ConfigError> {
        let fixed = Group { targets: self.targets.clone(), labels: BTreeMap::new() };
        let checked = Checked {
            interval: self.interval.0,
            client: self.client()?,
            body: self.body()?,
            rules: self.rules()?,
            defaults: self.defaults(),
            fixed,
            targets_file: self.targets_file.clone(),
        };
        if self.targets.is_empty() && self.targets_file.is_none() {
            return Err(wrong("targets", "there is nothing to scrape: set `targets` or `targets_file`"));
        }
        resolve(&checked.defaults, std::slice::from_ref(&checked.fixed))
            .map_err(|error| wrong("targets", &error.to_string()))?;
        Ok(checked)
    }

    /// All paths in it, with their settings: relative ones count from the folder of the configuration file.
    pub fn paths_mut(&mut self) -> Vec<(&'static str, &mut PathBuf)> {
        let Http { basic_auth, bearer_token_file, tls, .. } = &mut self.http;
        let password = basic_auth.as_mut().and_then(|basic| basic.password_file.as_mut());
        [
            ("targets_file", self.targets_file.as_mut()),
            ("http.bearer_token_file", bearer_token_file.as_mut()),
            ("http.basic_auth.password_file", password),
            ("http.tls.ca_file", tls.ca_file.as_mut()),
            ("http.tls.cert_file", tls.cert_file.as_mut()),
            ("http.tls.key_file", tls.key_file.as_mut()),
        ]
        .into_iter()
        .filter_map(|(key, path)| Some((key, path?)))
        .collect()
    }

    fn client(&self) -> Result<picket_http::Config, ConfigError> {
        if self.interval.0 < SHORTEST_INTERVAL {
            return Err(wrong(
                "interval",
                &format!("`interval` is {}; it can be 1s or longer", self.interval),
            ));
        }
        let timeout = self.timeout.unwrap_or(TIMEOUT.min(self.interval));
        if timeout.0 < SHORTEST_INTERVAL || timeout > self.interval {
            let what = format!("`timeout` is {timeout}; it can be from 1s to `interval`, {}", self.interval);
            return Err(wrong("timeout", &what));
        }
        let http = self.http.clone();
        let client = picket_http::Config {
            timeout,
            headers: http.headers,
            basic_auth: http.basic_auth,
            bearer_token_file: http.bearer_token_file,
            bearer_token_env: http.bearer_token_env,
            proxy: Some(http.proxy.unwrap_or_else(|| "none".to_owned())),
            tls: http.tls,
        };
        match client.check() {
            Ok(()) => Ok(client),
            Err(error) if error.key == "timeout" => Err(wrong("timeout", "`timeout` can be 5m at most")),
            Err(error) => Err(wrong(&format!("http.{}", error.key), &error.to_string())),
        }
    }

    fn body(&self) -> Result<usize, ConfigError> {
        match usize::try_from(self.body_size_limit.0) {
            Ok(body @ 1..=MAX_BODY) => Ok(body),
            _ => Err(wrong("body_size_limit", "`body_size_limit` must be between 1B and 256MiB")),
        }
    }

    fn rules(&self) -> Result<Rules, ConfigError> {
        let relabel = picket_relabel::Rules::new(&self.metric_relabel_configs)
            .map_err(|error| wrong("metric_relabel_configs", &error.to_string()))?;
        let limits = Limits {
            samples: self.sample_limit as usize,
            labels: self.label_limit as usize,
            label_name: self.label_name_length_limit as usize,
            label_value: self.label_value_length_limit as usize,
        };
        Ok(Rules {
            honor_labels: self.honor_labels,
            honor_timestamps: self.honor_timestamps,
            relabel,
            limits,
        })
    }

    /// The job stays empty when none is set.
    fn defaults(&self) -> Defaults {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        Defaults {
            job: self.job.clone().unwrap_or_default(),
            scheme: scheme.to_owned(),
            metrics_path: self.metrics_path.clone(),
            params: self.params.clone(),
            labels: self.labels.clone(),
        }
    }
}

impl Checked {
    /// For the source of this name, which is the job of its targets when no other is set.
    #[must_use]
    pub fn named(mut self, source: &str) -> Self {
        if self.defaults.job.is_empty() {
            source.clone_into(&mut self.defaults.job);
        }
        self
    }
}

fn wrong(key: &str, what: &str) -> ConfigError {
    ConfigError { key: key.to_owned(), what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn checked(text: &str) -> Result<Checked, ConfigError> {
        let config: Config = toml::from_str(text).unwrap();
        config.check()
    }

    #[test]
    fn what_is_not_set_is_as_in_prometheus() {
        let checked = checked("targets = ['127.0.0.1:9100']").unwrap().named("node");
        assert_eq!(checked.interval, Duration::from_secs(15));
        assert_eq!(checked.client.timeout, Span::seconds(10));
        assert_eq!(checked.client.proxy.as_deref(), Some("none"));
        assert!(checked.rules.honor_timestamps && !checked.rules.honor_labels);
        let target = resolve(&checked.defaults, &[checked.fixed]).unwrap().remove(0);
        assert_eq!(target.url.to_string(), "http://127.0.0.1:9100/metrics");
        assert_eq!(
            target.labels.iter().map(|label| &*label.value).collect::<Vec<_>>(),
            ["127.0.0.1:9100", "node"]
        );
    }

    #[test]
    fn each_mistake_is_told_with_its_setting() {
        for (text, key) in [
            ("", "targets"),
            ("targets = ['http://a:1']", "targets"),
            ("targets = ['a:1']\nlabels = { 'a-b' = 'c' }", "targets"),
            ("targets = ['a:1']\ninterval = '100ms'", "interval"),
            ("targets = ['a:1']\ninterval = '5s'\ntimeout = '6s'", "timeout"),
            ("targets = ['a:1']\ntimeout = '10ms'", "timeout"),
            ("targets = ['a:1']\ninterval = '1h'\ntimeout = '10m'", "timeout"),
            ("targets = ['a:1']\nbody_size_limit = '1GiB'", "body_size_limit"),
            (
                "targets = ['a:1']\nhttp.bearer_token_file = 'a'\nhttp.bearer_token_env = 'b'",
                "http.bearer_token_env",
            ),
            ("targets = ['a:1']\nhttp.tls.cert_file = 'a'", "http.tls.cert_file"),
            ("targets = ['a:1']\n[[metric_relabel_configs]]\nregex = '('", "metric_relabel_configs"),
        ] {
            assert_eq!(checked(text).unwrap_err().key, key, "{text}");
        }
        assert_eq!(checked("targets = ['a:1']\ninterval = '5s'").unwrap().client.timeout, Span::seconds(5));
        assert!(toml::from_str::<Config>("relabel_configs = []").is_err());
    }

    #[test]
    fn all_paths_are_there_to_become_absolute() {
        let text = "targets_file = 'a'\n[http]\nbearer_token_file = 'b'\nbasic_auth = { username = '', password_file = 'c' }\n\
                    tls = { ca_file = 'd', cert_file = 'e', key_file = 'f' }";
        let mut config: Config = toml::from_str(text).unwrap();
        assert_eq!(config.paths_mut().len(), 6);
    }
}
