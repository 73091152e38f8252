//! What taps show, drop and end, without an agent around them.
#![allow(clippy::unwrap_used, reason = "tests")]
use std::task::Waker;

use super::*;
use crate::model::{Digest, Sample};

fn point(way: Way, name: &str) -> Point {
    Point { way, name: name.into() }
}

fn frames(count: u64) -> Vec<Frame> {
    let sample =
        |number: u64| Sample { name: "m".into(), labels: vec![], time: number, value: number as f64 };
    (0..count).map(|number| Frame::Sample(sample(number))).collect()
}

/// All lines that wait.
fn lines(tapped: &mut Tapped) -> Vec<serde_json::Value> {
    let mut context = Context::from_waker(Waker::noop());
    let next = || match tapped.poll_line(&mut context) {
        Poll::Ready(Some(line)) => Some(serde_json::from_str(&line).unwrap()),
        _ => None,
    };
    std::iter::from_fn(next).collect()
}

#[test]
fn a_tap_shows_what_passes_its_point_and_nothing_else() {
    let taps = Taps::default();
    taps.committed("web", &frames(1));
    let mut web = taps.open(point(Way::Plugin, "web"), 10).unwrap();
    let mut upstream = taps.open(point(Way::Forwarder, "web"), 10).unwrap();
    taps.committed("web", &frames(2));
    taps.committed("other", &frames(1));
    let refused = |at| if at == 1 { Outcome::Refused } else { Outcome::Accepted };
    taps.handed_over("web", &frames(2), refused);

    let seen = lines(&mut web);
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!(
        (&seen[1]["point"], &seen[1]["name"], &seen[1]["kind"]),
        (&"plugin".into(), &"web".into(), &"sample".into())
    );
    assert_eq!(seen[1]["text"], "m 1");
    assert!(seen[1]["time"].as_u64().unwrap() > 0);
    let outcomes: Vec<_> = lines(&mut upstream).into_iter().map(|line| line["outcome"].clone()).collect();
    assert_eq!(outcomes, ["accepted", "refused"]);
}

#[test]
fn records_are_shown_with_their_place_and_cut() {
    let taps = Taps::default();
    let mut tapped = taps.open(point(Way::Source, "logs"), 10).unwrap();
    let stream =
        Stream { source: "logs".into(), name: "/var/log/x".into(), labels: vec![], id: Digest::of(b"x") };
    let data = [b"\xff".repeat(2 * MAX_TEXT), b"short".to_vec()].concat();
    let middle = 2 * MAX_TEXT as u32;
    let record = |start, end| Record { start, end, offset: u64::from(start) + 7, time: 1 };
    taps.records(&stream, &data, &[record(0, middle), record(middle, middle + 5)]);
    let seen = lines(&mut tapped);
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!((1..=MAX_TEXT).contains(&seen[0]["text"].as_str().unwrap().len()));
    assert_eq!(seen[1]["text"], "short");
    assert_eq!(
        (seen[1]["stream"].as_str(), seen[1]["offset"].as_u64()),
        (Some("/var/log/x"), Some(u64::from(middle) + 7))
    );
}

#[test]
fn what_is_too_much_is_dropped_and_told_before_the_next_line() {
    let taps = Taps::default();
    let mut tapped = taps.open(point(Way::Plugin, "web"), 3).unwrap();
    let tap = lock(&taps.0.open).taps[0].clone();
    let begun = lock(&tap.pace).since;
    let frames = frames(10);
    let line = |at: usize| Line::of_frame(Way::Plugin, "web", &frames[at], None);
    tap.take(begun, 10, &line);
    assert_eq!(lines(&mut tapped).len(), 3);
    tap.take(begun + WINDOW / 2, 1, &line);
    assert_eq!(lines(&mut tapped).len(), 0, "the second is not over");
    tap.take(begun + WINDOW, 1, &line);
    let seen = lines(&mut tapped);
    assert_eq!((seen.len(), &seen[0]["dropped"]), (2, &8.into()), "{seen:?}");
}

#[test]
fn nobody_waits_for_a_reader_that_does_not_read() {
    let taps = Taps::default();
    let mut tapped = taps.open(point(Way::Plugin, "web"), MAX_LIMIT).unwrap();
    let count = QUEUE as u64 + 44;
    taps.committed("web", &frames(count));
    assert_eq!(lines(&mut tapped).len(), QUEUE);
    let tap = lock(&taps.0.open).taps[0].clone();
    assert_eq!(lock(&tap.pace).dropped, 44);
}

#[test]
fn taps_are_bounded_closed_with_their_reader_and_ended_with_the_agent() {
    let taps = Taps::default();
    let mut open: Vec<_> = (0..MAX_TAPS).map(|_| taps.open(point(Way::Plugin, "web"), 1).unwrap()).collect();
    assert_eq!(taps.open(point(Way::Plugin, "web"), 1).err(), Some(NoTap::TooMany));
    open.pop();
    let mut last = taps.open(point(Way::Plugin, "web"), 1).unwrap();
    drop(open);
    assert_eq!(taps.0.count.load(Ordering::Relaxed), 1);
    taps.committed("web", &frames(1));
    taps.end();
    assert_eq!(taps.open(point(Way::Plugin, "web"), 1).err(), Some(NoTap::Stopping));
    assert_eq!(lines(&mut last).len(), 1, "what waits is still read");
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(last.poll_line(&mut context), Poll::Ready(None)));
}
