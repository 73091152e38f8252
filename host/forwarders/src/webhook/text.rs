//! An event in a few short lines for people, without any markup: what chat texts and templates are made of.
//!
//! What comes from outside may have been written to mislead who reads it: line breaks and other control
//! characters become spaces, so that nothing can pass itself off as a line of ours.

use picket_model::{
    AlertEvent, AlertState, Finding, Frame, Label, LifecycleEvent, Retraction, Severity, Verdict, VerdictKind,
};

/// The longest title, in characters: it should fit on a screen's line.
const MAX_TITLE: usize = 150;
/// The longest line, in characters.
const MAX_LINE: usize = 800;
/// The most labels that are shown: more is a list, not a message.
const MAX_LABELS: usize = 12;
/// The longest value of a label, in characters.
const MAX_VALUE: usize = 120;

/// An event for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    /// One word in capitals.
    pub(super) tag: &'static str,
    /// What it is about.
    pub(super) title: String,
    /// The particulars, without line ends.
    pub(super) lines: Vec<String>,
}

impl Text {
    /// Of an event of a node.
    pub(super) fn of(frame: &Frame, node: &str) -> Self {
        let (tag, title, mut lines) = match frame {
            Frame::Finding(finding) => of_finding(finding),
            Frame::Verdict(verdict) => of_verdict(verdict),
            Frame::Alert(alert) => of_alert(alert),
            Frame::Evidence(evidence) => {
                let at = format!("{}, byte {}", evidence.stream, evidence.offset);
                (
                    "EVIDENCE",
                    "a record that a plugin cannot process".to_owned(),
                    vec![evidence.reason.clone(), at],
                )
            }
            Frame::Notice(notice) => {
                ("NOTICE", of_event(notice.event).to_owned(), vec![notice.reason.clone()])
            }
            Frame::Retraction(retraction) => of_retraction(retraction),
            Frame::Sample(sample) => ("SAMPLE", sample.name.clone(), vec![sample.value.to_string()]),
        };
        lines.push(match frame.origin() {
            Some((_, origin)) => format!("{} on {node}", origin.plugin),
            None => node.to_owned(),
        });
        let lines =
            lines.iter().map(|line| one_line(line, MAX_LINE)).filter(|line| !line.is_empty()).collect();
        Self { tag, title: one_line(&title, MAX_TITLE), lines }
    }
}

fn of_finding(finding: &Finding) -> (&'static str, String, Vec<String>) {
    let tag = match finding.severity {
        Severity::Info => "INFO",
        Severity::Low => "LOW",
        Severity::Medium => "MEDIUM",
        Severity::High => "HIGH",
        Severity::Critical => "CRITICAL",
    };
    let lines = vec![finding.message.clone(), pairs(&finding.attributes), finding.stream.clone()];
    (tag, finding.rule.clone(), lines)
}

fn of_retraction(retraction: &Retraction) -> (&'static str, String, Vec<String>) {
    let plugin = &retraction.origin.plugin;
    let title = match retraction.retracts.len() {
        1 => format!("1 result of {plugin} was taken back"),
        count => format!("{count} results of {plugin} were taken back"),
    };
    ("RETRACTED", title, vec![retraction.reason.clone()])
}

fn of_verdict(verdict: &Verdict) -> (&'static str, String, Vec<String>) {
    let tag = match verdict.verdict {
        VerdictKind::Clean => "CLEAN",
        VerdictKind::Skipped => "SKIPPED",
        VerdictKind::Suspicious => "SUSPICIOUS",
        VerdictKind::Malicious => "MALICIOUS",
    };
    let content = format!("{} bytes, SHA-256 {}", verdict.size, verdict.sha256);
    (tag, verdict.path.clone(), vec![verdict.reason.clone(), content])
}

fn of_alert(alert: &AlertEvent) -> (&'static str, String, Vec<String>) {
    let tag = match alert.state {
        AlertState::Pending => "PENDING",
        AlertState::Firing => "FIRING",
        AlertState::Resolved => "RESOLVED",
    };
    let of = |pairs: &[Label], name: &str| {
        pairs.iter().find(|pair| pair.name == name).map(|pair| pair.value.clone()).unwrap_or_default()
    };
    let name = Some(of(&alert.labels, "alertname")).filter(|name| !name.is_empty());
    let others: Vec<Label> = alert.labels.iter().filter(|label| label.name != "alertname").cloned().collect();
    let lines =
        vec![of(&alert.annotations, "summary"), of(&alert.annotations, "description"), pairs(&others)];
    (tag, name.unwrap_or_else(|| alert.rule.clone()), lines)
}

fn of_event(event: LifecycleEvent) -> &'static str {
    match event {
        LifecycleEvent::Active => "a new generation of a plugin serves",
        LifecycleEvent::Rejected => "a change of a plugin was rejected",
        LifecycleEvent::Retired => "a plugin was removed",
        LifecycleEvent::CircuitOpened => "a plugin fails too often and rests",
        LifecycleEvent::CircuitClosed => "a plugin works again",
        LifecycleEvent::ThreadEnded => "a plugin's thread ended by a bug of the agent",
    }
}

/// `name: value` and so on.
fn pairs(pairs: &[Label]) -> String {
    let shown = pairs.iter().take(MAX_LABELS);
    let shown = shown.map(|pair| format!("{}: {}", pair.name, one_line(&pair.value, MAX_VALUE)));
    let more = pairs.len().checked_sub(MAX_LABELS).filter(|more| *more > 0);
    shown.chain(more.map(|more| format!("and {more} more"))).collect::<Vec<_>>().join(", ")
}

/// Without control characters, the invisible marks that turn the direction of writing included, and not longer
/// than `most` characters.
fn one_line(text: &str, most: usize) -> String {
    let turns = |char: char| matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let plain = |char: char| {
        if char.is_control() || turns(char) || char == '\u{2028}' || char == '\u{2029}' { ' ' } else { char }
    };
    let mut line: String = text.trim().chars().take(most).map(plain).collect();
    if text.trim().chars().nth(most).is_some() {
        line.pop();
        line.push('…');
    }
    line
}
