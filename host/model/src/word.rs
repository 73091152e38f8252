//! The words that stand in JSON, in labels and on the screen for what is one of a few.

use super::{AlertState, FrameKind, RetractedBy, Severity, VerdictKind};

impl Severity {
    /// As it stands in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl VerdictKind {
    /// As it stands in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Skipped => "skipped",
            Self::Suspicious => "suspicious",
            Self::Malicious => "malicious",
        }
    }
}

impl AlertState {
    /// As it stands in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

impl FrameKind {
    /// As it stands in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Finding => "finding",
            Self::Verdict => "verdict",
            Self::Alert => "alert",
            Self::Sample => "sample",
            Self::Evidence => "evidence",
            Self::Notice => "notice",
            Self::Retraction => "retraction",
        }
    }
}

impl RetractedBy {
    /// As it stands in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Agent => "agent",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn check<T: serde::Serialize + Copy>(all: &[T], word: impl Fn(T) -> &'static str) {
        for one in all {
            assert_eq!(serde_json::to_value(one).unwrap(), word(*one));
        }
    }

    #[test]
    fn words_are_those_of_json() {
        use Severity::{Critical, High, Info, Low, Medium};
        use VerdictKind::{Clean, Malicious, Skipped, Suspicious};
        check(&[Info, Low, Medium, High, Critical], Severity::word);
        check(&[Clean, Skipped, Suspicious, Malicious], VerdictKind::word);
        check(&[AlertState::Pending, AlertState::Firing, AlertState::Resolved], AlertState::word);
        check(&FrameKind::ALL, FrameKind::word);
        check(&[RetractedBy::Operator, RetractedBy::Agent], RetractedBy::word);
    }
}
