//! How bad a frame is, for those kinds that tell.

use picket_model::{Frame, Severity, VerdictKind};

/// The severity of findings, verdicts and alerts; none of an alert whose label `severity` is missing or a word
/// of somebody else's.
pub(super) fn of(frame: &Frame) -> Option<Severity> {
    match frame {
        Frame::Finding(finding) => Some(finding.severity),
        Frame::Verdict(verdict) => Some(match verdict.verdict {
            VerdictKind::Malicious => Severity::High,
            VerdictKind::Suspicious => Severity::Medium,
            VerdictKind::Clean | VerdictKind::Skipped => Severity::Info,
        }),
        Frame::Alert(alert) => {
            let label = alert.labels.iter().find(|label| label.name == "severity")?;
            parse(&label.value)
        }
        Frame::Sample(_) | Frame::Evidence(_) | Frame::Notice(_) => None,
    }
}

/// Our words, and `warning`, which rules for Prometheus use.
fn parse(word: &str) -> Option<Severity> {
    [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical]
        .into_iter()
        .find(|severity| self::word(*severity).eq_ignore_ascii_case(word))
        .or_else(|| word.eq_ignore_ascii_case("warning").then_some(Severity::Medium))
}

/// As it stands in JSON.
pub(super) fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}
