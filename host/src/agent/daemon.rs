//! The running agent: the core with its sources, archive and forwarders around it.
//!
//! Knows in which order the parts start and stop, and how a new configuration is applied to them. When to
//! do so is the control loop's business.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use crossbeam_channel::Receiver;

use super::control::{NotLoaded, Reloaded};
use super::core::{Core, Folders};
use super::descriptions::Descriptions;
use super::every::Every;
use super::lost::Lifelines;
use super::maintenance::{self, Maintenance};
use super::own_metrics::{self, OwnMetrics};
use super::samples::{self, SampleWriter};
use super::sinks::{CommittedCheckpoints, CommittedSamples, CommittedScans};
use super::view::Shown;
use crate::archive::{self, Archive};
use crate::config::{Checked, Options};
use crate::forwarders::aside::Aside;
use crate::forwarders::{self, Forwarders, drain};
use crate::lanes::{self, Feeder, Lanes};
use crate::lifecycle::config::ReloadConfig;
use crate::lifecycle::{Brings, Lifecycle, NotChanged, PluginStatus, Rejections, Wanted};
use crate::model::now_nanos;
use crate::pipeline::carrier::Carrier;
use crate::pipeline::circuit::Patience;
use crate::pipeline::worker;
use crate::sources::{self, SourceConfig, Sources};
use crate::telemetry;

/// What forwarders and the archive may take at the end to carry what is committed.
const LAST_DRAIN: Duration = Duration::from_secs(5);

/// See the module's description.
pub(super) struct Daemon {
    checked: Checked,
    options: Options,
    core: Core,
    /// None once the agent stops. The API looks in from other threads.
    parts: Arc<Mutex<Option<Parts>>>,
    reloads: telemetry::ReloadMetrics,
    shown: Arc<Shown>,
}

/// What runs around the core.
pub(super) struct Parts {
    pub(super) sources: Sources,
    pub(super) archive: Archive,
    pub(super) forwarders: Forwarders,
    lanes: Lanes,
    feeder: Feeder,
    own_metrics: Every,
    maintenance: Every,
    sample_writer: Every,
}

impl Daemon {
    /// Starts everything, in the order in which the parts need each other: what stores first, then what
    /// carries away, then plugins, and what brings records last.
    pub(super) fn start(
        checked: Checked,
        options: Options,
        registry: prometheus::Registry,
    ) -> anyhow::Result<Self> {
        let folders = Folders { data: checked.data_dir.clone(), cache: checked.data_dir.join("cache") };
        let reloads = telemetry::ReloadMetrics::new(&registry)?;
        let mut core = Core::start(&checked, &folders, registry)?;
        core.committer.samples_wanted().set(takes_samples(&checked));
        let (lanes, feeder) = open_lanes(&checked, &core)?;
        let deps = drain::Deps {
            lanes: lanes.clone(),
            state: core.state.clone(),
            aside: Aside::new(&checked.data_dir.join("refused")),
            metrics: forwarders::Metrics::new(&core.registry)?,
            taps: core.taps.clone(),
        };
        let archive = Archive::open(
            &checked.data_dir.join("archive"),
            checked.archive,
            deps.clone(),
            archive::Metrics::new(&core.registry)?,
            Arc::new(now_nanos),
        )?;
        let forwarders = Forwarders::start(checked.forwarders.clone(), surroundings(&core), deps)?;
        lanes.set_readers(&readers(&checked));
        // Rejections are logged and shown where they arise; the agent runs with what is good.
        let started =
            core.lifecycle.start(&wanted(&checked, &brings(&checked), &|path| place(&checked, path)));
        let deps = sources::Deps {
            router: core.router.clone(),
            checkpoints: Arc::new(CommittedCheckpoints::new(core.state.clone(), core.committer.clone())),
            samples: Arc::new(CommittedSamples::new(
                core.committer.clone(),
                core.series.clone(),
                core.live.clone(),
            )),
            scans: Arc::new(CommittedScans::new(
                core.state.clone(),
                core.committer.clone(),
                Arc::new(now_nanos),
            )),
            metrics: sources::metrics::Metrics::new(&core.registry)?,
        };
        let sources = Sources::start(checked.sources.clone(), deps)?;
        let own_metrics = take_own_metrics(&checked, &core)?;
        let maintenance = maintain(&core)?;
        let sample_writer = write_samples(&core)?;
        let parts =
            Parts { sources, archive, forwarders, lanes, feeder, own_metrics, maintenance, sample_writer };
        let parts = Arc::new(Mutex::new(Some(parts)));
        let shown = Arc::new(Shown::new(&checked, &core, parts.clone()));
        let daemon = Self { checked, options, core, parts, reloads, shown };
        daemon.reloaded(&started.map_err(|rejections| NotLoaded::Plugins(rejections.to_string())));
        Ok(daemon)
    }

    /// Stops everything in the reverse order; what plugins hold is finished and committed.
    pub(super) fn stop(self) -> anyhow::Result<()> {
        self.shown.stopping();
        let parts = lock(&self.parts).take();
        let parts = parts.context("the agent has been stopped already")?;
        let Parts { sources, archive, forwarders, feeder, own_metrics, maintenance, sample_writer, .. } =
            parts;
        maintenance.stop();
        sample_writer.stop();
        own_metrics.stop();
        sources.stop();
        let series = self.core.series.clone();
        let stopped = self.core.stop_plugins(self.checked.agent.drain.0);
        series.sync();
        feeder.settle(Instant::now() + LAST_DRAIN);
        archive.ask_to_stop(LAST_DRAIN);
        forwarders.stop(LAST_DRAIN);
        archive.stop(LAST_DRAIN);
        feeder.stop();
        stopped.close()
    }

    /// The configuration that is active.
    pub(super) fn checked(&self) -> &Checked {
        &self.checked
    }

    /// What the API shows.
    pub(super) fn shown(&self) -> Arc<Shown> {
        self.shown.clone()
    }

    /// Channels that are closed when threads have ended without which the agent does not do its work.
    pub(super) fn lifelines(&self) -> Lifelines {
        // Once the agent stops, nobody asks.
        let ended =
            lock(&self.parts).as_ref().map(|parts| (parts.sources.files_ended(), parts.feeder.ended()));
        let (files, lanes) =
            ended.unwrap_or_else(|| (crossbeam_channel::never(), crossbeam_channel::never()));
        Lifelines { commit: self.core.commit_ended(), files, lanes }
    }

    /// What workers tell.
    pub(super) fn heard(&self) -> Receiver<worker::Event> {
        self.core.heard.clone()
    }

    /// Hands on what a worker told.
    pub(super) fn heard_from(&mut self, event: worker::Event) {
        self.core.lifecycle.heard(event);
    }

    /// Does what has to be done now and then beside changes.
    pub(super) fn look_after_removed(&mut self) {
        self.core.lifecycle.look_after_removed(now_nanos());
    }

    /// Where the configuration comes from.
    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    /// How changes are noticed.
    pub(super) fn reload_config(&self) -> &ReloadConfig {
        &self.checked.reload
    }

    /// Whether what was loaded last is worth loading again though nothing has changed: what was in its way
    /// passes by itself.
    pub(super) fn is_worth_a_retry(&self) -> bool {
        self.core.lifecycle.is_transient()
    }

    /// Applies a new configuration: plugins first, all or nothing; only when they serve, the rest follows.
    /// With `asked`, what ran out of time or memory is tried again. `rests` says whether the files that
    /// plugins consist of are as they were found at rest.
    pub(super) fn apply(&mut self, checked: Checked, asked: bool, rests: &dyn Fn() -> bool) -> Reloaded {
        // What can be known beforehand is known before the first plugin changes.
        check_parts(&checked).map_err(NotLoaded::Part)?;
        let brings = brings(&checked);
        let locate = |path: &str| place(&checked, path);
        let active = Some(&self.checked.plugins).filter(|_| !checked.means_the_same(&self.checked));
        let wanted = Wanted { active, asked, rests, ..wanted(&checked, &brings, &locate) };
        let rejected = |rejections: Rejections| NotLoaded::Plugins(rejections.to_string());
        self.core.lifecycle.change(&wanted).map_err(|error| match error {
            NotChanged::Rejected(rejections) => rejected(rejections),
            NotChanged::Moved => NotLoaded::Unrest(error.to_string()),
        })?;
        let parts = self.reconfigure_parts(&checked);
        self.warn_of_restart(&checked);
        self.shown.configured(&checked);
        self.checked = checked;
        parts.map_err(NotLoaded::Part)?;
        self.core.lifecycle.refused().map_err(rejected)
    }

    /// Brings what runs around the plugins to what is wanted. What fails here is mended by another try.
    fn reconfigure_parts(&self, checked: &Checked) -> Result<(), String> {
        let mut parts = lock(&self.parts);
        let Some(parts) = parts.as_mut() else { return Ok(()) };
        // Before what is new brings samples.
        self.core.committer.samples_wanted().set(takes_samples(checked));
        let sources = parts.sources.reconfigure(checked.sources.clone());
        parts.own_metrics.set_interval(own_metrics::interval(checked.sources.values()));
        let forwarders = parts.forwarders.reconfigure(checked.forwarders.clone(), LAST_DRAIN);
        parts.lanes.set_readers(&readers(checked));
        sources.map_err(|error| error.to_string())?;
        forwarders.map_err(|error| error.to_string())
    }

    /// Counts a reload and shows what it came to.
    pub(super) fn reloaded(&self, outcome: &Reloaded) {
        self.reloads.reloaded(outcome.is_ok());
        self.shown.reloaded(outcome);
        if let Err(reason) = outcome {
            tracing::error!(%reason, "Not all that is wanted serves; in its place serves what served before.");
        }
    }

    /// Says which changes wait for the next start.
    fn warn_of_restart(&self, new: &Checked) {
        for setting in read_once(&self.checked, new) {
            tracing::warn!(
                setting,
                "The change of this setting takes effect when the agent is started again."
            );
        }
    }
}

/// Takes the agent's own metrics into the series store from now on, and commits them while that is wanted.
fn take_own_metrics(checked: &Checked, core: &Core) -> anyhow::Result<Every> {
    let mut carrier = Carrier::new(core.committer.clone());
    let carry = Box::new(move |samples| carrier.carry("the agent's own metrics", samples));
    let upstream = own_metrics::Upstream { wanted: core.committer.samples_wanted(), carry };
    let mut own_metrics = OwnMetrics::new(&core.registry, core.series.clone(), upstream)?;
    let interval = own_metrics::interval(checked.sources.values());
    Every::start("own metrics", interval, move || own_metrics.take(now_nanos()))
        .context("no thread can be started for the agent's own metrics; raise the limit of processes")
}

/// Removes what nobody needs any more from now on.
fn maintain(core: &Core) -> anyhow::Result<Every> {
    let plugins = core.lifecycle.statuses();
    let kept = move || {
        let kept = |plugin: PluginStatus| plugin.active.map(|active| (plugin.name, active.kept));
        plugins.all().into_iter().filter_map(kept).collect()
    };
    let mut maintenance = Maintenance::new(
        core.state.clone(),
        core.series.clone(),
        core.silences.clone(),
        Box::new(kept),
        &core.registry,
    )?;
    Every::start("maintenance", maintenance::PERIOD, move || maintenance.run(now_nanos()))
        .context("no thread can be started for maintenance; raise the limit of processes")
}

/// Writes recent samples to the disk from now on.
fn write_samples(core: &Core) -> anyhow::Result<Every> {
    let mut writer = SampleWriter::new(core.series.clone());
    Every::start("samples", samples::PERIOD, move || writer.write())
        .context("no thread can be started for recent samples; raise the limit of processes")
}

/// Files and folders whose change is a reason to load a configuration.
pub(super) fn watched(checked: &Checked, options: &Options) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = checked.files().map(PathBuf::from).collect();
    paths.extend(options.file.parent().map(|folder| folder.join("conf.d")));
    paths.extend(Lifecycle::paths(&checked.plugins));
    paths
}

/// Settings that differ and are read only at the start.
fn read_once(old: &Checked, new: &Checked) -> Vec<&'static str> {
    let fixed = [
        ("data_dir", old.data_dir != new.data_dir),
        ("[agent]", old.agent != new.agent),
        ("[api]", old.api != new.api),
        ("[archive]", old.archive != new.archive),
        ("[compile]", old.compile != new.compile),
        ("[journal]", old.journal != new.journal),
        ("[lanes]", old.lanes != new.lanes),
        ("[log]", old.log != new.log),
        ("[series]", old.series != new.series),
        ("[state]", old.state != new.state),
        ("[supervision]", old.supervision != new.supervision),
    ];
    fixed.into_iter().filter(|(_, changed)| *changed).map(|(setting, _)| setting).collect()
}

/// Whether sources and forwarders can be started as configured, as far as that shows before.
fn check_parts(checked: &Checked) -> Result<(), String> {
    for (name, source) in &checked.sources {
        source.check().map_err(|error| format!("[sources.{name}]: {error}"))?;
    }
    Forwarders::check(&checked.forwarders).map_err(|error| error.to_string())
}

fn lock(parts: &Mutex<Option<Parts>>) -> MutexGuard<'_, Option<Parts>> {
    parts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the lanes have not yet given to everybody waits there.
fn open_lanes(checked: &Checked, core: &Core) -> anyhow::Result<(Lanes, Feeder)> {
    let folder = checked.data_dir.join("lanes");
    let fs: Arc<dyn picket_journal::FileSystem> = Arc::new(picket_journal::RealFs);
    let deps = lanes::Deps {
        committer: core.committer.clone(),
        state: core.state.clone(),
        kept: drain::kept_places(&core.state)?,
        metrics: lanes::Metrics::new(&core.registry)?,
    };
    Ok(lanes::start(&fs, &folder, &checked.lanes, deps)?)
}

/// What forwarders are told of the machine and its metrics.
fn surroundings(core: &Core) -> forwarders::Surroundings {
    let known = Descriptions::new(&core.registry);
    forwarders::Surroundings { node: node_name().into(), descriptions: Arc::new(move || known.get()) }
}

/// This machine's name, as receivers see it.
pub(super) fn node_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Whether a forwarder takes samples.
fn takes_samples(checked: &Checked) -> bool {
    checked.forwarders.values().any(forwarders::Config::takes_samples)
}

/// Who reads the lanes: what none of them has passed is kept.
fn readers(checked: &Checked) -> Vec<String> {
    checked.forwarders.keys().cloned().chain([drain::ARCHIVE.to_owned()]).collect()
}

/// What each source brings.
pub(super) fn brings(checked: &Checked) -> BTreeMap<String, Brings> {
    let brings = |source: &SourceConfig| match source {
        SourceConfig::File(_) => Brings::Records,
        SourceConfig::Directory(_) => Brings::Files,
        SourceConfig::Host(_) | SourceConfig::Prometheus(_) => Brings::Samples,
    };
    checked.sources.iter().map(|(name, source)| (name.clone(), brings(source))).collect()
}

/// What the lifecycle is asked for.
pub(super) fn wanted<'a>(
    checked: &'a Checked,
    sources: &'a BTreeMap<String, Brings>,
    locate: &'a dyn Fn(&str) -> Option<String>,
) -> Wanted<'a> {
    let patience = Patience {
        failures: checked.supervision.failures,
        first_pause: checked.supervision.rest.0,
        longest_pause: checked.supervision.longest_rest.0,
    };
    Wanted {
        plugins: &checked.plugins,
        sources,
        patience,
        locate,
        active: None,
        asked: true,
        rests: &|| true,
    }
}

/// Where a setting was written, as `file:line`.
pub(super) fn place(checked: &Checked, path: &str) -> Option<String> {
    checked.locate(path).map(|place| place.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::config::load_text;

    fn checked(text: &str) -> Checked {
        load_text("picket.toml", text, &Options::default()).unwrap()
    }

    #[test]
    fn what_a_reload_does_not_change_is_told() {
        let old = checked("");
        assert_eq!(read_once(&old, &checked("[reload]\npoll = \"1s\"")), [""; 0]);
        let new = checked("[supervision]\nfailures = 9\n[agent]\ndrain = \"1s\"");
        assert_eq!(read_once(&old, &new), ["[agent]", "[supervision]"]);
    }
}
