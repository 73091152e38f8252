//! What silences do to the events of alerts, and what they do not.

use super::*;
use crate::alerts::NewSilence;

impl Fixture {
    /// Silences alerts from now on, for so many intervals.
    fn silence(&self, matcher: &str, intervals: u64) -> String {
        let wanted = NewSilence {
            matchers: vec![matcher.parse().unwrap()],
            starts_at: self.wall,
            ends_at: self.wall + intervals * INTERVAL,
            created_by: "me".into(),
            comment: "because".into(),
        };
        self.silences.add(wanted, self.wall).unwrap().id
    }

    /// The events of an evaluation with their marks, an interval after the last one.
    fn marked(&mut self, results: Vec<RuleResult>) -> Vec<(String, Option<String>)> {
        let change = self.change(results);
        let frames = self.commit(change);
        self.pass(INTERVAL);
        let mark = |frame: &Frame| match frame {
            Frame::Alert(event) => (shown(frame), event.silenced_by.clone()),
            other => panic!("{other:?}"),
        };
        frames.iter().map(mark).collect()
    }
}

fn on() -> Vec<RuleResult> {
    vec![rule("cpu", vec![held("a", 0, 0)])]
}

fn event(text: &str, mark: Option<&str>) -> (String, Option<String>) {
    (text.to_owned(), mark.map(str::to_owned))
}

#[test]
fn a_silenced_alert_lives_on_and_is_told_when_its_silence_ends() {
    let mut fixture = Fixture::new(Config::default());
    let id = fixture.silence("instance=a", 3);
    assert_eq!(fixture.marked(on()), [event("cpu firing", Some(&id))]);
    assert_eq!(fixture.marked(on()), []);
    assert_eq!(fixture.active(), [("cpu".to_owned(), AlertState::Firing)]);
    assert!(fixture.restart().is_empty(), "also when the agent is started again meanwhile");
    assert_eq!(fixture.marked(on()), []);
    assert_eq!(fixture.marked(on()), [event("cpu firing", None)]);
    assert_eq!(fixture.marked(on()), []);
    assert_eq!(fixture.marked(vec![]), [event("cpu resolved", None)]);
}

#[test]
fn a_silence_that_begins_while_an_alert_fires_is_told_and_one_by_hand_ended_too() {
    let mut fixture = Fixture::new(Config::default());
    assert_eq!(fixture.marked(on()), [event("cpu firing", None)]);
    let id = fixture.silence("alertname=~A|B", 9);
    assert_eq!(fixture.marked(on()), [event("cpu firing", Some(&id))]);
    fixture.silences.expire(&id, fixture.wall).unwrap();
    assert_eq!(fixture.marked(on()), [event("cpu firing", None)]);
}

#[test]
fn the_end_of_an_alert_that_nobody_was_told_of_is_marked_too() {
    let mut fixture = Fixture::new(Config::default());
    let id = fixture.silence("instance=a", 1);
    assert_eq!(fixture.marked(on()), [event("cpu firing", Some(&id))]);
    // The silence ends at the same time.
    assert_eq!(fixture.marked(vec![rule("cpu", vec![])]), [event("cpu resolved", Some(&id))]);
}

#[test]
fn other_alerts_are_not_marked_and_pending_ones_are_not_told_again() {
    let mut fixture = Fixture::new(Config::default());
    let both = || vec![rule("cpu", vec![held("a", 2, 0), held("b", 0, 0)])];
    let first = fixture.marked(both());
    assert_eq!(first, [event("cpu pending", None), event("cpu firing", None)]);
    let id = fixture.silence("instance=a", 9);
    assert_eq!(fixture.marked(both()), []);
    assert_eq!(fixture.marked(both()), [event("cpu firing", Some(&id))]);
}
