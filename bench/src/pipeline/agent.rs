//! The agent reading the log: through a plugin that wants few lines, and through one that parses each.

use anyhow::Result;

use super::{BENCH, Log, Reader, UNIT, described};
use crate::Setting;
use crate::agent::{Agent, Home};
use crate::generate::LITERALS;
use crate::process::{Growing, Usage};
use crate::series::Series;

/// The case that all counterparts do as well.
pub(super) const LITERALS_CASE: &str = "(a) finding the lines, 2 % of all, that hold a literal";

/// (a) A plugin interested in literals: a finding for each line that holds one.
pub(super) fn literals<'s>(setting: &'s Setting, log: &'s Log) -> Reader<'s> {
    let series = Series::new(BENCH, LITERALS_CASE, "picket", UNIT).aim("400").note(format!(
        "{}; done when the findings of all marked lines are in the NDJSON file; the compiling child's time is not \
         counted",
        described(log)
    ));
    let run = move || {
        let home = Home::new(&setting.folder.join("pipeline"))?;
        home.install("match", &std::fs::read(setting.plugins.join("bench-guest.wasm"))?)?;
        let sections = format!(
            "{}[plugins.match]\nsources = [\"log\"]\nconfig = {{ mode = \"match\", literals = {LITERALS:?} }}\n\
             limits = {{ findings = 8000, output = \"4MiB\" }}\n",
            source(log)
        );
        let mut agent = home.start(setting, &sections)?;
        let mut results = Growing::new(agent.results());
        let expected = log.totals.marked;
        agent.daemon.wait_until("all findings were written", || {
            Ok(results.lines_with(b"\"rule\":\"match\"")? >= expected)
        })?;
        finish(agent)
    };
    Reader { series, run: Some(Box::new(run)) }
}

/// (b) `access-log`: every line parsed, counted, and committed.
pub(super) fn access_log<'s>(setting: &'s Setting, log: &'s Log) -> Reader<'s> {
    let series = Series::new(BENCH, "(b) parsing every line as an access log", "picket", UNIT)
        .aim("150")
        .note(format!("{}; done when the plugin's results for every line are committed", described(log)));
    let run = move || {
        let home = Home::new(&setting.folder.join("pipeline"))?;
        home.install("access-log", &std::fs::read(setting.plugins.join("access-log.wasm"))?)?;
        let sections = format!(
            "{}[plugins.access-log]\nsources = [\"log\"]\ngrants = {{ state = \"16MiB\" }}\n",
            source(log)
        );
        let mut agent = home.start(setting, &sections)?;
        let (listen, expected) = (agent.listen(), log.lines as f64);
        agent.daemon.wait_until("all records were committed", || {
            let records = Agent::metric(listen, "picket_plugin_records_total", &["plugin=\"access-log\""]);
            Ok(records.unwrap_or_default() >= expected)
        })?;
        finish(agent)
    };
    Reader { series, run: Some(Box::new(run)) }
}

fn source(log: &Log) -> String {
    format!("[sources.log]\nkind = \"file\"\ninclude = [{:?}]\nstart = \"beginning\"\n\n", log.path)
}

fn finish(agent: Agent) -> Result<Usage> {
    let usage = agent.daemon.usage()?;
    agent.daemon.stop()?;
    Ok(usage)
}
