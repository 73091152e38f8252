//! How bad a frame is, for those kinds that tell: one scale for filters, routes and the receivers' formats.

use picket_model::{AlertEvent, Frame, Severity, Verdict, VerdictKind};

/// The severity of findings, verdicts and alerts; none of an alert whose label `severity` is missing or a word
/// that is not known.
pub(crate) fn of(frame: &Frame) -> Option<Severity> {
    match frame {
        Frame::Finding(finding) => Some(finding.severity),
        Frame::Verdict(verdict) => Some(of_verdict(verdict)),
        Frame::Alert(alert) => of_alert(alert),
        Frame::Sample(_) | Frame::Evidence(_) | Frame::Notice(_) | Frame::Retraction(_) => None,
    }
}

/// A malicious file is one to look at now, a suspicious one today.
pub(crate) fn of_verdict(verdict: &Verdict) -> Severity {
    match verdict.verdict {
        VerdictKind::Malicious => Severity::High,
        VerdictKind::Suspicious => Severity::Medium,
        VerdictKind::Skipped => Severity::Low,
        VerdictKind::Clean => Severity::Info,
    }
}

/// By the label `severity`, in our words or in those that rules for Prometheus use.
pub(crate) fn of_alert(alert: &AlertEvent) -> Option<Severity> {
    let label = alert.labels.iter().find(|label| label.name == "severity")?;
    match label.value.to_ascii_lowercase().as_str() {
        "critical" | "page" | "emergency" | "fatal" => Some(Severity::Critical),
        "high" | "error" | "major" => Some(Severity::High),
        "medium" | "warning" => Some(Severity::Medium),
        "low" | "minor" | "notice" => Some(Severity::Low),
        "info" | "informational" | "none" | "debug" => Some(Severity::Info),
        _ => None,
    }
}
