//! Installs what the tests' real receivers need and no distribution packages: parts from npm and PyPI, in pinned
//! versions, into `target/servers/`. Says which Debian packages are missing; it installs none of those, since that
//! takes other rights. The pins are in `tests/servers/`; whoever asks for a part compares its pins, as
//! `tests/src/servers/need.rs` does.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::progress;
use crate::workspace::Workspace;

/// Names the file in which a test that is left out writes itself down; see `need.rs` in the harness.
pub(crate) const LEFT_OUT: &str = "PICKET_LEFT_OUT";

/// With the value `required`, a test whose server is missing fails.
pub(crate) const SERVERS: &str = "PICKET_SERVERS";

/// A program that shows whether it is there, with its arguments for that, and its Debian package. The Go servers
/// are only looked up: they are slow to say their versions.
const PROGRAMS: &[(&[&str], &str)] = &[
    (&["which", "prometheus"], "prometheus"),
    (&["which", "prometheus-alertmanager"], "prometheus-alertmanager"),
    (&["which", "amtool"], "prometheus-alertmanager"),
    (&["which", "victoria-metrics"], "victoria-metrics"),
    (&["node", "--version"], "nodejs"),
    (&["npm", "--version"], "npm"),
    (&["python3", "--version"], "python3"),
    (&["python3", "-m", "pip", "--version"], "python3-pip"),
    (&["openssl", "version"], "openssl"),
];

/// Something that a package manager installs into a folder.
struct Part {
    /// The folder's name.
    name: &'static str,
    /// The files of `tests/servers` that it goes by. The last one names every version.
    files: &'static [&'static str],
    /// The program that has to be there.
    needs: &'static str,
    /// What installs it, but for the folder.
    command: &'static [&'static str],
}

/// Both verify what they fetch against the hashes of the pins, and run nothing of it.
const PARTS: [Part; 2] = [
    Part {
        name: "npm",
        files: &["package.json", "package-lock.json"],
        needs: "npm",
        command: &["npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"],
    },
    Part {
        name: "py",
        files: &["requirements.txt"],
        needs: "python3-pip",
        command: &[
            "python3",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
            "--only-binary=:all:",
            "--require-hashes",
            "--requirement=requirements.txt",
            "--target",
        ],
    },
];

/// Installs the parts that are missing or have other pins. Fails when a Debian package is missing, after
/// everything else was done.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let missing = missing_packages();
    let (sources, target) = (workspace.root.join("tests").join("servers"), workspace.target.join("servers"));
    for part in PARTS {
        if missing.contains(&part.needs) || part.is_installed(&sources, &target) {
            continue;
        }
        part.install(&sources, &target)?;
    }
    ensure!(
        missing.is_empty(),
        "the tests that talk to real receivers need packages of Debian: apt-get install \
         --no-install-recommends {}",
        missing.join(" ")
    );
    progress::step("everything that the real receivers need is there");
    Ok(())
}

/// Prints the tests that were left out, each with what it needs.
pub(crate) fn report(list: &Path) -> Result<()> {
    let lines = read(list)?;
    for line in &lines {
        eprintln!("{line}");
    }
    if !lines.is_empty() {
        eprintln!(
            "==> {} test(s) left out, as listed above; `cargo xtask servers` says what is missing, and with \
             {SERVERS}=required they fail",
            lines.len()
        );
    }
    Ok(())
}

fn read(list: &Path) -> Result<Vec<String>> {
    if !list.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(list).with_context(|| format!("cannot read {}", list.display()))?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines.dedup();
    Ok(lines)
}

fn missing_packages() -> Vec<&'static str> {
    let mut missing: Vec<_> =
        PROGRAMS.iter().filter(|(words, _)| !succeeds(words)).map(|(_, package)| *package).collect();
    missing.dedup();
    missing
}

fn succeeds(words: &[&str]) -> bool {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

impl Part {
    /// Whether it is there in the versions of its pins.
    fn is_installed(&self, sources: &Path, target: &Path) -> bool {
        let Ok(pinned) = fs::read(sources.join(self.pins())) else { return false };
        fs::read(self.mark(target)).is_ok_and(|present| present == pinned)
    }

    /// Installs it anew. Its mark is written last, so that half of a part is none.
    fn install(&self, sources: &Path, target: &Path) -> Result<()> {
        let folder = target.join(self.name);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for file in self.files {
            fs::copy(sources.join(file), folder.join(file))
                .with_context(|| format!("cannot copy tests/servers/{file}"))?;
        }
        let mut command = Command::new(self.command[0]);
        command.args(&self.command[1..]).arg(&folder).current_dir(&folder);
        // In a container everybody is root; pip warns of it on every run.
        command.env("PIP_ROOT_USER_ACTION", "ignore");
        progress::run(&format!("installing the {} part of the tests' servers", self.name), &mut command)?;
        fs::copy(sources.join(self.pins()), self.mark(target)).context("cannot note what was installed")?;
        Ok(())
    }

    fn pins(&self) -> &'static str {
        self.files.last().expect("every part goes by a file")
    }

    fn mark(&self, target: &Path) -> std::path::PathBuf {
        target.join(format!("{}.pins", self.name))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::path::PathBuf;

    use super::*;

    /// A folder with a pinned file, and an empty one beside it.
    fn folders(name: &str) -> (PathBuf, PathBuf) {
        let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        let (sources, target) = (folder.join("sources"), folder.join("target"));
        fs::create_dir_all(&sources).unwrap();
        fs::write(sources.join("pins"), "one 1.0").unwrap();
        (sources, target)
    }

    const PART: Part = Part { name: "part", files: &["pins"], needs: "true", command: &["test", "-d"] };

    #[test]
    fn a_part_is_installed_until_its_pins_change() {
        let (sources, target) = folders("part");
        assert!(!PART.is_installed(&sources, &target));
        PART.install(&sources, &target).unwrap();
        assert!(PART.is_installed(&sources, &target));
        fs::write(sources.join("pins"), "one 1.1").unwrap();
        assert!(!PART.is_installed(&sources, &target));
        fs::remove_dir_all(sources.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_part_whose_installer_fails_is_not_installed() {
        let (sources, target) = folders("failing");
        let failing = Part { command: &["test", "!", "-d"], ..PART };
        failing.install(&sources, &target).unwrap_err();
        assert!(!failing.is_installed(&sources, &target));
        fs::remove_dir_all(sources.parent().unwrap()).unwrap();
    }

    #[test]
    fn every_left_out_test_is_listed_once() {
        let list = std::env::temp_dir().join(format!("xtask-left-out-{}", std::process::id()));
        assert!(read(&list).unwrap().is_empty());
        fs::write(&list, "left out: b needs x\nleft out: a needs y\nleft out: b needs x\n").unwrap();
        assert_eq!(read(&list).unwrap(), ["left out: a needs y", "left out: b needs x"]);
        fs::remove_file(&list).unwrap();
    }

    #[test]
    fn a_program_that_nobody_has_is_missing() {
        assert!(succeeds(&["which", "sh"]));
        assert!(!succeeds(&["no-such-program-of-picket", "--version"]));
    }
}
