//! Reloads asked for at the same time become one.
//!
//! A request may share only a reload that *began* after the request came in: one that runs already may
//! have read the files before the caller changed them. So of any number of requests that come in
//! while a reload runs, all wait for one more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use super::dto::ReloadReport;
use super::view::View;

/// Requests for reloads.
#[derive(Default)]
pub(super) struct Reloads {
    /// Requests that came in so far.
    asked: AtomicU64,
    /// Held while a reload runs: how many requests had come in when the last one began, and its report.
    last: Mutex<(u64, Option<Arc<ReloadReport>>)>,
}

impl Reloads {
    /// Reloads, or waits for a reload that answers this request too.
    pub(super) async fn ask(&self, view: &Arc<dyn View>) -> Arc<ReloadReport> {
        let ticket = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut last = self.last.lock().await;
        if let (covered, Some(report)) = &*last
            && *covered >= ticket
        {
            return report.clone();
        }
        let covered = self.asked.load(Ordering::SeqCst);
        let view = view.clone();
        let report = match tokio::task::spawn_blocking(move || view.reload()).await {
            Ok(report) => Arc::new(report),
            // It panicked: what is active is not known here, but the plugin list will say.
            Err(_) => return Arc::new(panicked()),
        };
        *last = (covered, Some(report.clone()));
        report
    }
}

fn panicked() -> ReloadReport {
    let problem = super::dto::ConfigProblem {
        code: "internal".into(),
        message: "the reload stopped half way".into(),
        place: None,
        key: None,
        help: Some("look at the agent's log, and at /api/v1/plugins for what is active".into()),
    };
    ReloadReport { problems: vec![problem], plugins: Vec::new() }
}
