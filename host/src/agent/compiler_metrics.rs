//! What the compiler of components did, as metrics. The sandbox counts; this only shows it.

use std::sync::Arc;

use picket_sandbox::{Compiler, CompilerCounts};
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, MetricFamily};
use prometheus::{IntCounter, Registry};

/// Reads the compiler's counts whenever somebody looks.
struct CompilerCollector {
    compiler: Arc<Compiler>,
    /// For their names; the values are the compiler's own.
    counters: [IntCounter; 4],
}

/// Name and meaning of each counter, in the order of [`values`].
const COUNTERS: [(&str, &str); 4] = [
    ("picket_compile_components_total", "Components that were compiled."),
    ("picket_compile_cache_hits_total", "Components whose compiled code came from the cache."),
    (
        "picket_compile_cache_rejected_files_total",
        "Files of compiled code that were not to be trusted and were removed.",
    ),
    (
        "picket_compile_cache_write_failures_total",
        "Compiled code that could not be kept; it was used all the same.",
    ),
];

fn values(counts: CompilerCounts) -> [u64; 4] {
    [counts.compiled, counts.cached, counts.discarded, counts.not_stored]
}

/// Registers the metrics of a compiler.
pub(super) fn register(registry: &Registry, compiler: Arc<Compiler>) -> Result<(), prometheus::Error> {
    let [a, b, c, d] = COUNTERS.map(|(name, help)| IntCounter::new(name, help));
    registry.register(Box::new(CompilerCollector { compiler, counters: [a?, b?, c?, d?] }))
}

impl Collector for CompilerCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.counters.iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let values = values(self.compiler.counts());
        let family = |(counter, value): (&IntCounter, u64)| {
            let mut families = counter.collect();
            for metric in families.iter_mut().flat_map(|family| family.mut_metric()) {
                let mut shown = Counter::default();
                shown.set_value(value as f64);
                metric.set_counter(shown);
            }
            families
        };
        self.counters.iter().zip(values).flat_map(family).collect()
    }
}
