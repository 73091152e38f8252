//! A frame as a line of JSON. The shape is described, with examples that a test compares, in
//! `docs/ndjson.md`; receivers rely on it, so a field may be added but not changed.

use jiff::Timestamp;
use serde::ser::{Serialize, SerializeMap, Serializer};

use picket_model::{AlertEvent, Evidence, Finding, Frame, Label, Notice, Retraction, Sample, Verdict};

/// A frame in the shape for receivers.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a>(
    /// The frame.
    pub &'a Frame,
);

/// Appends a frame's line to a buffer, with its line end.
pub fn line(frame: &Frame, buffer: &mut Vec<u8>) {
    serde_json::to_writer(&mut *buffer, &Line(frame)).expect("plain data always encodes into memory");
    buffer.push(b'\n');
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", &self.0.kind())?;
        if let Some((id, _)) = self.0.origin() {
            map.serialize_entry("id", &id)?;
        }
        map.serialize_entry("timestamp", &Rfc3339(self.0.time()))?;
        map.serialize_entry("time", &self.0.time())?;
        if let Some((_, origin)) = self.0.origin() {
            map.serialize_entry("plugin", &origin.plugin)?;
            map.serialize_entry("generation", &origin.generation)?;
        }
        match self.0 {
            Frame::Finding(finding) => self::finding(&mut map, finding)?,
            Frame::Verdict(verdict) => self::verdict(&mut map, verdict)?,
            Frame::Alert(alert) => self::alert(&mut map, alert)?,
            Frame::Sample(sample) => self::sample(&mut map, sample)?,
            Frame::Evidence(evidence) => self::evidence(&mut map, evidence)?,
            Frame::Notice(notice) => self::notice(&mut map, notice)?,
            Frame::Retraction(retraction) => self::retraction(&mut map, retraction)?,
        }
        map.end()
    }
}

fn finding<M: SerializeMap>(map: &mut M, finding: &Finding) -> Result<(), M::Error> {
    map.serialize_entry("rule", &finding.rule)?;
    map.serialize_entry("severity", &finding.severity)?;
    map.serialize_entry("message", &finding.message)?;
    map.serialize_entry("attributes", &Pairs(&finding.attributes))?;
    unless_empty(map, "source", &finding.source)?;
    unless_empty(map, "stream", &finding.stream)?;
    if let Some(offset) = finding.offset {
        map.serialize_entry("offset", &offset)?;
    }
    if let Some(record) = &finding.record {
        map.serialize_entry("record", record)?;
    }
    Ok(())
}

fn verdict<M: SerializeMap>(map: &mut M, verdict: &Verdict) -> Result<(), M::Error> {
    map.serialize_entry("verdict", &verdict.verdict)?;
    map.serialize_entry("reason", &verdict.reason)?;
    map.serialize_entry("path", &verdict.path)?;
    map.serialize_entry("sha256", &verdict.sha256)?;
    map.serialize_entry("size", &verdict.size)?;
    unless_empty(map, "source", &verdict.source)
}

fn alert<M: SerializeMap>(map: &mut M, alert: &AlertEvent) -> Result<(), M::Error> {
    map.serialize_entry("group", &alert.group)?;
    map.serialize_entry("rule", &alert.rule)?;
    map.serialize_entry("state", &alert.state)?;
    map.serialize_entry("labels", &Pairs(&alert.labels))?;
    map.serialize_entry("annotations", &Pairs(&alert.annotations))?;
    map.serialize_entry("value", &Number(alert.value))?;
    map.serialize_entry("active_since_timestamp", &Rfc3339(alert.active_since))?;
    map.serialize_entry("active_since", &alert.active_since)?;
    match &alert.silenced_by {
        Some(silence) => map.serialize_entry("silenced_by", silence),
        None => Ok(()),
    }
}

fn sample<M: SerializeMap>(map: &mut M, sample: &Sample) -> Result<(), M::Error> {
    map.serialize_entry("name", &sample.name)?;
    map.serialize_entry("labels", &Pairs(&sample.labels))?;
    map.serialize_entry("value", &Number(sample.value))?;
    if sample.is_stale() { map.serialize_entry("stale", &true) } else { Ok(()) }
}

fn evidence<M: SerializeMap>(map: &mut M, evidence: &Evidence) -> Result<(), M::Error> {
    map.serialize_entry("reason", &evidence.reason)?;
    map.serialize_entry("source", &evidence.source)?;
    map.serialize_entry("stream", &evidence.stream)?;
    map.serialize_entry("offset", &evidence.offset)?;
    map.serialize_entry("digest", &evidence.digest)?;
    map.serialize_entry("record", &String::from_utf8_lossy(&evidence.record))
}

fn notice<M: SerializeMap>(map: &mut M, notice: &Notice) -> Result<(), M::Error> {
    map.serialize_entry("event", &notice.event)?;
    map.serialize_entry("reason", &notice.reason)
}

fn retraction<M: SerializeMap>(map: &mut M, retraction: &Retraction) -> Result<(), M::Error> {
    map.serialize_entry("by", &retraction.by)?;
    map.serialize_entry("reason", &retraction.reason)?;
    map.serialize_entry("retracts", &retraction.retracts)
}

fn unless_empty<M: SerializeMap>(map: &mut M, name: &'static str, value: &str) -> Result<(), M::Error> {
    if value.is_empty() { Ok(()) } else { map.serialize_entry(name, value) }
}

/// Labels as one JSON object. A name that stands there for the second time becomes `name#2`,
/// because most readers keep only one of two equal names.
struct Pairs<'a>(&'a [Label]);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (at, label) in self.0.iter().enumerate() {
            match self.0[..at].iter().filter(|before| before.name == label.name).count() {
                0 => map.serialize_entry(&label.name, &label.value)?,
                before => map.serialize_entry(&format!("{}#{}", label.name, before + 1), &label.value)?,
            }
        }
        map.end()
    }
}

/// A number, or `NaN`, `+Inf`, `-Inf` as text, which JSON has no numbers for.
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            value if value.is_finite() => serializer.serialize_f64(value),
            value if value.is_nan() => serializer.serialize_str("NaN"),
            value if value > 0.0 => serializer.serialize_str("+Inf"),
            _ => serializer.serialize_str("-Inf"),
        }
    }
}

/// Unix time in nanoseconds as `2025-11-20T16:09:00.000000000Z`, always of the same length.
pub(crate) struct Rfc3339(pub(crate) u64);

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = Timestamp::from_nanosecond(i128::from(self.0))
            .expect("64 bits of nanoseconds end in the year 2554, and a timestamp goes to 9999");
        serializer.collect_str(&format_args!("{time:.9}"))
    }
}
