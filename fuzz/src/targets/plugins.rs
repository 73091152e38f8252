//! The first-party plugins, natively: they read what anybody who can write a log line or a file gives
//! them, and a call that fails costs the agent an instance.

use access_log::AccessLog;
use auth_guard::AuthGuard;
use picket_sdk::testing::{Host, batch};
use picket_sdk::{Analyzer, Plugin};

use crate::{Target, shape};

/// Web server logs.
pub(super) const ACCESS_LOG: Target = Target {
    name: "access-log",
    about: "the analyzer of web server logs",
    samples: &[
        "tests/samples/nginx-access.log",
        "tests/samples/nginx-access-json.log",
        "tests/samples/apache-common.log",
        "tests/samples/apache-combined.log",
    ],
    seeds: Vec::new,
    words: &[
        "\"GET / HTTP/1.1\"",
        "HTTP/2.0",
        " 200 ",
        " 503 ",
        "\\x22",
        "\"-\"",
        "[10/Oct/2023:13:55:36 +0200]",
    ],
    run: analyze::<AccessLog>,
};

/// Logins.
pub(super) const AUTH_GUARD: Target = Target {
    name: "auth-guard",
    about: "the analyzer of logins",
    samples: &[
        "tests/samples/auth.log",
        "tests/samples/auth-iso.log",
        "tests/samples/auth-5424.log",
        "tests/samples/sshd.log",
    ],
    seeds: Vec::new,
    words: &[
        "Failed password for ",
        "invalid user ",
        " from ",
        " port ",
        "sshd[1]: ",
        "sudo: ",
        "::ffff:",
        "uid=0",
    ],
    run: analyze::<AuthGuard>,
};

/// Lets an analyzer read the lines twice, as one batch each, with a restart between.
fn analyze<P: Plugin + Analyzer>(data: &[u8]) -> u64 {
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let host = Host::new();
    let mut plugin = host.start::<P>("{}").expect("a plugin starts without configuration");
    if lines.is_empty() {
        return 0;
    }
    let output = plugin.analyze(batch(&lines)).expect("no line makes an analyzer fail");
    let mut plugin = plugin.restart().expect("a snapshot can be given back");
    plugin.analyze(batch(&lines)).expect("no line makes an analyzer fail after a restart");
    shape(&[1, output.findings.len() as u64, host.state_entries() as u64])
}
