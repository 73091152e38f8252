//! Looks for everything that would keep a configuration from working, without changing anything.
//!
//! What may be a mistake or may be as it should (a log folder that does not exist yet) is a note: it is
//! told, and is no failure.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::Context as _;
use picket_journal::{JournalError, RealFs};
use prometheus::Registry;

use super::core::{Core, Folders};
use super::daemon::{brings, place, wanted};
use super::disk::{self, Refused};
use super::{targets, upstreams};
use crate::config::paths;
use crate::config::{Checked, Code, Problem};
use crate::forwarders;
use crate::lifecycle::trusted::{self, TrustError};
use crate::lifecycle::{Rejection, StageError, StoreError};
use crate::sources::SourceConfig;
use crate::state::{Room, State, StateError};

/// The user id that may do everything.
const ROOT: u32 = 0;

/// What a look at the machine came to.
#[derive(Debug, Default)]
pub struct Found {
    /// What keeps the configuration from working.
    pub problems: Vec<Problem>,
    /// What an operator may want to know, a sentence each.
    pub notes: Vec<String>,
}

/// Compiles, links and configures every plugin in a folder that is thrown away, and tries the data folder,
/// the sources and the forwarders; with `connect` also whether targets can be scraped and the forwarders' receivers take
/// anything. What is wrong with a target or a receiver, and not with this machine, is a [`Code::Upstream`].
pub fn check(checked: &Checked, connect: bool) -> Found {
    let mut found = Found::default();
    data_folder(checked, rustix::process::geteuid().as_raw(), &mut found);
    sources(checked, &mut found);
    if connect {
        targets::look(checked, &mut found);
    }
    upstreams::look(checked, connect, &mut found);
    let problems = &mut found.problems;
    problems.extend(forwarders(checked));
    match plugins(checked) {
        Ok(found) => problems.extend(found),
        Err(error) => {
            problems.push(Problem::new(Code::Component, format!("plugins cannot be tried: {error:#}")))
        }
    }
    found
}

/// Sources that cannot be read, and those that find nothing yet.
fn sources(checked: &Checked, found: &mut Found) {
    for (name, source) in &checked.sources {
        let probed = source.probe();
        let is_scraped = matches!(source, SourceConfig::Prometheus(_));
        let key = if is_scraped { format!("sources.{name}") } else { format!("sources.{name}.include") };
        for unreadable in &probed.unreadable {
            let (path, error) = (unreadable.path.display(), &unreadable.error);
            let message = match is_scraped {
                true => format!("source `{name}`: {path}: {error}"),
                false => format!("source `{name}` cannot read {path}: {error}"),
            };
            found.problems.push(checked.problem_at(&key, Code::Source, message).help(&unreadable.remedy));
        }
        for folder in &probed.missing {
            found.notes.push(format!("source `{name}`: {} does not exist (yet)", folder.display()));
        }
        if probed.readable == 0 && probed.missing.is_empty() && probed.unreadable.is_empty() {
            found.notes.push(match is_scraped {
                true => format!("source `{name}`: no target is there (yet)"),
                false => format!("source `{name}`: no file is there (yet) that its patterns match"),
            });
        }
    }
}

/// Forwarders whose file cannot be written.
fn forwarders(checked: &Checked) -> Vec<Problem> {
    let problem = |(name, forwarder): (&String, &forwarders::Config)| {
        let path = forwarder.path()?;
        let refused = disk::takes(path.parent()?).err()?;
        // A file that is there needs no right to its folder, but room like all others.
        let opens = || std::fs::OpenOptions::new().append(true).open(path).is_ok();
        if !refused.is_full() && opens() {
            return None;
        }
        let Refused { path: folder, error } = refused;
        let (path, folder) = (path.display(), folder.display());
        let message = format!("forwarder `{name}` cannot write {path}: {folder}: {error}");
        let problem = checked.problem_at(&format!("forwarders.{name}.path"), Code::Forwarder, message);
        Some(match forwarders::remedy(&error) {
            Some(remedy) => problem.help(remedy),
            None => problem,
        })
    };
    checked.forwarders.iter().filter_map(problem).collect()
}

/// A folder that cannot be made or written to, that is not the agent's alone, whose disk is full, that another
/// agent holds, or that a newer one has written. An agent that runs with this very configuration holds it too:
/// that is fine.
fn data_folder(checked: &Checked, caller: u32, found: &mut Found) {
    let problem = |message: String| checked.problem_at("data_dir", Code::Data, message);
    let tried = disk::takes(&checked.data_dir);
    if let Some(Refused { path, error }) = tried.as_ref().err().filter(|refused| !refused.is_full()) {
        let (data_dir, folder) = (checked.data_dir.display(), path.display());
        let message = format!("the data folder {data_dir} cannot be used: {folder}: {error}");
        let help = "give the agent's user a folder that it may write to, or name another one in `data_dir`";
        return found.problems.push(problem(message).help(help));
    }
    let agent = agents_user(&checked.data_dir, caller);
    let foreign =
        |folder: &Path| folder.exists().then(|| trusted::judge_private_of(folder, agent).err()).flatten();
    if let Some(error) = foreign(&checked.data_dir).or_else(|| foreign(&checked.data_dir.join("generations")))
    {
        return found.problems.push(problem(error.to_string()));
    }
    if let Some(full) = full(checked, tried.is_err()) {
        return found.problems.push(full);
    }
    if std::os::unix::net::UnixStream::connect(&checked.api.socket).is_ok() {
        return;
    }
    if agent != caller {
        // Opened by root, the state would get files that the agent's user could not write.
        let data_dir = checked.data_dir.display();
        return found.notes.push(format!(
            "{data_dir} belongs to user {agent}, as whom the agent has to run; what is in it was not looked \
             at: for that, run the check as this user"
        ));
    }
    let state = checked.data_dir.join("state");
    let opened = if state.exists() { State::inspect(&state, checked.state.cache.0).err() } else { None };
    let opened = match opened {
        Some(StateError::Damaged { what }) => {
            found.notes.push(format!("{what} is damaged: the agent repairs it when it starts"));
            None
        }
        other => other,
    };
    let inspected = picket_journal::inspect(&RealFs, &checked.data_dir.join("journal")).err();
    let messages = [opened.map(|error| error.to_string()), inspected.map(|error| error.to_string())];
    found.problems.extend(messages.into_iter().flatten().map(problem));
}

/// As whom the agent runs, as far as its folder tells: root looks after agents of other users too.
fn agents_user(data_dir: &Path, caller: u32) -> u32 {
    let owner = data_dir.metadata().map(|metadata| metadata.uid());
    owner.ok().filter(|_| caller == ROOT).unwrap_or(caller)
}

/// Too little room for commits, be it that the disk has none, or that the agent's user may take no more.
fn full(checked: &Checked, refused: bool) -> Option<Problem> {
    let data_dir = checked.data_dir.display();
    let message = match Room::of(&checked.data_dir.join("state")) {
        Ok(room) if !room.is_enough() => {
            let [free, needed] = [room.free, room.needed].map(|bytes| bytes >> 20);
            format!(
                "the disk of the data folder {data_dir} is full: {free} MiB are free, {needed} MiB are needed"
            )
        }
        Err(error) => format!("the free room of the data folder {data_dir} cannot be read: {error}"),
        Ok(_) if refused => {
            format!(
                "the disk of the data folder {data_dir} is full for the agent's user: it takes no new file"
            )
        }
        Ok(_) => return None,
    };
    let help = "free some space there (and some inodes, see `df -i`), or name a folder on another disk in \
                `data_dir`";
    Some(checked.problem_at("data_dir", Code::Data, message).help(help))
}

/// Why the agent did not start, if it is that the data folder is not for it.
pub fn data_problem(checked: &Checked, error: &anyhow::Error) -> Option<Problem> {
    let state = error.chain().find_map(|cause| cause.downcast_ref::<StateError>());
    let journal = error.chain().find_map(|cause| cause.downcast_ref::<JournalError>());
    let not_ours = matches!(state, Some(StateError::Held { .. } | StateError::NewerVersion { .. }))
        || matches!(journal, Some(JournalError::Held { .. } | JournalError::NewerVersion { .. }));
    let foreign = error.chain().any(|cause| {
        let store = cause.downcast_ref::<StoreError>().is_some_and(|it| matches!(it, StoreError::Folder(_)));
        store
            || cause
                .downcast_ref::<TrustError>()
                .is_some_and(|it| matches!(it, TrustError::NotPrivate { .. }))
    });
    (not_ours || foreign).then(|| checked.problem_at("data_dir", Code::Data, format!("{error:#}")))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};

    use super::*;
    use crate::config::{Options, load_text};

    #[test]
    fn root_judges_the_folder_of_another_users_agent_as_that_user_does() {
        const SOMEBODY: u32 = 54_321;
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::DirBuilder::new().mode(0o700).create(&data).unwrap();
        std::fs::create_dir(data.join("state")).unwrap();
        // Who is not root has a folder that belongs to somebody else than root anyway.
        if rustix::process::geteuid().is_root() {
            chown(&data, Some(SOMEBODY), None).unwrap();
        }
        let owner = data.metadata().unwrap().uid();
        let checked =
            load_text("picket.toml", &format!("data_dir = \"{}\"\n", data.display()), &Options::default());
        let checked = checked.unwrap();
        let look = |caller| {
            let mut found = Found::default();
            data_folder(&checked, caller, &mut found);
            found
        };
        let found = look(ROOT);
        assert!(found.problems.is_empty(), "{:?}", found.problems);
        assert!(found.notes[0].contains(&format!("belongs to user {owner}")), "{:?}", found.notes);
        assert_eq!(data.join("state").read_dir().unwrap().count(), 0, "nothing was made in it");
        assert_eq!(look(owner + 1).problems.len(), 1, "who is not root judges for itself");
        // What is wrong for the agent's own user is wrong for root too, and the advice is for that user.
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o770)).unwrap();
        let problem = look(ROOT).problems.remove(0).message;
        assert!(problem.contains(&format!("chown -R {owner}")), "{problem}");
    }
}
