//! Tries the targets of `prometheus` sources for `check --connect`: whether each of them can be scraped now. Nothing of
//! what they say is kept.

use super::check::Found;
use crate::config::{Checked, Code};
use crate::sources::SourceConfig;
use crate::sources::prometheus::probe::tried;

/// Scrapes each target of each source once.
pub(super) fn look(checked: &Checked, found: &mut Found) {
    for (name, source) in &checked.sources {
        let SourceConfig::Prometheus(config) = source else { continue };
        // What cannot be read on this machine was told with the other sources.
        for (url, outcome) in tried(config, true).asked {
            let there = format!("source `{name}`: {url}");
            match outcome {
                Ok(samples) => found.notes.push(format!("{there}: {samples} samples")),
                Err(error) => {
                    let key = format!("sources.{name}");
                    let problem = checked.problem_at(&key, Code::Upstream, format!("{there}: {error}"));
                    found.problems.push(problem.help(error.remedy()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;

    use super::*;
    use crate::config::{Options, load_text};

    #[test]
    fn each_target_is_scraped_once_and_a_bad_one_is_blamed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let served = std::thread::spawn(move || {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            let mut line = String::new();
            while stream.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\na 1\nb 2\n").unwrap();
        });
        let text =
            format!("[sources.s]\nkind = \"prometheus\"\ntargets = [\"{address}\", \"127.0.0.1:1\"]\n");
        let checked = load_text("picket.toml", &text, &Options::default()).unwrap();
        let mut found = Found::default();
        look(&checked, &mut found);
        served.join().unwrap();
        assert_eq!(found.notes, [format!("source `s`: http://{address}/metrics: 2 samples")]);
        let [problem] = &found.problems[..] else { panic!("{:?}", found.problems) };
        assert_eq!((problem.code, problem.key.as_deref()), (Code::Upstream, Some("sources.s")));
        assert!(
            problem.message.starts_with("source `s`: http://127.0.0.1:1/metrics: cannot connect"),
            "{problem}"
        );
    }
}
