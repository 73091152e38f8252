//! What people and files give the agent itself: configuration, selectors, sizes, text for terminals, and
//! what it finds in its own journal.

use picket::config::{Options, load_text};
use picket::lifecycle::selector::Selector;
use picket::model::{ByteSize, Frame, Label, Sample, Span};
use picket::pipeline::commit::{frames, writes};
use picket::telemetry::escape;

use crate::{Target, shape, shape_of_text};

/// A configuration file.
pub(super) const CONFIG: Target = Target {
    name: "config",
    about: "the text of a configuration file",
    samples: &[],
    seeds: || vec![CONFIGURATION.as_bytes().to_vec()],
    words: &[
        "[sources.a]",
        "[plugins.a]",
        "[plugins.a.grants]",
        "[plugins.a.limits]",
        "[forwarders.a]",
        "kind = ",
        "\"file\"",
        "\"directory\"",
        "\"host\"",
        "include = [",
        "state = ",
        "series = true",
        "\"16MiB\"",
        "\"15s\"",
        "\"\"\"",
        "1979-05-27",
        "memory = ",
        "deadline = ",
    ],
    run: |data| {
        let Ok(text) = std::str::from_utf8(data) else { return 0 };
        match load_text("fuzz.toml", text, &Options::default()) {
            Ok(_) => 1,
            Err(problems) => {
                assert!(!problems.0.is_empty(), "refused without saying why");
                let shapes: Vec<u64> = problems.0.iter().map(|p| shape_of_text(&p.to_string())).collect();
                shapes.iter().fold(2, |all, one| all ^ one)
            }
        }
    },
};

const CONFIGURATION: &str = r#"data_dir = "/var/lib/picket"
plugin_dir = "/etc/picket/plugins"
[agent]
memory = "512MiB"
[log]
format = "text"
level = "info"
[api]
listen = "127.0.0.1:9765"
[sources.nginx]
kind = "file"
include = ["/var/log/nginx/*.log"]
[sources.host]
kind = "host"
interval = "15s"
[sources.uploads]
kind = "directory"
include = ["/srv/uploads"]
rescan = "24h"
[plugins.access-log]
component = "access-log.wasm"
sources = ["nginx"]
[plugins.access-log.grants]
state = "16MiB"
series = true
[plugins.access-log.limits]
memory = "64MiB"
call_deadline = "2s"
[plugins.access-log.config]
burst = { limit = 10, window = "1m" }
[forwarders.results]
kind = "file"
path = "/var/lib/picket/results.ndjson"
[archive]
max_age = "30d"
max_bytes = "1GiB"
[journal]
segment_bytes = "64MiB"
"#;

/// A selector in a grant.
pub(super) const SELECTOR: Target = Target {
    name: "selector",
    about: "a selector of series, as in PromQL",
    samples: &[],
    seeds: || {
        [r#"node_load1"#, r#"node_disk_io{device="sda",mode!~"x.*"}"#, r#"{__name__=~"node_.*"}"#]
            .map(|text| text.as_bytes().to_vec())
            .to_vec()
    },
    words: &["{", "}", "=~", "!~", "!=", "\\\"", "\\n", "__name__", ","],
    run: |data| {
        let Ok(text) = std::str::from_utf8(data) else { return 0 };
        match text.parse::<Selector>() {
            Ok(selector) => {
                assert!(!selector.0.is_empty(), "a selector without a condition would select everything");
                shape(&[1, selector.0.len() as u64])
            }
            Err(error) => shape_of_text(&error.to_string()),
        }
    },
};

/// Sizes and lengths of time.
pub(super) const UNITS: Target = Target {
    name: "units",
    about: "sizes and lengths of time as people write them",
    samples: &[],
    seeds: || {
        ["16MiB", "512", "2GB", "90s", "24h", "250ms", "30d"].map(|text| text.as_bytes().to_vec()).to_vec()
    },
    words: &["KiB", "MiB", "GiB", "TiB", "kB", "ms", "s", "m", "h", "d", "1.5", "+", "-"],
    run: |data| {
        let Ok(text) = std::str::from_utf8(data) else { return 0 };
        let size = text.parse::<ByteSize>().ok();
        if let Some(size) = size {
            let again: ByteSize = size.to_string().parse().expect("what is written can be read");
            assert_eq!(again, size, "a size changes when it is written");
        }
        let span = text.parse::<Span>().ok();
        if let Some(span) = span {
            let again: Span = span.to_string().parse().expect("what is written can be read");
            assert_eq!(again, span, "a length of time changes when it is written");
        }
        shape(&[size.map_or(0, |size| size.0), span.map_or(0, |span| span.as_nanos())])
    },
};

/// Text for a terminal.
pub(super) const ESCAPE: Target = Target {
    name: "escape",
    about: "text from outside on its way to a terminal",
    samples: &[],
    seeds: || vec!["plain \u{1b}[31m red \u{202e} turned".as_bytes().to_vec()],
    words: &["\u{1b}", "\u{200b}", "\u{feff}", "\u{7f}", "\u{9b}"],
    run: |data| {
        let text = String::from_utf8_lossy(data);
        let escaped = escape(&text);
        assert!(!escaped.chars().any(char::is_control), "a control character got through");
        assert_eq!(escape(&escaped), escaped, "escaping twice changes more");
        shape(&[text.len() as u64, escaped.len() as u64])
    },
};

/// A record of the journal.
pub(super) const COMMIT: Target = Target {
    name: "commit",
    about: "the payload of a commit, as read back from the journal",
    samples: &[],
    seeds: || vec![commit()],
    words: &["finding", "sample", "alert", "verdict", "kind", "name", "labels", "time", "value"],
    run: |data| match (frames(data), writes(data)) {
        (Ok(frames), Ok(writes)) => shape(&[1, frames.len() as u64, writes.len() as u64]),
        (Err(error), _) | (_, Err(error)) => shape_of_text(&error.to_string()),
    },
};

/// A commit of one sample and no writes: a version byte, the frames' length, the frames, the writes.
fn commit() -> Vec<u8> {
    let labels = vec![Label { name: "device".to_owned(), value: "sda".to_owned() }];
    let sample = Sample { name: "node_load1".to_owned(), labels, time: 1, value: 0.5 };
    let packed = rmp_serde::to_vec_named(&[Frame::Sample(sample)]).expect("plain data can be packed");
    let mut payload = vec![1];
    payload.extend_from_slice(&(packed.len() as u32).to_le_bytes());
    payload.extend_from_slice(&packed);
    // An empty array, in MessagePack.
    payload.push(0x90);
    payload
}
