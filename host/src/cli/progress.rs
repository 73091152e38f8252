//! A line on the terminal that shows how far long work is.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use super::output::bytes;
use crate::agent::oneshot::Progress;
use crate::telemetry::escape;

/// Faster changes cannot be read.
const PERIOD: Duration = Duration::from_millis(100);
/// Longer paths are cut at the front, so that the line stays one.
const MAX_PATH: usize = 40;

/// The line. Only there when standard error is a terminal.
pub(super) struct Line {
    on: bool,
    shown: bool,
    last: Option<Instant>,
    began: Instant,
}

impl Line {
    /// Nothing is shown yet.
    pub(super) fn new() -> Self {
        Self { on: io::stderr().is_terminal(), shown: false, last: None, began: Instant::now() }
    }

    /// Shows how far the work is, but not too often.
    pub(super) fn show(&mut self, progress: &Progress) {
        if !self.on || self.last.is_some_and(|last| last.elapsed() < PERIOD) {
            return;
        }
        self.last = Some(Instant::now());
        self.shown = true;
        // A terminal that is gone needs no progress.
        let _ = write!(io::stderr(), "\r\x1b[K{}", render(progress, self.began.elapsed()));
    }

    /// Takes the line away, so that something else can be written.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn render(progress: &Progress, elapsed: Duration) -> String {
    let share = progress
        .total_bytes
        .filter(|&total| total > 0)
        .map(|total| format!("{:3.0} %  ", 100.0 * progress.bytes.min(total) as f64 / total as f64));
    let files = match progress.total_files {
        Some(total) => format!("{} of {total} files", progress.files),
        None => format!("{} files", progress.files),
    };
    let seconds = elapsed.as_secs_f64();
    let speed = if seconds > 0.0 { (progress.bytes as f64 / seconds) as u64 } else { 0 };
    let path = progress.current.as_ref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    let length = path.chars().count();
    let path = match length > MAX_PATH {
        true => format!("…{}", path.chars().skip(length - MAX_PATH + 1).collect::<String>()),
        false => path,
    };
    let done = bytes(progress.bytes);
    format!("{}{files}, {done}, {}/s  {}", share.unwrap_or_default(), bytes(speed), escape(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_much_is_done() {
        let progress = Progress {
            bytes: 500_000,
            total_bytes: Some(1_000_000),
            files: 1,
            total_files: Some(2),
            current: Some("/var/log/\x1b[2J".into()),
        };
        let line = render(&progress, Duration::from_secs(1));
        assert_eq!(line, " 50 %  1 of 2 files, 500 kB, 500 kB/s  /var/log/\\u{1b}[2J");
        let long = Progress { current: Some("x".repeat(100).into()), ..Progress::default() };
        assert!(render(&long, Duration::ZERO).chars().count() < 80);
    }
}
