//! Which targets there are: groups of addresses with labels, as they stand in the configuration or in a targets file,
//! and the URL and the labels that each address gets.

mod file;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use picket_http::{Url, UrlError};
use picket_model::Label;
use picket_relabel::is_label_name;
use serde::Deserialize;

pub use file::{FileError, MAX_FILE, parse, read};

/// The most targets of one source: a node has some dozens.
pub const MAX_TARGETS: usize = 1000;
/// The most labels that a group gives its targets, those of the source among them.
pub const MAX_LABELS: usize = 64;

/// Targets with the same labels: one entry of a targets file, in Prometheus' `file_sd` format.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Group {
    /// `HOST:PORT` each.
    pub targets: Vec<String>,
    /// What all of them get. `__scheme__`, `__metrics_path__` and `__param_NAME` say how they are reached; other
    /// labels that begin with `__` are left out.
    pub labels: BTreeMap<String, String>,
}

/// How the targets of a source are reached when their group does not say it, and what they are called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Defaults {
    /// The label `job`.
    pub job: String,
    /// `http` or `https`.
    pub scheme: String,
    /// The path of the page.
    pub metrics_path: String,
    /// Parameters of the query, in order.
    pub params: BTreeMap<String, Vec<String>>,
    /// Labels of all targets.
    pub labels: BTreeMap<String, String>,
}

/// What is scraped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where its page is.
    pub url: Url,
    /// Its labels, `job` and `instance` among them, sorted; none is empty.
    pub labels: Vec<Label>,
}

/// A group that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// An address is none.
    #[error("the target `{address}` is no `HOST:PORT`; scheme and path stand in `scheme` and `metrics_path`")]
    Address {
        /// The beginning of it.
        address: String,
    },
    /// Address and path make no URL.
    #[error("the target `{address}`: {cause}")]
    Url {
        /// The address.
        address: String,
        /// What is wrong.
        cause: UrlError,
    },
    /// A label's name is none.
    #[error("`{name}` is no name of a label; it is of letters, digits and `_`")]
    Label {
        /// The beginning of it.
        name: String,
    },
    /// Too many.
    #[error("there are more than {most} {what}")]
    TooMany {
        /// What.
        what: &'static str,
        /// The bound.
        most: usize,
    },
}

impl Target {
    /// Names it: of two targets with the same key one is scraped.
    pub fn key(&self) -> String {
        let mut key = self.url.to_string();
        for Label { name, value } in &self.labels {
            // Cannot fail: it is a text.
            let _ = write!(key, "\n{name}={value}");
        }
        key
    }
}

/// The targets of groups, each once, in order.
pub fn resolve(defaults: &Defaults, groups: &[Group]) -> Result<Vec<Target>, TargetError> {
    let mut targets: BTreeMap<String, Target> = BTreeMap::new();
    for group in groups {
        let labels = group_labels(defaults, group)?;
        for address in &group.targets {
            let target = target(defaults, &labels, address)?;
            targets.insert(target.key(), target);
            if targets.len() > MAX_TARGETS {
                return Err(TargetError::TooMany { what: "targets", most: MAX_TARGETS });
            }
        }
    }
    Ok(targets.into_values().collect())
}

/// Those of the source, those of the group in their place, and the job.
fn group_labels(defaults: &Defaults, group: &Group) -> Result<BTreeMap<String, String>, TargetError> {
    let mut labels = BTreeMap::from([("job".to_owned(), defaults.job.clone())]);
    labels.extend(defaults.labels.clone());
    labels.extend(group.labels.clone());
    if let Some(name) = labels.keys().find(|name| !is_label_name(name)) {
        return Err(TargetError::Label { name: shown(name) });
    }
    match labels.len() > MAX_LABELS {
        true => Err(TargetError::TooMany { what: "labels", most: MAX_LABELS }),
        false => Ok(labels),
    }
}

fn target(
    defaults: &Defaults,
    labels: &BTreeMap<String, String>,
    address: &str,
) -> Result<Target, TargetError> {
    let is_address = |letter: char| !letter.is_whitespace() && !matches!(letter, '/' | '?' | '#' | '@');
    if address.is_empty() || !address.chars().all(is_address) || !has_port_or_none(address) {
        // What stands before an `@` may be a password.
        let said = if address.contains('@') { "…@…".to_owned() } else { shown(address) };
        return Err(TargetError::Address { address: said });
    }
    let scheme = labels.get("__scheme__").unwrap_or(&defaults.scheme);
    let path = labels.get("__metrics_path__").unwrap_or(&defaults.metrics_path);
    let slash = if path.starts_with('/') { "" } else { "/" };
    let url = format!("{scheme}://{address}{slash}{path}{}", query(defaults, labels));
    let url = url.parse().map_err(|cause| TargetError::Url { address: shown(address), cause })?;
    let mut own = labels.clone();
    own.entry("instance".to_owned()).or_insert_with(|| address.to_owned());
    let own = own.into_iter().filter(|(name, value)| !name.starts_with("__") && !value.is_empty());
    Ok(Target { url, labels: own.map(|(name, value)| Label { name, value }).collect() })
}

/// Behind the last colon stands a port; an IPv6 address has others, in brackets.
fn has_port_or_none(address: &str) -> bool {
    match address.rsplit_once(':') {
        Some((_, port)) if !port.ends_with(']') => port.parse::<u16>().is_ok(),
        _ => true,
    }
}

/// `?NAME=VALUE&…`; a label `__param_NAME` takes the place of the first value.
fn query(defaults: &Defaults, labels: &BTreeMap<String, String>) -> String {
    let mut params = defaults.params.clone();
    for (name, value) in labels {
        let Some(name) = name.strip_prefix("__param_") else { continue };
        let values = params.entry(name.to_owned()).or_default();
        match values.first_mut() {
            Some(first) => first.clone_from(value),
            None => values.push(value.clone()),
        }
    }
    let mut query = String::new();
    for (name, value) in params.iter().flat_map(|(name, all)| all.iter().map(move |value| (name, value))) {
        query.push(if query.is_empty() { '?' } else { '&' });
        escape(&mut query, name);
        query.push('=');
        escape(&mut query, value);
    }
    query
}

/// Percent-encodes everything but unreserved letters (RFC 3986, section 2.3).
fn escape(query: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                query.push(char::from(byte))
            }
            // Cannot fail: it is a text.
            _ => drop(write!(query, "%{byte:02X}")),
        }
    }
}

fn shown(text: &str) -> String {
    text.chars().take(100).flat_map(char::escape_debug).collect()
}
