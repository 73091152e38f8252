//! From one page to samples: labels, rules, limits, markers, and the series about the scrape itself. As in Prometheus
//! ("Configuration", `scrape_config`; "Jobs and instances"): a scrape over a limit fails as a whole.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use picket_http::Mask;
use picket_model::{Label, Sample};
use picket_relabel as relabel;

use crate::exposition::{self, Entry, Fault, Kind, ParseError, Parser};
use crate::labels::{NAME, split, with_targets};
use crate::series::{Sight, key};
use crate::{Page, ScrapeError, Series, Target};

/// The most samples of a page, whatever is configured: some 150 MB while it is read. Ten times what a large node
/// exporter has.
pub const MAX_SAMPLES: usize = 250_000;
/// The most families of a page of which is told what they are.
pub const MAX_DESCRIBED: usize = 10_000;

/// The series about a scrape.
pub(crate) const ABOUT: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

/// How pages become samples.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Where a label of the page has the name of one of the target's, the page's is kept.
    pub honor_labels: bool,
    /// Samples keep times that the page gives them.
    pub honor_timestamps: bool,
    /// Applied to every sample, its name among its labels as `__name__`.
    pub relabel: relabel::Rules,
    /// What may be on the page.
    pub limits: Limits,
}

/// What may be on a page after relabelling; zero is no limit but the crate's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// How many samples.
    pub samples: usize,
    /// How many labels a sample has, its name counted.
    pub labels: usize,
    /// How many bytes the name of a label has.
    pub label_name: usize,
    /// How many bytes the value of a label has, the metric's name among them.
    pub label_value: usize,
}

/// One scrape that came back or failed.
#[derive(Debug)]
pub struct Round {
    /// When it began, Unix time in nanoseconds.
    pub time: u64,
    /// How long it took.
    pub took: Duration,
    /// What came.
    pub page: Result<Page, ScrapeError>,
}

/// What a metric is, as its target says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Described {
    /// The family's name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// What it means; empty when nothing is said.
    pub help: String,
    /// Its unit; empty when nothing is said.
    pub unit: String,
}

/// What became of a scrape.
#[derive(Debug)]
pub struct Taken {
    /// Samples and stale markers, those about the scrape at the end.
    pub samples: Vec<Sample>,
    /// What metrics are, when the target says it for the first time or says something else than before.
    pub described: Vec<Described>,
    /// How many of the samples are of the page.
    pub of_page: usize,
    /// Samples left out: the page had their series twice, or their times are before 1970.
    pub left_out: usize,
    /// Why it failed.
    pub outcome: Result<(), ScrapeError>,
}

/// What was counted of a page.
#[derive(Debug, Default)]
struct Counts {
    scraped: usize,
    relabelled: usize,
    added: usize,
    left_out: usize,
}

/// A page that is within its limits.
#[derive(Default)]
struct Read {
    /// With whether the time is the page's own.
    samples: Vec<(Sample, bool)>,
    described: Vec<Described>,
}

impl Rules {
    /// Makes samples of a scrape. `series` is what is known of the target, of which `room` are possible.
    pub fn take(&self, target: &Target, series: &mut Series, round: Round, room: usize) -> Taken {
        series.begin(round.time);
        let mut counts = Counts::default();
        let read = round.page.and_then(|page| self.read(target, round.time, &page, &mut counts));
        let read = read.and_then(|read| match read.samples.len() > room {
            true => Err(ScrapeError::Series { limit: room }),
            false => Ok(read),
        });
        let (read, outcome) = match read {
            Ok(read) => (read, Ok(())),
            Err(error) => (Read::default(), Err(error)),
        };
        let mut samples = Vec::with_capacity(read.samples.len() + ABOUT.len());
        for (sample, has_time) in read.samples {
            let sight = series.see(key(&sample.name, &sample.labels), !has_time);
            counts.added += usize::from(sight == Sight::New);
            match sight {
                Sight::Again if !has_time => counts.left_out += 1,
                _ => samples.push(sample),
            }
        }
        let of_page = samples.len();
        samples.extend(series.gone());
        samples.extend(about(target, round.time, round.took, outcome.is_ok(), &counts));
        let described = news(series, read.described);
        Taken { samples, of_page, described, left_out: counts.left_out, outcome }
    }

    fn read(
        &self,
        target: &Target,
        time: u64,
        page: &Page,
        counts: &mut Counts,
    ) -> Result<Read, ScrapeError> {
        let limit = if self.limits.samples == 0 { MAX_SAMPLES } else { self.limits.samples.min(MAX_SAMPLES) };
        let mut read = Read::default();
        let malformed = |error: ParseError| masked(error, page);
        for entry in Parser::new(page.format, &page.body).map_err(malformed)? {
            let found = match entry.map_err(malformed)? {
                Entry::Sample(found) => found,
                other => {
                    describe(&mut read.described, &other);
                    continue;
                }
            };
            counts.scraped += 1;
            let own_time = found.time_ms.filter(|_| self.honor_timestamps);
            let Some(sample) = self.sample(target, time, &found, &page.mask)? else { continue };
            counts.relabelled += 1;
            if counts.relabelled > limit {
                // The rest is only counted, so that the message says by how much it is too much.
                read.samples = Vec::new();
                continue;
            }
            match own_time.map(|time| u64::try_from(time).ok().and_then(|time| time.checked_mul(1_000_000))) {
                None => read.samples.push((sample, false)),
                Some(Some(time)) => read.samples.push((Sample { time, ..sample }, true)),
                Some(None) => counts.left_out += 1,
            }
        }
        match counts.relabelled > limit {
            true => Err(ScrapeError::Samples { found: counts.relabelled, limit }),
            false => Ok(read),
        }
    }

    /// With the target's labels and after the rules; none when they drop it.
    fn sample(
        &self,
        target: &Target,
        time: u64,
        found: &exposition::Sample<'_>,
        mask: &Mask,
    ) -> Result<Option<Sample>, ScrapeError> {
        let mut labels = Vec::with_capacity(found.labels.len() + target.labels.len() + 1);
        labels.push(label(NAME, found.name));
        labels.extend(found.labels.iter().map(|(name, value)| label(name, value)));
        let mut labels = with_targets(labels, &target.labels, self.honor_labels);
        if !self.relabel.is_empty() {
            if !self.relabel.apply(&mut labels) {
                return Ok(None);
            }
            labels.retain(|label| !label.value.is_empty());
        }
        self.limits.hold(&labels, found.name, mask)?;
        match split(labels) {
            Some((name, labels)) => Ok(Some(Sample { name, labels, time, value: found.value })),
            None => Err(ScrapeError::Nameless { metric: shown(found.name, mask) }),
        }
    }
}

impl Limits {
    fn hold(&self, labels: &[Label], metric: &str, mask: &Mask) -> Result<(), ScrapeError> {
        let longest = |length: fn(&Label) -> usize| labels.iter().map(length).max().unwrap_or_default();
        for (what, limit, found) in [
            ("labels", self.labels, labels.len()),
            ("bytes in a label's name", self.label_name, longest(|label| label.name.len())),
            ("bytes in a label's value", self.label_value, longest(|label| label.value.len())),
        ] {
            if limit > 0 && found > limit {
                return Err(ScrapeError::Labels { metric: shown(metric, mask), what, found, limit });
            }
        }
        Ok(())
    }
}

fn label(name: &str, value: &str) -> Label {
    Label { name: name.to_owned(), value: value.to_owned() }
}

/// A metric's name for messages: it has a kilobyte at most, of which the beginning will do.
fn shown(name: &str, mask: &Mask) -> String {
    mask.hidden(name).chars().take(100).collect()
}

/// As it may be told: nothing is quoted of a line in which the target says back what it was asked with.
fn masked(error: ParseError, page: &Page) -> ParseError {
    let line = page.body.split(|byte| *byte == b'\n').nth(error.line.saturating_sub(1)).unwrap_or_default();
    match error.fault.is_quote() && page.mask.is_in(line) {
        true => ParseError { fault: Fault::Secret, ..error },
        false => error,
    }
}

/// Notes what a line says of a family. Its lines stand together.
fn describe(known: &mut Vec<Described>, entry: &Entry<'_>) {
    let (Entry::Kind { family, .. } | Entry::Help { family, .. } | Entry::Unit { family, .. }) = entry else {
        return;
    };
    if known.last().is_none_or(|last| last.name != **family) {
        if known.len() == MAX_DESCRIBED {
            return;
        }
        let name = (*family).to_owned();
        known.push(Described { name, kind: Kind::Unknown, help: String::new(), unit: String::new() });
    }
    let Some(last) = known.last_mut() else { return };
    match entry {
        Entry::Kind { kind, .. } => last.kind = *kind,
        Entry::Help { text, .. } => last.help = text.clone().into_owned(),
        Entry::Unit { unit, .. } => last.unit = (*unit).to_owned(),
        Entry::Sample(_) => {}
    }
}

/// What was said, unless it was said before.
fn news(series: &mut Series, described: Vec<Described>) -> Vec<Described> {
    let mut hasher = DefaultHasher::new();
    described.hash(&mut hasher);
    let digest = hasher.finish();
    match described.is_empty() || digest == series.described {
        true => Vec::new(),
        false => {
            series.described = digest;
            described
        }
    }
}

fn about(
    target: &Target,
    time: u64,
    took: Duration,
    is_up: bool,
    counts: &Counts,
) -> impl Iterator<Item = Sample> {
    let values = [
        f64::from(u8::from(is_up)),
        took.as_secs_f64(),
        counts.scraped as f64,
        counts.relabelled as f64,
        counts.added as f64,
    ];
    let labels = target.labels.clone();
    ABOUT.iter().zip(values).map(move |(name, value)| Sample {
        name: (*name).to_owned(),
        labels: labels.clone(),
        time,
        value,
    })
}
