//! Tries a source once, for `picket check`: whether what it names can be read, and where that is asked for, whether its
//! targets can be scraped. Nothing of what they say is kept.

use std::sync::Arc;

use picket_http::Net;
use picket_scrape::{Fetcher, Round, ScrapeError, Series, Target};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Config;
use super::config::Checked;
use super::list::List;
use super::source::places;
use crate::sources::Problem;

/// What a try came to.
#[derive(Debug, Default)]
pub struct Tried {
    /// What cannot be read on this machine.
    pub problems: Vec<Problem>,
    /// How many targets there are.
    pub targets: usize,
    /// Each target that was asked, and how many samples it has.
    pub asked: Vec<(String, Result<usize, ScrapeError>)>,
}

/// Tries a source. With `connect` each target is scraped, for at most the time that a scrape may take. Settings that
/// cannot be used find nothing.
pub fn tried(config: &Config, connect: bool) -> Tried {
    let mut tried = Tried::default();
    let Ok(checked) = config.check() else { return tried };
    let mut list = List::new(&checked);
    if let Some(Err(unfit)) = list.look() {
        tried.problems.push(list.problem(&unfit));
    }
    let targets = list.targets();
    tried.targets = targets.len();
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tried.problems.push(Problem::new("the system's resources".as_ref(), &error));
            return tried;
        }
    };
    // Nothing is ever told through it: a check ends by its time limits, or by the person who started it.
    let (_stop, stopped) = watch::channel(None);
    let net = Net::new(runtime.handle().clone(), stopped);
    match Fetcher::new(&checked.client, &net, checked.body) {
        Err(error) => tried.problems.push(Problem {
            path: "http".into(),
            error: error.to_string(),
            remedy: "Mend the setting or the file that it names.".to_owned(),
        }),
        Ok(fetcher) if connect => {
            tried.asked = runtime.block_on(ask(&checked, Arc::new(fetcher), targets));
        }
        Ok(_) => {}
    }
    // A name that is still being looked up must not hold up the end.
    runtime.shutdown_background();
    tried
}

async fn ask(
    checked: &Checked,
    fetcher: Arc<Fetcher>,
    targets: Vec<Target>,
) -> Vec<(String, Result<usize, ScrapeError>)> {
    let (mut waiting, mut running, mut asked) = (targets.into_iter(), JoinSet::new(), Vec::new());
    loop {
        while running.len() < places(checked.body)
            && let Some(target) = waiting.next()
        {
            let fetcher = fetcher.clone();
            running.spawn(async move {
                let page = fetcher.fetch(&target.url).await;
                (target, page)
            });
        }
        match running.join_next().await {
            Some(Ok((target, page))) => {
                let round = Round { time: 1, took: std::time::Duration::ZERO, page };
                let taken = checked.rules.take(&target, &mut Series::default(), round, usize::MAX);
                asked.push((target.url.shown(), taken.outcome.map(|()| taken.of_page)));
            }
            Some(Err(ended)) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            Some(Err(_)) => {}
            None => break,
        }
    }
    asked.sort_by(|left, right| left.0.cmp(&right.0));
    asked
}
