//! From records to findings and counters: the tree, what was learned, and what is out of the ordinary.

use std::collections::BTreeSet;

use picket_sdk::{Finding, Record, Report, Severity};

use crate::cluster::Cluster;
use crate::config::{Config, nanos};
use crate::mask::{Token, Tokens};
use crate::memory::{self, Progress, Saved};
use crate::rate::{Jump, Parameters};
use crate::tree::{Outcome, Tree};

/// A time further ahead of the record's own is not believed; a day allows for zones.
const MAX_AHEAD: u64 = 86_400_000_000_000;

const HOUR: u64 = 3_600_000_000_000;

/// Findings in one call beyond this are counted and not made: the host takes 1000, and refusing the
/// report would lose them all.
const MAX_FINDINGS: usize = 900;

/// The most bytes of a template in a finding.
const MAX_TEMPLATE: usize = 800;

/// The miner of one instance.
#[derive(Debug)]
pub struct Miner {
    config: Config,
    parameters: Parameters,
    quiet: u64,
    tree: Tree,
    tokens: Tokens,
    used: u64,
    progress: Progress,
    /// Lines of this call by pattern (its index in the tree), and for each index its place in that list
    /// plus one; 0 for none.
    pending: Vec<(u32, u64)>,
    pending_at: Vec<u32>,
    /// The patterns that have counters of their own. One that gave way keeps its place, since the host
    /// keeps its counter.
    counted: BTreeSet<String>,
    /// Whether the state has been read.
    loaded: bool,
    /// Findings of new patterns in the current hour.
    hour: u64,
    told: u32,
}

impl Miner {
    /// A miner that knows nothing.
    pub fn new(config: Config) -> Self {
        Self {
            parameters: config.rate_jump.parameters(),
            quiet: config.rate_jump.quiet_intervals(),
            tree: Tree::new(config.shape()),
            tokens: Tokens::new(config.mask_paths),
            used: 0,
            progress: Progress::default(),
            pending: Vec::new(),
            pending_at: Vec::new(),
            counted: BTreeSet::new(),
            loaded: false,
            hour: 0,
            told: 0,
            config,
        }
    }

    /// Everything worth keeping.
    pub fn save(&self) -> Saved {
        Saved::of(&self.tree, self.used, self.progress, self.counted.iter().cloned())
    }

    /// Takes back what [`save`](Self::save) gave.
    pub fn restore(&mut self, saved: Saved) {
        (self.used, self.progress) = (saved.used, saved.progress);
        self.counted = saved.counted.iter().take(self.config.max_counted).cloned().collect();
        saved.plant(&mut self.tree);
        self.tree.take_evicted();
    }

    /// How many patterns there are.
    pub fn patterns(&self) -> usize {
        self.tree.len()
    }

    /// What must be done before the first record: take from the state what the snapshot did not have.
    /// Gives the number of refusals by the state.
    pub fn begin(&mut self) -> u64 {
        if std::mem::replace(&mut self.loaded, true) {
            return 0;
        }
        let mut refused = 0;
        match memory::missing(&self.tree) {
            Ok(clusters) => clusters.into_iter().for_each(|cluster| _ = self.tree.found(cluster)),
            Err(_) => refused += 1,
        }
        refused += self.forget_evicted();
        match memory::progress() {
            Ok(Some(progress)) if progress.done || progress.records > self.progress.records => {
                self.progress = progress;
            }
            Ok(_) => {}
            Err(_) => refused += 1,
        }
        refused
    }

    /// Reads one record. Gives the number of refusals by the state.
    pub fn read(&mut self, record: &Record<'_>, stream: &str, report: &mut Report) -> u64 {
        self.tokens.read(record.bytes);
        if self.tokens.tokens().is_empty() {
            return 0;
        }
        let told = self.tokens.time().filter(|time| *time <= record.time.saturating_add(MAX_AHEAD));
        let time = told.unwrap_or(record.time);
        self.used += 1;
        let tokens = &self.tokens;
        let text = |token: &Token| tokens.text(record.bytes, token);
        let (index, outcome) = self.tree.add(tokens.tokens(), tokens.sequence(), self.used, text);
        let mut refused = 0;
        if outcome == Outcome::Founded {
            refused += self.make_way(index, report);
        }
        self.count(index);
        let cluster = self.tree.cluster(index);
        let jump = cluster.rate.count(time, &self.parameters, self.quiet);
        let learned = self.learn(time);
        if outcome != Outcome::Fits {
            refused += u64::from(memory::store(self.tree.cluster(index)).is_err());
        }
        if outcome == Outcome::Founded {
            self.founded(index, learned, time, record, stream, report);
        }
        if let Some(jump) = jump.filter(|_| self.config.rate_jump.enabled) {
            self.jumped(index, &jump, record, stream, report);
        }
        refused
    }

    /// Hands the counts of the call to the report and notes how far learning has come. Gives the number of
    /// refusals by the state.
    pub fn end(&mut self, report: &mut Report) -> u64 {
        for (index, lines) in std::mem::take(&mut self.pending) {
            self.pending_at[index as usize] = 0;
            let id = self.tree.cluster(index).id.clone();
            self.hand_over(&id, lines, report);
        }
        u64::from(!self.progress.done && memory::store_progress(&self.progress).is_err())
    }

    #[inline]
    fn count(&mut self, index: u32) {
        let at = index as usize;
        if self.pending_at.len() <= at {
            self.pending_at.resize(at + 1, 0);
        }
        match self.pending_at[at] {
            0 => {
                self.pending.push((index, 1));
                self.pending_at[at] = self.pending.len() as u32;
            }
            place => self.pending[place as usize - 1].1 += 1,
        }
    }

    /// Counts a record towards learning; says whether learning was over before it.
    #[inline]
    fn learn(&mut self, time: u64) -> bool {
        if self.progress.done {
            return true;
        }
        let progress = &mut self.progress;
        if progress.since == 0 {
            progress.since = time;
        }
        progress.records += 1;
        let learning = &self.config.learning;
        let over = progress.records >= learning.records
            && time.saturating_sub(progress.since) >= nanos(learning.time);
        if over {
            progress.done = true;
            // Written here, since `end` writes only what is not over; a refusal is made good by the snapshot.
            let _ = memory::store_progress(progress);
        }
        false
    }

    fn hand_over(&mut self, id: &str, lines: u64, report: &mut Report) {
        let own = self.counted.contains(id)
            || self.counted.len() < self.config.max_counted && self.counted.insert(id.to_owned());
        let label = if own { id } else { "other" };
        report.counter("log_pattern_records_total", &[("template", label)]).add(lines);
    }

    /// A new pattern has taken the place of another one, whose lines of this call are handed over now.
    fn make_way(&mut self, index: u32, report: &mut Report) -> u64 {
        let mut refused = 0;
        for evicted in self.tree.take_evicted() {
            refused += u64::from(memory::forget(&evicted).is_err());
            let place = self.pending_at.get(index as usize).copied().unwrap_or(0);
            if place > 0 {
                let (_, lines) = self.pending.swap_remove(place as usize - 1);
                self.pending_at[index as usize] = 0;
                if let Some((moved, _)) = self.pending.get(place as usize - 1) {
                    self.pending_at[*moved as usize] = place;
                }
                self.hand_over(&evicted.id, lines, report);
            }
        }
        refused
    }

    fn forget_evicted(&mut self) -> u64 {
        let evicted = self.tree.take_evicted();
        evicted.iter().filter(|cluster| memory::forget(cluster).is_err()).count() as u64
    }

    fn founded(
        &mut self,
        index: u32,
        learned: bool,
        time: u64,
        record: &Record<'_>,
        stream: &str,
        report: &mut Report,
    ) {
        report.counter("log_patterns_founded_total", &[]).add(1);
        let cluster = self.tree.cluster(index);
        let (rule, severity) = match learned {
            false if self.config.learning.report => ("pattern", Severity::Info),
            true if self.config.new_pattern.enabled => (
                "new-pattern",
                if alarming(cluster, &self.config.alarming) { Severity::Medium } else { Severity::Low },
            ),
            _ => return,
        };
        let template = clip(&cluster.template(), MAX_TEMPLATE);
        let message = match learned {
            true => format!("a pattern never seen before: {template}"),
            false => format!("a pattern was learned: {template}"),
        };
        let finding = Finding::new(rule, severity, message)
            .of(record)
            .attribute("template", &cluster.id)
            .attribute("stream", stream);
        if learned && !self.may_tell(time) {
            report.counter("log_patterns_suppressed_total", &[]).add(1);
            return;
        }
        tell(finding, report);
    }

    /// Whether another new pattern may be told in this hour.
    fn may_tell(&mut self, time: u64) -> bool {
        if time / HOUR != self.hour {
            (self.hour, self.told) = (time / HOUR, 0);
        }
        self.told = self.told.saturating_add(1);
        self.told <= self.config.new_pattern.max_per_hour
    }

    fn jumped(&mut self, index: u32, jump: &Jump, record: &Record<'_>, stream: &str, report: &mut Report) {
        let interval = humantime::format_duration(self.config.rate_jump.interval);
        let cluster = self.tree.cluster(index);
        let severity =
            if alarming(cluster, &self.config.alarming) { Severity::Medium } else { Severity::Low };
        let template = clip(&cluster.template(), MAX_TEMPLATE);
        let message = format!(
            "a pattern came more than {:.0} times within {interval}, where {:.1} are ordinary: {template}",
            jump.bound, jump.mean
        );
        let finding = Finding::new("rate-jump", severity, message)
            .of(record)
            .attribute("template", &cluster.id)
            .attribute("count", jump.count)
            .attribute("mean", format!("{:.3}", jump.mean))
            .attribute("deviation", format!("{:.3}", jump.deviation))
            .attribute("stream", stream);
        tell(finding, report);
    }
}

fn tell(finding: Finding, report: &mut Report) {
    if report.findings() < MAX_FINDINGS {
        report.finding(finding);
    } else {
        report.counter("log_patterns_suppressed_total", &[]).add(1);
    }
}

fn alarming(cluster: &Cluster, words: &[String]) -> bool {
    let text = cluster.template().to_lowercase();
    words.iter().any(|word| text.contains(word.as_str()))
}

fn clip(text: &str, bytes: usize) -> String {
    match text.len() > bytes {
        true => format!("{}…", &text[..text.floor_char_boundary(bytes)]),
        false => text.to_owned(),
    }
}
