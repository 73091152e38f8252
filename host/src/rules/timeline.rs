//! When each alert was pending and when it fired, put together from evaluation to evaluation.

use std::collections::{BTreeMap, BTreeSet};

/// What an alert is called: its labels by name, `alertname` among them.
pub type Labels = BTreeMap<String, String>;

/// The two states that take time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It holds, but not yet for long enough.
    Pending,
    /// It held for long enough.
    Firing,
}

impl State {
    /// As people write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// A stretch of one state, from the evaluation that found it to the first that found another: Unix time in
/// nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// The first evaluation.
    pub from: u64,
    /// Later than that.
    pub to: u64,
    /// What it was.
    pub state: State,
}

/// What became of an alert, by time and without overlaps.
pub type Timeline = Vec<Interval>;

/// How long an alert was in a state, in nanoseconds.
pub fn total(timeline: &[Interval], state: State) -> u64 {
    timeline.iter().filter(|it| it.state == state).map(|it| it.to - it.from).sum()
}

/// Takes down evaluations.
#[derive(Debug, Default)]
pub struct Recorder {
    done: BTreeMap<Labels, Timeline>,
    /// Since when which state holds, by group.
    open: BTreeMap<String, BTreeMap<Labels, (u64, State)>>,
}

impl Recorder {
    /// A group was evaluated; these are its alerts now. Times of a group do not fall.
    pub fn evaluated(&mut self, group: &str, time: u64, active: impl IntoIterator<Item = (Labels, State)>) {
        let mut now: BTreeMap<Labels, State> = BTreeMap::new();
        for (labels, state) in active {
            // Two rules may have an alert of the same labels: the worse state counts.
            let known = now.entry(labels).or_insert(state);
            *known = (*known).max(state);
        }
        let open = self.open.entry(group.to_owned()).or_default();
        let known: BTreeSet<Labels> = open.keys().cloned().collect();
        for labels in known {
            let (from, state) = open[&labels];
            if now.get(&labels) != Some(&state) {
                open.remove(&labels);
                close(&mut self.done, labels, Interval { from, to: time, state });
            }
        }
        for (labels, state) in now {
            open.entry(labels).or_insert((time, state));
        }
    }

    /// Everything that was seen; what goes on still ends at `end`.
    pub fn finish(mut self, end: u64) -> BTreeMap<Labels, Timeline> {
        for (labels, (from, state)) in self.open.into_values().flatten() {
            close(&mut self.done, labels, Interval { from, to: end, state });
        }
        for timeline in self.done.values_mut() {
            *timeline = merged(std::mem::take(timeline));
        }
        self.done
    }
}

fn close(done: &mut BTreeMap<Labels, Timeline>, labels: Labels, interval: Interval) {
    let timeline = done.entry(labels).or_default();
    if interval.to > interval.from {
        timeline.push(interval);
    }
}

/// By time and without overlaps: two groups may have an alert of the same labels. The worse state counts.
fn merged(mut timeline: Timeline) -> Timeline {
    timeline.sort_by_key(|it| (it.from, it.to));
    if timeline.windows(2).all(|pair| pair[0].to <= pair[1].from) {
        return timeline;
    }
    let times: BTreeSet<u64> = timeline.iter().flat_map(|it| [it.from, it.to]).collect();
    let times: Vec<u64> = times.into_iter().collect();
    let mut merged: Timeline = Vec::new();
    for pair in times.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let covering = timeline.iter().filter(|it| it.from <= from && it.to >= to);
        let Some(state) = covering.map(|it| it.state).max() else { continue };
        match merged.last_mut() {
            Some(last) if last.to == from && last.state == state => last.to = to,
            _ => merged.push(Interval { from, to, state }),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(name: &str) -> Labels {
        [("alertname".to_owned(), name.to_owned())].into()
    }

    /// What was seen from evaluation to evaluation (`p`ending, `f`iring, `.`: nothing), as intervals.
    fn recorded(groups: &[(&str, &str)]) -> Vec<(u64, u64, State)> {
        let mut recorder = Recorder::default();
        let end = groups.iter().map(|(_, seen)| seen.len()).max().unwrap_or(0) as u64;
        for (group, seen) in groups {
            for (time, sign) in (0..).zip(seen.chars()) {
                let state = match sign {
                    'p' => Some(State::Pending),
                    'f' => Some(State::Firing),
                    _ => None,
                };
                recorder.evaluated(group, time, state.map(|state| (labels("A"), state)));
            }
        }
        let mut done = recorder.finish(end);
        done.remove(&labels("A")).unwrap_or_default().iter().map(|it| (it.from, it.to, it.state)).collect()
    }

    #[test]
    fn states_become_intervals() {
        use State::{Firing, Pending};
        assert_eq!(recorded(&[("g", "..ppff.p")]), [(2, 4, Pending), (4, 6, Firing), (7, 8, Pending)]);
        assert_eq!(recorded(&[("g", "....")]), []);
        assert_eq!(recorded(&[("g", "f")]), [(0, 1, Firing)]);
        assert_eq!(total(&[Interval { from: 2, to: 5, state: Firing }], Firing), 3);
        assert_eq!(total(&[Interval { from: 2, to: 5, state: Firing }], Pending), 0);
    }

    #[test]
    fn where_two_groups_have_one_alert_the_worse_state_counts() {
        use State::{Firing, Pending};
        assert_eq!(
            recorded(&[("g", "pppp.."), ("h", ".ff...")]),
            [(0, 1, Pending), (1, 3, Firing), (3, 4, Pending)]
        );
        assert_eq!(recorded(&[("g", "ff...."), ("h", "..ff..")]).len(), 2, "they only touch");
        assert_eq!(recorded(&[("g", "fff..."), ("h", ".fff..")]), [(0, 4, Firing)]);
    }
}
