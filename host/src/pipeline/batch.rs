//! From selected records of a block to the flat form in which they cross into a plugin.
//!
//! When the records lie end to end in the block already, nothing is copied here; else the selected
//! ones are brought together in buffers that are kept from batch to batch.

use picket_sandbox::Hit;

use crate::model::{Block, Selection};

/// Buffers for one batch at a time.
#[derive(Debug, Default)]
pub struct Gather {
    /// The records end to end.
    pub data: Vec<u8>,
    /// Where each ends in `data`.
    pub ends: Vec<u32>,
    /// When each was made, Unix time in nanoseconds.
    pub times: Vec<u64>,
    /// By record and then by literal.
    pub hits: Vec<Hit>,
}

impl Gather {
    /// Brings together the given records of a block, rising indexes, with their hits.
    pub fn fill(&mut self, block: &Block, selection: &Selection, records: &[u32]) {
        self.data.clear();
        self.ends.clear();
        self.times.clear();
        self.hits.clear();
        for index in records {
            let record = block.records[*index as usize];
            self.data.extend_from_slice(&block.data[record.start as usize..record.end as usize]);
            // A block is far smaller than 4 GiB, so its parts are too.
            self.ends.push(self.data.len() as u32);
            self.times.push(record.time);
        }
        if let Selection::Some { hits, .. } = selection {
            self.fill_hits(hits, records);
        }
    }

    /// Both lists rise, so one pass suffices.
    fn fill_hits(&mut self, hits: &[(u32, u32)], records: &[u32]) {
        let mut hits = hits.iter().peekable();
        for (index, record) in records.iter().enumerate() {
            while hits.next_if(|hit| hit.0 < *record).is_some() {}
            while let Some(hit) = hits.next_if(|hit| hit.0 == *record) {
                self.hits.push(Hit { record: index as u32, literal: hit.1 });
            }
        }
    }
}

/// The indexes of the selected records.
pub fn selected(block: &Block, selection: &Selection) -> Vec<u32> {
    match selection {
        Selection::All => (0..block.records.len() as u32).collect(),
        Selection::Some { records, .. } => records.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Digest, Record, Stream};
    use std::sync::Arc;

    fn block() -> Block {
        let stream = Stream { source: "s".into(), name: "n".into(), labels: vec![], id: Digest::of(b"n") };
        let record = |start, end| Record { start, end, offset: u64::from(start), time: 9 };
        Block {
            stream: Arc::new(stream),
            data: b"one\ntwo\n\nfour\n".to_vec(),
            records: vec![record(0, 3), record(4, 7), record(8, 8), record(9, 13)],
            checkpoint: vec![],
        }
    }

    #[test]
    fn records_come_without_what_lies_between_them() {
        let mut gather = Gather::default();
        let block = block();
        gather.fill(&block, &Selection::All, &selected(&block, &Selection::All));
        assert_eq!(gather.data, b"onetwofour");
        assert_eq!(gather.ends, [3, 6, 6, 10]);
        assert_eq!(gather.times, [9; 4]);
    }

    #[test]
    fn hits_follow_their_records() {
        let selection =
            Selection::Some { records: vec![0, 1, 3], hits: vec![(0, 5), (1, 2), (1, 4), (3, 0)] };
        let mut gather = Gather::default();
        gather.fill(&block(), &selection, &[1, 3]);
        assert_eq!(gather.data, b"twofour");
        let hits: Vec<_> = gather.hits.iter().map(|hit| (hit.record, hit.literal)).collect();
        assert_eq!(hits, [(0, 2), (0, 4), (1, 0)]);
    }
}
