//! Finds the literals of all interests of a source in one native pass over a block.
//!
//! A pass has two phases. The first runs over the whole block, framing and all, and only looks for
//! candidate records: as soon as a literal is found in a record, the search goes on behind that
//! record. It uses the vectorised searcher of `aho-corasick` (Teddy) in portions of at most 64
//! literals, the number up to which that searcher is fast, and an automaton where there are too many
//! portions. The second phase finds, in the candidates only, exactly which literals of which
//! interests they hold.
//!
//! Literals whose case is ignored are searched in a copy of the block in lower case.

use std::cell::RefCell;

use aho_corasick::packed;
use aho_corasick::{AhoCorasick, Input, MatchKind, Span};

use super::interest::Interest;
use crate::model::{Block, Record, Selection};

/// Literals of one interest. More than this are patterns of another kind of tool; the automaton for
/// them takes some megabytes.
pub const MAX_LITERALS: usize = 10_000;
/// Bytes of all literals of one interest; an automaton takes some ten bytes for each.
pub const MAX_LITERAL_BYTES: usize = 1 << 20;
/// Literals that one vectorised searcher takes; it refuses more.
const PORTION: usize = 64;
/// Portions up to which searching them one after the other beats an automaton (about 5 GB/s each
/// against 0.7 GB/s).
const MAX_PORTIONS: usize = 6;

/// The literals cannot be searched for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatchError {
    /// There are more than [`MAX_LITERALS`].
    #[error("the interest has {found} literals; at most {MAX_LITERALS} are possible: ask for every record")]
    TooMany {
        /// How many there are.
        found: usize,
    },
    /// They have more than [`MAX_LITERAL_BYTES`] together.
    #[error("the interest's literals have {found} bytes; at most {MAX_LITERAL_BYTES} are possible")]
    TooLong {
        /// How many bytes there are.
        found: usize,
    },
    /// The automaton for them would exceed the library's own limits.
    #[error("the literals need too large an automaton: {0}")]
    Automaton(String),
}

/// The literals of several interests, ready to be found. Interests are known by their index.
#[derive(Debug, Default)]
pub struct Matcher {
    everything: Vec<bool>,
    exact: Option<Literals>,
    folded: Option<Literals>,
}

impl Matcher {
    /// Builds the searchers for some interests.
    pub fn new<'a>(interests: impl IntoIterator<Item = &'a Interest>) -> Result<Self, MatchError> {
        let mut everything = Vec::new();
        let (mut exact, mut folded) = (Vec::new(), Vec::new());
        for (index, interest) in interests.into_iter().enumerate() {
            check_bounds(&interest.literals)?;
            everything.push(interest.is_everything());
            if interest.is_everything() {
                continue;
            }
            for (number, literal) in interest.literals.iter().enumerate() {
                let owner = Owner { interest: index, literal: number as u32 };
                if interest.ignore_ascii_case {
                    folded.push((literal.to_ascii_lowercase(), owner));
                } else {
                    exact.push((literal.clone(), owner));
                }
            }
        }
        Ok(Self { everything, exact: Literals::new(exact)?, folded: Literals::new(folded)? })
    }

    /// What of a block goes to each of the `wanted` interests, in the order of `wanted`.
    pub fn select(&self, block: &Block, wanted: &[usize]) -> Vec<(usize, Selection)> {
        let mut found: Vec<Option<Found>> =
            self.everything.iter().map(|everything| (!everything).then(Found::default)).collect();
        if wanted.iter().any(|interest| !self.everything[*interest]) {
            if let Some(exact) = &self.exact {
                exact.find(&block.data, &block.records, &mut found);
            }
            if let Some(folded) = &self.folded {
                FOLDED.with_borrow_mut(|data| {
                    data.clear();
                    data.extend_from_slice(&block.data);
                    data.make_ascii_lowercase();
                    folded.find(data, &block.records, &mut found);
                });
            }
        }
        wanted
            .iter()
            .map(|&interest| (interest, found[interest].take().map_or(Selection::All, Found::into_selection)))
            .collect()
    }
}

thread_local! {
    /// The block in lower case; kept, because allocating a megabyte costs as much as searching it.
    static FOLDED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn check_bounds(literals: &[Vec<u8>]) -> Result<(), MatchError> {
    if literals.len() > MAX_LITERALS {
        return Err(MatchError::TooMany { found: literals.len() });
    }
    let bytes = literals.iter().map(Vec::len).sum();
    if bytes > MAX_LITERAL_BYTES {
        return Err(MatchError::TooLong { found: bytes });
    }
    Ok(())
}

/// What was found for one interest, while it is being found.
#[derive(Default)]
struct Found {
    records: Vec<u32>,
    hits: Vec<(u32, u32)>,
}

impl Found {
    fn into_selection(self) -> Selection {
        Selection::Some { records: self.records, hits: self.hits }
    }
}

/// Whose literal a pattern is.
#[derive(Debug, Clone, Copy)]
struct Owner {
    interest: usize,
    literal: u32,
}

/// Literals of one case mode.
#[derive(Debug)]
struct Literals {
    scouts: Vec<Scout>,
    all: AhoCorasick,
    /// By pattern of `all`: equal literals of several interests are one pattern.
    owners: Vec<Vec<Owner>>,
    /// All of them, each once.
    interests: Vec<usize>,
}

/// Finds the first place that holds any of some literals.
#[derive(Debug)]
enum Scout {
    Vectorised(packed::Searcher),
    Automaton(AhoCorasick),
}

impl Scout {
    /// Start and end of the leftmost match from `at` on.
    fn find(&self, data: &[u8], at: usize) -> Option<(usize, usize)> {
        match self {
            Self::Vectorised(searcher) => {
                searcher.find_in(data, Span::from(at..data.len())).map(|found| (found.start(), found.end()))
            }
            Self::Automaton(automaton) => {
                automaton.find(Input::new(data).range(at..)).map(|found| (found.start(), found.end()))
            }
        }
    }
}

impl Literals {
    fn new(mut literals: Vec<(Vec<u8>, Owner)>) -> Result<Option<Self>, MatchError> {
        if literals.is_empty() {
            return Ok(None);
        }
        literals.sort_by(|a, b| a.0.cmp(&b.0));
        let (mut patterns, mut owners): (Vec<Vec<u8>>, Vec<Vec<Owner>>) = (Vec::new(), Vec::new());
        for (literal, owner) in literals {
            if patterns.last() != Some(&literal) {
                patterns.push(literal);
                owners.push(Vec::new());
            }
            if let Some(last) = owners.last_mut() {
                last.push(owner);
            }
        }
        let mut interests: Vec<usize> = owners.iter().flatten().map(|owner| owner.interest).collect();
        interests.sort_unstable();
        interests.dedup();
        let all = AhoCorasick::new(&patterns).map_err(|error| MatchError::Automaton(error.to_string()))?;
        let scouts = scouts(&without_longer_ones(&patterns, &all))?;
        Ok(Some(Self { scouts, all, owners, interests }))
    }

    fn find(&self, data: &[u8], records: &[Record], found: &mut [Option<Found>]) {
        let mut candidates = Vec::new();
        for scout in &self.scouts {
            find_candidates(scout, data, records, &mut candidates);
        }
        if self.scouts.len() > 1 {
            candidates.sort_unstable();
            candidates.dedup();
        }
        // The last candidate in which a pattern was found, plus one: a pattern counts once a record.
        let mut seen = vec![0_u32; self.owners.len()];
        for record in candidates {
            let at = records[record as usize];
            let text = &data[at.start as usize..at.end as usize];
            for hit in self.all.find_overlapping_iter(text) {
                let pattern = hit.pattern().as_usize();
                if seen[pattern] == record + 1 {
                    continue;
                }
                seen[pattern] = record + 1;
                for owner in &self.owners[pattern] {
                    if let Some(found) = &mut found[owner.interest] {
                        found.hits.push((record, owner.literal));
                    }
                }
            }
            for interest in &self.interests {
                if let Some(found) = &mut found[*interest] {
                    found.close(record);
                }
            }
        }
    }
}

impl Found {
    /// Puts the hits of the record that was just searched in order, and selects it if there are any.
    fn close(&mut self, record: u32) {
        if self.hits.last().is_some_and(|hit| hit.0 == record) {
            self.records.push(record);
            let first = self.hits.partition_point(|hit| hit.0 < record);
            self.hits[first..].sort_unstable();
        }
    }
}

/// Where a longer literal holds a shorter one, the shorter one finds all candidates. Leaving out the
/// longer ones also makes matches that start at the same place impossible.
fn without_longer_ones<'a>(patterns: &'a [Vec<u8>], all: &AhoCorasick) -> Vec<&'a [u8]> {
    patterns
        .iter()
        .filter(|pattern| all.find_overlapping_iter(*pattern).all(|found| found.len() == pattern.len()))
        .map(Vec::as_slice)
        .collect()
}

fn scouts(patterns: &[&[u8]]) -> Result<Vec<Scout>, MatchError> {
    if patterns.len() <= PORTION * MAX_PORTIONS {
        let vectorised: Option<Vec<Scout>> = patterns.chunks(PORTION).map(vectorised).collect();
        if let Some(vectorised) = vectorised {
            return Ok(vectorised);
        }
    }
    let automaton = AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostFirst)
        .build(patterns)
        .map_err(|error| MatchError::Automaton(error.to_string()))?;
    Ok(vec![Scout::Automaton(automaton)])
}

/// None where the processor has no vectors that the searcher knows, or where it is no faster.
fn vectorised(patterns: &[&[u8]]) -> Option<Scout> {
    let mut builder = packed::Config::new().match_kind(packed::MatchKind::LeftmostFirst).builder();
    builder.extend(patterns).build().map(Scout::Vectorised)
}

/// Appends the records in which the scout finds something, rising.
fn find_candidates(scout: &Scout, data: &[u8], records: &[Record], candidates: &mut Vec<u32>) {
    let mut next = 0;
    let mut at = records.first().map_or(data.len(), |first| first.start as usize);
    while at < data.len() {
        let Some((start, end)) = scout.find(data, at) else { return };
        next += records[next..].partition_point(|record| record.end as usize <= start);
        let Some(record) = records.get(next) else { return };
        at = if start < record.start as usize {
            // In the framing between records: nothing before the next record matters.
            record.start as usize
        } else if end <= record.end as usize {
            candidates.push(next as u32);
            record.end as usize
        } else {
            // It runs over the record's end; a true match may begin within it.
            start + 1
        };
    }
}

#[cfg(test)]
#[path = "matcher_tests.rs"]
mod tests;
