//! Scans: one file, one call, one verdict, one commit.

use super::call::Failure;
use super::{Place, Worker};
use crate::model::{Day, Digest, EventId, Evidence, Frame, Verdict, VerdictKind, now_nanos};
use crate::pipeline::object::FileObject;
use crate::pipeline::results::{Results, file_finding, verdict_kind};
use crate::pipeline::work::{ScanJob, ScanTarget};
use crate::state::Write;
use picket_sandbox::{Output, ScanReport};
use std::sync::Arc;

impl Worker {
    /// Scans a file; a failed scan is tried once more on a fresh instance. The verdict is committed
    /// before the ticket is finished; without a commit, or when the file changed meanwhile, the source brings
    /// it again.
    pub(super) fn scan(&mut self, job: ScanJob) {
        let mut outcome = self.try_scan(&job.target);
        if let Err(error) = &outcome {
            if let Some(previous) = self.previous.take() {
                super::swap::put_back(self, previous, error);
            }
            outcome = self.try_scan(&job.target);
        }
        let reason = match outcome {
            Ok(None) => return,
            Ok(Some(output)) => {
                self.proven();
                self.meter.scanned();
                self.take_scan_report(&job.target, output);
                None
            }
            // The source brings the file again.
            Err(Failure::Stalled(reason)) => return self.stalled(&reason),
            Err(Failure::Call(error)) => {
                let reason = error.to_string();
                self.keep_file_evidence(&job.target, &reason);
                Some(reason)
            }
        };
        let committed = self.commit().is_ok();
        if committed {
            job.ticket.finish();
        }
        if let Some(reason) = reason {
            let target = &job.target;
            let (source, stream) = (target.source.clone(), target.path.to_string_lossy().into_owned());
            self.blame(Place { source, stream, offset: 0, digest: target.info.sha256 }, &reason);
        }
    }

    /// None when the file changed: what a scan of it came to is about no content in particular.
    fn try_scan(&mut self, target: &Arc<ScanTarget>) -> Result<Option<Output<ScanReport>>, Failure> {
        let object = Arc::new(FileObject::new(target.clone()));
        let outcome = self.call(0, |instance| instance.scan(object.clone()));
        if object.changed() || !object.still_same() {
            return Ok(None);
        }
        outcome.map(Some)
    }

    fn take_scan_report(&mut self, target: &ScanTarget, output: Output<ScanReport>) {
        let time = now_nanos();
        let origin = self.generation.origin.clone();
        let path = target.path.to_string_lossy();
        let ScanReport { verdict, reason, report } = output.value;
        let mut results = Results::default();
        results.push(Frame::Verdict(self.verdict(target, verdict_kind(verdict), reason, time)));
        for (number, finding) in (0..).zip(report.findings) {
            let content = &target.info.sha256;
            let frame = file_finding(&origin, &target.source, &path, content, time, number, finding);
            results.push(Frame::Finding(frame));
        }
        results.measurements(time, report.counters, report.histograms, report.samples);
        results.state_writes(&origin.plugin, &output.writes);
        results.write(self.scanned(target));
        self.results.append(results);
    }

    /// A file that breaks the scanner is evidence, and skipped until the plugin or the file changes.
    fn keep_file_evidence(&mut self, target: &ScanTarget, reason: &str) {
        let time = now_nanos();
        let verdict =
            self.verdict(target, VerdictKind::Skipped, format!("the scanner failed: {reason}"), time);
        self.results.push(Frame::Verdict(verdict));
        self.push_file_evidence(target, reason);
        let scanned = self.scanned(target);
        self.results.write(scanned);
    }

    /// The evidence that a file broke the plugin.
    pub(super) fn push_file_evidence(&mut self, target: &ScanTarget, reason: &str) {
        let (time, origin) = (now_nanos(), self.generation.origin.clone());
        let id = EventId::derive(&about(target), 0, &origin.generation, u32::MAX);
        self.results.push(Frame::Evidence(Evidence {
            id,
            time,
            origin,
            source: target.source.clone(),
            stream: target.path.to_string_lossy().into_owned(),
            offset: 0,
            digest: target.info.sha256,
            record: Vec::new(),
            reason: reason.to_owned(),
        }));
    }

    pub(super) fn verdict(
        &self,
        target: &ScanTarget,
        verdict: VerdictKind,
        reason: String,
        time: u64,
    ) -> Verdict {
        let origin = self.generation.origin.clone();
        Verdict {
            id: EventId::derive(&about(target), 0, &origin.generation, 0),
            time,
            origin,
            source: target.source.clone(),
            path: target.path.to_string_lossy().into_owned(),
            sha256: target.info.sha256,
            size: target.info.size,
            verdict,
            reason,
        }
    }

    fn scanned(&self, target: &ScanTarget) -> Write {
        Write::Scanned {
            plugin: self.generation.origin.plugin.clone(),
            generation: self.generation.origin.generation,
            content: target.key,
            value: Some(Vec::new()),
            used: Day::of(now_nanos()),
        }
    }
}

/// What the results of a scan are about: a content at a place.
pub(super) fn about(target: &ScanTarget) -> Digest {
    let path = target.path.as_os_str().as_encoded_bytes();
    Digest::of_parts([target.source.as_bytes(), path, &target.info.sha256.0])
}
