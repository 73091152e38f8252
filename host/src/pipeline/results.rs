//! What the calls of one round have produced so far, in the words of the journal.
//!
//! Turns a guest's report into frames with their event ids, and keeps state writes and metric deltas
//! beside them until all of it is committed as one. Nothing here is durable or visible before that.

use picket_sandbox as guest;

use super::plugin_metrics::Delta;
use crate::model::{
    AlertEvent, Block, Digest, EventId, Evidence, Finding, Frame, Label, Notice, Origin, Retraction, Sample,
    Severity, Verdict, VerdictKind,
};
use crate::state::Write;

/// The start of a record that is kept with a finding: enough to recognise the line.
const RECORD_TEXT_BYTES: usize = 1024;
/// The start of a record that is kept as evidence: enough to see most hostile lines whole.
pub(crate) const EVIDENCE_BYTES: usize = 4096;
/// With so many bytes in hand, what is finished of a round is committed before the next delivery.
pub(crate) const FULL_ROUND_BYTES: usize = 4 << 20;
/// What one commit may hold: together with a snapshot, which has 16 MiB at most, less than the journal's
/// largest record. The largest that one call may return and write (the bounds of `limits`) fits beside a
/// round that is not full.
pub(crate) const MAX_ROUND_BYTES: usize = 14 << 20;

/// Results in hand.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// For the journal.
    pub frames: Vec<Frame>,
    /// For the state.
    pub writes: Vec<Write>,
    /// For the metrics, once committed.
    pub deltas: Vec<Delta>,
    /// Roughly how large all of it is.
    pub bytes: usize,
}

impl Results {
    /// Takes in an analyzer's report on some records of a block.
    pub(crate) fn report(&mut self, origin: &Origin, block: &Block, records: &[u32], report: guest::Report) {
        let last = records.last().copied().unwrap_or(0);
        let mut numbers = std::collections::HashMap::<u32, u32>::new();
        for finding in report.findings {
            // A finding about the batch as a whole is named after its last record.
            let about = finding.record.and_then(|index| records.get(index as usize)).copied();
            let number = numbers.entry(about.unwrap_or(last)).or_default();
            let frame = record_finding(origin, block, about, last, *number, finding);
            *number += 1;
            self.push(Frame::Finding(frame));
        }
        let time = block.records.get(last as usize).map_or(0, |record| record.time);
        self.measurements(time, report.counters, report.histograms, report.samples);
    }

    /// Takes in the counters, histograms and samples of any report.
    pub(crate) fn measurements(
        &mut self,
        time: u64,
        counters: Vec<guest::Counter>,
        histograms: Vec<guest::Histogram>,
        samples: Vec<guest::Sample>,
    ) {
        for counter in counters {
            self.deltas.push(Delta::Counter((counter.name, pairs(counter.labels)), counter.delta));
        }
        for histogram in histograms {
            let series = (histogram.name, pairs(histogram.labels));
            self.deltas.push(Delta::Histogram(series, histogram.bounds, histogram.counts, histogram.sum));
        }
        for sample in samples {
            self.push(Frame::Sample(self::sample(sample, time)));
        }
    }

    /// Takes in one frame.
    pub(crate) fn push(&mut self, frame: Frame) {
        self.bytes += size(&frame);
        self.frames.push(frame);
    }

    /// Takes in the state writes of a guest.
    pub(crate) fn state_writes(&mut self, plugin: &str, writes: &[picket_sandbox::StateWrite]) {
        for write in writes {
            self.write(plugin_write(plugin, write));
        }
    }

    /// Takes in what another call produced.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.frames.append(&mut other.frames);
        self.writes.append(&mut other.writes);
        self.deltas.append(&mut other.deltas);
        self.bytes += other.bytes;
    }

    /// Whether there is anything to commit.
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.writes.is_empty() && self.deltas.is_empty()
    }

    /// Takes in state writes.
    pub(crate) fn write(&mut self, write: Write) {
        self.bytes += write_size(&write);
        self.writes.push(write);
    }

    /// How many of the frames are findings.
    pub(crate) fn findings(&self) -> u64 {
        self.frames.iter().filter(|frame| matches!(frame, Frame::Finding(_))).count() as u64
    }

    /// The samples among the frames, for the series store.
    pub(crate) fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.frames
            .iter()
            .filter_map(|frame| if let Frame::Sample(sample) = frame { Some(sample) } else { None })
    }
}

fn record_finding(
    origin: &Origin,
    block: &Block,
    about: Option<u32>,
    last: u32,
    number: u32,
    finding: guest::Finding,
) -> Finding {
    let record = block.records[about.unwrap_or(last) as usize];
    let bytes = &block.data[record.start as usize..record.end as usize];
    Finding {
        id: EventId::derive(&block.stream.id, record.offset, &origin.generation, number),
        time: finding.time.unwrap_or(record.time),
        origin: origin.clone(),
        rule: finding.rule,
        severity: severity(finding.severity),
        message: finding.message,
        attributes: labels(finding.attributes),
        source: block.stream.source.clone(),
        stream: block.stream.name.clone(),
        offset: about.map(|_| record.offset),
        record: about.map(|_| text(bytes, RECORD_TEXT_BYTES)),
    }
}

/// A finding of a scanner about a whole file.
pub(crate) fn file_finding(
    origin: &Origin,
    source: &str,
    path: &str,
    content: &Digest,
    time: u64,
    number: u32,
    finding: guest::Finding,
) -> Finding {
    let about = Digest::of_parts([source.as_bytes(), path.as_bytes(), &content.0]);
    Finding {
        // Number 0 is the verdict's.
        id: EventId::derive(&about, 0, &origin.generation, number + 1),
        time: finding.time.unwrap_or(time),
        origin: origin.clone(),
        rule: finding.rule,
        severity: severity(finding.severity),
        message: finding.message,
        attributes: labels(finding.attributes),
        source: source.to_owned(),
        stream: path.to_owned(),
        offset: None,
        record: None,
    }
}

/// The first bytes as text, cut at a character boundary, invalid UTF-8 replaced.
pub(crate) fn text(bytes: &[u8], limit: usize) -> String {
    let cut = String::from_utf8_lossy(&bytes[..bytes.len().min(limit)]).into_owned();
    // A character cut in half shows as one replacement at the end, which was not in the record.
    if bytes.len() > limit { cut.trim_end_matches('\u{fffd}').to_owned() } else { cut }
}

/// A guest's severity in the journal's terms.
pub(crate) fn severity(severity: guest::Severity) -> Severity {
    match severity {
        guest::Severity::Info => Severity::Info,
        guest::Severity::Low => Severity::Low,
        guest::Severity::Medium => Severity::Medium,
        guest::Severity::High => Severity::High,
        guest::Severity::Critical => Severity::Critical,
    }
}

/// A guest's labels in the journal's terms, in their order.
pub(crate) fn labels(labels: Vec<guest::Label>) -> Vec<Label> {
    labels.into_iter().map(|label| Label { name: label.name, value: label.value }).collect()
}

/// A guest's sample; `time` is that of the call.
pub(crate) fn sample(sample: guest::Sample, time: u64) -> Sample {
    let mut labels = labels(sample.labels);
    labels.sort();
    Sample { name: sample.name, labels, time: sample.time.unwrap_or(time), value: sample.value }
}

fn pairs(labels: Vec<guest::Label>) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = labels.into_iter().map(|label| (label.name, label.value)).collect();
    pairs.sort();
    pairs
}

/// A guest's state write in the state's terms.
fn plugin_write(plugin: &str, write: &guest::StateWrite) -> Write {
    let plugin = plugin.to_owned();
    match write {
        guest::StateWrite::Set { key, value, expires } => {
            Write::PluginSet { plugin, key: key.clone(), value: value.clone(), expires: *expires }
        }
        guest::StateWrite::Delete { key } => Write::PluginDelete { plugin, key: key.clone() },
    }
}

/// Roughly what a write takes in the journal. A snapshot has a bound of its own.
fn write_size(write: &Write) -> usize {
    match write {
        Write::PluginSet { key, value, .. } => key.len() + value.len() + 64,
        Write::PluginDelete { key, .. } => key.len() + 64,
        _ => 256,
    }
}

/// Roughly what a frame takes in the journal.
fn size(frame: &Frame) -> usize {
    const FIXED: usize = 256;
    let labels = |labels: &[Label]| {
        labels.iter().map(|label| label.name.len() + label.value.len() + 16).sum::<usize>()
    };
    FIXED
        + match frame {
            Frame::Finding(Finding { message, attributes, record, stream, .. }) => {
                message.len() + labels(attributes) + record.as_ref().map_or(0, String::len) + stream.len()
            }
            Frame::Verdict(Verdict { path, reason, .. }) => path.len() + reason.len(),
            Frame::Alert(AlertEvent { labels: own, annotations, .. }) => labels(own) + labels(annotations),
            Frame::Sample(Sample { name, labels: own, .. }) => name.len() + labels(own),
            Frame::Evidence(Evidence { record, reason, stream, .. }) => {
                record.len() + reason.len() + stream.len()
            }
            Frame::Notice(Notice { reason, .. }) => reason.len(),
            Frame::Retraction(Retraction { reason, retracts, .. }) => {
                reason.len() + size_of_val(retracts.as_slice())
            }
        }
}

/// A guest's verdict in the journal's terms.
pub(crate) fn verdict_kind(verdict: guest::Verdict) -> VerdictKind {
    match verdict {
        guest::Verdict::Clean => VerdictKind::Clean,
        guest::Verdict::Suspicious => VerdictKind::Suspicious,
        guest::Verdict::Malicious => VerdictKind::Malicious,
        guest::Verdict::Skipped => VerdictKind::Skipped,
    }
}
