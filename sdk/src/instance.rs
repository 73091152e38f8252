//! One instance of a plugin, between the WIT's types and the traits. The component's exports and
//! the test host both go through it, so that a native test runs what the agent will run.

use crate::bindings::analyzer_kind::exports::picket::plugin::analyzer as wit_analyzer;
use crate::types;
use crate::{
    AlertRule, Analyzer, Answer, Batch, ConfigError, Object, Plugin, Query, QueryError, QueryTime, Report,
    RuleResult, Scanner, Setup, Snapshot, Timestamp, Unpacker, Verdict, config,
};

/// A configured plugin and what it gathers for the next report.
#[derive(Debug)]
#[cfg_attr(
    not(target_arch = "wasm32"),
    expect(unreachable_pub, reason = "`register!` reaches it in components")
)]
pub struct Instance<P> {
    plugin: P,
    report: Report,
}

impl<P: Plugin> Instance<P> {
    pub(crate) fn configure(json: &str) -> Result<(Self, Setup), ConfigError> {
        let mut setup = Setup::new();
        let plugin = P::new(config::parse(json)?, &mut setup)?;
        let report = Report::new(std::mem::take(&mut setup.metrics));
        Ok((Self { plugin, report }, setup))
    }

    pub(crate) fn snapshot(&self) -> Result<Vec<u8>, String> {
        Ok(self.plugin.snapshot()?.bytes)
    }

    pub(crate) fn restore(&mut self, bytes: Vec<u8>, version: String) -> Result<(), String> {
        if bytes.is_empty() {
            return Ok(());
        }
        Ok(self.plugin.restore(Snapshot::from_parts(bytes, version))?)
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn plugin(&self) -> &P {
        &self.plugin
    }
}

impl<P: Analyzer> Instance<P> {
    pub(crate) fn analyze(&mut self, batch: wit_analyzer::Batch) -> Result<types::Report, String> {
        self.plugin.analyze(&Batch::new(batch), &mut self.report)?;
        Ok(self.report.take())
    }
}

impl<P: Scanner> Instance<P> {
    pub(crate) fn scan(&mut self, object: &Object<'_>) -> Result<(Verdict, types::Report), String> {
        let verdict = self.plugin.scan(object, &mut self.report)?;
        Ok((verdict, self.report.take()))
    }
}

impl<P: Unpacker> Instance<P> {
    pub(crate) fn open(&mut self, object: Object<'static>) -> Result<Option<P::Container>, String> {
        Ok(self.plugin.open(object)?)
    }
}

impl<P: AlertRule> Instance<P> {
    pub(crate) fn evaluate(&mut self, group: &str, time: Timestamp) -> Result<Vec<RuleResult>, String> {
        Ok(self.plugin.evaluate(group, time)?)
    }
}

impl<P: Query> Instance<P> {
    pub(crate) fn query(&mut self, expression: &str, time: QueryTime) -> Result<Answer, QueryError> {
        self.plugin.query(expression, time)
    }
}
