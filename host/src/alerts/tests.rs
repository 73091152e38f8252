//! The life of a plugin's alerts, from evaluations to frames and stored state.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::model::{AlertState, Digest, Frame, Label};
use crate::state::{MemoryTable, State, Write};

mod clock;
mod series;
mod silenced;

const SECOND: u64 = 1_000_000_000;
/// Wall-clock time of the first evaluation.
const START: u64 = 1_700_000_000 * SECOND;
/// Of all groups here.
const INTERVAL: u64 = 15 * SECOND;

/// A plugin's alerts with the state store they live by.
struct Fixture {
    alerts: Option<Alerts>,
    stored: BTreeMap<Vec<u8>, Vec<u8>>,
    view: ActiveAlerts,
    silences: Silences,
    registry: prometheus::Registry,
    metrics: Metrics,
    config: Config,
    generation: Digest,
    begin: Instant,
    /// Unix time in nanoseconds.
    wall: u64,
    /// Since `begin`.
    steady: Duration,
}

impl Fixture {
    fn new(config: Config) -> Self {
        let registry = prometheus::Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let mut fixture = Self {
            alerts: None,
            stored: BTreeMap::new(),
            view: ActiveAlerts::default(),
            silences: no_silences(),
            registry,
            metrics,
            config,
            generation: Digest::of(b"one"),
            begin: Instant::now(),
            wall: START,
            steady: Duration::ZERO,
        };
        assert!(fixture.restart().is_empty());
        fixture
    }

    fn restart(&mut self) -> Vec<RestoreError> {
        self.alerts = None;
        let stored = self.stored.clone().into_iter().collect();
        let (alerts, errors) =
            Alerts::restore("p", stored, self.config, &self.view, &self.silences, &self.metrics);
        self.alerts = Some(alerts);
        errors
    }

    fn pass(&mut self, nanos: u64) {
        self.wall += nanos;
        self.steady += Duration::from_nanos(nanos);
    }

    fn evaluation(&self, results: Vec<RuleResult>) -> Evaluation {
        let instant = self.begin + self.steady;
        Evaluation { group: "g".into(), time: self.wall, instant, interval: INTERVAL, results }
    }

    fn change(&self, results: Vec<RuleResult>) -> Change {
        self.alerts.as_ref().unwrap().evaluate(&self.generation, &self.evaluation(results))
    }

    fn commit(&mut self, change: Change) -> Vec<Frame> {
        for write in change.writes {
            let Write::Alert { plugin, key, value } = write else { panic!("{write:?}") };
            assert_eq!(plugin, "p");
            match value {
                Some(value) => self.stored.insert(key, value),
                None => self.stored.remove(&key),
            };
        }
        self.alerts.as_mut().unwrap().accept(change.accept);
        change.frames
    }

    /// Evaluates one group whose rules hold as said, an interval after the last time.
    fn evaluate(&mut self, results: Vec<RuleResult>) -> Vec<String> {
        let change = self.change(results);
        let shown = self.commit(change).iter().map(shown).collect();
        self.pass(INTERVAL);
        shown
    }

    fn active(&self) -> Vec<(String, AlertState)> {
        self.view.list().into_iter().map(|alert| (alert.rule, alert.state)).collect()
    }
}

fn no_silences() -> Silences {
    let state = State::with_table(std::sync::Arc::new(MemoryTable::new(0))).unwrap();
    Silences::open(state, START).unwrap()
}

fn shown(frame: &Frame) -> String {
    let Frame::Alert(event) = frame else { panic!("{frame:?}") };
    let word = serde_json::to_value(event.state).unwrap();
    format!("{} {}", event.rule, word.as_str().unwrap())
}

fn held(instance: &str, hold_for: u64, keep_firing_for: u64) -> HeldAlert {
    let label = |name: &str, value: &str| Label { name: name.into(), value: value.into() };
    HeldAlert {
        labels: vec![label("instance", instance), label("alertname", "A")],
        annotations: vec![label("summary", "It is bad.")],
        value: 7.5,
        hold_for: hold_for * INTERVAL,
        keep_firing_for: keep_firing_for * INTERVAL,
    }
}

fn rule(name: &str, held: Vec<HeldAlert>) -> RuleResult {
    RuleResult { rule: name.into(), outcome: Ok(held) }
}

#[test]
fn an_alert_goes_pending_firing_resolved() {
    let mut fixture = Fixture::new(Config::default());
    let on = || vec![rule("cpu", vec![held("a", 2, 0)])];
    assert_eq!(fixture.evaluate(on()), ["cpu pending"]);
    assert_eq!(fixture.evaluate(on()), [""; 0]);
    assert_eq!(fixture.active(), [("cpu".to_owned(), AlertState::Pending)]);
    let change = fixture.change(on());
    let Frame::Alert(event) = &change.frames[0] else { panic!() };
    assert_eq!((event.state, event.active_since, event.time), (AlertState::Firing, START, fixture.wall));
    assert_eq!((event.value, event.labels[0].name.as_str()), (7.5, "alertname"));
    assert_eq!(fixture.evaluate(on()), ["cpu firing"]);
    assert_eq!(fixture.active(), [("cpu".to_owned(), AlertState::Firing)]);
    assert_eq!(fixture.evaluate(vec![rule("cpu", vec![])]), ["cpu resolved"]);
    assert_eq!(fixture.active(), []);
    assert!(fixture.stored.is_empty(), "nothing is kept of an inactive alert");
}

#[test]
fn what_was_not_accepted_has_not_happened() {
    let mut fixture = Fixture::new(Config::default());
    let on = || vec![rule("cpu", vec![held("a", 0, 0)])];
    let refused = fixture.change(on());
    let again = fixture.change(on());
    assert_eq!(refused.frames, again.frames, "the ids too");
    assert_eq!(fixture.active(), []);
    fixture.commit(again);
    let next = fixture.change(on());
    assert!(next.frames.is_empty() && next.writes.is_empty());
}

#[test]
fn a_rule_that_fails_keeps_its_alerts_and_harms_no_other() {
    let mut fixture = Fixture::new(Config::default());
    let failed = |rule: &str| RuleResult { rule: rule.into(), outcome: Err("no data".into()) };
    fixture.evaluate(vec![rule("cpu", vec![held("a", 0, 0)]), rule("disk", vec![held("a", 0, 0)])]);
    let change = fixture.change(vec![failed("cpu"), rule("disk", vec![])]);
    assert_eq!(change.errors[0].to_string(), "rule `cpu` of group `g` could not be evaluated: no data");
    assert_eq!(fixture.commit(change).iter().map(shown).collect::<Vec<_>>(), ["disk resolved"]);
    assert_eq!(fixture.active(), [("cpu".to_owned(), AlertState::Firing)]);
    let twice = vec![rule("cpu", vec![held("a", 0, 0)]), rule("cpu", vec![])];
    let change = fixture.change(twice);
    assert!(change.errors[0].reason.contains("two rules"));
    assert!(change.frames.is_empty());
}

#[test]
fn a_rule_or_group_that_is_gone_resolves_its_alerts() {
    let mut fixture = Fixture::new(Config::default());
    let both = || vec![rule("cpu", vec![held("a", 0, 9)]), rule("disk", vec![held("a", 9, 0)])];
    fixture.evaluate(both());
    assert_eq!(fixture.evaluate(vec![]), ["cpu resolved"]);
    assert_eq!(fixture.active(), []);
    fixture.evaluate(both());
    let retain = |fixture: &Fixture, groups: &[String]| {
        fixture.alerts.as_ref().unwrap().retain_groups(&fixture.generation, groups, fixture.wall)
    };
    assert!(retain(&fixture, &["g".to_owned()]).is_empty());
    let change = retain(&fixture, &[]);
    assert_eq!(fixture.commit(change).iter().map(shown).collect::<Vec<_>>(), ["cpu resolved"]);
    assert!(fixture.stored.is_empty());
}

#[test]
fn alerts_that_nobody_evaluates_end_piece_by_piece_in_the_name_of_who_found_them() {
    let mut fixture = Fixture::new(Config::default());
    let both = vec![held("a", 0, 0), held("b", 0, 0)];
    fixture.evaluate(vec![rule("cpu", both), rule("disk", vec![held("a", 9, 0)])]);
    fixture.generation = Digest::of(b"two");
    fixture.evaluate(vec![
        RuleResult { rule: "cpu".into(), outcome: Err("no data".into()) },
        rule("disk", vec![held("a", 9, 0)]),
        rule("load", vec![held("a", 0, 0)]),
    ]);
    fixture.stored.insert(b"damaged".to_vec(), vec![1, 0xc1]);
    assert_eq!(fixture.restart().len(), 1);
    let mut ended = Vec::new();
    loop {
        let change = fixture.alerts.as_ref().unwrap().end_some(fixture.wall, 1);
        if change.is_empty() {
            break;
        }
        let frames = fixture.commit(change);
        assert!(frames.len() < 2, "one at a time: {frames:?}");
        for frame in frames {
            let Frame::Alert(event) = &frame else { panic!("{frame:?}") };
            ended.push((shown(&frame), event.origin.generation));
        }
    }
    let resolved = |rule: &str, generation: &[u8]| (format!("{rule} resolved"), Digest::of(generation));
    assert_eq!(ended, [resolved("cpu", b"one"), resolved("cpu", b"one"), resolved("load", b"two")]);
    assert!(fixture.stored.is_empty() && fixture.active().is_empty());
}

#[test]
fn a_step_of_the_clock_moves_no_alert() {
    for step in [-86_400_i64, 86_400] {
        let mut fixture = Fixture::new(Config::default());
        let on = || vec![rule("cpu", vec![held("a", 3, 3)])];
        let off = || vec![rule("cpu", vec![])];
        fixture.evaluate(on());
        fixture.wall = fixture.wall.checked_add_signed(step * SECOND as i64).unwrap();
        let events: Vec<_> = (0..3).flat_map(|_| fixture.evaluate(on())).collect();
        assert_eq!(events, ["cpu firing"]);
        fixture.evaluate(off());
        fixture.wall = fixture.wall.checked_add_signed(-step * SECOND as i64).unwrap();
        let events: Vec<_> = (0..3).map(|_| fixture.evaluate(off())).collect();
        assert_eq!(events, [vec![], vec![], vec!["cpu resolved".to_owned()]]);
    }
}

#[test]
fn down_time_does_not_count() {
    for (step, expected) in [(86_400_i64, "...f"), (-86_400, "....f"), (1, "....f")] {
        let mut fixture = Fixture::new(Config::default());
        let on = || vec![rule("cpu", vec![held("a", 4, 0)])];
        fixture.evaluate(on());
        fixture.wall = (fixture.wall - INTERVAL).checked_add_signed(step * SECOND as i64).unwrap();
        assert!(fixture.restart().is_empty());
        let events: String = std::iter::repeat_with(|| fixture.evaluate(on()))
            .take(expected.len())
            .map(|events| if events == ["cpu firing"] { 'f' } else { '.' })
            .collect();
        // A day of down-time counts as one interval, and a clock set back as none.
        assert_eq!(events, expected, "{step}");
    }
}

#[test]
fn after_a_restart_an_alert_is_not_given_up_before_samples_can_be_in() {
    let grace = Duration::from_nanos(2 * INTERVAL);
    let fixture = || Fixture::new(Config { grace, ..Config::default() });
    let on = || vec![rule("cpu", vec![held("a", 3, 0)])];
    let off = || vec![rule("cpu", vec![])];

    // Pending: the evaluations without samples neither end it nor stop its time.
    let mut pending = fixture();
    assert_eq!(pending.evaluate(on()), ["cpu pending"]);
    assert!(pending.restart().is_empty());
    assert!(pending.evaluate(off()).is_empty() && pending.evaluate(off()).is_empty());
    assert_eq!(pending.evaluate(on()), ["cpu firing"]);

    // Once it has been seen to hold, it is judged as always.
    assert_eq!(pending.evaluate(off()), ["cpu resolved"]);

    // Firing, and over when the agent is back: resolved when the grace is over, once.
    let mut firing = fixture();
    (0..4).for_each(|_| drop(firing.evaluate(on())));
    assert_eq!(firing.active(), [("cpu".to_owned(), AlertState::Firing)]);
    assert!(firing.restart().is_empty());
    let events: Vec<_> = (0..4).map(|_| firing.evaluate(off())).collect();
    assert_eq!(events, [vec![], vec![], vec!["cpu resolved".to_owned()], vec![]]);
}

#[test]
fn after_a_restart_a_slow_group_looks_twice_before_it_gives_an_alert_up() {
    // Shorter than the group's interval: samples come more often than it looks.
    let grace = Duration::from_nanos(INTERVAL / 10);
    for hold_for in [0, 9] {
        let mut fixture = Fixture::new(Config { grace, ..Config::default() });
        let on = || vec![rule("cpu", vec![held("a", hold_for, 0)])];
        let off = || vec![rule("cpu", vec![])];
        fixture.evaluate(on());
        fixture.pass(1000 * INTERVAL);
        assert!(fixture.restart().is_empty());
        let active: Vec<usize> = (0..3)
            .map(|_| {
                fixture.evaluate(off());
                fixture.active().len()
            })
            .collect();
        assert_eq!(active, [1, 1, 0], "pending ones too: {hold_for}");
    }
}

/// A group with one rule whose alerts go on firing for so many intervals, as a setup tells it.
fn told(rule: &str, keep_firing_for: u64) -> RuleGroup {
    let rule = Rule {
        id: rule.into(),
        name: rule.into(),
        kind: RuleKind::Alert,
        expression: String::new(),
        hold_for: 0,
        keep_firing_for: keep_firing_for * INTERVAL,
        labels: Vec::new(),
        annotations: Vec::new(),
        health: Health::Unknown,
        last_error: None,
        last_evaluation: None,
    };
    RuleGroup {
        plugin: "p".into(),
        name: "g".into(),
        file: String::new(),
        interval: INTERVAL,
        limit: 0,
        last_evaluation: None,
        evaluation_seconds: 0.0,
        rules: vec![rule],
    }
}

#[test]
fn a_reload_that_changes_how_long_alerts_go_on_firing_counts_for_those_that_linger() {
    for (told, expected) in [(told("cpu", 1), 1), (told("cpu", 6), 6), (told("other", 1), 4)] {
        let mut fixture = Fixture::new(Config::default());
        fixture.evaluate(vec![rule("cpu", vec![held("a", 0, 4)])]);
        let off = || vec![rule("cpu", vec![])];
        assert!(fixture.evaluate(off()).is_empty());
        fixture.generation = Digest::of(b"two");
        fixture.alerts.as_mut().unwrap().set_up(&[told]);
        let quiet = (1..10).find(|_| !fixture.evaluate(off()).is_empty());
        assert_eq!(quiet, Some(expected));
    }
}

#[test]
fn alerts_beyond_the_bound_are_refused_and_those_there_are_go_on() {
    let mut fixture = Fixture::new(Config { max_alerts: 2, ..Config::default() });
    let all = |instances: &[&str]| {
        vec![rule("cpu", instances.iter().map(|instance| held(instance, 0, 0)).collect())]
    };
    assert_eq!(fixture.evaluate(all(&["b", "c"])).len(), 2);
    let change = fixture.change(all(&["a", "b", "c", "d"]));
    let left_out = LeftOut { group: "g".into(), rule: "cpu".into(), alerts: 2 };
    assert_eq!(change.left_out, [left_out]);
    assert_eq!(fixture.evaluate(all(&["a", "b", "c"])).len(), 0);
    assert_eq!(fixture.evaluate(all(&["a", "b"])), ["cpu resolved"]);
    assert_eq!(fixture.evaluate(all(&["a", "b"])), ["cpu firing"]);
    let families = fixture.registry.gather();
    let refused = families.iter().find(|family| family.name() == "picket_alerts_refused_total").unwrap();
    assert_eq!(refused.get_metric()[0].get_counter().get_value(), 2.0);
}

#[test]
fn what_cannot_be_restored_is_forgotten_unless_it_is_newer() {
    let mut fixture = Fixture::new(Config::default());
    fixture.evaluate(vec![rule("cpu", vec![held("a", 0, 0)])]);
    fixture.stored.insert(b"damaged".to_vec(), vec![1, 0xc1]);
    fixture.stored.insert(b"empty".to_vec(), vec![]);
    fixture.stored.insert(b"newer".to_vec(), vec![3, 1]);
    let errors: Vec<String> = fixture.restart().iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 3);
    assert!(errors.iter().any(|error| error.contains("has version 3")), "{errors:?}");
    assert_eq!(fixture.evaluate(vec![rule("cpu", vec![])]), ["cpu resolved"]);
    assert_eq!(fixture.stored.keys().collect::<Vec<_>>(), [b"newer"]);
    assert!(fixture.change(vec![]).is_empty());
}

#[test]
fn a_removed_plugin_leaves_the_view_but_not_the_state() {
    let mut fixture = Fixture::new(Config::default());
    fixture.evaluate(vec![rule("cpu", vec![held("a", 0, 0)])]);
    fixture.alerts = None;
    assert_eq!(fixture.active(), []);
    assert_eq!(fixture.stored.len(), 1);
}

/// What the two instances of one rule do at one evaluation.
#[derive(Debug, Clone, Copy)]
enum Said {
    Hold([bool; 2]),
    Error,
    Gone,
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        8 => any::<[bool; 2]>().prop_map(Said::Hold),
        1 => Just(Said::Error),
        1 => Just(Said::Gone),
    ]
}

fn results(said: Said, hold_for: u64, keep_firing_for: u64) -> Vec<RuleResult> {
    match said {
        Said::Gone => vec![],
        Said::Error => vec![RuleResult { rule: "cpu".into(), outcome: Err("no data".into()) }],
        Said::Hold(holds) => {
            let instances = ["a", "b"].into_iter().zip(holds).filter(|(_, holds)| *holds);
            vec![rule("cpu", instances.map(|(name, _)| held(name, hold_for, keep_firing_for)).collect())]
        }
    }
}

proptest! {
    #[test]
    fn a_restart_anywhere_gives_the_same_events(
        history in prop::collection::vec((said(), any::<bool>()), 1..40),
        hold_for in 0..4_u64,
        keep_firing_for in 0..4_u64,
    ) {
        let (mut straight, mut split) = (Fixture::new(Config::default()), Fixture::new(Config::default()));
        for (said, restart) in history {
            if restart {
                prop_assert!(split.restart().is_empty());
            }
            let results = results(said, hold_for, keep_firing_for);
            let (change, again) = (straight.change(results.clone()), split.change(results));
            prop_assert_eq!(straight.commit(change), split.commit(again));
            prop_assert_eq!(&straight.stored, &split.stored);
            prop_assert_eq!(straight.view.list(), split.view.list());
            straight.pass(INTERVAL);
            split.pass(INTERVAL);
        }
    }

    /// Of each alert, `firing` and `resolved` alternate, and `pending` comes only before `firing`
    /// or another `pending`.
    #[test]
    fn events_come_in_the_order_of_life(
        history in prop::collection::vec(said(), 1..60),
        hold_for in 0..4_u64,
        keep_firing_for in 0..4_u64,
    ) {
        let mut fixture = Fixture::new(Config::default());
        let mut last: BTreeMap<Vec<Label>, AlertState> = BTreeMap::new();
        let mut ids = std::collections::BTreeSet::new();
        for said in history {
            let change = fixture.change(results(said, hold_for, keep_firing_for));
            for frame in fixture.commit(change) {
                let Frame::Alert(event) = frame else { panic!("{frame:?}") };
                prop_assert!(ids.insert(event.id), "an id stands twice");
                let before = last.insert(event.labels, event.state);
                let in_order = match event.state {
                    AlertState::Pending => before != Some(AlertState::Firing) && hold_for > 0,
                    AlertState::Firing if hold_for > 0 => before == Some(AlertState::Pending),
                    AlertState::Firing => before != Some(AlertState::Firing),
                    AlertState::Resolved => before == Some(AlertState::Firing),
                };
                prop_assert!(in_order, "{:?} after {before:?}", event.state);
            }
            fixture.pass(INTERVAL);
        }
    }
}
