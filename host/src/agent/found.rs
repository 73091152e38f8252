//! Answers the API's questions for findings from the archive.

use std::sync::Arc;
use std::time::Instant;

use crate::api::dto::{FindingView, Findings, RetractedView, Time};
use crate::api::{FindingQuery, FindingsError};
use crate::archive::{Query, SearchError, Searcher, Taken};
use crate::model::{Finding, Severity};

/// The findings that are asked for, each with how it was taken back if it was.
pub(super) fn findings(
    searcher: &Searcher,
    query: &FindingQuery,
    deadline: Instant,
) -> Result<Findings, FindingsError> {
    let query = Query {
        since: query.since,
        until: query.until,
        min_severity: query.min_severity.filter(|severity| *severity > Severity::Info),
        plugin: query.plugin.clone(),
        text: query.text.clone(),
        retracted: query.retracted,
        limit: query.limit,
        ..Query::default()
    };
    let found = searcher.search(&query, deadline).map_err(unfound)?;
    let truncated = found.more;
    let view = |(finding, taken): (Finding, Option<Arc<Taken>>)| FindingView {
        retracted: taken.as_deref().map(retracted),
        ..finding.into()
    };
    Ok(Findings { findings: found.into_findings().map(view).collect(), truncated })
}

fn retracted(taken: &Taken) -> RetractedView {
    RetractedView { timestamp: Time(taken.time), by: taken.by, reason: taken.reason.clone() }
}

/// Why the archive has no answer, in the API's words.
pub(super) fn unfound(error: SearchError) -> FindingsError {
    let why = error.to_string();
    match error {
        SearchError::Busy => FindingsError::Busy(why),
        SearchError::Late => FindingsError::Late(why),
        SearchError::LongText { .. } | SearchError::Io { .. } => FindingsError::Unreadable(why),
    }
}
