//! Bits flip and files are cut in the data folder while the agent is down. It starts all the same, and what it has
//! lost is what it says it has lost.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;

use picket_tests::servers::{Nobody, Otlp, Server, need};
use picket_tests::upstream::{Meter, dropped, files, of_forwarder};
use picket_tests::{Node, count, report, until};
use serde_json::Value;

use super::QUICK;

/// Numbers that wait when the data folder is damaged, and samples of each: several segments of either lane.
const NUMBERS: u64 = 200;
const SAMPLES: u64 = 40;

/// What is damaged, in turn.
const PARTS: [&str; 5] = ["journal", "lanes/events", "lanes/samples", "state", "archive"];

/// The generator of Steele, Lea and Flood (SplitMix64, 2014): a case is the same whenever it runs.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Damages one file below a folder; says what it did.
fn damage(random: &mut Random, folder: &Path) -> String {
    let length = |file: &PathBuf| fs::metadata(file).unwrap().len();
    let files: Vec<_> = files(folder).into_iter().filter(|file| length(file) > 0).collect();
    assert!(!files.is_empty(), "{} has nothing to damage", folder.display());
    let file = &files[random.below(files.len() as u64) as usize];
    let at = random.below(length(file));
    if random.below(2) == 0 {
        OpenOptions::new().write(true).open(file).unwrap().set_len(at).unwrap();
        return format!("{} cut at {at}", file.display());
    }
    let bit = random.below(8);
    let mut bytes = fs::read(file).unwrap();
    bytes[at as usize] ^= 1 << bit;
    fs::write(file, bytes).unwrap();
    format!("bit {bit} of byte {at} of {} flipped", file.display())
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}

/// The ids of all events that arrived, and the values of the meter's samples.
fn arrived(otlp: &Otlp) -> (BTreeSet<String>, BTreeSet<u64>) {
    let id = |log: &Value| log["attributes"]["log.record.uid"].as_str().map(str::to_owned);
    let points = otlp.points().into_iter().filter(|point| point["name"] == "meter");
    let values = points.filter_map(|point| point["as_double"].as_f64());
    (otlp.logs().iter().filter_map(id).collect(), values.map(|value| value as u64).collect())
}

/// A node that was killed while nearly everything waited for a receiver, and what it had then.
struct Template {
    meter: Meter,
    node: Node,
    rows: Vec<u8>,
    log: Vec<u8>,
    /// Of the events that waited.
    ids: BTreeSet<String>,
}

impl Template {
    fn make() -> Self {
        let meter = Meter::new(SAMPLES, 10).padded(1);
        let otlp = Otlp::start();
        let mut node = meter.node().config(&collector(&otlp.web().url())).start();
        // The receiver has had the first number: who never had anything does not know what it misses.
        meter.pour(&node, 1..=1, 1);
        until("the first number arrives", || (arrived(&otlp).1.len() as u64 == SAMPLES).then_some(()));
        until("nothing waits", || (of_forwarder(&node, "collector", "queued_frames") == 0).then_some(()));
        assert!(node.stop().success());
        let had = ids(&node);

        let nobody = Nobody::reserve();
        node.configure(&format!("{}{}", meter.config(), collector(&format!("http://{}", nobody.address()))));
        node.start();
        meter.pour(&node, 2..=NUMBERS, 10);
        let waits = |name| of_forwarder(&node, name, "queued_frames");
        let all = (NUMBERS - 1) * (1 + SAMPLES);
        until("all of it waits", || (waits("collector") >= all && waits("results") == 0).then_some(()));
        node.kill();
        copy(&node.path("data"), &node.path("template"));
        let ids = ids(&node).difference(&had).cloned().collect();
        let read = |name: &str| fs::read(node.path(name)).unwrap();
        let (rows, log) = (read("results.ndjson"), read("logs/numbers.log"));
        Self { meter, node, rows, log, ids }
    }

    /// The node as it was when it was killed, before another receiver.
    fn restore(&self, url: &str) {
        fs::remove_dir_all(self.node.path("data")).unwrap();
        copy(&self.node.path("template"), &self.node.path("data"));
        fs::write(self.node.path("results.ndjson"), &self.rows).unwrap();
        fs::write(self.node.path("logs/numbers.log"), &self.log).unwrap();
        self.node.configure(&format!("{}{}", self.meter.config(), collector(url)));
    }
}

/// The ids of all events that the file forwarder has written.
fn ids(node: &Node) -> BTreeSet<String> {
    node.rows().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// The smallest lanes that there are, which have the smallest segments.
fn collector(url: &str) -> String {
    format!(
        "[lanes]\nevents_bytes = \"4MiB\"\nsamples_bytes = \"4MiB\"\n\
         [forwarders.collector]\nkind = \"otlp\"\nurl = \"{url}\"\nbatch = {{ max_wait = \"10ms\" }}\n{QUICK}"
    )
}

/// One more number after all others: when it has arrived, all before it have, or never will.
fn until_all_went(node: &Node, otlp: &Otlp) {
    node.append("logs/numbers.log", format!("{}\n", NUMBERS + 1).as_bytes());
    let last = (NUMBERS + 1) * SAMPLES - 1;
    let is_last = |log: &Value| {
        log["attributes"]["picket.finding.attributes.number"] == (NUMBERS + 1).to_string().as_str()
    };
    until("the last event arrives", || otlp.logs().iter().any(is_last).then_some(()));
    until("the last sample arrives", || arrived(otlp).1.contains(&last).then_some(()));
    until("nothing waits", || (of_forwarder(node, "collector", "queued_frames") == 0).then_some(()));
}

#[test]
fn with_a_damaged_data_folder_the_agent_starts_and_counts_what_it_has_lost() {
    if !need(&[Server::Otlp]) {
        return;
    }
    let cases = count(20, 200);
    let mut template = Template::make();
    let (mut with_loss, mut lost) = (0, 0);
    for case in 0..cases {
        let otlp = Otlp::start();
        template.restore(&otlp.web().url());
        let part = PARTS[(case % PARTS.len() as u64) as usize];
        let what = damage(&mut Random(case), &template.node.path("data").join(part));
        println!("case {case}: {what}");
        template.node.start();
        until_all_went(&template.node, &otlp);

        let (ids, values) = arrived(&otlp);
        let events = template.ids.difference(&ids).count() as u64;
        let samples = (SAMPLES..NUMBERS * SAMPLES).filter(|value| !values.contains(value)).count() as u64;
        let counted = dropped(&template.node, "collector");
        assert_eq!(
            events + samples,
            counted,
            "case {case}: {what}: {events} events and {samples} samples are missing, {counted} are counted"
        );
        with_loss += u64::from(counted > 0);
        lost += counted;
        template.node.kill();
    }
    // Else the damage has hit nothing, and nothing was shown.
    assert!(with_loss > 0, "no case has lost anything");
    report(
        "bit flips and cuts in the data folder",
        &[
            ("cases", cases.to_string()),
            ("cases that lost something", with_loss.to_string()),
            ("results lost and counted", lost.to_string()),
            ("results that wait in each case", ((NUMBERS - 1) * (1 + SAMPLES)).to_string()),
        ],
    );
}
