//! Programs that find the same lines in the same file: `grep -E`, syslog-ng, rsyslog, mtail.
//!
//! Each is configured to do this and nothing else. The daemons follow a file and do not end, so they are
//! watched until their output has every marked line, as the agent is.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::agent::LITERALS_CASE;
use super::{BENCH, Log, Reader, UNIT};
use crate::Setting;
use crate::counterpart::{Counterpart, MISSING};
use crate::generate::LITERALS;
use crate::process::{Daemon, Growing, Usage, run};
use crate::series::Series;

/// A counterpart's program and where its parts are.
struct Program<'s> {
    root: PathBuf,
    folder: PathBuf,
    log: &'s Log,
}

/// Somebody to read the log, by name.
pub(super) fn reader<'s>(setting: &Setting, counterpart: &Counterpart, log: &'s Log) -> Result<Reader<'s>> {
    let (subject, run): (&str, fn(&Program<'_>) -> Result<Usage>) = match counterpart.name.as_str() {
        "grep" => ("grep -E", grep),
        "syslog-ng" => ("syslog-ng", syslog_ng),
        "rsyslog" => ("rsyslog", rsyslog),
        "mtail" => ("mtail (counting only)", mtail),
        other => bail!("nobody knows how to measure {other}"),
    };
    let series = Series::new(BENCH, LITERALS_CASE, subject, UNIT);
    let series = if subject == "grep -E" { series.reference() } else { series };
    let Some(root) = &counterpart.root else {
        return Ok(Reader { series: series.note(MISSING), run: None });
    };
    let folder = setting.folder.join(&counterpart.name);
    fs::create_dir_all(&folder)?;
    let program = Program { root: root.clone(), folder: fs::canonicalize(&folder)?, log };
    Ok(Reader { series, run: Some(Box::new(move || run(&program))) })
}

impl Program<'_> {
    fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside)
    }

    /// A fresh file in the counterpart's folder.
    fn fresh(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        if path.exists() {
            fs::remove_file(&path)?;
        }
        Ok(path)
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.fresh(name)?;
        fs::write(&path, text)?;
        Ok(path)
    }

    /// A command that finds the libraries of an unpacked package.
    fn command(&self, program: &str) -> Result<Command> {
        let mut command = Command::new(self.path(program));
        if self.root != Path::new("/") {
            command.env("LD_LIBRARY_PATH", std::env::join_paths(self.libraries()?)?);
        }
        Ok(command)
    }

    /// The folders of libraries: `lib` and `usr/lib`, and those in them, which are named after the machine's
    /// architecture or, with libraries that only one program has, after the program.
    fn libraries(&self) -> Result<Vec<PathBuf>> {
        let mut folders = Vec::new();
        for parent in
            ["lib", "usr/lib"].map(|folder| self.path(folder)).into_iter().filter(|path| path.is_dir())
        {
            for entry in fs::read_dir(&parent).with_context(|| format!("cannot read {}", parent.display()))? {
                folders.push(entry?.path());
            }
            folders.push(parent);
        }
        folders.retain(|path| path.is_dir());
        Ok(folders)
    }

    /// The folder with this name below `usr/lib`: where a daemon's modules are.
    fn modules(&self, name: &str) -> Result<PathBuf> {
        let mut candidates = self.libraries()?.into_iter().map(|folder| folder.join(name));
        let found = candidates.find(|folder| folder.is_dir());
        found.with_context(|| format!("{} has no folder {name}", self.root.display()))
    }

    /// Runs a daemon until `output` has every marked line.
    fn watch(&self, mut command: Command, output: &Path) -> Result<Usage> {
        let mut daemon = Daemon::start(&mut command, &self.folder.join("log"))?;
        let mut lines = Growing::new(output);
        let expected = self.log.totals.marked;
        daemon.wait_until("every marked line was written", || Ok(lines.lines_with(b"")? >= expected))?;
        let usage = daemon.usage()?;
        daemon.stop()?;
        ensure!(lines.lines_with(b"")? == expected, "it wrote other lines than the marked ones");
        Ok(usage)
    }
}

fn grep(program: &Program<'_>) -> Result<Usage> {
    let output = program.fresh("found.log")?;
    let pattern = LITERALS.join("|");
    let command: Vec<OsString> =
        vec![program.path("bin/grep").into(), "-E".into(), pattern.into(), program.log.path.clone().into()];
    let usage = run(&command, &output)?;
    let found = fs::metadata(&output)?.len();
    ensure!(found == program.log.totals.marked_bytes, "grep found {found} bytes of marked lines");
    Ok(usage)
}

fn syslog_ng(program: &Program<'_>) -> Result<Usage> {
    let output = program.fresh("found.log")?;
    let modules = program.modules("syslog-ng")?;
    // Debian keeps the modules in a folder named for the version.
    let modules = fs::read_dir(&modules)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.is_dir() && path.join("libaffile.so").exists())
        .unwrap_or(modules);
    let conditions: Vec<String> = LITERALS
        .iter()
        .map(|l| format!("match({l:?} value(\"MESSAGE\") type(string) flags(substring))"))
        .collect();
    let config = program.write(
        "syslog-ng.conf",
        &format!(
            "@version: 3.38\n@module affile\noptions {{ stats-freq(0); time-reopen(1); }};\n\
             source s {{ file({log:?} flags(no-parse) follow-freq(1) read-old-records(yes) log-fetch-limit(1000) \
             log-iw-size(10000)); }};\n\
             filter f {{ {conditions} }};\n\
             destination d {{ file({output:?} template(\"$MSG\\n\") log-fifo-size(100000)); }};\n\
             log {{ source(s); filter(f); destination(d); }};\n",
            log = program.log.path,
            conditions = conditions.join(" or "),
        ),
    )?;
    let mut command = program.command("usr/sbin/syslog-ng")?;
    command.args(["-F", "--no-caps"]).arg("-f").arg(config);
    command.arg("-R").arg(program.fresh("persist")?);
    command.arg("-c").arg(program.fresh("control")?);
    command.arg("-p").arg(program.fresh("pid")?);
    command.arg(format!("--module-path={}", modules.display()));
    program.watch(command, &output)
}

fn rsyslog(program: &Program<'_>) -> Result<Usage> {
    let output = program.fresh("found.log")?;
    let work = program.folder.join("work");
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    fs::create_dir(&work)?;
    let conditions: Vec<String> = LITERALS.iter().map(|l| format!("$msg contains '{l}'")).collect();
    let config = program.write(
        "rsyslog.conf",
        &format!(
            "global(workDirectory={work:?})\nmodule(load=\"imfile\")\n\
             template(name=\"raw\" type=\"string\" string=\"%msg%\\n\")\n\
             ruleset(name=\"find\") {{ if {conditions} then action(type=\"omfile\" file={output:?} template=\"raw\") }}\n\
             input(type=\"imfile\" file={log:?} tag=\"bench\" ruleset=\"find\")\n",
            log = program.log.path,
            conditions = conditions.join(" or "),
        ),
    )?;
    let mut command = program.command("usr/sbin/rsyslogd")?;
    command.arg("-n").arg("-f").arg(config).arg("-i").arg(program.fresh("pid")?);
    command.arg("-M").arg(program.modules("rsyslog")?);
    program.watch(command, &output)
}

fn mtail(program: &Program<'_>) -> Result<Usage> {
    let rules = program.folder.join("rules");
    fs::create_dir_all(&rules)?;
    fs::write(
        rules.join("find.mtail"),
        format!("counter found\n/{}/ {{\n  found++\n}}\n", LITERALS.join("|")),
    )?;
    let output = program.fresh("metrics")?;
    let command: Vec<OsString> = vec![
        program.path("usr/bin/mtail").into(),
        "--one_shot".into(),
        "--progs".into(),
        rules.into(),
        "--logs".into(),
        program.log.path.clone().into(),
        "--logtostderr".into(),
    ];
    let usage = run(&command, &output)?;
    let metrics = fs::read_to_string(&output)?;
    let expected = program.log.totals.marked.to_string();
    ensure!(metrics.contains(&expected), "mtail did not count {expected} lines: {}", metrics.trim());
    Ok(usage)
}
