//! Where the results of one-shot runs go: text for people, or one JSON object a line.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::findings;
use super::output::{Output, Paint};
use super::progress;
use crate::agent::oneshot::{Progress, Report};
use crate::forwarders::file::encode::Line;
use crate::model::{AlertEvent, Evidence, Frame, Notice, Severity, Verdict, VerdictKind};
use crate::telemetry::escape;

/// Writes frames as they come and counts them.
pub(super) struct Results<W> {
    out: W,
    output: Output,
    paint: Paint,
    /// Also what needs no attention: clean files.
    verbose: bool,
    line: progress::Line,
    /// Findings by severity.
    pub(super) findings: BTreeMap<Severity, u64>,
    /// Verdicts by kind.
    pub(super) verdicts: BTreeMap<VerdictKind, u64>,
}

impl<W: Write> Results<W> {
    pub(super) fn new(out: W, output: Output, paint: Paint, verbose: bool) -> Self {
        Self {
            out,
            output,
            paint,
            verbose,
            line: progress::Line::new(),
            findings: BTreeMap::new(),
            verdicts: BTreeMap::new(),
        }
    }

    /// Takes the progress away and hands everything out.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.line.clear();
        self.out.flush()
    }

    fn text(&self, frame: &Frame) -> String {
        match frame {
            Frame::Finding(finding) => findings::show(&finding.clone().into(), self.paint),
            Frame::Verdict(verdict) if verdict.verdict == VerdictKind::Clean && !self.verbose => {
                String::new()
            }
            Frame::Verdict(verdict) => self.verdict(verdict),
            Frame::Alert(alert) => self.alert(alert),
            Frame::Evidence(evidence) => self.evidence(evidence),
            Frame::Notice(notice) => notice_line(notice),
            // Nobody takes anything back in a one-shot run.
            Frame::Sample(_) | Frame::Retraction(_) => String::new(),
        }
    }

    fn verdict(&self, verdict: &Verdict) -> String {
        let reason = match verdict.reason.as_str() {
            "" => String::new(),
            reason => format!("  {}", escape(reason)),
        };
        let plugin = self.paint.faint(&format!("({})", escape(&verdict.origin.plugin)));
        format!("{} {}{reason} {plugin}\n", self.paint.verdict(verdict.verdict), escape(&verdict.path))
    }

    fn alert(&self, alert: &AlertEvent) -> String {
        let labels =
            alert.labels.iter().map(|label| format!("{}={}", escape(&label.name), escape(&label.value)));
        let labels = labels.collect::<Vec<_>>().join(" ");
        let rule = format!("{}/{}", escape(&alert.origin.plugin), escape(&alert.rule));
        format!(
            "{} {} {labels} value {}\n",
            self.paint.alert(alert.state),
            self.paint.bold(&rule),
            alert.value
        )
    }

    fn evidence(&self, evidence: &Evidence) -> String {
        let what = format!(
            "plugin {} failed on a record: {}",
            escape(&evidence.origin.plugin),
            escape(&evidence.reason)
        );
        let record = String::from_utf8_lossy(&evidence.record);
        format!(
            "{}\n    {}:{}  {}\n",
            self.paint.bad(&what),
            escape(&evidence.stream),
            evidence.offset,
            self.paint.faint(&escape(&record)),
        )
    }
}

fn notice_line(notice: &Notice) -> String {
    match notice.reason.as_str() {
        "" => String::new(),
        reason => format!("plugin {}: {}\n", escape(&notice.origin.plugin), escape(reason)),
    }
}

impl<W: Write> Report for Results<W> {
    fn frame(&mut self, frame: &Frame) -> io::Result<()> {
        match frame {
            Frame::Finding(finding) => *self.findings.entry(finding.severity).or_default() += 1,
            Frame::Verdict(verdict) => *self.verdicts.entry(verdict.verdict).or_default() += 1,
            _ => {}
        }
        match self.output {
            Output::Json => {
                // The same shape as in the files of the `file` forwarder.
                serde_json::to_writer(&mut self.out, &Line(frame))?;
                self.out.write_all(b"\n")
            }
            Output::Text => {
                let text = self.text(frame);
                if !text.is_empty() {
                    self.line.clear();
                }
                self.out.write_all(text.as_bytes())
            }
        }
    }

    fn progress(&mut self, progress: &Progress) {
        // What was found so far should stand above the line, not in a buffer.
        if self.out.flush().is_ok() {
            self.line.show(progress);
        }
    }

    fn problem(&mut self, problem: &str) {
        self.line.clear();
        match self.output {
            Output::Json => eprintln!("{}", serde_json::json!({ "problem": problem })),
            Output::Text => eprintln!("{}", escape(problem)),
        }
    }
}
