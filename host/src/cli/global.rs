//! Flags that every verb takes, and the configuration they lead to.

use std::path::PathBuf;

use clap::Args;

use super::output::{Output, Paint};
use crate::config::{self, Checked, Flag, Options, Problems, paths};
use crate::telemetry::{self, Format, LogConfig};

/// Flags of all verbs.
#[derive(Debug, Clone, Args)]
pub(super) struct Global {
    /// The configuration; the files of the folder `conf.d` beside it are laid over it.
    /// [default: /etc/picket/picket.toml]
    #[arg(long, global = true, value_name = "FILE", env = "PICKET_CONFIG", hide_env_values = true)]
    pub(super) config: Option<PathBuf>,
    /// How results look.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    pub(super) output: Output,
    /// How the agent's own log lines look.
    #[arg(long, global = true, value_enum, value_name = "FORM")]
    pub(super) log_format: Option<Format>,
    /// The least urgent log lines that are written, such as `debug` or `info,picket::sources=debug`.
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(super) log_level: Option<String>,
    /// No colours.
    #[arg(long, global = true)]
    pub(super) no_color: bool,
}

impl Global {
    /// Where the configuration comes from.
    pub(super) fn options(&self) -> Options {
        let file = self.config.clone().unwrap_or_else(|| paths::CONFIG_FILE.into());
        let mut options = Options::of_process(file);
        options.flags = self.flags();
        options
    }

    /// The settings that flags stand for.
    pub(super) fn flags(&self) -> Vec<Flag> {
        let format = self.log_format.map(|format| match format {
            Format::Text => "text".to_owned(),
            Format::Json => "json".to_owned(),
        });
        let given =
            [("log.format", format, "--log-format"), ("log.level", self.log_level.clone(), "--log-level")];
        given
            .into_iter()
            .filter_map(|(key, value, name)| Some(Flag { key: key.into(), value: value?, name }))
            .collect()
    }

    /// Reads and checks the configuration.
    pub(super) fn load(&self) -> Result<Checked, Problems> {
        config::load(&self.options())
    }

    /// Colours for standard output.
    pub(super) fn paint(&self) -> Paint {
        Paint::for_stdout(self.no_color)
    }

    /// Starts the log for verbs that do their work here and now: warnings, unless a flag says otherwise.
    pub(super) fn start_log(&self) {
        let log = LogConfig {
            format: self.log_format.unwrap_or_default(),
            level: self.log_level.clone().unwrap_or_else(|| "warn".into()),
        };
        // A wrong level is reported where the configuration is read, which sees the flag as well.
        let _ = telemetry::start_log(&log, self.no_color);
    }
}
