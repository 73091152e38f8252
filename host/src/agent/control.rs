//! The control loop: everything that can wake the agent up, one after the other, in one thread.
//!
//! Only this thread changes the plugin table, the sources and the forwarders, so two reloads never meet.
//! It never waits for upstreams and calls no guest; compiling and configuring a candidate happens here,
//! while what serves goes on in its own threads.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select, unbounded};

use super::daemon::Daemon;
use crate::config::{self, Problems};
use crate::lifecycle::watch::{Picture, Watch};
use crate::pipeline::worker;

/// Everything that can wake the agent up.
enum Event {
    /// Files may have changed: a hint of the kernel, or it is time to look.
    Look,
    /// Somebody wants the configuration and all files loaded now.
    Reload(Option<Sender<Reloaded>>),
    /// A worker tells what happened to its generation.
    Heard(worker::Event),
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

/// The loop's own state.
pub(super) struct Loop<'a> {
    daemon: &'a mut Daemon,
    requests: Receiver<Request>,
    heard: Receiver<worker::Event>,
    watch: Watch,
    seen: Picture,
}

impl<'a> Loop<'a> {
    /// Ready to run; what the watched files look like now is taken as loaded.
    pub(super) fn new(daemon: &'a mut Daemon, requests: Receiver<Request>) -> Self {
        let heard = daemon.heard();
        let mut watch = Watch::new();
        watch.set(daemon.watched());
        let seen = watch.picture();
        Self { daemon, requests, heard, watch, seen }
    }

    /// Runs until somebody wants the agent to stop.
    pub(super) fn run(mut self) {
        loop {
            match self.next() {
                Event::Look => self.look(),
                Event::Reload(reply) => self.reload(reply),
                Event::Heard(event) => self.daemon.heard_from(event),
                Event::Stop => return,
            }
        }
    }

    fn next(&self) -> Event {
        let config = self.daemon.reload_config();
        // Without watching, only requests load anything.
        let poll = if config.watch { config.poll.0 } else { Duration::from_secs(3600) };
        select! {
            recv(self.requests) -> request => match request {
                Ok(Request::Reload(reply)) => Event::Reload(reply),
                Ok(Request::Stop) | Err(_) => Event::Stop,
            },
            recv(self.heard) -> event => event.map_or(Event::Stop, Event::Heard),
            recv(self.watch.hints()) -> _ => Event::Look,
            default(poll) => Event::Look,
        }
    }

    /// Loads what changed, once it rests.
    fn look(&mut self) {
        if !self.daemon.reload_config().watch || self.watch.picture() == self.seen {
            return;
        }
        let settle = self.daemon.reload_config().settle.0;
        self.seen = self.watch.rest(settle);
        // Rejections are logged and shown where they arise.
        let _ = self.load();
    }

    fn reload(&mut self, reply: Option<Sender<Reloaded>>) {
        let started = Instant::now();
        self.seen = self.watch.picture();
        let outcome = self.load();
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

    fn load(&mut self) -> Reloaded {
        let loaded = config::load(self.daemon.options()).map_err(NotLoaded::Config);
        let outcome = loaded.and_then(|checked| self.daemon.apply(checked));
        self.daemon.reloaded(&outcome);
        self.watch.set(self.daemon.watched());
        outcome
    }
}
