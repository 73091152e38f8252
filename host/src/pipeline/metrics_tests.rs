//! What is counted of plugins, and what is left of a removed one.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

#[test]
fn a_generation_that_is_made_again_counts_from_the_start() {
    let metrics = WorkerMetrics::new(&Registry::new()).unwrap();
    let mut meter = metrics.plugin("p");
    let generation = Digest::of(b"generation");
    for log_lines in [5, 7, 2] {
        meter.generation_used(&generation, Used { log_lines, ..Used::default() });
    }
    assert_eq!(meter.all.log_lines.with_label_values(&["p"]).get(), 9);
}

#[test]
fn of_a_removed_plugin_nothing_is_shown_any_more() {
    let registry = Registry::new();
    let metrics = WorkerMetrics::new(&registry).unwrap();
    for plugin in ["gone", "stays"] {
        let meter = metrics.plugin(plugin);
        meter.failed("trap");
        meter.failed("deadline");
        meter.container_bound("bytes");
        meter.called(Duration::from_secs(1), 1);
    }
    metrics.forget("gone");
    let shown = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    assert!(shown.contains(r#"plugin="stays",reason="trap""#), "{shown}");
    assert!(!shown.contains("gone"), "{shown}");
}

#[test]
fn a_plugins_metric_cannot_have_a_name_of_the_agents_own() {
    // Each name is looked up at its registration.
    WorkerMetrics::new(&Registry::new()).unwrap();
    check_reserved("picket_plugin_reported").unwrap();
    let error = check_reserved("picket_plugin_new_total").unwrap_err().to_string();
    assert!(error.contains("picket_plugin_new_total"), "{error}");
    assert!(check_reserved("calls_total").is_err());
}
