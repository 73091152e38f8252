//! What a test does when a server that it needs is not on this machine: it is left out, and that is told.
//!
//! Where `PICKET_SERVERS=required` is set, as in the continuous integration, it fails instead. `cargo xtask
//! test` names a file in `PICKET_LEFT_OUT` and prints its lines, one for each test, when all tests have run. In a
//! bare `cargo test` the line goes to standard error past the test runner, which keeps what passing tests print.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::binary;

/// A program by others that tests talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// Prometheus with its remote-write receiver.
    Prometheus,
    /// VictoriaMetrics, which keeps every repeat.
    VictoriaMetrics,
    /// Alertmanager and `amtool`.
    Alertmanager,
    /// The Forward server of npm's `@fluent-org/logger`.
    Fluent,
    /// A decoder with PyPI's `opentelemetry-proto`.
    Otlp,
    /// Certificates, made by `openssl`.
    Tls,
}

/// Something that has to be there, and how it comes there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Missing {
    package: &'static str,
    remedy: &'static str,
}

impl Server {
    /// What of it is not on this machine.
    fn missing(self) -> Vec<Missing> {
        let programs: &[(&str, &'static str)] = match self {
            Self::Prometheus => &[("prometheus", "prometheus")],
            Self::VictoriaMetrics => &[("victoria-metrics", "victoria-metrics")],
            Self::Alertmanager => &[
                ("prometheus-alertmanager", "prometheus-alertmanager"),
                ("amtool", "prometheus-alertmanager"),
            ],
            Self::Fluent => &[("node", "nodejs")],
            Self::Otlp => &[("python3", "python3")],
            Self::Tls => &[("openssl", "openssl")],
        };
        let mut missing: Vec<_> = programs
            .iter()
            .filter(|(program, _)| !is_in_search_path(program))
            .map(|(_, package)| Missing { package, remedy: "apt-get install" })
            .collect();
        let part = match self {
            Self::Fluent => Some(("npm", "package-lock.json", "@fluent-org/logger")),
            Self::Otlp => Some(("py", "requirements.txt", "opentelemetry-proto")),
            _ => None,
        };
        if let Some((part, pins, package)) = part
            && !is_installed(part, pins)
        {
            missing.push(Missing { package, remedy: "cargo xtask servers" });
        }
        missing
    }
}

/// Whether all these are here. When one is missing the test is left out: it is written down, and the test has
/// to return at once.
///
/// Panics instead where `PICKET_SERVERS=required` is set.
#[must_use = "a test whose server is missing returns"]
#[track_caller]
pub fn need(servers: &[Server]) -> bool {
    let missing: BTreeSet<Missing> = servers.iter().flat_map(|server| server.missing()).collect();
    if missing.is_empty() {
        return true;
    }
    let line = line(&test(), &missing);
    assert!(std::env::var_os("PICKET_SERVERS").is_none_or(|value| value != "required"), "{line}");
    record(std::env::var_os("PICKET_LEFT_OUT").map(PathBuf::from).as_deref(), &line);
    false
}

/// Where `cargo xtask servers` has put a part: `npm` or `py`.
pub(crate) fn installed(part: &str) -> PathBuf {
    binary::target().join("servers").join(part)
}

/// A script or a list of `tests/servers`.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("servers").join(name)
}

/// Whether a part is there in the versions that the list names: the task copies the list beside it at last.
fn is_installed(part: &str, pins: &str) -> bool {
    let Ok(pinned) = fs::read(source(pins)) else { return false };
    fs::read(installed(&format!("{part}.pins"))).is_ok_and(|present| present == pinned)
}

fn is_in_search_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn line(test: &str, missing: &BTreeSet<Missing>) -> String {
    let needs: Vec<_> =
        missing.iter().map(|Missing { package, remedy }| format!("{package} ({remedy})")).collect();
    format!("left out: {test} needs {}", needs.join(", "))
}

fn record(list: Option<&Path>, line: &str) {
    // In one piece: other tests append to the same file.
    let line = format!("{line}\n");
    match list {
        Some(list) => {
            let file = OpenOptions::new().create(true).append(true).open(list);
            let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
            written.expect("the list of the tests that are left out can be written");
        }
        // Not `eprint!`, which the test runner keeps for itself when a test passes.
        None => std::io::stderr().write_all(line.as_bytes()).expect("standard error can be written"),
    }
}

/// The test that runs: the runner names its thread so, or takes the only test by its name.
#[track_caller]
fn test() -> String {
    let thread = std::thread::current();
    let by_runner = std::env::var("NEXTEST_TEST_NAME").ok();
    let by_thread = thread.name().filter(|name| *name != "main").map(str::to_owned);
    let place = std::panic::Location::caller();
    by_runner.or(by_thread).unwrap_or_else(|| format!("the test at {}:{}", place.file(), place.line()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_line_names_the_test_and_each_package_with_its_remedy() {
        let missing = BTreeSet::from([
            Missing { package: "nodejs", remedy: "apt-get install" },
            Missing { package: "@fluent-org/logger", remedy: "cargo xtask servers" },
        ]);
        assert_eq!(
            line("fluent::handshake", &missing),
            "left out: fluent::handshake needs @fluent-org/logger (cargo xtask servers), nodejs (apt-get install)"
        );
    }

    #[test]
    fn every_left_out_test_stands_in_the_list() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("left-out");
        record(Some(&list), "left out: one");
        record(Some(&list), "left out: two");
        assert_eq!(fs::read_to_string(list).unwrap(), "left out: one\nleft out: two\n");
    }

    #[test]
    fn a_program_that_nobody_has_is_missing() {
        assert!(is_in_search_path("sh"));
        assert!(!is_in_search_path("no-such-program-of-picket"));
    }

    #[test]
    fn the_test_that_runs_is_known_by_name() {
        assert!(test().ends_with("the_test_that_runs_is_known_by_name"), "{}", test());
    }
}
