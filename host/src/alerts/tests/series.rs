//! The series `ALERTS` and `ALERTS_FOR_STATE` over the life of alerts.

use super::*;
use crate::alerts::draft::MAX_SAMPLE_BYTES;
use crate::model::Sample;

impl Fixture {
    /// The samples of an evaluation, an interval after the last one: name, state, instance, and the value or `end`.
    fn series(&mut self, results: Vec<RuleResult>) -> Vec<String> {
        let mut change = self.change(results);
        let samples = std::mem::take(&mut change.samples);
        assert!(samples.iter().all(|sample| sample.time == self.wall));
        self.commit(change);
        self.pass(INTERVAL);
        samples.iter().map(told).collect()
    }
}

fn told(sample: &Sample) -> String {
    let of = |name: &str| {
        let label = sample.labels.iter().find(|label| label.name == name);
        label.map(|label| label.value.clone()).unwrap_or_default()
    };
    let value = if sample.is_stale() { "end".to_owned() } else { sample.value.to_string() };
    format!("{} {} {} {value}", sample.name, of("alertstate"), of("instance"))
}

#[test]
fn an_alert_has_series_while_it_is_active_and_they_end_with_its_states() {
    let mut fixture = Fixture::new(Config::default());
    let on = || vec![rule("cpu", vec![held("a", 1, 0)])];
    let since = format!("ALERTS_FOR_STATE  a {}", START / SECOND);
    assert_eq!(fixture.series(on()), ["ALERTS pending a 1".to_owned(), since.clone()]);
    let firing = ["ALERTS firing a 1".to_owned(), since.clone()];
    assert_eq!(fixture.series(on()), [&firing[..], &["ALERTS pending a end".to_owned()]].concat());
    assert_eq!(fixture.series(on()), firing);
    // A rule that fails keeps its alerts, and their series.
    let failed = RuleResult { rule: "cpu".into(), outcome: Err("no data".into()) };
    assert_eq!(fixture.series(vec![failed]), firing);
    // Also after a restart it is known which series there were.
    assert!(fixture.restart().is_empty());
    let off = || vec![rule("cpu", vec![])];
    assert_eq!(fixture.series(off()), ["ALERTS firing a end", "ALERTS_FOR_STATE  a end"]);
    assert_eq!(fixture.series(off()), [""; 0]);
}

#[test]
fn a_pending_alert_that_goes_and_a_rule_that_is_gone_leave_no_series() {
    let mut fixture = Fixture::new(Config::default());
    fixture.series(vec![rule("cpu", vec![held("a", 9, 0)]), rule("disk", vec![held("b", 0, 0)])]);
    let ended =
        ["ALERTS pending a end", "ALERTS_FOR_STATE  a end", "ALERTS firing b end", "ALERTS_FOR_STATE  b end"];
    assert_eq!(fixture.series(vec![rule("cpu", vec![])]), ended);
}

#[test]
fn the_text_of_samples_is_bounded_and_the_life_of_alerts_is_not() {
    let mut fixture = Fixture::new(Config::default());
    let large = |number: usize| {
        let mut alert = held(&number.to_string(), 0, 0);
        for name in ["x", "y", "z"] {
            let label = Label { name: name.into(), value: "x".repeat(MAX_VALUE_BYTES) };
            alert.labels.push(label);
        }
        alert
    };
    let change = fixture.change(vec![rule("cpu", (0..1000).map(large).collect())]);
    assert_eq!(change.frames.len(), 1000);
    let bytes: usize = change.samples.iter().map(crate::alerts::series::bytes).sum();
    assert!(change.samples.len() < 400 && bytes <= MAX_SAMPLE_BYTES, "{bytes}");
    let without = 1000 - change.samples.len() as u64 / 2;
    fixture.commit(change);
    let families = fixture.registry.gather();
    let counted =
        families.iter().find(|family| family.name() == "picket_alerts_without_series_total").unwrap();
    assert_eq!(counted.get_metric()[0].get_counter().get_value(), without as f64);
}
