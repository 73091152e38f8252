//! A start that meets a full disk: the agent stays, says over its API what it waits for, and starts when there
//! is room. Any other failure of a start ends the agent.
//!
//! Nothing of the agent runs meanwhile, so whatever can be read again later is left where it is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::control::Request;
use super::daemon::Daemon;
use super::disk;
use crate::api::dto::{self, Time};
use crate::api::{self, FindingQuery, FindingsError, View};
use crate::config::{Checked, Code, Options, Problem};
use crate::model::now_nanos;
use crate::pipeline::commit;
use crate::state::Room;
use crate::telemetry;

/// How often it is looked whether there is room.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// An agent that has started, with the registry of its metrics.
pub(super) struct Started {
    pub(super) daemon: Daemon,
    pub(super) registry: prometheus::Registry,
}

/// Starts the agent, as soon as the disk has room for it. None when it was told to stop before.
pub(super) fn start(
    checked: &Checked,
    options: &Options,
    requests: &Receiver<Request>,
) -> anyhow::Result<Option<Started>> {
    let mut waiting: Option<Waiting> = None;
    loop {
        // A new one for each try: what failed has registered its metrics in the last one.
        let registry = telemetry::registry()?;
        match Daemon::start(checked.clone(), options.clone(), registry.clone()) {
            Ok(daemon) => {
                if waiting.is_some() {
                    tracing::info!("There is room again: the agent has started.");
                }
                return Ok(Some(Started { daemon, registry }));
            }
            Err(error) if disk::is_full(&error) => {
                let waiting = waiting.get_or_insert_with(|| Waiting::new(checked));
                waiting.fails(checked, &format!("{error:#}"));
                if !waiting.wait(checked, requests) {
                    return Ok(None);
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// What runs instead of the agent.
struct Waiting {
    shown: Arc<Shown>,
    server: Option<api::Server>,
}

/// What the API shows meanwhile.
struct Shown {
    status: dto::Status,
    reason: Mutex<String>,
}

impl Waiting {
    fn new(checked: &Checked) -> Self {
        let shown = Shown { status: status(checked), reason: Mutex::default() };
        Self { shown: Arc::new(shown), server: None }
    }

    /// Another try has failed. It is told once, and again when the reason is another one.
    fn fails(&mut self, checked: &Checked, reason: &str) {
        let known = std::mem::replace(&mut *self.shown.reason(), reason.to_owned());
        if known != reason {
            tracing::error!(reason, "The agent cannot start on a full disk and waits until there is room.");
        }
        if self.server.is_none() {
            // The folder of the socket may be on the full disk too: the next try may have more luck.
            match serve(checked, self.shown.clone()) {
                Ok(server) => self.server = Some(server),
                Err(error) => tracing::warn!(%error, "The API does not answer while the agent waits."),
            }
        }
    }

    /// Waits until another try is worth it; false when the agent has to stop.
    fn wait(&self, checked: &Checked, requests: &Receiver<Request>) -> bool {
        let state = checked.data_dir.join("state");
        loop {
            if !self.obey(requests, Instant::now() + LOOK_EVERY) {
                return false;
            }
            // What cannot be looked at is tried.
            if Room::of(&state).map_or(true, |room| room.is_enough()) {
                return true;
            }
        }
    }

    /// Answers requests until a moment; false when the agent has to stop.
    fn obey(&self, requests: &Receiver<Request>, until: Instant) -> bool {
        loop {
            match requests.recv_deadline(until) {
                // The API's are answered by what it shows; a signal's has no answer but the log's.
                Ok(Request::Reload(_)) => {
                    tracing::warn!(reason = self.shown.not_ready(), "Nothing can be loaded again yet.");
                }
                Ok(Request::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => return true,
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop();
        }
    }
}

fn serve(checked: &Checked, shown: Arc<Shown>) -> anyhow::Result<api::Server> {
    let registry = telemetry::registry()?;
    commit::disk_full(&registry)?.set(1);
    let metrics = api::Metrics::new(&registry)?;
    Ok(api::start(&checked.api, shown, registry, metrics)?)
}

/// The status of an agent that has nothing yet.
fn status(checked: &Checked) -> dto::Status {
    let files = checked.files().map(|file| file.display().to_string()).collect();
    dto::Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started: Time(now_nanos()),
        not_ready: None,
        data_dir: checked.data_dir.display().to_string(),
        config: dto::ConfigStatus { files, loaded: Time(now_nanos()), ..Default::default() },
        plugins: Default::default(),
        sources: Vec::new(),
        forwarders: Vec::new(),
        journal: dto::JournalStatus::default(),
        series: dto::SeriesStatus::default(),
        rules: dto::RulesStatus::default(),
        memory: dto::MemoryStatus { used_bytes: 0, limit_bytes: checked.agent.memory.0 },
    }
}

impl Shown {
    fn reason(&self) -> MutexGuard<'_, String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn not_ready(&self) -> String {
        format!("the agent waits with its start until there is room: {}", self.reason())
    }
}

impl View for Shown {
    fn is_started(&self) -> bool {
        false
    }

    fn ready(&self) -> Result<(), String> {
        Err(self.not_ready())
    }

    fn status(&self) -> dto::Status {
        let journal = dto::JournalStatus { error: Some(self.reason().clone()), ..Default::default() };
        dto::Status { not_ready: Some(self.not_ready()), journal, ..self.status.clone() }
    }

    fn plugins(&self) -> dto::Plugins {
        dto::Plugins { plugins: Vec::new() }
    }

    fn findings(&self, _: &FindingQuery, _: Instant) -> Result<dto::Findings, FindingsError> {
        Err(FindingsError::Unreadable(self.not_ready()))
    }

    fn alerts(&self) -> Vec<dto::AlertView> {
        Vec::new()
    }

    fn reload(&self) -> dto::ReloadReport {
        let problem = Problem::new(Code::Data, self.not_ready());
        dto::ReloadReport { problems: vec![super::view::config_problem(&problem)], plugins: Vec::new() }
    }
}
