//! Rules over samples that were taken before: what their alerts would have done.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use picket_sandbox::{Label, MatchOp, Matcher, SeriesError, SeriesReader, SeriesRequest, Wanted};

use super::timeline::{Labels, Recorder, State, Timeline};
use super::{Harness, RulesError};
use crate::model::{AlertState, STALE_NAN};

/// The label that holds a metric's name.
const NAME: &str = "__name__";
/// Samples are copied for so long at a time, so that what is copied at once stays small.
const COPIED: u64 = 5 * 60 * 1_000_000_000;
/// Samples of one copy: 100,000 series by the second.
const MAX_SAMPLES: u64 = 50_000_000;
/// How long one copy may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// Series whose labels are asked for at once.
const LABELS_AT_ONCE: usize = 1000;
/// A stale marker comes this long behind the last sample: the store counts in milliseconds.
const STEP: u64 = 1_000_000;
/// Series that alerts make, which a replay makes anew.
const OF_ALERTS: [&str; 2] = ["ALERTS", "ALERTS_FOR_STATE"];
/// Evaluations of one group: a month by 15 s.
pub const MAX_EVALUATIONS: u64 = 200_000;

/// What is replayed. Times are Unix time in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first evaluation.
    pub from: u64,
    /// None is later. Not before `from`.
    pub to: u64,
    /// Between two evaluations; none: each group's own interval.
    pub step: Option<Duration>,
    /// How far before `from` samples are needed: as far as the rules look back.
    pub look_back: Duration,
}

/// What came of a replay.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replayed {
    /// By the alerts' labels.
    pub alerts: BTreeMap<Labels, Timeline>,
    /// How many samples were there.
    pub samples: u64,
    /// How many evaluations of groups were made.
    pub evaluations: u64,
    /// Rules that failed: each once, with the first error.
    pub errors: BTreeMap<String, String>,
}

/// Why rules cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The rules cannot be run.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The samples cannot be read.
    #[error("the samples cannot be read: {0}")]
    Samples(#[from] SeriesError),
    /// There would be too many evaluations.
    #[error(
        "group `{group}` would be evaluated {evaluations} times, more than {MAX_EVALUATIONS}: take a longer \
         --step or a shorter time"
    )]
    TooLong {
        /// The group.
        group: String,
        /// How often.
        evaluations: u64,
    },
}

/// Replays groups over samples. What these groups record is not copied: they make it anew.
pub fn replay(
    harness: &mut Harness,
    groups: &BTreeSet<String>,
    samples: &dyn SeriesReader,
    span: Span,
) -> Result<Replayed, ReplayError> {
    let mut due = Vec::new();
    let mut made: BTreeSet<String> = OF_ALERTS.map(str::to_owned).into();
    for group in harness.setup().groups.iter().filter(|group| groups.contains(&group.name)) {
        let recording = group.rules.iter().filter(|rule| rule.kind == picket_sandbox::RuleKind::Recording);
        made.extend(recording.map(|rule| rule.name.clone()));
        let step = u64::try_from(span.step.unwrap_or(group.interval).as_nanos()).unwrap_or(u64::MAX).max(1);
        let evaluations = (span.to - span.from) / step + 1;
        if evaluations > MAX_EVALUATIONS {
            return Err(ReplayError::TooLong { group: group.name.clone(), evaluations });
        }
        due.push((span.from, step, group.name.clone()));
    }
    let next = span.from.saturating_sub(nanos(span.look_back));
    let mut copy = Copy { samples, made, next, series: HashMap::new(), ahead: VecDeque::new(), copied: 0 };
    let mut recorder = Recorder::default();
    let mut replayed = Replayed::default();
    // The group that is due first; of two, the one that stands first.
    while let Some(first) =
        (0..due.len()).min_by_key(|index| due[*index].0).filter(|index| due[*index].0 <= span.to)
    {
        let (time, step, group) = due[first].clone();
        due[first].0 = time.saturating_add(step);
        copy.up_to(harness, time)?;
        for error in harness.evaluate(&group, time)? {
            replayed.errors.entry(format!("{}, {}", error.group, error.rule)).or_insert(error.reason);
        }
        replayed.evaluations += 1;
        let active = harness.active().into_iter().filter(|alert| alert.group == group);
        recorder.evaluated(
            &group,
            time,
            active.filter_map(|alert| {
                let state = match alert.state {
                    AlertState::Pending => State::Pending,
                    AlertState::Firing => State::Firing,
                    AlertState::Resolved => return None,
                };
                Some((alert.labels.into_iter().map(|label| (label.name, label.value)).collect(), state))
            }),
        );
    }
    replayed.alerts = recorder.finish(span.to);
    replayed.samples = copy.copied;
    Ok(replayed)
}

/// A series whose samples are copied.
struct Series {
    name: String,
    labels: Vec<Label>,
}

/// Copies samples from one store into the harness', as time goes on.
struct Copy<'a> {
    samples: &'a dyn SeriesReader,
    /// Metrics that are left out.
    made: BTreeSet<String>,
    /// Everything before has been read.
    next: u64,
    /// Series by their ids; none for those that are left out.
    series: HashMap<u64, Option<Rc<Series>>>,
    /// What has been read and lies ahead, by time.
    ahead: VecDeque<(u64, Rc<Series>, f64)>,
    copied: u64,
}

impl Copy<'_> {
    /// Gives the harness all samples up to a time, and none that is later.
    fn up_to(&mut self, harness: &mut Harness, time: u64) -> Result<(), ReplayError> {
        while self.next <= time {
            let end = self.next.saturating_add(COPIED);
            self.read(self.next, end)?;
            self.next = end + 1;
        }
        while let Some((at, series, value)) = self.ahead.pop_front_if(|(at, ..)| *at <= time) {
            let labels = series.labels.iter().map(|label| (label.name.as_str(), label.value.as_str()));
            harness.append(&series.name, labels, at, value)?;
            self.copied += 1;
        }
        Ok(())
    }

    /// Reads a piece of time, both ends in it. A series that ended in it gets its marker behind its last sample:
    /// guests see no markers, and neither does who reads as they do.
    fn read(&mut self, start: u64, end: u64) -> Result<(), ReplayError> {
        let all = Matcher { name: NAME.to_owned(), op: MatchOp::Regex, value: ".+".to_owned() };
        let request = |wanted| SeriesRequest { selector: vec![all.clone()], start, end, wanted };
        let requests = [request(Wanted::All), request(Wanted::OfLive)];
        let found = self.samples.select(&requests, MAX_SAMPLES, Instant::now() + PATIENCE)?;
        let (ids, live) = found.series.split_at(found.row_ends.first().map_or(0, |end| *end as usize));
        let live: HashSet<u64> = live.iter().copied().collect();
        self.name(ids)?;
        let mut first = 0;
        for (id, last) in ids.iter().zip(&found.sample_ends) {
            let range = first..*last as usize;
            first = range.end;
            let Some(Some(series)) = self.series.get(id) else { continue };
            let samples = found.times[range.clone()].iter().zip(&found.values[range.clone()]);
            self.ahead.extend(samples.map(|(time, value)| (*time, Rc::clone(series), *value)));
            if let Some(time) = found.times[range].last().filter(|_| !live.contains(id)) {
                self.ahead.push_back((time + STEP, Rc::clone(series), f64::from_bits(STALE_NAN)));
            }
        }
        // Stable: what one series has at one time stays in its order.
        self.ahead.make_contiguous().sort_by_key(|(time, ..)| *time);
        Ok(())
    }

    /// Learns the names and labels of series that are new.
    fn name(&mut self, ids: &[u64]) -> Result<(), SeriesError> {
        let new: Vec<u64> = ids.iter().copied().filter(|id| !self.series.contains_key(id)).collect();
        for part in new.chunks(LABELS_AT_ONCE) {
            for (id, mut labels) in part.iter().zip(self.samples.labels(part)?) {
                let at = labels.iter().position(|label| label.name == NAME);
                let name = at.map_or_else(String::new, |at| labels.remove(at).value);
                let series = (!self.made.contains(&name)).then(|| Rc::new(Series { name, labels }));
                self.series.insert(*id, series);
            }
        }
        Ok(())
    }
}

fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}
