//! An analyzer that asks for a capability: it imports `series`, which is not granted by default. It returns what it
//! sees as a sample.

use picket_sdk::{Analyzer, Batch, NoConfig, Plugin, Report, Result, Setup, clock, series};

struct Watcher;

impl Plugin for Watcher {
    type Config = NoConfig;

    fn new(_config: NoConfig, _setup: &mut Setup) -> Result<Self, picket_sdk::ConfigError> {
        Ok(Self)
    }
}

impl Analyzer for Watcher {
    fn analyze(&mut self, _batch: &Batch, report: &mut Report) -> Result<()> {
        let now = clock::now();
        let selection = series::select(&[series::request(series::metric("node_load1"), 0, now)])?;
        let rows = selection.rows(0).count();
        report.counter("rows_total", &[]).add(rows as u64);
        report.sample("watched_rows", &[("metric", "node_load1")], rows as f64);
        Ok(())
    }
}

picket_sdk::register!(Watcher: Analyzer);
