//! Restarts, reloads and steps of the clock in the middle of a life: no alert is lost and none fires early.

use proptest::prelude::*;

use super::*;

const HOUR: u64 = 3600 * SECOND;

fn on() -> Vec<RuleResult> {
    vec![rule("cpu", vec![held("a", 4, 0)])]
}

/// What happens in the middle of the time for which an alert has to hold.
#[derive(Debug, Clone, Copy)]
enum Between {
    Nothing,
    Restart,
    RestartAnHourLater,
    Reload,
    StepForwards,
    StepBack,
}

/// The evaluations, `p`ending, `f`iring or nothing new, of which something happens before the third.
fn check(between: Between, expected: &str) {
    let mut fixture = Fixture::new(Config::default());
    let mut shown = String::new();
    for at in 0..expected.len() {
        if at == 2 {
            happens(&mut fixture, between);
        }
        shown.push(match &*fixture.evaluate(on()) {
            [] => '.',
            [event] if event == "cpu pending" => 'p',
            [event] if event == "cpu firing" => 'f',
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(shown, expected, "{between:?}");
    // It has been active for as long as it was seen to hold, by the clock as it goes now.
    let active = fixture.view.list();
    let now = fixture.wall - INTERVAL;
    let evaluations = expected.len() as u64 - 1;
    assert_eq!(now - active[0].active_since, evaluations * INTERVAL, "{between:?}");
}

fn happens(fixture: &mut Fixture, between: Between) {
    match between {
        Between::Nothing => {}
        Between::Restart => assert!(fixture.restart().is_empty()),
        Between::RestartAnHourLater => {
            fixture.pass(HOUR);
            assert!(fixture.restart().is_empty());
        }
        // The rule is the same; it is another generation that evaluates it.
        Between::Reload => fixture.generation = Digest::of(b"two"),
        Between::StepForwards => fixture.wall += HOUR,
        Between::StepBack => fixture.wall -= HOUR,
    }
}

#[test]
fn whatever_happens_in_the_middle_an_alert_fires_when_it_has_held_for_long_enough() {
    check(Between::Nothing, "p...f");
    check(Between::Restart, "p...f");
    check(Between::RestartAnHourLater, "p...f");
    check(Between::Reload, "p...f");
    check(Between::StepForwards, "p...f");
    check(Between::StepBack, "p...f");
}

#[test]
fn a_step_of_the_clock_moves_since_when_a_firing_alert_is_active() {
    for step in [HOUR as i64, -(HOUR as i64)] {
        let mut fixture = Fixture::new(Config::default());
        let on = || vec![rule("cpu", vec![held("a", 0, 9)])];
        assert_eq!(fixture.evaluate(on()), ["cpu firing"]);
        fixture.wall = fixture.wall.saturating_add_signed(step);
        assert!(fixture.evaluate(on()).is_empty());
        let moved = START.saturating_add_signed(step);
        assert_eq!(fixture.view.list()[0].active_since, moved);
        // Also while it lingers, and once only; a restart changes nothing of it.
        assert!(fixture.evaluate(vec![rule("cpu", vec![])]).is_empty());
        assert!(fixture.restart().is_empty());
        assert!(fixture.evaluate(on()).is_empty());
        assert_eq!(fixture.view.list()[0].active_since, moved);
        let change = fixture.change(vec![]);
        let Frame::Alert(event) = &change.frames[0] else { panic!() };
        assert_eq!((event.state, event.active_since), (AlertState::Resolved, moved));
    }
}

#[test]
fn a_clock_that_was_set_back_while_the_agent_did_not_run_begins_no_alert_in_the_future() {
    let mut fixture = Fixture::new(Config::default());
    fixture.evaluate(vec![rule("cpu", vec![held("a", 0, 0)])]);
    fixture.wall -= HOUR;
    assert!(fixture.restart().is_empty());
    let now = fixture.wall;
    assert!(fixture.evaluate(vec![rule("cpu", vec![held("a", 0, 0)])]).is_empty());
    assert_eq!(fixture.view.list()[0].active_since, now);
}

#[test]
fn what_is_shown_is_of_the_last_evaluation_at_which_it_held() {
    let mut fixture = Fixture::new(Config::default());
    let with = |value: f64, summary: &str| {
        let annotations = vec![Label { name: "summary".into(), value: summary.into() }];
        vec![rule("cpu", vec![HeldAlert { value, annotations, ..held("a", 0, 9) }])]
    };
    fixture.evaluate(with(1.0, "one"));
    fixture.evaluate(with(2.0, "two"));
    fixture.evaluate(vec![rule("cpu", vec![])]);
    let shown = fixture.view.list().remove(0);
    assert_eq!((shown.value, shown.annotations[0].value.as_str()), (2.0, "two"));
}

/// How long each alert has been active.
fn ages(fixture: &Fixture) -> Vec<(String, u64)> {
    let list = fixture.view.list().into_iter();
    list.map(|alert| (alert.labels[1].value.clone(), fixture.wall - alert.active_since)).collect()
}

proptest! {
    #[test]
    fn restarts_and_steps_of_the_clock_anywhere_change_no_life(
        history in prop::collection::vec((said(), any::<bool>(), -7200..7200_i64), 1..40),
        hold_for in 0..4_u64,
        keep_firing_for in 0..4_u64,
    ) {
        let (mut straight, mut moved) = (Fixture::new(Config::default()), Fixture::new(Config::default()));
        for (said, restarts, step) in history {
            match restarts {
                true => prop_assert!(moved.restart().is_empty()),
                false => moved.wall = moved.wall.saturating_add_signed(step * SECOND as i64),
            }
            let results = results(said, hold_for, keep_firing_for);
            prop_assert_eq!(straight.evaluate(results.clone()), moved.evaluate(results));
            prop_assert_eq!(ages(&straight), ages(&moved));
        }
    }
}
