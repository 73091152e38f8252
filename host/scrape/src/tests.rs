//! One target over several scrapes, and pages that are fetched from servers that do as they like.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use picket_http::{Config, Net};
use picket_model::Sample;
use picket_relabel as relabel;
use proptest::prelude::*;

use super::*;
use crate::exposition::Format;
use crate::targets::{Defaults, Group, resolve};

const SECOND: u64 = 1_000_000_000;

fn target() -> Target {
    let (scheme, metrics_path) = ("http".to_owned(), "/metrics".to_owned());
    let defaults = Defaults { job: "j".into(), scheme, metrics_path, ..Default::default() };
    let group = Group { targets: vec!["i:1".into()], ..Default::default() };
    resolve(&defaults, &[group]).unwrap().remove(0)
}

fn text(page: &str) -> Result<Page, ScrapeError> {
    Ok(Page { format: Format::Text, body: page.as_bytes().to_vec(), mask: Default::default() })
}

/// A target over some scrapes, a second apart.
struct Rig {
    rules: Rules,
    target: Target,
    series: Series,
    second: u64,
}

impl Rig {
    fn new(rules: Rules) -> Self {
        Self { rules, target: target(), series: Series::default(), second: 0 }
    }

    fn scrape(&mut self, page: Result<Page, ScrapeError>) -> Taken {
        self.second += 1;
        let round = Round { time: self.second * SECOND, took: Duration::from_millis(500), page };
        self.rules.take(&self.target, &mut self.series, round, 1000)
    }

    /// What a page comes to, without the series about the scrape.
    fn page(&mut self, page: &str) -> Vec<String> {
        let taken = self.scrape(text(page));
        let samples = taken.samples.len() - round::ABOUT.len();
        taken.samples[..samples].iter().map(shown).collect()
    }
}

fn shown(sample: &Sample) -> String {
    let labels: Vec<String> = sample
        .labels
        .iter()
        .filter(|label| !matches!((&*label.name, &*label.value), ("job", "j") | ("instance", "i:1")))
        .map(|label| format!("{}={}", label.name, label.value))
        .collect();
    let value = if sample.is_stale() { "stale".to_owned() } else { sample.value.to_string() };
    format!("{}{{{}}} {value} {}", sample.name, labels.join(","), sample.time / 1_000_000)
}

/// `up` and what stands beside it.
fn about(taken: &Taken) -> Vec<f64> {
    taken.samples[taken.samples.len() - round::ABOUT.len()..].iter().map(|sample| sample.value).collect()
}

#[test]
fn what_is_gone_from_a_page_gets_a_stale_marker_once() {
    let mut rig = Rig::new(Rules::default());
    assert_eq!(rig.page("a{x=\"1\"} 1\nb 2\n"), ["a{x=1} 1 1000", "b{} 2 1000"]);
    assert_eq!(rig.page("b 3\n"), ["b{} 3 2000", "a{x=1} stale 2000"]);
    assert_eq!(rig.page("b 4\n"), ["b{} 4 3000"]);
    assert_eq!(rig.page("a{x=\"1\"} 1\n"), ["a{x=1} 1 4000", "b{} stale 4000"]);
}

#[test]
fn a_scrape_that_fails_ends_all_series_and_says_so() {
    let mut rig = Rig::new(Rules::default());
    rig.page("a 1\nb 2\n");
    let failed = rig.scrape(text("a 1\nb ?\n"));
    assert_eq!(failed.outcome.as_ref().unwrap_err().reason(), "malformed");
    assert_eq!(about(&failed), [0.0, 0.5, 1.0, 1.0, 0.0]);
    let mut ends: Vec<String> = failed.samples.iter().filter(|sample| sample.is_stale()).map(shown).collect();
    ends.sort();
    assert_eq!(ends, ["a{} stale 2000", "b{} stale 2000"]);
    assert_eq!(failed.samples.len(), 2 + 5, "nothing of the page is taken");
    let again = rig.scrape(Err(ScrapeError::Body { limit: 1 }));
    assert_eq!(again.samples.len(), 5);
    assert_eq!(about(&rig.scrape(text("a 1\nb 2\n"))), [1.0, 0.5, 2.0, 2.0, 2.0]);
}

#[test]
fn a_target_that_goes_away_takes_all_its_series_along() {
    let mut rig = Rig::new(Rules::default());
    assert!(rig.series.end(&rig.target.labels, SECOND).is_empty(), "it was never scraped");
    rig.page("a 1\n");
    let ends = rig.series.end(&rig.target.labels, 0);
    let mut names: Vec<&str> = ends.iter().map(|sample| &*sample.name).collect();
    names.sort_unstable();
    assert_eq!(names[0], "a");
    assert_eq!(names.len(), 1 + 5);
    assert!(ends.iter().all(|sample| sample.is_stale() && sample.time == SECOND + 1_000_000));
    assert!(rig.series.end(&rig.target.labels, SECOND).is_empty());
}

#[test]
fn times_of_the_page_are_kept_where_they_are_honoured_and_end_nothing() {
    let mut rig = Rig::new(Rules { honor_timestamps: true, ..Default::default() });
    assert_eq!(rig.page("a 1 7\na 2 8\nb 3 -1\n"), ["a{} 1 7", "a{} 2 8"]);
    assert_eq!(rig.page(""), [""; 0]);
    let mut rig = Rig::new(Rules::default());
    assert_eq!(rig.page("a 1 7\na 2 8\n"), ["a{} 1 1000"], "the second is left out");
    let taken = rig.scrape(text("a 1\na 2\n"));
    assert_eq!(taken.left_out, 1);
}

#[test]
fn rules_change_and_drop_samples() {
    let rule = |source: &str, regex: &str, action, target: &str| relabel::Rule {
        source_labels: vec![source.to_owned()],
        regex: regex.to_owned(),
        target_label: target.to_owned(),
        action,
        ..Default::default()
    };
    let rules = [
        rule("__name__", "go_.*", relabel::Action::Drop, ""),
        rule("x", "(.+)", relabel::Action::Replace, "y"),
        rule("__name__", "old_(.*)", relabel::Action::Replace, "__name__"),
    ];
    let relabel = relabel::Rules::new(&rules).unwrap();
    let mut rig = Rig::new(Rules { relabel, ..Default::default() });
    let taken = rig.scrape(text("go_a 1\nold_b{x=\"1\"} 2\n"));
    assert_eq!(shown(&taken.samples[0]), "b{x=1,y=1} 2 1000");
    assert_eq!(about(&taken), [1.0, 0.5, 2.0, 1.0, 1.0]);

    let nameless =
        relabel::Rule { replacement: String::new(), ..rule("", "", relabel::Action::Replace, "__name__") };
    let relabel = relabel::Rules::new(&[relabel::Rule { source_labels: Vec::new(), ..nameless }]).unwrap();
    let taken = Rig::new(Rules { relabel, ..Default::default() }).scrape(text("a 1\n"));
    assert_eq!(taken.outcome, Err(ScrapeError::Nameless { metric: "a".into() }));
}

#[test]
fn a_page_over_a_limit_fails_as_a_whole() {
    let limited = |limits, page| {
        let mut rig = Rig::new(Rules { limits, ..Default::default() });
        let taken = rig.scrape(text(page));
        (about(&taken)[0], about(&taken)[3], taken.outcome.map_err(|error| error.to_string()))
    };
    let samples = Limits { samples: 2, ..Default::default() };
    assert_eq!(limited(samples, "a 1\nb 1\n").0, 1.0);
    let (up, relabelled, outcome) = limited(samples, "a 1\nb 1\nc 1\nd 1\n");
    assert_eq!((up, relabelled), (0.0, 4.0));
    assert_eq!(outcome.unwrap_err(), "the page has 4 samples after relabelling, and 2 may be there");
    // The name and the target's labels count.
    for (limits, said) in [
        (Limits { labels: 3, ..Default::default() }, "has 4 labels, and 3 may be"),
        (Limits { label_name: 8, ..Default::default() }, "9 bytes in a label's name"),
        (Limits { label_value: 5, ..Default::default() }, "6 bytes in a label's value"),
    ] {
        assert_eq!(limited(limits, "a 1\n").0, 1.0);
        assert!(limited(limits, "a{long_name=\"123456\"} 1\n").2.unwrap_err().contains(said), "{said}");
    }
    let mut rig = Rig::new(Rules::default());
    let many: String = (0..1001).map(|number| format!("a{number} 1\n")).collect();
    assert_eq!(rig.scrape(text(&many)).outcome, Err(ScrapeError::Series { limit: 1000 }));
    assert!(rig.series.is_empty());
}

#[test]
fn a_page_of_one_line_again_and_again_is_bounded() {
    let page = "a 1\n".repeat(MAX_SAMPLES + 1);
    let outcome = Rig::new(Rules::default()).scrape(text(&page)).outcome;
    assert_eq!(outcome, Err(ScrapeError::Samples { found: MAX_SAMPLES + 1, limit: MAX_SAMPLES }));
}

#[test]
fn what_metrics_are_is_told_when_it_is_new() {
    let mut rig = Rig::new(Rules::default());
    let page = "# HELP a Counts.\n# TYPE a counter\na 1\n# TYPE b gauge\nb 2\n";
    let described = rig.scrape(text(page)).described;
    let names: Vec<(&str, &str)> = described.iter().map(|one| (&*one.name, one.kind.word())).collect();
    assert_eq!(names, [("a", "counter"), ("b", "gauge")]);
    assert_eq!(described[0].help, "Counts.");
    assert!(rig.scrape(text(page)).described.is_empty());
    assert_eq!(rig.scrape(text("# TYPE a gauge\n")).described.len(), 1);
}

proptest! {
    /// Whatever a target says from one time to the next: each series that was there and is no more has ended, and
    /// none has ended that is there.
    #[test]
    fn series_end_when_they_are_gone(rounds in proptest::collection::vec(proptest::option::of(0_u8..64), 1..12)) {
        let mut rig = Rig::new(Rules::default());
        let mut before = 0_u8;
        for round in rounds {
            let there = round.unwrap_or_default();
            let page: String = (0..6).filter(|bit| there >> bit & 1 == 1).map(|bit| format!("s{bit} 1\n")).collect();
            let page = if round.is_some() { text(&page) } else { Err(ScrapeError::Body { limit: 1 }) };
            let taken = rig.scrape(page);
            let (mut made, mut ended) = (0_u8, 0_u8);
            for sample in &taken.samples[..taken.samples.len() - 5] {
                let bit = 1 << sample.name[1..].parse::<u8>().unwrap();
                if sample.is_stale() { ended |= bit } else { made |= bit }
            }
            prop_assert_eq!((made, ended), (there, before & !there));
            before = there;
        }
    }
}

/// Serves one connection, after its request was read, and gives where.
fn server(serve: impl FnOnce(&mut std::net::TcpStream, String) + Send + 'static) -> picket_http::Url {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap()).parse().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut request, mut byte) = (Vec::new(), [0]);
        while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            request.push(byte[0]);
        }
        serve(&mut stream, String::from_utf8(request).unwrap());
    });
    url
}

fn fetch(url: &picket_http::Url, body: usize) -> Result<Page, ScrapeError> {
    fetch_with(Config::default(), url, body)
}

fn fetch_with(mut config: Config, url: &picket_http::Url, body: usize) -> Result<Page, ScrapeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_stop, stopped) = tokio::sync::watch::channel(None);
    config.proxy = Some("none".to_owned());
    config.timeout.0 = Duration::from_secs(20);
    let fetcher = Fetcher::new(&config, &Net::new(runtime.handle().clone(), stopped), body).unwrap();
    runtime.block_on(fetcher.fetch(url))
}

fn answering(answer: Vec<u8>) -> picket_http::Url {
    server(move |stream, _| stream.write_all(&answer).unwrap_or_default())
}

fn whole(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\n{head}content-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

#[test]
fn a_page_is_asked_for_as_prometheus_does() {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let url = server(move |stream, request| {
        tell.send(request.to_ascii_lowercase()).unwrap();
        stream.write_all(&whole("content-type: text/plain; version=0.0.4\r\n", b"a 1\n")).unwrap();
    });
    assert_eq!(fetch(&url, 100), text("a 1\n"));
    let request = told.recv().unwrap();
    for part in ["get /metrics http/1.1", ACCEPT, "accept-encoding: gzip", "timeout-seconds: 20"] {
        assert!(request.contains(part), "{part}: {request}");
    }
}

#[test]
fn compressed_pages_are_read_within_the_same_bound() {
    let packed = |bytes: &[u8]| whole("content-encoding: gzip\r\n", &picket_http::gzip(bytes));
    assert_eq!(fetch(&answering(packed(b"a 1\n")), 100), text("a 1\n"));
    assert_eq!(
        fetch(&answering(packed(&[b'\n'; 100_000])), 10_000),
        Err(ScrapeError::Body { limit: 10_000 })
    );
    let broken = fetch(&answering(whole("content-encoding: gzip\r\n", b"a 1\n")), 100).unwrap_err();
    assert_eq!(broken.reason(), "format");
    assert_eq!(
        fetch(&answering(whole("content-encoding: zstd\r\n", b"")), 100).unwrap_err().reason(),
        "format"
    );
}

#[test]
fn what_a_target_says_back_of_the_request_is_in_no_message() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "hunter2_hunter2").unwrap();
    let config = Config { bearer_token_file: Some(file), ..Default::default() };
    let rules = Rules { limits: Limits { label_value: 3, ..Default::default() }, ..Default::default() };
    for (content_type, page, reason) in [
        ("text/plain", "a 1\nAUTHORIZATION\n", "malformed"),
        ("text/plain", "a 1 TOKEN\n", "malformed"),
        ("text/plain", "# TYPE a TOKEN\n", "malformed"),
        ("text/plain", "a{TOKEN=\"\",TOKEN=\"\"} 1\n", "malformed"),
        // What is quoted ends within the token.
        ("text/plain", "a{x=\"1\"} a_number_that_is_none_at_all_TOKEN\n", "malformed"),
        ("text/plain", "TOKEN 1\n", "label-limit"),
        ("application/TOKEN", "a 1\n", "format"),
    ] {
        let url = server(move |stream, request| {
            let head = request.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization"));
            let authorization = head.unwrap_or_default();
            let token = authorization.rsplit(' ').next().unwrap_or_default();
            let said = |text: &str| text.replace("AUTHORIZATION", authorization).replace("TOKEN", token);
            let head = format!("content-type: {}\r\n", said(content_type));
            stream.write_all(&whole(&head, said(page).as_bytes())).unwrap();
        });
        let page = fetch_with(config.clone(), &url, 1000);
        let round = Round { time: SECOND, took: Duration::ZERO, page };
        let error = rules.take(&target(), &mut Series::default(), round, 10).outcome.unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
        let told = format!("{error} {error:?}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_page_without_end_costs_no_more_than_the_bound() {
    let url = server(|stream, _| {
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut sent = stream.write_all(head);
        while sent.is_ok() {
            sent = stream.write_all(b"4\r\na 1\n\r\n");
        }
    });
    assert_eq!(fetch(&url, 1 << 20), Err(ScrapeError::Body { limit: 1 << 20 }));
}

#[test]
fn what_is_no_page_of_metrics_is_told() {
    for (answer, reason, said) in [
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\ngone".to_vec(), "status", "HTTP 404: gone"),
        (b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n".to_vec(), "status", "HTTP 302"),
        (whole("content-type: application/json\r\n", b"{}"), "format", "application/json"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\na 1".to_vec(), "broken", "broke off"),
    ] {
        let error = fetch(&answering(answer), 100).unwrap_err();
        assert_eq!(error.reason(), reason);
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.remedy().ends_with('.'));
    }
}
