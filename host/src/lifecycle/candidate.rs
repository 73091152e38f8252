//! From staged to configured: compile, link, configure. Each step has its own reason to refuse.

use std::sync::Arc;

use picket_sandbox::{
    Assets, CompileError, Compiler, ConfigureError, Grants, Instance, Kind, Limits, LinkError,
};

use super::config::{GrantsConfig, LimitsConfig, SeriesGrant};
use super::selector::{MatchOp, Matcher, Selector};
use super::staged::{StageError, Staged};
use crate::model::Origin;
use crate::pipeline::generation::{self, Generation, InstanceError, Surroundings};
use crate::pipeline::interest::Interest;
use crate::pipeline::matcher::MatchError;

/// Why a generation does not come to serve. Its message names the place and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// Its files cannot be read or are not to be trusted.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The component does not compile.
    #[error("{path}: {source}")]
    Compile {
        /// The component's file.
        path: String,
        /// What the compiler says.
        source: CompileError,
    },
    /// It imports what it was not granted, or what there is not.
    #[error("{path}: {source}")]
    Link {
        /// The component's file.
        path: String,
        /// What cannot be linked.
        source: LinkError,
    },
    /// It is of no use for a source that it was given.
    #[error("{0}")]
    Unsuitable(String),
    /// `configure` refuses the configuration or an asset.
    #[error("{place}{source}")]
    Configure {
        /// File and line of the setting or of the asset, with a colon; empty when unknown.
        place: String,
        /// The plugin's own words.
        source: ConfigureError,
    },
    /// The instance cannot be made.
    #[error("{0}")]
    Instance(#[from] InstanceError),
    /// Its literals cannot be searched for.
    #[error("its interest is refused: {0}")]
    Interest(#[from] MatchError),
    /// `restore` refuses the memory of the generation that serves.
    #[error("{0}")]
    Restore(String),
    /// There is no memory to give it, because what was stored cannot be read now, or no room to take it.
    #[error("the memory of the generation before it cannot be carried over now: {0}")]
    Snapshot(String),
    /// Its first call failed.
    #[error("its first call failed: {0}")]
    FirstCall(String),
    /// The agent could not serve its first call.
    #[error("its first call could not be made now: {0}")]
    FirstCallStalled(String),
    /// The generation that serves does not come to an end of its work.
    #[error("the generation that serves did not reach a batch boundary within {0:?}")]
    Busy(std::time::Duration),
    /// It is good, but changed together with one that is not.
    #[error("held back, because it changed together with `{0}`, which was rejected")]
    Together(String),
}

impl Rejection {
    /// The step that failed, for metrics.
    pub fn step(&self) -> &'static str {
        match self {
            Self::Stage(_) => "stage",
            Self::Compile { .. } => "compile",
            Self::Link { .. } => "link",
            Self::Unsuitable(_) | Self::Configure { .. } | Self::Instance(_) | Self::Interest(_) => {
                "configure"
            }
            Self::Restore(_) | Self::Snapshot(_) => "restore",
            Self::FirstCall(_) | Self::FirstCallStalled(_) => "first-call",
            Self::Busy(_) => "swap",
            Self::Together(_) => "together",
        }
    }
}

/// A generation that can serve, with its first instance.
pub(crate) struct Candidate {
    /// What it is made of.
    pub staged: Arc<Staged>,
    /// Ready to be served.
    pub generation: Arc<Generation>,
    /// Configured and never called.
    pub instance: Instance,
    /// What the instance asks. Whoever calls it has to keep its writes in the very same view of the state, or calls of
    /// one round do not see what earlier ones wrote.
    pub surroundings: Surroundings,
}

/// Where a setting of a plugin was written: `file:line`.
pub(crate) type Locate<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Compiles, links and configures.
pub(crate) fn build(
    staged: Arc<Staged>,
    compiler: &Compiler,
    surroundings: &Surroundings,
    locate: Locate<'_>,
) -> Result<Candidate, Rejection> {
    let path = || staged.section.component.display().to_string();
    let component =
        compiler.compile(&staged.component).map_err(|source| Rejection::Compile { path: path(), source })?;
    let grants = grants(&staged.section.grants);
    let linked =
        component.link(&staged.plugin, &grants).map_err(|source| Rejection::Link { path: path(), source })?;
    let origin = Origin { plugin: staged.plugin.clone(), generation: staged.digest };
    let config = staged.section.config.to_string();
    let assets = staged.assets.iter().map(|(name, asset)| (name.clone(), asset.0.clone())).collect();
    let assets = Arc::new(Assets::new(assets));
    let limits = limits(&staged.section.limits);
    let made = generation::instance(&origin, &linked, &config, &assets, &limits, surroundings);
    let (mut instance, setup) = made.map_err(|error| configure_rejection(error, &staged, locate))?;
    let interest = Interest::new(setup.interest.literals.clone(), setup.interest.ignore_ascii_case)?;
    let version = instance.plugin_version().map_err(InstanceError::Instantiate)?;
    let generation = Generation {
        origin,
        version,
        kinds: component.kinds().to_vec(),
        setup,
        interest,
        snapshot_interval: staged.section.limits.snapshot_interval.0,
        linked,
        config,
        assets,
        limits,
    };
    let surroundings = surroundings.clone();
    Ok(Candidate { staged, generation: Arc::new(generation), instance, surroundings })
}

/// Adds the place to what the plugin says about its configuration or an asset.
fn configure_rejection(error: InstanceError, staged: &Staged, locate: Locate<'_>) -> Rejection {
    let InstanceError::Configure(source) = error else { return Rejection::Instance(error) };
    let place = match &source {
        ConfigureError::Refused(problem) => match &problem.asset {
            Some(_) => staged.section.assets.as_ref().map(|folder| format!("{}/", folder.display())),
            None => {
                locate(&format!("plugins.{}.config.{}", staged.plugin, problem.key)).map(|place| place + ": ")
            }
        },
        ConfigureError::Call(_) => None,
    };
    Rejection::Configure { place: place.unwrap_or_default(), source }
}

/// What a section grants, in the words of the sandbox.
pub(crate) fn grants(config: &GrantsConfig) -> Grants {
    let series = match &config.series {
        SeriesGrant::Nothing => picket_sandbox::SeriesGrant::None,
        SeriesGrant::All => picket_sandbox::SeriesGrant::All,
        SeriesGrant::Selected(selectors) => {
            picket_sandbox::SeriesGrant::Matching(selectors.iter().map(selector).collect())
        }
    };
    Grants { state: config.state.map(|size| size.0), series }
}

fn selector(selector: &Selector) -> picket_sandbox::Selector {
    let matcher = |matcher: &Matcher| picket_sandbox::Matcher {
        name: matcher.name.clone(),
        op: match matcher.op {
            MatchOp::Equal => picket_sandbox::MatchOp::Equal,
            MatchOp::NotEqual => picket_sandbox::MatchOp::NotEqual,
            MatchOp::Regex => picket_sandbox::MatchOp::Regex,
            MatchOp::NotRegex => picket_sandbox::MatchOp::NotRegex,
        },
        value: matcher.value.clone(),
    };
    selector.0.iter().map(matcher).collect()
}

/// What a section allows. Bounds that it does not set keep the sandbox's defaults.
pub(crate) fn limits(config: &LimitsConfig) -> Limits {
    Limits {
        memory: config.memory.0,
        table_elements: u64::from(config.table_elements),
        instances: config.instances,
        handles: config.handles,
        call_deadline: config.call_deadline.0,
        configure_deadline: config.configure_deadline.0,
        output_bytes: config.output.0,
        findings: config.findings,
        metric_label_sets: config.label_sets,
        alerts: config.alerts,
        log_rate: config.log_rate,
        log_burst: config.log_burst,
        state_write_bytes: config.state_writes.0,
        series_samples: config.series_samples,
        snapshot_bytes: config.snapshot.0,
    }
}

/// What a source brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brings {
    /// Records, for analyzers.
    Records,
    /// Files, for scanners and unpackers.
    Files,
    /// Samples, for the series store.
    Samples,
}

/// Checks that a plugin can do something with what its sources bring.
pub(crate) fn suits(generation: &Generation, sources: &[(String, Brings)]) -> Result<(), Rejection> {
    for (source, brings) in sources {
        let (what, wanted): (&str, &[Kind]) = match brings {
            Brings::Records => ("records", &[Kind::Analyzer]),
            Brings::Files => ("files", &[Kind::Scanner, Kind::Unpacker]),
            Brings::Samples => ("samples, which go to the series store and need no plugin", &[]),
        };
        if !generation.kinds.iter().any(|kind| wanted.contains(kind)) {
            let kinds: Vec<String> = generation.kinds.iter().map(ToString::to_string).collect();
            return Err(Rejection::Unsuitable(format!(
                "source `{source}` brings {what}, and the plugin is: {}; remove it from `sources`",
                kinds.join(", ")
            )));
        }
    }
    Ok(())
}
