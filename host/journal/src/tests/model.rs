//! Random histories of appends, syncs, deletions, faults, full disks, kills and power cuts, checked
//! against a list.
//!
//! The seeds are numbers from 0; `PICKET_MODEL_SEEDS` says how many.

use super::*;
use crate::sim::Rng;

/// What must be in the journal, and what may follow.
#[derive(Default)]
struct Model {
    /// Synced with success.
    durable: Vec<String>,
    /// Appended with success since.
    pending: Vec<String>,
    /// Appended since the last success, in order, and reported as failed: may come back after a
    /// crash as long as nothing was made durable since.
    doubtful: Vec<String>,
    /// How many of `durable` were deleted, at least.
    deleted: usize,
    next: u64,
}

impl Model {
    fn record(&mut self, rng: &mut Rng) -> String {
        self.next += 1;
        format!("{}{}", self.next, "x".repeat(rng.below(120) as usize))
    }

    fn append(&mut self, journal: &mut Journal, rng: &mut Rng) {
        let record = self.record(rng);
        match journal.append(record.as_bytes()) {
            Ok(_) => self.pending.push(record),
            Err(_) => self.doubtful.push(record),
        }
    }

    fn sync(&mut self, journal: &mut Journal) {
        match journal.sync() {
            // Nothing became durable, so what is in doubt stays so.
            Ok(_) if self.pending.is_empty() => {}
            Ok(_) => {
                self.durable.append(&mut self.pending);
                self.doubtful.clear();
            }
            Err(_) => self.doubtful.append(&mut self.pending),
        }
    }

    /// After a crash the durable ones are there, and any of the others that may be, in order.
    fn after_crash(&mut self, found: &[String], seed: u64) {
        let known = self.durable.len();
        let start = found.iter().position(|record| self.durable.contains(record)).unwrap_or(0);
        let first = found.get(start).and_then(|record| self.durable.iter().position(|d| d == record));
        let kept = first.map_or(0, |first| known - first);
        assert!(first.unwrap_or(known) <= self.deleted, "seed {seed}: durable records are missing");
        assert_eq!(found[..kept], self.durable[known - kept..], "seed {seed}");
        for extra in &found[kept..] {
            let known = self.pending.contains(extra) || self.doubtful.contains(extra);
            assert!(known, "seed {seed}: {extra} came from nowhere");
            self.durable.push(extra.clone());
        }
        let number = |record: &String| record.trim_end_matches('x').parse::<u64>().unwrap();
        assert!(found.is_sorted_by_key(number), "seed {seed}: out of order");
        self.pending.clear();
        self.doubtful.clear();
    }

    fn check(&self, journal: &Journal, seed: u64) {
        let found = all(&journal.tail());
        let kept = found.len();
        assert!(kept + self.deleted >= self.durable.len(), "seed {seed}: durable records are missing");
        assert_eq!(found[..], self.durable[self.durable.len() - kept..], "seed {seed}");
    }
}

fn history(seed: u64) {
    let fs = SimFs::new(seed);
    let mut rng = Rng::new(!seed);
    let mut model = Model::default();
    let mut journal = open(&fs).0;
    let mut faulty = false;
    for _ in 0..rng.below(120) {
        match rng.below(20) {
            0..8 => model.append(&mut journal, &mut rng),
            8..14 => model.sync(&mut journal),
            14 => {
                let faults = [0, 0, 100, 300][rng.below(4) as usize];
                faulty |= faults > 0;
                fs.set_faults(faults);
            }
            15 => {
                let capacity = fs.used() + rng.below(300);
                fs.set_capacity(rng.one_in(2).then_some(capacity));
            }
            16 => {
                let mut reader = journal.tail().reader(Position::ZERO);
                let count = rng.below(model.durable.len() as u64 + 1);
                let passed = (0..count).map_while(|_| reader.next().unwrap()).count();
                let gone = model.durable.len() - all(&journal.tail()).len();
                model.deleted = model.deleted.max(gone + passed);
                let _ = journal.delete_before(reader.position());
            }
            17 => model.check(&journal, seed),
            crash => {
                fs.set_faults(0);
                fs.set_capacity(None);
                // A failed sync whose cleaning up failed too, then a kill, then a power cut: that loses
                // records, as the crate's documentation says.
                if crash == 18 || faulty {
                    fs.power_cut();
                }
                faulty = false;
                drop(journal);
                journal = open(&fs).0;
                model.after_crash(&all(&journal.tail()), seed);
            }
        }
    }
    fs.set_faults(0);
    fs.set_capacity(None);
    model.sync(&mut journal);
    model.check(&journal, seed);
}

#[test]
fn no_history_loses_repeats_or_reorders_a_durable_record() {
    let seeds = std::env::var("PICKET_MODEL_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(500);
    for seed in 0..seeds {
        history(seed);
    }
    crate::sim::shown("the journal's model: power cuts, failed syncs, full disks", seeds as usize);
}
