//! Throws inputs at a target until the time or the count is over, or something breaks.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use picket_journal::sim::Rng;

use crate::Target;
use crate::mutate::mutate;
use crate::shrink::shrink;

/// A run that takes longer hangs, on any machine: runs take microseconds.
const HANG: Duration = Duration::from_secs(60);

/// Inputs that reached something new and are kept to be mutated further; more than this dilutes them.
const MAX_KEPT: usize = 4_000;

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// After so many runs.
    pub runs: u64,
    /// After so long.
    pub time: Duration,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// How many inputs were thrown.
    pub runs: u64,
    /// How many different shapes were seen.
    pub shapes: usize,
}

/// An input that broke the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crash {
    /// The input, as small as it could be made.
    pub input: Vec<u8>,
    /// The panic's message.
    pub message: String,
}

/// Throws inputs at the target: first those to start from as they are, then mutated ones. The same seed
/// and inputs give the same runs.
pub fn fuzz(target: &Target, inputs: Vec<Vec<u8>>, seed: u64, limits: Limits) -> Result<Summary, Box<Crash>> {
    let watch = Watch::default();
    let (stop, stopped) = sync_channel(0);
    let watch = &watch;
    std::thread::scope(|scope| {
        scope.spawn(move || watch.look(target, &stopped));
        let outcome = runs(target, inputs, seed, limits, watch);
        drop::<SyncSender<()>>(stop);
        outcome
    })
}

fn runs(
    target: &Target,
    inputs: Vec<Vec<u8>>,
    seed: u64,
    limits: Limits,
    watch: &Watch,
) -> Result<Summary, Box<Crash>> {
    let started = Instant::now();
    let mut rng = Rng::new(seed);
    let mut shapes = HashSet::new();
    let mut kept = Vec::new();
    let first = inputs.len() as u64;
    let mut waiting = inputs.into_iter();
    let mut done = 0;
    while done < limits.runs.max(first) && (done < first || started.elapsed() < limits.time) {
        let input = match waiting.next() {
            Some(input) => input,
            None => {
                let mut input = match kept.len() as u64 {
                    0 => Vec::new(),
                    count => kept.get(rng.below(count) as usize).cloned().unwrap_or_default(),
                };
                mutate(&mut rng, &mut input, &kept, target.words);
                input
            }
        };
        watch.begin(&input);
        let shape = attempt(target, &input).map_err(|message| {
            let small = shrink(&input, |candidate| {
                watch.begin(candidate);
                attempt(target, candidate).is_err()
            });
            Box::new(Crash { input: small, message })
        })?;
        watch.end();
        done += 1;
        if (shapes.insert(shape) || done <= first) && kept.len() < MAX_KEPT {
            kept.push(input);
        }
    }
    Ok(Summary { runs: done, shapes: shapes.len() })
}

/// Runs one input once.
pub fn replay(target: &Target, input: &[u8]) -> Result<u64, Box<Crash>> {
    attempt(target, input).map_err(|message| Box::new(Crash { input: input.to_vec(), message }))
}

fn attempt(target: &Target, input: &[u8]) -> Result<u64, String> {
    // The target holds nothing between two runs, so nothing can be left half changed.
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked without a message").to_owned()
    })
}

/// What is running, for the thread that looks out for hangs: a run cannot be interrupted from within.
#[derive(Default)]
struct Watch {
    running: Mutex<Option<(Instant, Vec<u8>)>>,
}

impl Watch {
    fn begin(&self, input: &[u8]) {
        *self.lock() = Some((Instant::now(), input.to_vec()));
    }

    fn end(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Vec<u8>)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the whole process when a run hangs, with its input kept.
    fn look(&self, target: &Target, stopped: &std::sync::mpsc::Receiver<()>) {
        while stopped.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
            let running = self.lock().clone();
            if let Some((_, input)) = running.filter(|(since, _)| since.elapsed() > HANG) {
                let path = keep(target, &input);
                eprintln!("{} hangs: more than {} s. The input is {path:?}", target.name, HANG.as_secs());
                std::process::abort();
            }
        }
    }
}

/// Writes an input that broke something to the temporary folder and says where.
fn keep(target: &Target, input: &[u8]) -> Option<PathBuf> {
    let name = format!("picket-fuzz-{}-{:08x}", target.name, crc32fast::hash(input));
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, input).ok().map(|()| path)
}

impl Crash {
    /// Keeps the input and says what to do with it.
    pub fn report(&self, target: &Target) -> String {
        let place = keep(target, &self.input).map_or("nowhere (it cannot be written)".to_owned(), |path| {
            format!("{}; move it into fuzz/corpus/{}/ when it is mended", path.display(), target.name)
        });
        let input = self.input.escape_ascii();
        format!("{} is broken: {}\n  by: {input}\n  kept in {place}", target.name, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Breaks on a word of its language that no seed has.
    const BRITTLE: Target = Target {
        name: "brittle",
        about: "a parser that cannot bear one word",
        samples: &[],
        seeds: || vec![b"abc".to_vec()],
        words: &["!boom!"],
        run: |input| {
            assert!(!input.windows(6).any(|window| window == b"!boom!"), "boom");
            crate::shape(&[input.len() as u64])
        },
    };

    #[test]
    fn what_breaks_is_found_and_made_small() {
        let limits = Limits { runs: 100_000, time: Duration::from_secs(3600) };
        let crash = fuzz(&BRITTLE, (BRITTLE.seeds)(), 1, limits).expect_err("the word comes up");
        assert_eq!(crash.input, b"!boom!");
        assert_eq!(crash.message, "boom");
    }

    #[test]
    fn runs_are_counted_and_all_inputs_thrown() {
        let inputs = vec![vec![1], vec![2], vec![3]];
        let limits = Limits { runs: 1, time: Duration::ZERO };
        let summary = fuzz(&BRITTLE, inputs, 1, limits).expect("nothing breaks");
        assert_eq!(summary, Summary { runs: 3, shapes: 1 });
    }
}
