//! The agent with a bug: the thread that logs an event with the text of `BUG_TEXT` panics there, as often as
//! `BUG_TIMES` says. Other than that it is `picket run --config FILE`, without any other verb or flag.
#![forbid(unsafe_code)]

use std::env;
use std::fmt::Debug;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use picket::agent::{self, Lost};
use picket::config::{self, Options};
use picket::telemetry;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

fn main() -> ExitCode {
    if env::args().nth(1).is_some_and(|verb| verb == agent::COMPILE_VERB) {
        return agent::compile_child();
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            // As the command line does, whose own test holds it to the number.
            ExitCode::from(if error.is::<Lost>() { 70 } else { 1 })
        }
    }
}

fn run() -> anyhow::Result<()> {
    let text = env::var("BUG_TEXT").context("BUG_TEXT")?;
    let left = env::var("BUG_TIMES").context("BUG_TIMES")?.parse::<usize>()?.into();
    let log = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(std::io::stderr);
    let level = tracing_subscriber::filter::LevelFilter::INFO;
    tracing_subscriber::registry().with(level).with(log).with(Bug { text, left }).try_init()?;
    telemetry::log_panics();
    let file = env::args_os().nth(3).context("run --config FILE")?;
    let options = Options::of_process(file.into());
    agent::run(config::load(&options)?, options)
}

struct Bug {
    text: String,
    left: AtomicUsize,
}

impl<S: Subscriber> Layer<S> for Bug {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut search = Search { text: &self.text, found: false };
        event.record(&mut search);
        let one_less = |left: usize| left.checked_sub(1);
        if search.found && self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
            panic!("the test's own bug");
        }
    }
}

struct Search<'a> {
    text: &'a str,
    found: bool,
}

impl Visit for Search<'_> {
    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        self.found |= format!("{value:?}").contains(self.text);
    }
}
