//! A configured plugin under test, called as the agent calls it.

use std::time::Duration;

use super::batch::Lines;
use super::output::Output;
use super::{Object, check, host};
use crate::instance::Instance;
use crate::{
    AlertRule, Analyzer, Answer, ConfigError, Container, Plugin, Query, QueryError, QueryTime, RuleResult,
    Scanner, Timestamp, Unpacker, Verdict,
};

/// What the host pulls from a container at once.
const PULL: usize = 64 << 10;

/// A plugin that [`Host::start`](super::Host::start) configured.
#[derive(Debug)]
pub struct Running<P> {
    config: String,
    instance: Option<Instance<P>>,
    literals: Vec<Vec<u8>>,
    ignore_ascii_case: bool,
    groups: Vec<(String, Duration)>,
}

/// A member of a container, read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Its path inside.
    pub path: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// A call that the agent would count against the plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// The plugin's own error.
    Failed(String),
    /// The call returned something that the host refuses.
    Refused(String),
    /// A call before failed, and the agent would have thrown the instance away.
    Discarded,
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(message) => f.write_str(message),
            Self::Refused(what) => write!(f, "the host refuses the result: {what}"),
            Self::Discarded => f.write_str("the instance was discarded after the call that failed"),
        }
    }
}

impl std::error::Error for CallError {}

impl<P: Plugin> Running<P> {
    pub(super) fn start(config: String) -> Result<Self, ConfigError> {
        let (instance, setup) = Instance::configure(&config)?;
        let groups = setup.groups.into_iter().map(|g| (g.name, Duration::from_nanos(g.interval))).collect();
        let interest = setup.interest;
        Ok(Self {
            config,
            instance: Some(instance),
            literals: interest.literals,
            ignore_ascii_case: interest.ignore_ascii_case,
            groups,
        })
    }

    /// The plugin itself.
    ///
    /// # Panics
    ///
    /// When a call has failed.
    pub fn plugin(&self) -> &P {
        self.instance.as_ref().expect("the instance was discarded after the call that failed").plugin()
    }

    /// The literals of the plugin's interest; none when it wants every record.
    pub fn interest(&self) -> &[Vec<u8>] {
        &self.literals
    }

    /// The plugin's rule groups with their intervals.
    pub fn groups(&self) -> &[(String, Duration)] {
        &self.groups
    }

    /// What the agent does at a swap or after a restart: takes a snapshot, makes a fresh instance of
    /// the same configuration, and gives the snapshot back.
    pub fn restart(self) -> Result<Self, CallError> {
        let snapshot = self.snapshot()?;
        let mut next =
            Self::start(self.config).map_err(|error| CallError::Failed(format!("configure: {error}")))?;
        next.restore(snapshot, "0.0.0")?;
        Ok(next)
    }

    /// The plugin's snapshot, as stored.
    pub fn snapshot(&self) -> Result<Vec<u8>, CallError> {
        self.instance.as_ref().ok_or(CallError::Discarded)?.snapshot().map_err(CallError::Failed)
    }

    /// Gives the plugin a snapshot of some version.
    pub fn restore(&mut self, snapshot: Vec<u8>, from_version: &str) -> Result<(), CallError> {
        self.call(|instance| instance.restore(snapshot, from_version.to_owned()))
    }

    /// One call: an error discards the instance and takes its state writes back.
    fn call<T>(&mut self, call: impl FnOnce(&mut Instance<P>) -> Result<T, String>) -> Result<T, CallError> {
        self.checked(call, |_| Ok(()))
    }

    fn checked<T>(
        &mut self,
        call: impl FnOnce(&mut Instance<P>) -> Result<T, String>,
        check: impl FnOnce(&T) -> Result<(), String>,
    ) -> Result<T, CallError> {
        let mut instance = self.instance.take().ok_or(CallError::Discarded)?;
        let before = host::with(|host| host.state.clone());
        let outcome = call(&mut instance).map_err(CallError::Failed).and_then(|value| match check(&value) {
            Ok(()) => Ok(value),
            Err(what) => Err(CallError::Refused(what)),
        });
        match outcome.is_ok() {
            true => self.instance = Some(instance),
            false => host::with(|host| host.state = before),
        }
        outcome
    }
}

impl<P: Analyzer> Running<P> {
    /// Hands over those records of a batch that the plugin's interest asks for. When it asks for
    /// none of them there is no call, and the output is empty.
    pub fn analyze(&mut self, batch: Lines) -> Result<Output, CallError> {
        let batch = batch.select(&self.literals, self.ignore_ascii_case);
        let records = batch.ends.len();
        if records == 0 {
            let (findings, samples) = (Vec::new(), Vec::new());
            return Ok(Output(crate::types::Report {
                findings,
                counters: vec![],
                histograms: vec![],
                samples,
            }));
        }
        self.checked(|instance| instance.analyze(batch), |report| check::report(report, Some(records)))
            .map(Output)
    }

    /// What [`analyze`](Self::analyze) would hand over of a batch.
    pub fn select(&self, batch: Lines) -> Lines {
        batch.selected(&self.literals, self.ignore_ascii_case)
    }

    /// Hands over a selected batch and does nothing besides: the report is not checked, and state writes
    /// stay when the call fails. For measuring the plugin's own work.
    pub fn analyze_selected(&mut self, batch: Lines) -> Result<Output, CallError> {
        let instance = self.instance.as_mut().ok_or(CallError::Discarded)?;
        instance.analyze(batch.wit).map(Output).map_err(CallError::Failed)
    }
}

impl<P: Scanner> Running<P> {
    /// Lets the plugin scan a file.
    pub fn scan(&mut self, object: &Object) -> Result<(Verdict, Output), CallError> {
        let object = crate::Object::lent(object);
        let (verdict, report) =
            self.checked(|instance| instance.scan(&object), |(_, report)| check::report(report, None))?;
        Ok((verdict, Output(report)))
    }
}

impl<P: Unpacker> Running<P> {
    /// Lets the plugin open a file and pulls every member. None when the plugin says that it is no
    /// container.
    pub fn unpack(&mut self, object: &Object) -> Result<Option<Vec<Content>>, CallError> {
        self.call(|instance| {
            let Some(mut container) = instance.open(crate::Object::owned(object.clone()))? else {
                return Ok(None);
            };
            let mut members = Vec::new();
            while let Some(member) = container.next()? {
                let mut content = Vec::new();
                loop {
                    let chunk = container.read(PULL)?;
                    if chunk.is_empty() {
                        break;
                    }
                    if chunk.len() > PULL {
                        return Err(format!("read gave {} bytes when {PULL} were asked for", chunk.len()));
                    }
                    content.extend_from_slice(&chunk);
                }
                members.push(Content { path: member.path, bytes: content });
            }
            Ok(Some(members))
        })
    }
}

impl<P: AlertRule> Running<P> {
    /// Evaluates a group at the time of the test's clock.
    pub fn evaluate(&mut self, group: &str) -> Result<Vec<RuleResult>, CallError> {
        self.evaluate_at(group, host::now())
    }

    /// Evaluates a group at a time.
    pub fn evaluate_at(&mut self, group: &str, time: Timestamp) -> Result<Vec<RuleResult>, CallError> {
        self.checked(|instance| instance.evaluate(group, time), |results| check::results(results))
    }
}

impl<P: Query> Running<P> {
    /// Asks an expression. Its errors leave the instance as it is.
    pub fn query(&mut self, expression: &str, time: QueryTime) -> Result<Answer, QueryError> {
        match self.instance.as_mut() {
            Some(instance) => instance.query(expression, time),
            None => Err(QueryError::Failed(CallError::Discarded.to_string())),
        }
    }
}
