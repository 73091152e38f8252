//! The kinds of forwarders, as the configuration names them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use picket_forwarders::alertmanager::{self, AlertmanagerForwarder};
use picket_forwarders::file::{self, FileForwarder};
use picket_forwarders::fluent::{self, FluentForwarder};
use picket_forwarders::otlp::{self, OtlpForwarder};
use picket_forwarders::remote_write::{self, RemoteWrite};
use picket_forwarders::select::{self, Select};
use picket_forwarders::webhook::{self, WebhookForwarder};
use picket_forwarders::{BackoffConfig, BatchLimits, Forwarder, Link, SendError};
use picket_http as http;
use serde::{Deserialize, Serialize};

use super::drain;
use super::late::Late;
use crate::model::{FrameKind, Span};

/// One forwarder's section of the configuration; `kind` says which.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "there are a handful, made when the configuration is read")]
pub enum Config {
    /// See [`alertmanager::Config`].
    Alertmanager(alertmanager::Config),
    /// See [`file::Config`].
    File(file::Config),
    /// See [`fluent::Config`].
    Fluent(fluent::Config),
    /// See [`otlp::Config`].
    Otlp(otlp::Config),
    /// See [`remote_write::Config`].
    RemoteWrite(remote_write::Config),
    /// See [`webhook::Config`].
    Webhook(webhook::Config),
}

/// Shorter waits would do nothing but try.
const SHORTEST_WAIT: Span = Span(Duration::from_millis(1));
/// A receiver that is back is noticed within the hour.
const LONGEST_WAIT: Span = Span(Duration::from_secs(3600));

/// A setting that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The setting below the forwarder's section; empty for the section itself.
    pub key: String,
    /// What is wrong with it, and what to write.
    pub what: String,
}

impl Config {
    /// Its `kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Alertmanager(_) => "alertmanager",
            Self::File(_) => "file",
            Self::Fluent(_) => "fluent",
            Self::Otlp(_) => "otlp",
            Self::RemoteWrite(_) => "remote_write",
            Self::Webhook(_) => "webhook",
        }
    }

    /// The file that it writes; none when it writes none.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(config) => Some(&config.path),
            _ => None,
        }
    }

    /// All paths in it, with their settings: relative ones count from the folder of the configuration file.
    pub fn paths_mut(&mut self) -> Vec<(String, &mut PathBuf)> {
        let mut paths = Vec::new();
        match self {
            Self::File(config) => paths.push(("path".to_owned(), &mut config.path)),
            Self::Alertmanager(config) => http_paths(&mut config.http, &mut paths),
            Self::Otlp(config) => http_paths(&mut config.http, &mut paths),
            Self::RemoteWrite(config) => http_paths(&mut config.http, &mut paths),
            Self::Webhook(config) => {
                http_paths(&mut config.http, &mut paths);
                set(&mut paths, "url_file", &mut config.url_file);
                set(&mut paths, "template_file", &mut config.template_file);
                set(&mut paths, "secret_file", &mut config.secret_file);
                for (number, route) in config.routes.iter_mut().enumerate() {
                    set(&mut paths, &format!("routes.{number}.url_file"), &mut route.url_file);
                }
            }
            Self::Fluent(config) => {
                set(&mut paths, "shared_key_file", &mut config.shared_key_file);
                set(&mut paths, "password_file", &mut config.password_file);
                if let Some(tls) = &mut config.tls {
                    set(&mut paths, "tls.ca_file", &mut tls.ca_file);
                    set(&mut paths, "tls.cert_file", &mut tls.cert_file);
                    set(&mut paths, "tls.key_file", &mut tls.key_file);
                }
            }
        }
        paths
    }

    /// Whether the settings fit, as far as that shows without reading files or asking the receiver.
    pub fn check(&self) -> Result<(), Unfit> {
        if let Some(http) = self.http() {
            http.check()
                .map_err(|error| Unfit { key: format!("http.{}", error.key), what: error.to_string() })?;
        }
        let BackoffConfig { first, most } = self.pace().1;
        if first < SHORTEST_WAIT || most < first || most > LONGEST_WAIT {
            let what = format!(
                "`retry` waits for {first} at first and {most} at most; write at least {SHORTEST_WAIT} for `first`, and \
                 for `most` as much or more, up to {LONGEST_WAIT}"
            );
            return Err(Unfit { key: "retry".into(), what });
        }
        if let Self::Fluent(config) = self {
            config.check().map_err(|error| Unfit { key: String::new(), what: error.to_string() })?;
        }
        if let Some(select) = self.selection("node") {
            Select::new(&select).map_err(|error| Unfit { key: "select".into(), what: error.to_string() })?;
        }
        Ok(())
    }

    /// Where it sends to, for messages; none when what its probe finds names that itself. A query may hold a token,
    /// and is left out.
    pub fn receiver(&self) -> Option<String> {
        match self {
            Self::Alertmanager(_) | Self::File(_) | Self::Webhook(_) => None,
            Self::Fluent(config) => Some(config.address.to_string()),
            Self::Otlp(config) => Some(config.url.shown()),
            Self::RemoteWrite(config) => Some(config.url.shown()),
        }
    }

    /// Whether it talks to something over the network.
    pub fn needs_network(&self) -> bool {
        !matches!(self, Self::File(_))
    }

    /// How it is drained on this node.
    pub(super) fn drain(&self, node: &str) -> drain::Config {
        let (batch, retry) = self.pace();
        // Checked when the configuration was read.
        let select = self.selection(node).and_then(|select| Select::new(&select).ok());
        drain::Config { batch, retry, select }
    }

    /// Its hands. `link` is there when it needs the network.
    pub(super) fn forwarder(&self, link: Option<Link>) -> Box<dyn Forwarder> {
        match (self, link) {
            (Self::File(config), _) => Box::new(FileForwarder::new(config.clone())),
            (_, Some(link)) => {
                let config = self.clone();
                Box::new(Late::new(self.wanted(), Box::new(move || config.connected(&link))))
            }
            (_, None) => {
                let without = || Err(SendError::unusable("it has no network; please report this"));
                Box::new(Late::new(self.wanted(), Box::new(without)))
            }
        }
    }

    /// A forwarder with its certificates, keys and templates read.
    pub fn connected(&self, link: &Link) -> Result<Box<dyn Forwarder>, SendError> {
        fn boxed<T: Forwarder + 'static, E: std::fmt::Display>(
            made: Result<T, E>,
        ) -> Result<Box<dyn Forwarder>, SendError> {
            match made {
                Ok(forwarder) => Ok(Box::new(forwarder)),
                Err(error) => Err(SendError::unusable(error.to_string())),
            }
        }
        match self {
            Self::File(config) => Ok(Box::new(FileForwarder::new(config.clone()))),
            Self::Alertmanager(config) => boxed(AlertmanagerForwarder::new(config, link)),
            Self::Fluent(config) => {
                // It reads them anew for each connection; what cannot be read shows now all the same.
                config.try_files()?;
                boxed(FluentForwarder::new(config.clone(), link))
            }
            Self::Otlp(config) => boxed(OtlpForwarder::new(config.clone(), link)),
            Self::RemoteWrite(config) => boxed(RemoteWrite::new(config, link)),
            Self::Webhook(config) => boxed(WebhookForwarder::new(config, link)),
        }
    }

    fn wanted(&self) -> Vec<FrameKind> {
        let wants = |kind: &FrameKind| match self {
            Self::File(config) => config.include.contains(kind),
            Self::Alertmanager(_) => *kind == FrameKind::Alert,
            Self::Fluent(config) => config.includes(*kind),
            Self::Otlp(config) => config.includes(*kind),
            Self::RemoteWrite(_) => *kind == FrameKind::Sample,
            Self::Webhook(config) => config.kinds().contains(kind),
        };
        FrameKind::ALL.into_iter().filter(wants).collect()
    }

    /// Whether samples go this way.
    pub fn takes_samples(&self) -> bool {
        self.wanted().contains(&FrameKind::Sample)
    }

    fn pace(&self) -> (BatchLimits, BackoffConfig) {
        match self {
            Self::File(_) => (drain::BATCH, BackoffConfig::default()),
            Self::Alertmanager(config) => (config.batch_limits(), config.retry),
            Self::Fluent(config) => (config.batch.or(fluent::BATCH), config.retry),
            Self::Otlp(config) => (config.batch.or(otlp::BATCH), config.retry),
            Self::RemoteWrite(config) => (config.batch.or(remote_write::BATCH), config.retry),
            Self::Webhook(config) => (config.batch_limits(), config.retry),
        }
    }

    fn selection(&self, node: &str) -> Option<select::Config> {
        match self {
            Self::File(config) => Some(config.select.clone()),
            Self::Alertmanager(config) => Some(config.select.clone()),
            Self::Fluent(config) => Some(config.select.clone()),
            Self::Otlp(config) => Some(config.select.clone()),
            Self::RemoteWrite(config) => Some(config.select(node)),
            Self::Webhook(config) => Some(config.select.clone()),
        }
    }

    fn http(&self) -> Option<&http::Config> {
        match self {
            Self::File(_) | Self::Fluent(_) => None,
            Self::Alertmanager(config) => Some(&config.http),
            Self::Otlp(config) => Some(&config.http),
            Self::RemoteWrite(config) => Some(&config.http),
            Self::Webhook(config) => Some(&config.http),
        }
    }
}

fn http_paths<'a>(http: &'a mut http::Config, paths: &mut Vec<(String, &'a mut PathBuf)>) {
    set(paths, "http.bearer_token_file", &mut http.bearer_token_file);
    if let Some(basic) = &mut http.basic_auth {
        set(paths, "http.basic_auth.password_file", &mut basic.password_file);
    }
    set(paths, "http.tls.ca_file", &mut http.tls.ca_file);
    set(paths, "http.tls.cert_file", &mut http.tls.cert_file);
    set(paths, "http.tls.key_file", &mut http.tls.key_file);
}

/// Adds a path that is set.
fn set<'a>(paths: &mut Vec<(String, &'a mut PathBuf)>, key: &str, path: &'a mut Option<PathBuf>) {
    paths.extend(path.as_mut().map(|path| (key.to_owned(), path)));
}
