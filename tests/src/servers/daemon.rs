//! A server's process, with what it prints in a file.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::port::Port;
use crate::wait::until;

/// One server: a folder, an address, and a process while it runs.
pub(crate) struct Daemon {
    name: &'static str,
    folder: TempDir,
    port: Port,
    child: Option<Child>,
}

impl Daemon {
    /// A folder and an address; nothing runs yet.
    pub(crate) fn new(name: &'static str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix(&format!("picket-{name}-"))
            .tempdir()
            .expect("a temporary folder can be made");
        Self { name, folder, port: Port::reserve(), child: None }
    }

    /// Where it listens when it runs; the same after each launch.
    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// A path in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into its folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file can be written");
        path
    }

    /// Starts the process and waits until it is ready. Panics with what it printed when it ends instead.
    pub(crate) fn launch(&mut self, command: &mut Command, is_ready: impl Fn(&Self) -> bool) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let printed = self.path("printed.log");
        let printed = OpenOptions::new().create(true).append(true).open(printed).expect("a file opens");
        let child = command
            .stdin(Stdio::piped())
            .stdout(printed.try_clone().expect("a file can be shared"))
            .stderr(printed)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{} does not start: {error}; did the test ask `need`?", self.name)
            });
        self.child = Some(child);
        until(&format!("{} becomes ready", self.name), || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if let Some(status) = ended {
                panic!("{} ended with {status}:\n{}", self.name, self.printed());
            }
            is_ready(self).then_some(())
        });
    }

    /// Writes a line to its standard input.
    pub(crate) fn tell(&mut self, line: &str) {
        let child = self.child.as_mut().expect("the server runs");
        let input = child.stdin.as_mut().expect("its standard input is a pipe");
        writeln!(input, "{line}").expect("a server that runs can be told something");
    }

    /// All that it has printed since the first launch.
    pub(crate) fn printed(&self) -> String {
        fs::read_to_string(self.path("printed.log")).unwrap_or_default()
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only when it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a child can be signalled");
        let what = format!("{} ends", self.name);
        until(&what, || child.try_wait().expect("a child can be waited for"));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let printed = self.printed();
            let tail = printed.lines().rev().take(20).collect::<Vec<_>>();
            eprintln!("--- the last lines of {}", self.name);
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}
