//! How timelines look side by side: as text, as JSON, and as a picture.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::output::Paint;
use super::svg::{self, Bar, Chart, Row};
use crate::api::dto::Time;
use crate::rules::timeline::{Interval, Labels, State, Timeline, total};
use crate::telemetry::escape;

/// The label that gives an alert its name.
const ALERT_NAME: &str = "alertname";
/// Intervals of one alert that are listed as text; JSON has all of them.
const LISTED: usize = 20;

/// What the candidate and the active rules would have done.
pub(super) struct Comparison {
    /// Unix time in nanoseconds.
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) candidate: BTreeMap<Labels, Timeline>,
    /// None when no active rules are known.
    pub(super) active: Option<BTreeMap<Labels, Timeline>>,
}

/// One alert on both sides.
struct Pair<'a> {
    labels: &'a Labels,
    candidate: &'a [Interval],
    active: Option<&'a [Interval]>,
}

impl Comparison {
    /// The alerts of both sides, by their names and labels.
    fn pairs(&self) -> Vec<Pair<'_>> {
        let mut labels: Vec<&Labels> = self.candidate.keys().collect();
        labels.extend(self.active.iter().flatten().map(|(labels, _)| labels));
        labels.sort_by_key(|labels| (labels.get(ALERT_NAME), *labels));
        labels.dedup();
        let pair = |labels| Pair {
            labels,
            candidate: self.candidate.get(labels).map_or(&[][..], Vec::as_slice),
            active: self.active.as_ref().map(|it| it.get(labels).map_or(&[][..], Vec::as_slice)),
        };
        labels.into_iter().map(pair).collect()
    }

    /// A table for each alert.
    pub(super) fn text(&self, paint: Paint) -> String {
        let pairs = self.pairs();
        let mut text = format!("From {} to {}\n\n", time(self.from), time(self.to));
        if pairs.is_empty() {
            text += "No alert would have been pending or firing.\n";
        }
        for pair in pairs {
            text += &format!("{}\n", paint.bold(&escape(&name(pair.labels))));
            text += &side("candidate", pair.candidate, paint);
            if let Some(active) = pair.active {
                text += &side("active", active, paint);
            }
            text.push('\n');
        }
        text
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        let side = |timeline: &[Interval]| {
            json!({
                "pending_seconds": seconds(total(timeline, State::Pending)),
                "firing_seconds": seconds(total(timeline, State::Firing)),
                "intervals": timeline.iter().map(|it| json!({
                    "state": it.state.word(), "from": time(it.from), "to": time(it.to),
                })).collect::<Vec<_>>(),
            })
        };
        let alert = |pair: Pair<'_>| {
            json!({
                "labels": pair.labels,
                "candidate": side(pair.candidate),
                "active": pair.active.map(side),
            })
        };
        let alerts: Vec<Value> = self.pairs().into_iter().map(alert).collect();
        json!({ "from": time(self.from), "to": time(self.to), "alerts": alerts })
    }

    /// A row for each side of each alert.
    pub(super) fn svg(&self, title: &str) -> String {
        let group = |pair: Pair<'_>| {
            let name = name(pair.labels);
            let mut rows = vec![row(name.clone(), "candidate", pair.candidate)];
            rows.extend(pair.active.map(|active| row(name, "active", active)));
            rows
        };
        let groups = self.pairs().into_iter().map(group).collect();
        svg::draw(&Chart { title: title.to_owned(), from: self.from, to: self.to, groups })
    }
}

fn side(who: &str, timeline: &[Interval], paint: Paint) -> String {
    let [pending, firing] = [State::Pending, State::Firing].map(|state| length(total(timeline, state)));
    let mut text = format!("  {who:9}  pending {pending}, firing {firing}\n");
    for interval in timeline.iter().take(LISTED) {
        let Interval { from, to, state } = interval;
        let word = match state {
            State::Pending => state.word().to_owned(),
            State::Firing => paint.bad(&format!("{:7}", state.word())),
        };
        text += &format!("    {word}  {} to {} ({})\n", time(*from), time(*to), length(to - from));
    }
    if timeline.len() > LISTED {
        text += &format!("    and {} more; --output json lists all of them\n", timeline.len() - LISTED);
    }
    text
}

fn row(name: String, who: &str, timeline: &[Interval]) -> Row {
    let bar = |interval: &Interval| {
        let Interval { from, to, state } = *interval;
        let hint = format!("{who}, {}: {} to {} ({})", state.word(), time(from), time(to), length(to - from));
        Bar { from, to, is_firing: state == State::Firing, hint }
    };
    let is_faint = who == "active";
    let label = if is_faint { format!("    {who}") } else { name };
    Row { label, is_faint, bars: timeline.iter().map(bar).collect() }
}

/// The alert's name with its other labels.
fn name(labels: &Labels) -> String {
    let rest = labels.iter().filter(|(name, _)| *name != ALERT_NAME);
    let rest: Vec<String> = rest.map(|(name, value)| format!("{name}={value:?}")).collect();
    let name = labels.get(ALERT_NAME).map_or("", String::as_str);
    if rest.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", rest.join(", ")) }
}

fn time(nanos: u64) -> String {
    Time(nanos).to_seconds()
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// In whole seconds.
fn length(nanos: u64) -> String {
    humantime::format_duration(std::time::Duration::from_secs(nanos / 1_000_000_000)).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn comparison() -> Comparison {
        let labels = |name: &str| -> Labels {
            [(ALERT_NAME.to_owned(), name.to_owned()), ("node".to_owned(), "<a>".to_owned())].into()
        };
        let interval = |from: u64, to: u64, state| Interval { from: from * SECOND, to: to * SECOND, state };
        Comparison {
            from: 0,
            to: 3600 * SECOND,
            candidate: [(
                labels("Down"),
                vec![interval(60, 120, State::Pending), interval(120, 300, State::Firing)],
            )]
            .into(),
            active: Some([(labels("Old"), vec![interval(0, 30, State::Firing)])].into()),
        }
    }

    #[test]
    fn text_has_both_sides_of_each_alert_with_totals() {
        let text = comparison().text(Paint::for_stdout(true));
        for part in [
            "From 1970-01-01T00:00:00",
            "Down{node=\"<a>\"}\n",
            "candidate  pending 1m, firing 3m\n",
            "active     pending 0s, firing 30s\n",
            "Old{node=\"<a>\"}\n",
        ] {
            assert!(text.contains(part), "`{part}` is missing in\n{text}");
        }
        let nothing = Comparison { candidate: BTreeMap::new(), active: None, ..comparison() };
        assert!(nothing.text(Paint::for_stdout(true)).contains("No alert"));
    }

    #[test]
    fn json_has_all_intervals() {
        let json = comparison().json();
        let down = &json["alerts"][0];
        assert_eq!(
            (down["labels"][ALERT_NAME].as_str(), down["candidate"]["firing_seconds"].as_f64()),
            (Some("Down"), Some(180.0))
        );
        assert_eq!(down["candidate"]["intervals"].as_array().unwrap().len(), 2);
        assert_eq!(down["active"]["intervals"].as_array().unwrap().len(), 0);
    }

    #[test]
    fn a_picture_has_a_row_for_each_side() {
        let svg = comparison().svg("a & b");
        assert_eq!(svg.matches("class=\"faint\" x=\"15\"").count(), 2);
        assert!(svg.contains("Down{node=&quot;&lt;a&gt;&quot;}") && svg.contains("a &amp; b"), "{svg}");
    }
}
