//! The thread that drives all `file` sources.
//!
//! One is enough: it only moves bytes from the page cache into lanes. It sleeps on the router, so that
//! a change of routes or a command wakes it at once.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};

use super::buffers::Buffers;
use super::reader::Clock;
use super::source::{FileSource, Places};
use super::tail::Activity;
use crate::pipeline::route::Router;
use crate::sources::status::StatusBoard;

/// How soon to look again after files grew: what comes in this time is one block.
const GROWING: Duration = Duration::from_millis(100);
/// How soon to look again when nothing has grown for a while: how late the first line may be seen. It is a third
/// of what an idle agent costs.
const QUIET: Duration = Duration::from_millis(500);
/// The first wait for room in a lane; doubled up to `GROWING` while there is none.
const FIRST_WAIT: Duration = Duration::from_millis(1);
/// How often the status is renewed.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// A change of what the thread drives.
enum Command {
    Put(String, Box<FileSource>),
    Remove(String),
    Stop,
}

/// The running thread.
pub struct FileThread {
    commands: Arc<Mutex<Vec<Command>>>,
    router: Arc<Router>,
    ended: Receiver<Infallible>,
    thread: Option<JoinHandle<()>>,
}

impl FileThread {
    /// Starts the thread without any source.
    pub fn start(router: Arc<Router>, status: StatusBoard) -> std::io::Result<Self> {
        let commands = Arc::new(Mutex::new(Vec::new()));
        let drive = Drive {
            commands: commands.clone(),
            router: router.clone(),
            status,
            sources: BTreeMap::new(),
            places: BTreeMap::new(),
            buffers: Buffers::default(),
        };
        let (lives, ended) = bounded(0);
        let thread = std::thread::Builder::new().name("files".into()).spawn(move || {
            let _lives = lives;
            drive.run();
        })?;
        Ok(Self { commands, router, ended, thread: Some(thread) })
    }

    /// A channel that is closed when the thread has ended, which it does unasked only by a panic. Another one
    /// could not take its place: nobody else knows what lies in the lanes.
    pub fn ended(&self) -> Receiver<Infallible> {
        self.ended.clone()
    }

    /// Adds a source, or replaces the one of its name.
    pub fn put(&self, name: &str, source: FileSource) {
        self.command(Command::Put(name.to_owned(), Box::new(source)));
    }

    /// Stops one source.
    pub fn remove(&self, name: &str) {
        self.command(Command::Remove(name.to_owned()));
    }

    /// Stops all sources; what was read has been handed on when this returns.
    pub fn stop(mut self) {
        self.command(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic has been reported by the thread's own hook.
            let _ = thread.join();
        }
    }

    fn command(&self, command: Command) {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).push(command);
        self.router.wake();
    }
}

struct Drive {
    commands: Arc<Mutex<Vec<Command>>>,
    router: Arc<Router>,
    status: StatusBoard,
    sources: BTreeMap<String, FileSource>,
    /// Where lanes were in sources that were removed: if one comes back, its lanes may still hold what
    /// it handed on.
    places: BTreeMap<String, Places>,
    buffers: Buffers,
}

impl Drive {
    fn run(mut self) {
        let mut wait = FIRST_WAIT;
        let mut reported: Option<Instant> = None;
        loop {
            let seen = self.router.version();
            if !self.obey() {
                return;
            }
            let clock = Clock::now();
            let mut activity = Activity::Idle;
            for source in self.sources.values_mut() {
                activity = activity.max(source.turn(clock, &mut self.buffers));
            }
            if reported.is_none_or(|reported| clock.instant.duration_since(reported) >= STATUS_EVERY) {
                reported = Some(clock.instant);
                self.sources.values().for_each(|source| self.status.set(source.status()));
            }
            wait = match activity {
                Activity::Progress => Duration::ZERO,
                Activity::Blocked => (wait * 2).clamp(FIRST_WAIT, GROWING),
                Activity::Idle if self.sources.values().any(|source| source.is_busy(clock.instant)) => {
                    GROWING
                }
                Activity::Idle => {
                    self.buffers.release();
                    QUIET
                }
            };
            if !wait.is_zero() {
                self.router.wait_for_change(seen, Instant::now() + wait);
            }
        }
    }

    /// Works the commands off; false when the thread has to end.
    fn obey(&mut self) -> bool {
        let commands = std::mem::take(&mut *self.commands.lock().unwrap_or_else(PoisonError::into_inner));
        for command in commands {
            match command {
                Command::Put(name, mut source) => {
                    self.remove(&name);
                    source.inherit(self.places.remove(&name).unwrap_or_default());
                    self.sources.insert(name, *source);
                }
                Command::Remove(name) => self.remove(&name),
                Command::Stop => {
                    let names: Vec<String> = self.sources.keys().cloned().collect();
                    names.iter().for_each(|name| self.remove(name));
                    return false;
                }
            }
        }
        true
    }

    fn remove(&mut self, name: &str) {
        if let Some(mut source) = self.sources.remove(name) {
            source.settle(Clock::now(), &mut self.buffers);
            self.places.insert(name.to_owned(), source.hand_over(Clock::now()));
            source.metrics().forget();
            self.status.remove(name);
        }
    }
}
