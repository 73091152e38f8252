//! Takes results back that an operator names: finds them in the archive and commits what takes them back.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::api::dto::{RetractExample, RetractReport, Time};
use crate::api::{RetractError, RetractQuery};
use crate::archive::{Query, Searcher};
use crate::model::{EventId, Frame, FrameKind, Origin, RetractedBy};
use crate::pipeline::retract::Retractor;

use super::found::unfound;

/// How long to wait until the archive shows what was taken back, so that who asks again at once finds it so.
const ARCHIVED: Duration = Duration::from_secs(5);
/// How often to look whether it does: the lanes are synced every 100 ms.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// See the module's description.
pub(super) struct Retractions {
    retractor: Retractor,
    /// One at a time: what one takes back the next must see.
    turn: Mutex<()>,
}

impl Retractions {
    pub(super) fn new(retractor: Retractor) -> Self {
        Self { retractor, turn: Mutex::default() }
    }

    /// Does what is asked. Gives up at the deadline unless it has begun to commit.
    pub(super) fn retract(
        &self,
        searcher: &Searcher,
        query: &RetractQuery,
        deadline: Instant,
    ) -> Result<RetractReport, RetractError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let before = searcher.retractions();
        let standing = searcher.standing(&wanted(query), deadline).map_err(unfound)?;
        let mut report = RetractReport {
            dry_run: query.dry_run,
            retracted: standing.ids.values().map(|ids| ids.len() as u64).sum(),
            already: standing.already,
            more: standing.more,
            archived: true,
            examples: standing.examples.iter().filter_map(example).collect(),
        };
        if query.dry_run {
            return Ok(report);
        }
        if Instant::now() >= deadline {
            return Err(RetractError::Late(
                "nothing was taken back: others took too long; ask again".to_owned(),
            ));
        }
        let mut last = None;
        for (generation, ids) in standing.ids {
            let (origin, ids) = (Origin { plugin: query.plugin.clone(), generation }, Vec::from_iter(ids));
            let retracted = self.retractor.retract(&ids, &origin, RetractedBy::Operator, &query.reason);
            let retracted = retracted.map_err(|error| {
                RetractError::Uncommitted(format!(
                    "not everything could be taken back: {error}; ask again when that has passed"
                ))
            })?;
            last = retracted.or(last);
        }
        if let Some(last) = last {
            tracing::info!(
                plugin = query.plugin,
                results = report.retracted,
                reason = query.reason,
                "An operator has taken results back."
            );
            let until = deadline.min(Instant::now() + ARCHIVED);
            report.archived = is_archived(searcher, last, before, until);
        }
        Ok(report)
    }
}

/// The results that are meant.
fn wanted(query: &RetractQuery) -> Query {
    Query {
        since: query.since,
        until: query.until,
        plugin: Some(query.plugin.clone()),
        generation: query.generation,
        rule: query.rule.clone(),
        kinds: [FrameKind::Finding, FrameKind::Verdict].into(),
        ..Query::default()
    }
}

/// Waits until the archive has a retraction.
fn is_archived(
    searcher: &Searcher,
    id: EventId,
    before: crate::archive::Retractions,
    until: Instant,
) -> bool {
    loop {
        match searcher.has_retraction(id, before, until) {
            Ok(true) => return true,
            Ok(false) if Instant::now() < until => std::thread::sleep(LOOK_EVERY),
            Ok(false) | Err(_) => return false,
        }
    }
}

fn example(frame: &Frame) -> Option<RetractExample> {
    let (id, origin) = frame.origin()?;
    let (rule, text) = match frame {
        Frame::Finding(finding) => (Some(finding.rule.clone()), finding.message.clone()),
        Frame::Verdict(verdict) => (None, format!("{} {}", verdict.verdict.word(), verdict.path)),
        _ => return None,
    };
    let (timestamp, kind, generation) = (Time(frame.time()), frame.kind(), origin.generation);
    Some(RetractExample { id, timestamp, kind, generation, rule, text })
}
