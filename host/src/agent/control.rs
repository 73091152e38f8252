//! The control loop: everything that can wake the agent up, one after the other, in one thread.
//!
//! Only this thread changes the plugin table, the sources and the forwarders, so two reloads never meet.
//! It waits for upstreams only while changed forwarders hand over their last results, some seconds, and calls no
//! guest; compiling and configuring a candidate happens here, while what serves goes on in its own threads.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select, tick, unbounded};

use super::daemon::{self, Daemon};
use super::lost::{Lifelines, Lost};
use super::retry::Retry;
use crate::config::{self, Checked, Options, Problems};
use crate::lifecycle::watch::{LONGEST_UNREST, Picture, Watch};
use crate::pipeline::worker;

/// How often plugins that were removed are looked after: whose alerts could not be ended before has to wait no
/// longer than that once it can.
const REMOVED: Duration = Duration::from_secs(10);

/// Everything that can wake the agent up.
enum Event {
    /// Files may have changed: a hint of the kernel, or it is time to look.
    Look,
    /// Somebody wants the configuration and all files loaded now.
    Reload(Option<Sender<Reloaded>>),
    /// A worker tells what happened to its generation.
    Heard(worker::Event),
    /// A thread has ended without which the agent cannot do its work.
    Lost(Lost),
    /// It is time to look after plugins that were removed.
    Removed,
    /// Finish the work and end.
    Stop,
}

/// What a reload came to: everything wanted serves, or why not.
pub(super) type Reloaded = Result<(), NotLoaded>;

/// Why what is wanted does not serve; what served before serves on.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum NotLoaded {
    /// The configuration is wrong.
    #[error("{0}")]
    Config(Problems),
    /// Plugins were rejected; the plugin table has the reasons.
    #[error("{0}")]
    Plugins(String),
    /// A source or forwarder cannot be started as configured.
    #[error("{0}")]
    Part(String),
    /// Files did not come to rest; they are loaded when they do.
    #[error("{0}")]
    Unrest(String),
    /// There is nobody left to load anything.
    #[error("the agent is stopping")]
    Stopping,
}

/// Requests to the control loop, from signals and the API.
pub(super) enum Request {
    /// See [`Event::Reload`].
    Reload(Option<Sender<Reloaded>>),
    /// See [`Event::Stop`].
    Stop,
}

/// The end that others hold.
#[derive(Clone)]
pub(super) struct Control(Sender<Request>);

impl Control {
    /// A channel to a loop that is about to start.
    pub(super) fn new() -> (Self, Receiver<Request>) {
        let (sender, requests) = unbounded();
        (Self(sender), requests)
    }

    /// Asks for a reload and waits for what it came to.
    pub(super) fn reload(&self) -> Reloaded {
        let (reply, outcome) = bounded(1);
        let asked = self.0.send(Request::Reload(Some(reply)));
        asked.map_err(|_| NotLoaded::Stopping)?;
        outcome.recv().map_err(|_| NotLoaded::Stopping)?
    }

    /// Sends a request without waiting; false when the loop has ended.
    pub(super) fn send(&self, request: Request) -> bool {
        self.0.send(request).is_ok()
    }
}

/// The files that decide what serves, and what they looked like when it was loaded.
pub(super) struct Watched {
    watch: Watch,
    seen: Picture,
    /// What the configuration names that was read last, also when it was rejected: its files may be mended.
    read: Vec<PathBuf>,
}

impl Watched {
    /// To be called before anything is loaded: what changes while the agent starts is met afterwards.
    pub(super) fn before_start(checked: &Checked, options: &Options) -> Self {
        let mut watched = Self { watch: Watch::new(), seen: Picture::default(), read: Vec::new() };
        watched.follow(checked, checked, options);
        watched.seen = watched.watch.picture();
        watched
    }

    /// Watches what the active configuration names and the one that was read last. Says whether
    /// these are all paths that were watched before.
    fn follow(&mut self, active: &Checked, read: &Checked, options: &Options) -> bool {
        self.read = daemon::watched(read, options);
        let known = self.read.iter().all(|path| self.watch.paths().contains(path));
        self.set(active, options);
        known
    }

    /// What was seen is loaded, or was rejected for what it is.
    fn loaded(&mut self, seen: Picture, active: &Checked, options: &Options) {
        self.set(active, options);
        self.seen = seen.only(self.watch.paths());
    }

    fn set(&mut self, active: &Checked, options: &Options) {
        let mut paths = daemon::watched(active, options);
        paths.extend(self.read.iter().cloned());
        paths.sort();
        paths.dedup();
        self.watch.set(paths);
    }
}

/// The loop's own state.
pub(super) struct Loop<'a> {
    daemon: &'a mut Daemon,
    requests: Receiver<Request>,
    heard: Receiver<worker::Event>,
    lifelines: Lifelines,
    watched: Watched,
    retry: Retry,
    removed: Receiver<Instant>,
}

impl<'a> Loop<'a> {
    /// Ready to run, with what was watched since before the start.
    pub(super) fn new(daemon: &'a mut Daemon, requests: Receiver<Request>, watched: Watched) -> Self {
        let (heard, lifelines) = (daemon.heard(), daemon.lifelines());
        let mut retry = Retry::default();
        retry.loaded(daemon.is_worth_a_retry(), Instant::now());
        Self { daemon, requests, heard, lifelines, watched, retry, removed: tick(REMOVED) }
    }

    /// Runs until somebody wants the agent to stop, or it has to.
    pub(super) fn run(mut self) -> Result<(), Lost> {
        loop {
            match self.next() {
                Event::Look => self.look(),
                Event::Reload(reply) => self.reload(reply),
                Event::Heard(event) => self.heard(event),
                Event::Removed => self.daemon.look_after_removed(),
                Event::Lost(lost) => return Err(lost),
                Event::Stop => return Ok(()),
            }
        }
    }

    fn next(&self) -> Event {
        let config = self.daemon.reload_config();
        // Without watching, only requests load anything, and what failed to load.
        let poll = if config.watch { config.poll.0 } else { Duration::from_secs(3600) };
        select! {
            recv(self.requests) -> request => match request {
                Ok(Request::Reload(reply)) => Event::Reload(reply),
                Ok(Request::Stop) | Err(_) => Event::Stop,
            },
            recv(self.lifelines.commit) -> _ => Event::Lost(Lost::Commit),
            recv(self.lifelines.files) -> _ => Event::Lost(Lost::Files),
            recv(self.lifelines.lanes) -> _ => Event::Lost(Lost::Lanes),
            recv(self.heard) -> event => event.map_or(Event::Stop, Event::Heard),
            recv(self.watched.watch.hints()) -> _ => Event::Look,
            recv(self.removed) -> _ => Event::Removed,
            default(self.retry.wait(poll, Instant::now())) => Event::Look,
        }
    }

    /// Hands on what a worker told. What there is no thread for is started with the next load.
    fn heard(&mut self, event: worker::Event) {
        let before = self.daemon.is_worth_a_retry();
        self.daemon.heard_from(event);
        if self.daemon.is_worth_a_retry() && !before && !self.retry.is_planned() {
            self.retry.loaded(true, Instant::now());
        }
    }

    /// Loads what changed, once it rests, and what may pass now.
    fn look(&mut self) {
        let changed =
            || self.daemon.reload_config().watch && self.watched.watch.picture() != self.watched.seen;
        if self.retry.is_due(Instant::now()) || changed() {
            // Rejections are logged and shown where they arise.
            let _ = self.load(false);
        }
    }

    fn reload(&mut self, reply: Option<Sender<Reloaded>>) {
        let started = Instant::now();
        let outcome = self.load(true);
        tracing::info!(
            successful = outcome.is_ok(),
            seconds = started.elapsed().as_secs_f64(),
            "A reload was asked for."
        );
        if let Some(reply) = reply {
            // Who asked may have gone.
            let _ = reply.send(outcome);
        }
    }

    /// Loads everything as it is when it rests.
    fn load(&mut self, asked: bool) -> Reloaded {
        // The table has to know what workers did with the last change before the next one.
        for event in self.heard.try_iter() {
            self.daemon.heard_from(event);
        }
        let until = Instant::now() + LONGEST_UNREST;
        let outcome = loop {
            match self.load_once(asked, until) {
                Some(outcome) => break outcome,
                None if Instant::now() < until => {}
                None => {
                    break Err(NotLoaded::Unrest("the files keep changing while they are read".to_owned()));
                }
            }
        };
        let passes = match &outcome {
            Ok(()) | Err(NotLoaded::Config(_) | NotLoaded::Stopping) => false,
            Err(NotLoaded::Plugins(_)) => self.daemon.is_worth_a_retry(),
            Err(NotLoaded::Part(_) | NotLoaded::Unrest(_)) => true,
        };
        self.retry.loaded(passes, Instant::now());
        self.daemon.reloaded(&outcome);
        outcome
    }

    /// One try; none when the files did not stay as they were found at rest.
    fn load_once(&mut self, asked: bool, until: Instant) -> Option<Reloaded> {
        let settle = self.daemon.reload_config().settle.0;
        let seen = match self.watched.watch.rest(settle, until) {
            Ok(seen) => seen,
            Err(unrest) => return Some(Err(NotLoaded::Unrest(unrest.to_string()))),
        };
        let read = match config::load(self.daemon.options()) {
            Ok(read) => read,
            Err(problems) => {
                self.watched.seen = seen;
                return Some(Err(NotLoaded::Config(problems)));
            }
        };
        if !self.watched.follow(self.daemon.checked(), &read, self.daemon.options()) {
            // Of what it names besides, nobody knows yet whether it rests.
            return None;
        }
        let watch = &self.watched.watch;
        let outcome = self.daemon.apply(read, asked, &|| watch.picture() == seen);
        if matches!(outcome, Err(NotLoaded::Unrest(_))) {
            return None;
        }
        self.watched.loaded(seen, self.daemon.checked(), self.daemon.options());
        Some(outcome)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::telemetry;

    fn daemon(folder: &std::path::Path) -> (Daemon, Watched) {
        let text = format!("data_dir = \"{}\"", folder.display());
        let options = Options::default();
        let checked = config::load_text("picket.toml", &text, &options).unwrap();
        let watched = Watched::before_start(&checked, &options);
        (Daemon::start(checked, options, telemetry::registry().unwrap()).unwrap(), watched)
    }

    /// What the loop comes to when a thread ends.
    fn loses(which: fn(&mut Lifelines) -> &mut Receiver<std::convert::Infallible>) -> Result<(), Lost> {
        let folder = tempfile::tempdir().unwrap();
        let (mut daemon, watched) = daemon(folder.path());
        let (_control, requests) = Control::new();
        let mut control_loop = Loop::new(&mut daemon, requests, watched);
        let (lives, ended) = bounded(0);
        *which(&mut control_loop.lifelines) = ended;
        let thread = std::thread::spawn(move || {
            let _lives = lives;
            panic!("a bug");
        });
        let outcome = control_loop.run();
        assert!(thread.join().is_err());
        daemon.stop().unwrap();
        outcome
    }

    #[test]
    fn the_loop_ends_with_the_thread_that_has_ended() {
        assert_eq!(loses(|lifelines| &mut lifelines.commit), Err(Lost::Commit));
        assert_eq!(loses(|lifelines| &mut lifelines.files), Err(Lost::Files));
        assert_eq!(loses(|lifelines| &mut lifelines.lanes), Err(Lost::Lanes));
    }

    #[test]
    fn the_loop_goes_on_while_all_threads_do() {
        let folder = tempfile::tempdir().unwrap();
        let (mut daemon, watched) = daemon(folder.path());
        let (control, requests) = Control::new();
        let lifelines = daemon.lifelines();
        assert!(control.send(Request::Stop));
        assert_eq!(Loop::new(&mut daemon, requests, watched).run(), Ok(()));
        assert_eq!(lifelines.commit.try_recv(), Err(crossbeam_channel::TryRecvError::Empty));
        assert_eq!(lifelines.files.try_recv(), Err(crossbeam_channel::TryRecvError::Empty));
        assert_eq!(lifelines.lanes.try_recv(), Err(crossbeam_channel::TryRecvError::Empty));
        daemon.stop().unwrap();
        // Those of the daemon's own threads, not of others.
        assert_eq!(lifelines.commit.recv(), Err(crossbeam_channel::RecvError));
        assert_eq!(lifelines.files.recv(), Err(crossbeam_channel::RecvError));
        assert_eq!(lifelines.lanes.recv(), Err(crossbeam_channel::RecvError));
    }
}
