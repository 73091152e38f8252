//! Two targets whose pages a test changes while they are scraped.

use std::net::SocketAddr;
use std::time::Instant;

use picket_tests::servers::{Page, Target};

/// What the counter of the first target does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// It stays as it is.
    Rests,
    /// It grows by a thousand a second.
    Grows,
    /// It begins anew again and again, at less than one each time.
    Restarts,
}

/// The targets and what is on their pages.
pub(super) struct Site {
    first: Target,
    second: Target,
    /// `load` of the first target.
    pub(super) load: u32,
    /// `queue_length` of the first target.
    pub(super) queue: u32,
    /// `disk_free` of the second target, of 100 GiB.
    pub(super) free: u64,
    /// Whether the second target has a `heartbeat`.
    pub(super) heartbeat: bool,
    work: Work,
    since: Instant,
    total: f64,
}

impl Site {
    /// Nothing is wrong with them.
    pub(super) fn start() -> Self {
        let (first, second) = (Target::start(Page::Silent), Target::start(Page::Silent));
        let (work, since, total) = (Work::Rests, Instant::now(), 0.0);
        let site =
            Self { first, second, load: 10, queue: 0, free: 60 << 30, heartbeat: true, work, since, total };
        site.show();
        site
    }

    /// Both.
    pub(super) fn addresses(&self) -> [SocketAddr; 2] {
        [self.first.address(), self.second.address()]
    }

    /// The second target refuses all, or comes back.
    pub(super) fn set_up(&self, up: bool) {
        if up { self.second.reopen() } else { self.second.shut() }
    }

    /// The counter does something else from now on.
    pub(super) fn set_work(&mut self, work: Work) {
        (self.total, self.since, self.work) = (self.total(), Instant::now(), work);
    }

    /// The pages as they are now. The counter moves with each call.
    pub(super) fn show(&self) {
        let Self { load, queue, free, .. } = self;
        self.first.answer(Page::Text(format!(
            "load{{zone=\"east\"}} {load}\nqueue_length {queue}\n# TYPE work_total counter\nwork_total {}\n",
            self.total()
        )));
        let heartbeat = if self.heartbeat { "heartbeat 1\n" } else { "" };
        self.second.answer(Page::Text(format!(
            "load{{zone=\"west\"}} 20\ndisk_free {free}\ndisk_size {}\n{heartbeat}",
            100_u64 << 30
        )));
    }

    fn total(&self) -> f64 {
        let seconds = self.since.elapsed().as_secs_f64();
        match self.work {
            Work::Rests => self.total,
            Work::Grows => self.total + 1000.0 * seconds,
            // What it has after a restart counts as an increase: too little for anybody to call it busy.
            Work::Restarts => 1.0 / (1.0 + seconds),
        }
    }
}
