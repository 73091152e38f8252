//! Makes logs that look like a web server's and a system's, mixed, from a seed: the same seed gives the
//! same bytes on every machine, so figures of two commits can be compared.
//!
//! Six of ten lines are of nginx in the combined format, the others syslog in its traditional one. A
//! chosen share of all lines, syslog ones, holds one of [`LITERALS`]; no other line does.

use std::io::{self, Write};

use picket_journal::sim::Rng;

/// What the marked lines hold, and no other.
pub(crate) const LITERALS: [&str; 2] = ["Failed password for", "Invalid user"];

/// What to make.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mix {
    /// Where the random numbers begin.
    pub(crate) seed: u64,
    /// How many lines.
    pub(crate) lines: u64,
    /// How many of a thousand lines are marked.
    pub(crate) marked: u64,
}

/// What was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    /// Bytes, line ends included.
    pub(crate) bytes: u64,
    /// Lines that hold a literal.
    pub(crate) marked: u64,
    /// Their bytes, line ends included.
    pub(crate) marked_bytes: u64,
}

/// Lines a second of the made-up time.
const RATE: u64 = 200;

const METHODS: &[&str] = &["GET", "GET", "GET", "GET", "GET", "GET", "HEAD", "POST", "PUT"];
const PATHS: &[&str] = &[
    "/",
    "/index.html",
    "/api/v1/items",
    "/api/v1/items/{}",
    "/api/v1/users/{}/orders?page=2",
    "/static/app.{}.js",
    "/static/style.css",
    "/images/product-{}.webp",
    "/search?q=lamp+{}",
    "/login",
    "/favicon.ico",
    "/health",
];
const STATUSES: &[u16] = &[
    200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 204, 206, 301, 302, 304, 304, 304, 400,
    401, 403, 404, 404, 500, 502, 503,
];
const AGENTS: &[&str] = &[
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:125.0) Gecko/20100101 Firefox/125.0",
    "curl/8.5.0",
    "kube-probe/1.29",
];
const REFERERS: &[&str] =
    &["-", "-", "https://shop.example/", "https://shop.example/search?q=lamp", "https://example.org/"];
const USERS: &[&str] = &["root", "admin", "deploy", "postgres", "anna", "test", "oracle", "git"];
const MESSAGES: &[&str] = &[
    "sshd[{p}]: Accepted publickey for deploy from 198.51.100.{b} port {w} ssh2: ED25519 SHA256:b6Xy7v1QeDk8",
    "sshd[{p}]: Connection closed by 198.51.100.{b} port {w} [preauth]",
    "CRON[{p}]: (root) CMD (test -x /usr/sbin/anacron || run-parts --report /etc/cron.hourly)",
    "systemd[1]: Started session-{w}.scope - Session {w} of User deploy.",
    "systemd[1]: logrotate.service: Deactivated successfully.",
    "kernel: [{w}.{p}] IN=eth0 OUT= SRC=203.0.113.{b} DST=192.0.2.1 LEN=60 TTL=51 PROTO=TCP SPT={w} DPT=443 SYN",
    "postfix/smtpd[{p}]: connect from mail.example.org[203.0.113.{b}]",
    "postfix/qmgr[{p}]: 4VZ{w}: from=<noreply@shop.example>, size={w}, nrcpt=1 (queue active)",
    "dockerd[{p}]: time=\"2026-05-12T06:00:00Z\" level=info msg=\"ignoring event\" container=c{w} module=libcontainerd",
    "sudo: deploy : TTY=pts/{b} ; PWD=/srv/app ; USER=root ; COMMAND=/usr/bin/systemctl restart app",
];

/// Writes the lines. The last one is marked, so that whoever has written out all marked lines has read
/// them all.
pub(crate) fn generate(mix: Mix, mut out: impl Write) -> io::Result<Totals> {
    let mut rng = Rng::new(mix.seed);
    let mut totals = Totals::default();
    let mut line = Vec::with_capacity(512);
    for number in 0..mix.lines {
        line.clear();
        let time = Clock::at(number / RATE);
        let marked = rng.below(1000) < mix.marked || number + 1 == mix.lines;
        match () {
            () if marked => self::marked(&mut rng, time, &mut line)?,
            // 612 of 1000 of what is left makes 600 of all when 20 are marked.
            () if rng.below(1000) < 612 => access(&mut rng, time, &mut line)?,
            () => syslog(&mut rng, time, &mut line)?,
        }
        line.push(b'\n');
        out.write_all(&line)?;
        totals.bytes += line.len() as u64;
        totals.marked += u64::from(marked);
        totals.marked_bytes += if marked { line.len() as u64 } else { 0 };
    }
    out.flush()?;
    Ok(totals)
}

/// A time of one made-up day, which begins at six in the morning; after it the day begins again.
#[derive(Clone, Copy)]
struct Clock {
    hour: u64,
    minute: u64,
    second: u64,
}

impl Clock {
    fn at(seconds: u64) -> Self {
        let seconds = (6 * 3600 + seconds) % (24 * 3600);
        Self { hour: seconds / 3600, minute: seconds / 60 % 60, second: seconds % 60 }
    }
}

impl std::fmt::Display for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}:{:02}:{:02}", self.hour, self.minute, self.second)
    }
}

fn pick<'t, T>(rng: &mut Rng, from: &'t [T]) -> &'t T {
    &from[rng.below(from.len() as u64) as usize]
}

/// A client: few of them make most of the requests, as on real servers.
fn client(rng: &mut Rng) -> (u64, u64) {
    let most = [4, 40, 4000, 60_000][rng.below(4) as usize];
    let host = rng.below(most);
    (host / 250, host % 250 + 1)
}

fn access(rng: &mut Rng, time: Clock, line: &mut Vec<u8>) -> io::Result<()> {
    let (net, host) = client(rng);
    let path = pick(rng, PATHS).replace("{}", &rng.below(5000).to_string());
    write!(
        line,
        "10.20.{net}.{host} - - [12/May/2026:{time} +0000] \"{} {path} HTTP/1.1\" {} {} \"{}\" \"{}\"",
        pick(rng, METHODS),
        pick(rng, STATUSES),
        rng.below(60_000),
        pick(rng, REFERERS),
        pick(rng, AGENTS),
    )
}

fn syslog(rng: &mut Rng, time: Clock, line: &mut Vec<u8>) -> io::Result<()> {
    let message = pick(rng, MESSAGES)
        .replace("{p}", &(rng.below(90_000) + 1000).to_string())
        .replace("{w}", &(rng.below(60_000) + 1024).to_string())
        .replace("{b}", &rng.below(255).to_string());
    write!(line, "May 12 {time} web-{} {message}", rng.below(4) + 1)
}

fn marked(rng: &mut Rng, time: Clock, line: &mut Vec<u8>) -> io::Result<()> {
    let (host, id, address, port) =
        (rng.below(4) + 1, rng.below(90_000) + 1000, rng.below(200) + 1, rng.below(60_000) + 1024);
    let user = pick(rng, USERS);
    if rng.one_in(3) {
        write!(
            line,
            "May 12 {time} web-{host} sshd[{id}]: {} {user} from 198.51.100.{address} port {port}",
            LITERALS[1]
        )
    } else {
        write!(
            line,
            "May 12 {time} web-{host} sshd[{id}]: {} {user} from 198.51.100.{address} port {port} ssh2",
            LITERALS[0]
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn text(mix: Mix) -> (String, Totals) {
        let mut bytes = Vec::new();
        let totals = generate(mix, &mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, totals.bytes);
        (String::from_utf8(bytes).unwrap(), totals)
    }

    #[test]
    fn the_same_seed_makes_the_same_log() {
        let mix = Mix { seed: 3, lines: 500, marked: 20 };
        assert_eq!(text(mix), text(mix));
        assert_ne!(text(mix).0, text(Mix { seed: 4, ..mix }).0);
    }

    #[test]
    fn exactly_the_marked_lines_hold_a_literal() {
        let (text, totals) = text(Mix { seed: 1, lines: 20_000, marked: 20 });
        let held: Vec<&str> = text.lines().filter(|line| LITERALS.iter().any(|l| line.contains(l))).collect();
        assert_eq!(held.len() as u64, totals.marked);
        assert_eq!(held.iter().map(|line| line.len() as u64 + 1).sum::<u64>(), totals.marked_bytes);
        assert!((300..500).contains(&totals.marked), "{} of 20000 are marked", totals.marked);
        assert!(text.lines().next_back().is_some_and(|last| held.last() == Some(&last)));
    }

    #[test]
    fn six_of_ten_lines_are_of_a_web_server() {
        let (text, _) = text(Mix { seed: 1, lines: 20_000, marked: 20 });
        let access = text.lines().filter(|line| line.contains(" HTTP/1.1\" ")).count();
        assert!((11_600..12_400).contains(&access), "{access} of 20000");
        let mean = text.len() / 20_000;
        assert!((100..180).contains(&mean), "a line has {mean} bytes");
    }
}
