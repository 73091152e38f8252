//! The agent's own log on standard error.

use std::io::{self, IsTerminal as _, Write};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::config::{Format, LogConfig};
use super::level::{LevelError, parse_level};

/// Why the log cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is none.
    #[error(transparent)]
    Level(#[from] LevelError),
    /// The process has a log already.
    #[error("the log was started before")]
    Started,
}

/// Starts the log of this process, panics included; once. With `no_color` or when standard error is no terminal there are
/// no colours.
pub fn start_log(config: &LogConfig, no_color: bool) -> Result<(), LogError> {
    let targets = parse_level(&config.level)?;
    let registry = tracing_subscriber::registry().with(targets);
    let started = match config.format {
        Format::Text => {
            let colored = !no_color && std::env::var_os("NO_COLOR").is_none() && io::stderr().is_terminal();
            let layer = tracing_subscriber::fmt::layer().with_ansi(colored).with_writer(Lines);
            registry.with(layer).try_init()
        }
        Format::Json => {
            let layer = tracing_subscriber::fmt::layer()
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false)
                .with_writer(Lines);
            registry.with(layer).try_init()
        }
    };
    started.map_err(|_| LogError::Started)?;
    super::log_panics();
    Ok(())
}

/// Writes every event as exactly one line: what an attacker put into a log or a file name cannot begin
/// another one, nor steer the terminal.
struct Lines;

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<io::Stderr>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(io::stderr())
    }
}

/// Takes one event in one piece, as tracing's formatters write it.
struct Line<W>(W);

impl<W: Write> Write for Line<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let mut safe = String::with_capacity(line.len() + 1);
        let mut rest = line;
        // Colours are our own; nothing else of what a terminal understands is.
        while let Some((before, behind)) = rest.split_once("\x1b[") {
            safe += &super::escape(before);
            let end = behind.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(behind.len());
            if behind[end..].starts_with('m') {
                safe += "\x1b[";
                safe += &behind[..=end];
                rest = &behind[end + 1..];
            } else {
                safe += "\\u{1b}[";
                rest = behind;
            }
        }
        safe += &super::escape(rest);
        safe.push('\n');
        self.0.write_all(safe.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_event_is_one_line_that_only_colours() {
        for (event, expected) in [
            ("plain\n", "plain\n"),
            ("\x1b[2mtime\x1b[0m \x1b[32m INFO\x1b[0m x\n", "\x1b[2mtime\x1b[0m \x1b[32m INFO\x1b[0m x\n"),
            ("one\nERROR forged\n", "one\\nERROR forged\n"),
            ("\x1b[2Jcleared\x1b]0;title\x07\n", "\\u{1b}[2Jcleared\\u{1b}]0;title\\u{7}\n"),
            ("cut \x1b[1", "cut \\u{1b}[1\n"),
        ] {
            let mut line = Line(Vec::new());
            line.write_all(event.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(line.0).unwrap(), expected);
        }
    }
}
