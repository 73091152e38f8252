//! What a process used: CPU time and peak memory, of one that ends by itself and of one that is
//! watched until it has done its work.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};
use serde::{Deserialize, Serialize};

/// The hidden verb of [`measure_child`].
pub(crate) const MEASURE_VERB: &str = "__measure";

/// What a process used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// User and system time, in seconds.
    pub(crate) cpu: f64,
    /// Peak resident memory, in bytes.
    pub(crate) peak: f64,
    /// How long it took, in seconds.
    pub(crate) wall: f64,
}

/// Runs a program to its end and says what it used. Its output goes to `output`.
///
/// It becomes the only child of a fresh, small process: what the kernel tells of a process' children it
/// tells of all together, and a child's peak memory begins with what its parent had.
pub(crate) fn run(command: &[OsString], output: &Path) -> Result<Usage> {
    let mut helper = Command::new(std::env::current_exe()?);
    helper.arg(MEASURE_VERB).args(command).stdin(Stdio::null());
    // The program inherits standard output; what was used comes on standard error, last.
    helper.stdout(File::create(output)?).stderr(Stdio::piped());
    let done = helper.output().context("cannot start the measuring process")?;
    let text = String::from_utf8_lossy(&done.stderr);
    let last = text.lines().next_back().unwrap_or_default();
    ensure!(done.status.success(), "{command:?} failed: {}", text.trim());
    serde_json::from_str(last).with_context(|| format!("{command:?} said `{}`", text.trim()))
}

/// The body of the fresh process.
pub(crate) fn measure_child(command: &[OsString]) -> Result<()> {
    let (program, arguments) = command.split_first().context("there is no program to run")?;
    let started = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .status()
        .with_context(|| format!("cannot start {program:?}"))?;
    let wall = started.elapsed().as_secs_f64();
    ensure!(status.success(), "{program:?} ended with {status}");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let cpu = seconds(usage.user_time()) + seconds(usage.system_time());
    let usage = Usage { cpu, peak: usage.max_rss() as f64 * 1024.0, wall };
    let mut stderr = std::io::stderr();
    writeln!(stderr, "{}", serde_json::to_string(&usage)?)?;
    Ok(())
}

/// A process that does not end by itself. Dropped, it is killed.
pub(crate) struct Daemon {
    child: Child,
    name: String,
    started: Instant,
}

/// How long a daemon may take to do its work, and to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(600);

impl Daemon {
    /// Starts it, with its output in a file.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let lines = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(lines.try_clone()?).stderr(lines);
        let name = format!("{} (its output is {})", command.get_program().display(), log.display());
        let started = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child, name, started })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks every few milliseconds whether the work is done.
    pub(crate) fn wait_until(&mut self, what: &str, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
        let asked = Instant::now();
        while !done()? {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status} before {what}", self.name);
            }
            ensure!(asked.elapsed() < PATIENCE, "{} took too long: {what}", self.name);
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// What it used so far, its children not counted.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let wall = self.started.elapsed().as_secs_f64();
        Ok(Usage { cpu: cpu_seconds(self.id())?, peak: memory(self.id(), "VmHWM:")?, wall })
    }

    /// Ends it and waits until it is gone.
    pub(crate) fn stop(mut self) -> Result<()> {
        let id = Pid::from_raw(i32::try_from(self.child.id()).context("process ids fit")?);
        kill(id, Signal::SIGTERM).with_context(|| format!("cannot stop {}", self.name))?;
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(asked.elapsed() < PATIENCE, "{} does not stop", self.name);
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// User and system time of a process' threads, in seconds.
pub(crate) fn cpu_seconds(id: u32) -> Result<f64> {
    seconds(id, false)
}

/// The same with that of the children that it has waited for.
pub(crate) fn cpu_seconds_with_children(id: u32) -> Result<f64> {
    seconds(id, true)
}

fn seconds(id: u32, with_children: bool) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let ticks =
        parse_stat(&text, with_children).with_context(|| format!("/proc/{id}/stat holds `{text}`"))?;
    let a_second = sysconf(SysconfVar::CLK_TCK)?.context("the kernel says how long a tick is")?;
    Ok(ticks as f64 / a_second as f64)
}

/// User and system time in ticks. The name before them may hold blanks and parentheses; those of children follow.
fn parse_stat(text: &str, with_children: bool) -> Option<u64> {
    let fields = text.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let wanted = if with_children { 4 } else { 2 };
    let times: Vec<u64> = fields.take(wanted).map(str::parse::<u64>).collect::<Result<_, _>>().ok()?;
    (times.len() == wanted).then(|| times.iter().sum())
}

/// A line of `/proc/PID/status` that is a size, in bytes.
pub(crate) fn memory(id: u32, name: &str) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{id}/status"))?;
    parse_status(&text, name).with_context(|| format!("/proc/{id}/status says nothing of {name}"))
}

fn parse_status(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_ascii_whitespace().next()?.parse::<f64>().ok()? * 1024.0)
}

/// Counts what a file grows by, without reading anything twice.
pub(crate) struct Growing {
    path: std::path::PathBuf,
    offset: u64,
    lines: u64,
}

impl Growing {
    /// A file that need not exist yet.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf(), offset: 0, lines: 0 }
    }

    /// How many lines it has now that hold this text, which all do when it is empty.
    pub(crate) fn lines_with(&mut self, text: &[u8]) -> Result<u64> {
        use std::io::BufRead as _;
        let Ok(mut file) = File::open(&self.path) else { return Ok(0) };
        file.seek(SeekFrom::Start(self.offset))?;
        let mut reader = std::io::BufReader::with_capacity(1 << 20, file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            self.offset += line.len() as u64;
            let holds = text.is_empty() || line.windows(text.len()).any(|window| window == text);
            self.lines += u64::from(holds);
            line.clear();
        }
        Ok(self.lines)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn names_with_blanks_do_not_confuse_the_reader() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194304 1 2 3 4 150 50 7 8 20 0 1 0 1 1 1";
        assert_eq!(parse_stat(stat, false), Some(200));
        assert_eq!(parse_stat(stat, true), Some(215));
        assert_eq!(parse_stat("42 (x) S", false), None);
        assert_eq!(parse_status("VmPeak:\t 5 kB\nVmHWM:\t    12 kB\n", "VmHWM:"), Some(12288.0));
    }

    #[test]
    fn a_process_of_its_own_can_be_read() {
        assert!(cpu_seconds(std::process::id()).unwrap() >= 0.0);
        assert!(memory(std::process::id(), "VmRSS:").unwrap() > 0.0);
    }

    #[test]
    fn lines_are_counted_once_and_only_when_they_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut growing = Growing::new(&path);
        assert_eq!(growing.lines_with(b"x").unwrap(), 0);
        fs::write(&path, "ax\nb\nx").unwrap();
        assert_eq!(growing.lines_with(b"x").unwrap(), 1);
        fs::write(&path, "ax\nb\nx\n").unwrap();
        assert_eq!(growing.lines_with(b"x").unwrap(), 2);
        assert_eq!(Growing::new(&path).lines_with(b"").unwrap(), 3);
    }
}
