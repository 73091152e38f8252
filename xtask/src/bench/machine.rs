//! Says on what a table was made: a figure without its machine means nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

/// One sentence: processor, cores, memory, kernel, compiler, state of the source.
pub(crate) fn describe(root: &Path) -> String {
    let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_else(|| "unknown".to_owned());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let compiler = output("rustc", &["--version"], root);
    let date = output("date", &["--utc", "+%Y-%m-%d"], root);
    format!(
        "Made on {date} with {processor} ({cores} cores), {memory} of memory, Linux {}, {compiler}, commit {}.",
        kernel.trim(),
        commit(root),
    )
}

/// The state of the source.
pub(crate) fn commit(root: &Path) -> String {
    let commit = output("git", &["rev-parse", "--short=12", "HEAD"], root);
    let changed =
        if output("git", &["status", "--porcelain"], root).is_empty() { "" } else { " with changes" };
    format!("{}{changed}", if commit.is_empty() { "unknown" } else { &commit })
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn output(program: &str, arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    output.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
