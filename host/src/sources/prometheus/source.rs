//! Fetches the pages of targets when they are due, and hands on what they become.
//!
//! The source's thread has a runtime of its own: all scrapes run on it side by side, so that a target that hangs holds
//! up nobody, and their pages are read one after the other.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use picket_http::{Net, NoAnswer};
use picket_scrape::{Fetcher, Round, ScrapeError, Target};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinError, JoinSet};

use super::config::Checked;
use super::list::List;
use super::memory::Memory;
use super::metrics::SourceMetrics as ScrapeMetrics;
use super::standing::{Change, Standing};
use crate::model::now_nanos;
use crate::pipeline::route::Router;
use crate::sources::metrics::SourceMetrics;
use crate::sources::sink::SampleSink;
use crate::sources::status::{Problem, SourceStatus, StatusBoard};

/// The pages of all scrapes that run at once, in bytes, were each as large as it may be: half of what they take when
/// all of them are compressed.
const MAX_PAGES: usize = 512 << 20;
/// Scrapes that run at once, however small pages may be: each has a connection.
const MOST: usize = 128;
/// Between two looks at the targets file.
const LOOK: Duration = Duration::from_secs(2);
/// Between two tries when the system gives no runtime.
const AGAIN: Duration = Duration::from_secs(10);

/// What a `prometheus` source needs.
#[derive(Clone)]
pub struct Parts {
    /// Its name.
    pub name: String,
    /// Its settings.
    pub config: Checked,
    /// What its targets had before.
    pub memory: Memory,
    /// To sleep on before there is a runtime.
    pub router: Arc<Router>,
    /// Where samples go.
    pub sink: Arc<dyn SampleSink>,
    /// Where to count samples.
    pub metrics: SourceMetrics,
    /// Where to count scrapes.
    pub scrapes: ScrapeMetrics,
    /// Where to tell how it is doing.
    pub status: StatusBoard,
    /// Set when it has to stop.
    pub stop: Arc<AtomicBool>,
    /// Told after that.
    pub wake: Arc<Notify>,
}

/// A scrape that is over.
type Done = Result<(Arc<Target>, Round), JoinError>;

/// The source as it runs.
struct Source {
    parts: Parts,
    net: Net,
    list: List,
    standing: Standing,
    /// None when certificates or secrets cannot be read.
    fetcher: Option<Arc<Fetcher>>,
    running: JoinSet<(Arc<Target>, Round)>,
    /// About the targets file.
    problem: Option<Problem>,
}

/// How many scrapes of pages of so many bytes may run at once: 32 by default. A target that hangs holds a place until
/// its time is over, so more of them than places hold up others.
pub(super) fn places(body: usize) -> usize {
    (MAX_PAGES / body.max(1)).clamp(1, MOST)
}

impl Parts {
    /// Works until it is told to stop.
    pub fn run(self) {
        let Some(runtime) = self.runtime() else { return };
        // Nothing is told through it: what runs when the source stops ends with the runtime.
        let (_stop, stopped) = watch::channel(None);
        let net = Net::new(runtime.handle().clone(), stopped);
        let list = List::new(&self.config);
        let mut source = Source {
            parts: self,
            net,
            list,
            standing: Standing::default(),
            fetcher: None,
            running: JoinSet::new(),
            problem: None,
        };
        runtime.block_on(source.work());
        drop(source);
        // A name that is still being looked up must not hold up the end.
        runtime.shutdown_background();
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// None when it has to stop before there is one.
    fn runtime(&self) -> Option<Runtime> {
        loop {
            let error = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => return Some(runtime),
                Err(error) => error,
            };
            tracing::error!(source = self.name, %error, "The source cannot begin yet; it tries again.");
            let until = Instant::now() + AGAIN;
            while Instant::now() < until {
                if self.is_stopped() {
                    return None;
                }
                let seen = self.router.version();
                self.router.wait_for_change(seen, until.min(Instant::now() + Duration::from_secs(1)));
            }
        }
    }
}

impl Source {
    async fn work(&mut self) {
        let wake = self.parts.wake.clone();
        let mut looked = self.look(true);
        while !self.parts.is_stopped() {
            if looked.elapsed() >= LOOK {
                looked = self.look(false);
            }
            self.start_due();
            let next = self.standing.next().filter(|_| self.running.len() < places(self.parts.config.body));
            let until = next.map_or(looked + LOOK, |next| next.min(looked + LOOK));
            tokio::select! {
                () = wake.notified() => {}
                Some(done) = self.running.join_next() => self.finish(done),
                () = tokio::time::sleep_until(until.into()) => {}
            }
        }
    }

    /// Looks for other targets. Gives when it was.
    fn look(&mut self, is_first: bool) -> Instant {
        let found = self.list.look();
        let is_news = is_first || matches!(found, Some(Ok(())));
        match found {
            None => {}
            Some(Ok(())) => self.problem = None,
            Some(Err(unfit)) => {
                let problem = self.list.problem(&unfit);
                tracing::warn!(
                    source = self.parts.name,
                    path = %problem.path.display(),
                    error = problem.error,
                    remedy = problem.remedy,
                    "The targets file cannot be used; its former targets stay."
                );
                self.parts.scrapes.file_error();
                self.problem = Some(problem);
                self.tell();
            }
        }
        if is_news {
            self.standing.set(self.list.targets(), self.parts.config.interval, now_nanos());
            if self.list.is_whole() {
                let ended = self.parts.memory.end(|key| !self.standing.has(key), now_nanos());
                self.hand_on(ended);
            }
            self.tell();
        }
        Instant::now()
    }

    fn start_due(&mut self) {
        while self.running.len() < places(self.parts.config.body) {
            let Some(target) = self.standing.start(self.parts.config.interval, Instant::now()) else {
                return;
            };
            match self.fetcher() {
                Ok(fetcher) => drop(self.running.spawn(scrape(fetcher, target))),
                Err(error) => {
                    let (time, took) = (now_nanos(), Duration::ZERO);
                    self.finish(Ok((target, Round { time, took, page: Err(error) })));
                }
            }
        }
    }

    /// Made anew until its files can be read.
    fn fetcher(&mut self) -> Result<Arc<Fetcher>, ScrapeError> {
        if let Some(fetcher) = &self.fetcher {
            return Ok(fetcher.clone());
        }
        let Checked { client, body, .. } = &self.parts.config;
        let made = Fetcher::new(client, &self.net, *body)
            .map_err(|error| ScrapeError::NoAnswer(NoAnswer::NotSent { cause: error.to_string() }))?;
        Ok(self.fetcher.insert(Arc::new(made)).clone())
    }

    /// Takes a scrape that is over, and all others that are over too: what cannot be committed takes a moment each
    /// time, and must not hold up one target after the other.
    fn finish(&mut self, first: Done) {
        let mut samples = Vec::new();
        let mut next = Some(first);
        while let Some(done) = next {
            match done {
                Ok((target, round)) => samples.append(&mut self.take(&target, round)),
                Err(ended) if ended.is_panic() => resume_unwind(ended.into_panic()),
                // It was stopped, which only the end of the source does.
                Err(_) => {}
            }
            next = self.running.try_join_next();
        }
        self.hand_on(samples);
        self.tell();
    }

    fn take(&mut self, target: &Target, round: Round) -> Vec<crate::model::Sample> {
        if !self.standing.has(&target.key()) {
            return Vec::new();
        }
        let taken = self.parts.memory.take(&self.parts.config.rules, target, round);
        self.parts
            .scrapes
            .scraped(taken.outcome.as_ref().map_or_else(ScrapeError::reason, |()| "ok"), taken.left_out);
        let (source, url) = (&self.parts.name, target.url.shown());
        match (self.standing.end(target, &taken.outcome), &taken.outcome) {
            (Change::Fails, Err(error)) => {
                tracing::warn!(source, url, %error, remedy = error.remedy(), "A target cannot be scraped.");
            }
            (Change::Recovers, _) => tracing::info!(source, url, "A target can be scraped again."),
            _ => {}
        }
        if !taken.described.is_empty() {
            self.parts.sink.described(&taken.described);
        }
        taken.samples
    }

    fn hand_on(&self, samples: Vec<crate::model::Sample>) {
        if samples.is_empty() {
            return;
        }
        let count = samples.len();
        self.parts.metrics.samples(count);
        if self.parts.sink.scraped(&self.parts.name, samples).is_err() {
            self.parts.metrics.drop_samples(count);
        }
    }

    fn tell(&self) {
        self.parts.scrapes.targets(self.standing.len(), self.standing.up());
        self.parts.status.set(SourceStatus {
            name: self.parts.name.clone(),
            kind: "prometheus".to_owned(),
            streams: self.standing.len(),
            problems: self.problem.iter().chain(self.standing.problems()).cloned().collect(),
            ..SourceStatus::default()
        });
    }
}

async fn scrape(fetcher: Arc<Fetcher>, target: Arc<Target>) -> (Arc<Target>, Round) {
    let (time, begun) = (now_nanos(), Instant::now());
    let page = fetcher.fetch(&target.url).await;
    (target, Round { time, took: begun.elapsed(), page })
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
