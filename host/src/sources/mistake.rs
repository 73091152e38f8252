//! Which setting of a source a mistake is about, so that it can be shown where it was written.

use super::glob::GlobError;
use super::{ConfigError, SourceConfig, directory, file, host, prometheus};

impl SourceConfig {
    /// The path of the setting below the source's own section, its keys joined by dots.
    pub fn setting_of(&self, error: &ConfigError) -> String {
        match error {
            ConfigError::File(file::config::ConfigError::Glob(error))
            | ConfigError::Directory(directory::config::ConfigError::Glob(error)) => self.pattern(error),
            ConfigError::File(file::config::ConfigError::RecordBytes { .. }) => "max_record_bytes".into(),
            ConfigError::File(file::config::ConfigError::Multiline { .. }) => "multiline.start".into(),
            ConfigError::Directory(directory::config::ConfigError::Cpu { .. }) => "cpu".into(),
            ConfigError::Directory(directory::config::ConfigError::Rescan { .. }) => "rescan".into(),
            ConfigError::Host(host::config::ConfigError::Interval { .. }) => "interval".into(),
            ConfigError::Host(host::config::ConfigError::Pattern { key, .. }) => (*key).into(),
            ConfigError::Prometheus(prometheus::ConfigError { key, .. }) => key.clone(),
        }
    }

    /// The pattern with a mistake, of which the error may tell only a part.
    fn pattern(&self, error: &GlobError) -> String {
        let (include, exclude) = match self {
            Self::File(config) => (&config.include, &config.exclude),
            Self::Directory(config) => (&config.include, &config.exclude),
            Self::Host(_) | Self::Prometheus(_) => return String::new(),
        };
        let part = match error {
            GlobError::Nothing => return "include".into(),
            GlobError::Relative { pattern } | GlobError::Syntax { pattern, .. } => pattern,
        };
        let excluded = exclude.iter().position(|pattern| pattern == part);
        let included = include.iter().position(|pattern| pattern.contains(part));
        match (excluded, included) {
            (Some(index), _) => format!("exclude.{index}"),
            (None, Some(index)) => format!("include.{index}"),
            (None, None) => "include".into(),
        }
    }
}
