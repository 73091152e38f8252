//! Tries the targets of `prometheus` sources for `check --connect`: whether each of them can be scraped now. Nothing of
//! what they say is kept.

use super::check::Found;
use crate::config::{Checked, Code};
use crate::sources::SourceConfig;
use crate::sources::prometheus::probe::tried;

/// Scrapes each target of each source once.
pub(super) fn look(checked: &Checked, found: &mut Found) {
    for (name, source) in &checked.sources {
        let SourceConfig::Prometheus(config) = source else { continue };
        // What cannot be read on this machine was told with the other sources.
        for (url, outcome) in tried(config, true).asked {
            let there = format!("source `{name}`: {url}");
            match outcome {
                Ok(samples) => found.notes.push(format!("{there}: {samples} samples")),
                Err(error) => {
                    let key = format!("sources.{name}");
                    let problem = checked.problem_at(&key, Code::Upstream, format!("{there}: {error}"));
                    found.problems.push(problem.help(error.remedy()));
                }
            }
        }
    }
}
