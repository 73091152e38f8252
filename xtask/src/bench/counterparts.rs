//! Gets the programs that the agent is measured beside: installed ones, else Debian packages
//! unpacked below `target/bench/`. Nothing is installed, because syslog-ng and rsyslog exclude each
//! other and because a measure has no business changing the machine.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::progress;

/// A program, and where it lies.
#[derive(Debug)]
pub(super) struct Counterpart {
    name: &'static str,
    /// The folder that stands for `/`; `/` itself for an installed program; none when it is missing.
    root: Option<PathBuf>,
}

impl Counterpart {
    /// `NAME=ROOT`, or `NAME=` when the program is missing.
    pub(super) fn argument(&self) -> OsString {
        let mut text = OsString::from(format!("{}=", self.name));
        text.push(self.root.as_deref().unwrap_or(Path::new("")));
        text
    }
}

/// The measure, the name, the Debian package, and where the program lies.
const PROGRAMS: &[(&str, &str, &str, &str)] = &[
    ("pipeline", "grep", "grep", "bin/grep"),
    ("pipeline", "syslog-ng", "syslog-ng-core", "usr/sbin/syslog-ng"),
    ("pipeline", "rsyslog", "rsyslog", "usr/sbin/rsyslogd"),
    ("pipeline", "mtail", "mtail", "usr/bin/mtail"),
    ("rules", "prometheus", "prometheus", "usr/bin/prometheus"),
];

/// Finds or fetches those of a measure; one that cannot be had is given without a root, and said.
pub(super) fn fetch(measure: &str, folder: &Path, offline: bool) -> Result<Vec<Counterpart>> {
    let mut found = Vec::new();
    for (_, name, package, program) in PROGRAMS.iter().filter(|(of, ..)| *of == measure) {
        let unpacked = folder.join(name);
        let root = if Path::new("/").join(program).exists() {
            Some(PathBuf::from("/"))
        } else if unpacked.join(program).exists() {
            Some(unpacked)
        } else if offline {
            None
        } else {
            progress::step(&format!("fetching the Debian package {package}"));
            match unpack(package, &unpacked) {
                Ok(()) => Some(unpacked),
                Err(error) => {
                    eprintln!("    {name} is left out: {error:#}");
                    None
                }
            }
        };
        found.push(Counterpart { name, root });
    }
    Ok(found)
}

/// Downloads a package and those it needs and does not find installed, and unpacks them into a folder.
fn unpack(package: &str, folder: &Path) -> Result<()> {
    let packages = needed(package)?;
    let downloads = folder.join("packages");
    fs::create_dir_all(&downloads)?;
    let mut download = Command::new("apt-get");
    download.arg("download").args(&packages).current_dir(&downloads).stdout(Stdio::null());
    let status = download.status().context("cannot start apt-get")?;
    ensure!(status.success(), "`{}` ended with {status}", progress::shown(&download));
    for entry in fs::read_dir(&downloads)? {
        let status = Command::new("dpkg").arg("--extract").arg(entry?.path()).arg(folder).status();
        ensure!(status.context("cannot start dpkg")?.success(), "dpkg cannot unpack {package}");
    }
    Ok(())
}

/// What an installation would add, as `apt-get --simulate` says.
fn needed(package: &str) -> Result<Vec<String>> {
    let output = Command::new("apt-get")
        .args(["install", "--simulate", "--no-install-recommends", package])
        .output()
        .context("cannot start apt-get: counterparts come from Debian packages")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let packages = parse_simulation(&text);
    ensure!(
        output.status.success() && !packages.is_empty(),
        "apt-get knows no package {package}; run `apt-get update` as root first"
    );
    Ok(packages)
}

fn parse_simulation(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_from_the_simulation() {
        let text = "Reading package lists...\n\
                    Inst libivykis0 (0.42.4-1 Debian:12/stable [amd64])\n\
                    Inst syslog-ng-core (3.38.1-5 Debian:12/stable [amd64])\n\
                    Conf libivykis0 (0.42.4-1 Debian:12/stable [amd64])\n";
        assert_eq!(parse_simulation(text), ["libivykis0", "syslog-ng-core"]);
    }

    #[test]
    fn a_missing_counterpart_has_an_empty_root() {
        let argument =
            |root: Option<&str>| Counterpart { name: "mtail", root: root.map(PathBuf::from) }.argument();
        assert_eq!(argument(None), "mtail=");
        assert_eq!(argument(Some("/")), "mtail=/");
    }
}
