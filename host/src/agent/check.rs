//! Looks for everything that would keep a configuration from working, without changing anything.

use anyhow::Context as _;
use prometheus::Registry;

use super::core::{Core, Folders};
use super::daemon::{brings, place, wanted};
use crate::config::paths;
use crate::config::{Checked, Code, Problem};
use crate::lifecycle::{Rejection, StageError};
use crate::state::State;

/// Compiles, links and configures every plugin in a folder that is thrown away, and tries the data folder.
pub fn check(checked: &Checked) -> Vec<Problem> {
    let mut problems = data_folder(checked);
    match plugins(checked) {
        Ok(found) => problems.extend(found),
        Err(error) => {
            problems.push(Problem::new(Code::Component, format!("plugins cannot be tried: {error:#}")))
        }
    }
    problems
}

/// A folder that another agent holds, or that a newer one has written. An agent that runs with this very
/// configuration holds it too: that is fine.
fn data_folder(checked: &Checked) -> Vec<Problem> {
    let folder = checked.data_dir.join("state");
    if !folder.exists() || std::os::unix::net::UnixStream::connect(&checked.api.socket).is_ok() {
        return Vec::new();
    }
    match State::open(&folder, checked.state.cache.0) {
        Ok(_) => Vec::new(),
        Err(error) => vec![checked.problem_at("data_dir", Code::Data, error.to_string())],
    }
}

fn plugins(checked: &Checked) -> anyhow::Result<Vec<Problem>> {
    let scratch = tempfile::tempdir().context("no temporary folder can be made")?;
    let folders = Folders { data: scratch.path().join("data"), cache: paths::cache_dir().join("compiled") };
    let mut core = Core::start(checked, &folders, Registry::new())?;
    let sources = brings(checked);
    let locate = |path: &str| place(checked, path);
    let tried = core.lifecycle.try_all(&wanted(checked, &sources, &locate));
    let problems = tried.into_iter().map(|(plugin, rejection)| {
        let key = format!("plugins.{plugin}");
        checked.problem_at(&key, code(&rejection), format!("plugin `{plugin}`: {rejection}"))
    });
    let problems = problems.collect();
    core.stop_plugins(std::time::Duration::ZERO).close()?;
    Ok(problems)
}

fn code(rejection: &Rejection) -> Code {
    match rejection {
        Rejection::Stage(
            StageError::Untrusted(_) | StageError::Folder { .. } | StageError::TooManyAssets { .. },
        )
        | Rejection::Compile { .. } => Code::Component,
        Rejection::Link { .. } => Code::Ungranted,
        _ => Code::Plugin,
    }
}
