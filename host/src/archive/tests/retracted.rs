//! What was taken back is told from what stands, whatever happens in between.

use super::*;
use crate::model::{RetractedBy, Retraction};

/// Takes findings back, at a second after the start.
fn retraction(of: &[Finding], seconds: u64, reason: &str) -> Frame {
    let retracts: Vec<EventId> = of.iter().map(|finding| finding.id).collect();
    Frame::Retraction(Retraction {
        id: EventId::derive(&of[0].origin.generation, seconds, &Digest::of(reason.as_bytes()), 0),
        time: START + seconds * SECOND,
        origin: of[0].origin.clone(),
        by: RetractedBy::Operator,
        reason: reason.into(),
        retracts,
    })
}

impl Agent {
    /// Commits a retraction and waits until it is in the archive.
    fn retract(&self, retraction: Frame) {
        let searcher = self.archive().searcher();
        let (before, id) = (searcher.retractions(), retraction.origin().unwrap().0);
        self.commit(vec![retraction]);
        wait_until(|| searcher.has_retraction(id, before, Instant::now() + LONG).unwrap());
    }

    /// The findings' rules with the reasons for which they were taken back.
    fn marked(&self, query: &Query) -> Vec<(String, Option<String>)> {
        let found = self.search(query).unwrap().into_findings();
        found.map(|(finding, taken)| (finding.rule, taken.map(|taken| taken.reason.clone()))).collect()
    }
}

#[test]
fn what_was_taken_back_is_marked_and_can_be_chosen() {
    let mut agent = Agent::start(20, small_archive());
    let all: Vec<Finding> = (0..30).map(|number| large(&format!("r{number}"), number)).collect();
    agent.keep(all.clone());
    let query = |retracted| Query { retracted, limit: 40, ..Query::default() };
    assert!(agent.marked(&query(Some(true))).is_empty());
    agent.retract(retraction(&all[3..5], 40, "early"));
    agent.retract(retraction(&all[28..29], 41, "late"));
    for _ in 0..2 {
        let marked = agent.marked(&query(None));
        let reasons: Vec<(&str, &str)> =
            marked.iter().filter_map(|(rule, reason)| Some((rule.as_str(), reason.as_deref()?))).collect();
        assert_eq!((marked.len(), reasons), (30, vec![("r28", "late"), ("r4", "early"), ("r3", "early")]));
        assert_eq!(agent.rules(query(Some(true))), ["r28", "r4", "r3"]);
        assert_eq!(agent.rules(query(Some(false))).len(), 27);
        assert_eq!(agent.rules(Query { limit: 2, ..query(Some(false)) }), ["r29", "r27"]);
        // The index is read from the files when the state is lost.
        agent.stop();
        (agent.fs, agent.table) = (SimFs::new(21), Arc::new(MemoryTable::new(21)));
        agent.restart();
        wait_until(|| agent.marked(&query(None)).len() == 30);
    }
}

#[test]
fn a_result_that_comes_again_behind_its_retraction_stands() {
    let agent = Agent::start(22, Config::default());
    agent.keep(vec![finding("again", 1)]);
    agent.retract(retraction(&[finding("again", 1)], 2, "wrong"));
    agent.keep(vec![finding("again", 1), finding("other", 3)]);
    let mut marked = agent.marked(&Query::default());
    marked.sort();
    let marked: Vec<(&str, Option<&str>)> =
        marked.iter().map(|(rule, reason)| (rule.as_str(), reason.as_deref())).collect();
    assert_eq!(marked, [("again", None), ("again", Some("wrong")), ("other", None)]);
}

#[test]
fn what_stands_is_named_once_by_generation_and_what_was_taken_back_is_counted() {
    let agent = Agent::start(23, Config::default());
    let all: Vec<Finding> =
        (0..20).map(|number| finding(if number < 12 { "a" } else { "b" }, number)).collect();
    agent.keep(all.clone());
    agent.retract(retraction(&all[..2], 40, "wrong"));
    let standing = |query: Query| agent.archive().searcher().standing(&query, Instant::now() + LONG).unwrap();
    let found = standing(Query::default());
    let counts: Vec<usize> = found.ids.values().map(|ids| ids.len()).collect();
    assert_eq!((counts.iter().sum::<usize>(), counts.len(), found.already, found.more), (18, 2, 2, false));
    let examples: Vec<u64> = found.examples.iter().map(|frame| (frame.time() - START) / SECOND).collect();
    assert_eq!(examples, [19, 18, 17, 16, 15]);
    let of_rule = standing(Query { rule: Some("a".into()), ..Query::default() });
    assert_eq!((of_rule.ids[&all[0].origin.generation].len(), of_rule.already), (10, 2));
    let generation = Some(all[19].origin.generation);
    assert_eq!(standing(Query { generation, ..Query::default() }).ids.len(), 1);
    let other = standing(Query { plugin: Some("q".into()), ..Query::default() });
    assert_eq!((other.ids.len(), other.already), (0, 0));
    let late = Query { since: Some(START + 5 * SECOND), until: Some(START + 7 * SECOND), ..Query::default() };
    assert_eq!(standing(late).ids.values().next().unwrap().len(), 2);
}
