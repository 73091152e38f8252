//! Tries the upstreams of a configuration for `check`: whether everything that a forwarder needs can be read, and,
//! where that is asked for, whether its receiver would take what it is sent. No frame is sent, no cursor moves, and
//! forwarders that write files are none of its business.

use std::thread;

use tokio::runtime::Builder;
use tokio::sync::watch;

use super::check::Found;
use super::daemon;
use crate::config::{Checked, Code, Problem};
use crate::forwarders::{Config, Link, SendError};

/// What trying one forwarder came to.
enum Tried {
    /// Everything that it needs was read; its receiver was not asked.
    Ready,
    /// Something that it needs cannot be read.
    Unready(SendError),
    /// The receiver would take frames.
    Takes(String),
    /// The receiver cannot be reached, or would not take them.
    Fails(SendError),
}

/// Tries all forwarders that need the network, side by side. With `connect` each receiver is asked as well, for at
/// most the forwarder's own time limit for each request.
pub(super) fn look(checked: &Checked, connect: bool, found: &mut Found) {
    let upstreams: Vec<_> = checked.forwarders.iter().filter(|(_, config)| config.needs_network()).collect();
    if upstreams.is_empty() {
        return;
    }
    let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("upstream").enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let message = format!("forwarders cannot be tried: {error}");
            return found.problems.push(Problem::new(Code::Forwarder, message));
        }
    };
    // Nothing is ever told through it: a check ends by its time limits, or by the person who started it.
    let (_stop, stop) = watch::channel(None);
    let link = &Link::new(runtime.handle().clone(), &daemon::node_name(), stop);
    let tried: Vec<Tried> = thread::scope(|scope| {
        let running: Vec<_> =
            upstreams.iter().map(|(_, config)| scope.spawn(move || try_one(config, link, connect))).collect();
        let ended = |thread: thread::ScopedJoinHandle<'_, Tried>| match thread.join() {
            Ok(tried) => tried,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        running.into_iter().map(ended).collect()
    });
    for ((name, config), tried) in upstreams.into_iter().zip(tried) {
        tell(checked, name, config, tried, found);
    }
    // A name that is still being looked up must not hold up the end.
    runtime.shutdown_background();
}

fn try_one(config: &Config, link: &Link, connect: bool) -> Tried {
    let mut forwarder = match config.connected(link) {
        Ok(forwarder) => forwarder,
        Err(error) => return Tried::Unready(error),
    };
    if !connect {
        return Tried::Ready;
    }
    match forwarder.probe() {
        Ok(what) => Tried::Takes(what),
        Err(error) => Tried::Fails(error),
    }
}

fn tell(checked: &Checked, name: &str, config: &Config, tried: Tried, found: &mut Found) {
    let who = format!("forwarder `{name}` ({})", config.kind());
    let there = match config.receiver() {
        Some(receiver) => format!("{who}: {receiver}"),
        None => who.clone(),
    };
    match tried {
        Tried::Ready => {}
        Tried::Takes(what) => found.notes.push(format!("{there}: {what}")),
        Tried::Unready(error) => {
            let said = error.to_string();
            // What to do stands behind what happened.
            let (what, remedy) = match said.rsplit_once("; ") {
                Some((what, remedy)) => (what, Some(remedy)),
                None => (said.as_str(), None),
            };
            let key = setting(name, config, &said);
            let problem = checked.problem_at(&key, Code::Forwarder, format!("{who}: {what}"));
            found.problems.push(match remedy {
                Some(remedy) => problem.help(remedy),
                None => problem,
            });
        }
        Tried::Fails(error) => {
            let key = format!("forwarders.{name}");
            found.problems.push(checked.problem_at(&key, Code::Upstream, format!("{there}: {error}")));
        }
    }
}

/// The setting whose file is spoken of; the forwarder's section when that is none.
fn setting(name: &str, config: &Config, said: &str) -> String {
    let mut config = config.clone();
    let paths = config.paths_mut().into_iter().map(|(key, path)| (key, path.display().to_string()));
    // Of two paths of which one begins like the other the longer one is meant.
    let spoken_of = paths.filter(|(_, path)| said.contains(path)).max_by_key(|(_, path)| path.len());
    match spoken_of {
        Some((key, _)) => format!("forwarders.{name}.{key}"),
        None => format!("forwarders.{name}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener};

    use super::*;
    use crate::config::{Options, load_text};

    fn tried(text: &str, connect: bool) -> Found {
        let checked = load_text("picket.toml", text, &Options::default()).unwrap();
        let mut found = Found::default();
        look(&checked, connect, &mut found);
        found
    }

    fn remote_write(address: SocketAddr, more: &str) -> String {
        format!(
            "[forwarders.metrics]\nkind = \"remote_write\"\nurl = \"http://{address}/write?token=hunter2\"\n\
             [forwarders.metrics.http]\nproxy = \"none\"\n{more}\n"
        )
    }

    /// Answers one request of remote write without samples, which has one byte.
    fn receiver(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            let mut line = String::new();
            while stream.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            stream.read_exact(&mut [0]).unwrap();
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        });
        address
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_setting_and_without_asking_anybody() {
        let folder = tempfile::tempdir().unwrap();
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        let file = folder.path().join("password");
        let basic = format!("basic_auth = {{ username = \"u\", password_file = \"{}\" }}", file.display());
        let text = remote_write(nobody, &basic);
        let found = tried(&text, false);
        assert_eq!(found.problems.len(), 1, "{:?}", found.problems);
        let problem = &found.problems[0];
        assert_eq!(problem.code, Code::Forwarder);
        assert_eq!(problem.key.as_deref(), Some("forwarders.metrics.http.basic_auth.password_file"));
        assert!(problem.message.starts_with("forwarder `metrics` (remote_write): "), "{problem}");
        assert!(problem.message.contains(&file.display().to_string()), "{problem}");
        assert!(problem.help.as_deref().unwrap().contains("may read it"), "{problem}");

        std::fs::write(&file, "hunter2").unwrap();
        let found = tried(&text, false);
        assert!(found.problems.is_empty() && found.notes.is_empty(), "{found:?}");
    }

    #[test]
    fn secrets_and_certificates_of_every_kind_are_read() {
        let file = tempfile::tempdir().unwrap().path().join("gone");
        let file = file.display();
        for (text, key) in [
            (
                format!("kind = \"fluent\"\naddress = \"127.0.0.1:1\"\nshared_key_file = \"{file}\""),
                "shared_key_file",
            ),
            (
                format!("kind = \"fluent\"\naddress = \"127.0.0.1:1\"\ntls.ca_file = \"{file}\""),
                "tls.ca_file",
            ),
            (format!("kind = \"webhook\"\nurl_file = \"{file}\""), "url_file"),
            (
                format!(
                    "kind = \"alertmanager\"\nurls = [\"https://127.0.0.1:1\"]\nhttp.tls.ca_file = \"{file}\""
                ),
                "http.tls.ca_file",
            ),
            (
                format!("kind = \"otlp\"\nurl = \"http://127.0.0.1:1\"\nhttp.bearer_token_file = \"{file}\""),
                "http.bearer_token_file",
            ),
        ] {
            let found = tried(&format!("[forwarders.up]\n{text}\n"), false);
            let keys: Vec<_> = found.problems.iter().filter_map(|problem| problem.key.as_deref()).collect();
            assert_eq!(keys, [format!("forwarders.up.{key}")], "{:?}", found.problems);
        }
    }

    #[test]
    fn a_receiver_that_takes_frames_is_a_note() {
        let address = receiver("HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n");
        let found = tried(&remote_write(address, ""), true);
        assert!(found.problems.is_empty(), "{:?}", found.problems);
        let note =
            format!("forwarder `metrics` (remote_write): http://{address}/write: takes remote write 1.0");
        assert_eq!(found.notes, [note]);
    }

    #[test]
    fn a_receiver_that_does_not_is_a_problem_of_its_own_class() {
        let address = receiver("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n");
        let found = tried(&remote_write(address, ""), true);
        assert!(found.notes.is_empty(), "{:?}", found.notes);
        assert_eq!(found.problems.len(), 1, "{:?}", found.problems);
        let problem = &found.problems[0];
        assert_eq!((problem.code, problem.key.as_deref()), (Code::Upstream, Some("forwarders.metrics")));
        for part in ["forwarder `metrics` (remote_write): http://127.0.0.1:", "401", "http.basic_auth"] {
            assert!(problem.message.contains(part), "`{part}` is missing in {problem}");
        }
        assert!(!problem.to_string().contains("hunter2"), "{problem}");
    }
}
