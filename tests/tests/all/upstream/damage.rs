//! Bits flip and files are cut in the data folder while the agent is down. It starts all the same, and what it has
//! lost is what it says it has lost.

use std::collections::{BTreeMap, BTreeSet};
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

/// Where a file forwarder writes the samples.
const SAMPLES_FILE: &str = "samples.ndjson";

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

/// What a sample is, wherever it stands: its name, its labels and its time.
fn sample(of: &Value, labels: &str) -> String {
    let labels: BTreeMap<_, _> =
        of[labels].as_object().unwrap().iter().filter(|(_, value)| *value != "").collect();
    format!("{} {labels:?} {}", of["name"], of["time"])
}

/// All events that arrived, by their ids, and all samples.
fn arrived(otlp: &Otlp) -> BTreeSet<String> {
    let id = |log: &Value| log["attributes"]["log.record.uid"].as_str().map(str::to_owned);
    let events: Vec<_> = otlp.logs().iter().filter_map(id).collect();
    otlp.points().iter().map(|point| sample(point, "attributes")).chain(events).collect()
}

/// The same of what the file forwarders have written.
fn written(node: &Node) -> BTreeSet<String> {
    let events = node.rows().into_iter().map(|row| row["id"].as_str().unwrap().to_owned());
    let samples = node.rows_of(SAMPLES_FILE).into_iter().map(|row| sample(&row, "labels"));
    events.chain(samples).collect()
}

/// Whether the finding of a number and its last sample have arrived.
fn has_number(otlp: &Otlp, number: u64) -> bool {
    let value = (number * SAMPLES - 1) as f64;
    let text = number.to_string();
    let is_finding = |log: &Value| log["attributes"]["picket.finding.attributes.number"] == text.as_str();
    let is_sample = |point: &Value| point["name"] == "meter" && point["as_double"] == value;
    otlp.logs().iter().any(is_finding) && otlp.points().iter().any(is_sample)
}

/// A node that was killed while nearly everything waited for a receiver, and what it had then.
struct Template {
    meter: Meter,
    node: Node,
    /// Files beside the data folder, with what was in them.
    files: [(&'static str, Vec<u8>); 3],
    /// What waited.
    waited: BTreeSet<String>,
}

impl Template {
    fn make() -> Self {
        let meter = Meter::new(SAMPLES, 10).padded(1);
        let otlp = Otlp::start();
        let mut node = meter.node().config(&forwarders(&otlp.web().url())).start();
        // The receiver has had the first number: who never had anything does not know what it misses.
        meter.pour(&node, 1..=1, 1);
        until("the first number arrives", || has_number(&otlp, 1).then_some(()));
        assert!(node.stop().success());
        let had = written(&node);

        let nobody = Nobody::reserve();
        let away = forwarders(&format!("http://{}", nobody.address()));
        node.configure(&format!("{}{away}", meter.config()));
        node.start();
        meter.pour(&node, 2..=NUMBERS, 10);
        // The files have what the lanes have: the last number is in both lanes then.
        until("the last number is in the files", || {
            let value = (NUMBERS * SAMPLES - 1) as f64;
            let is_finding = |row: &Value| row["attributes"]["number"] == NUMBERS.to_string().as_str();
            let is_sample = |row: &Value| row["name"] == "meter" && row["value"] == value;
            let there =
                node.rows().iter().any(is_finding) && node.rows_of(SAMPLES_FILE).iter().any(is_sample);
            there.then_some(())
        });
        assert!(of_forwarder(&node, "collector", "queued_frames") > 0);
        node.kill();
        copy(&node.path("data"), &node.path("template"));
        let waited = written(&node).difference(&had).cloned().collect();
        let files = ["results.ndjson", SAMPLES_FILE, "logs/numbers.log"]
            .map(|name| (name, fs::read(node.path(name)).unwrap()));
        Self { meter, node, files, waited }
    }

    /// The node as it was when it was killed, before another receiver.
    fn restore(&self, url: &str) {
        fs::remove_dir_all(self.node.path("data")).unwrap();
        copy(&self.node.path("template"), &self.node.path("data"));
        for (name, content) in &self.files {
            fs::write(self.node.path(name), content).unwrap();
        }
        self.node.configure(&format!("{}{}", self.meter.config(), forwarders(url)));
    }
}

/// The receiver and a file of all samples, and the smallest lanes that there are, which have the smallest segments.
fn forwarders(url: &str) -> String {
    format!(
        "[lanes]\nevents_bytes = \"4MiB\"\nsamples_bytes = \"4MiB\"\n\
         [forwarders.samples]\nkind = \"file\"\npath = \"{{dir}}/{SAMPLES_FILE}\"\ninclude = [\"sample\"]\n\
         [forwarders.collector]\nkind = \"otlp\"\nurl = \"{url}\"\nbatch = {{ max_wait = \"10ms\" }}\n{QUICK}"
    )
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
        // One more number after all others: when it has arrived, all before it have, or never will.
        template.node.append("logs/numbers.log", format!("{}\n", NUMBERS + 1).as_bytes());
        until("the last number arrives", || has_number(&otlp, NUMBERS + 1).then_some(()));

        let missing = template.waited.difference(&arrived(&otlp)).count() as u64;
        let counted = dropped(&template.node, "collector");
        assert_eq!(missing, counted, "case {case}: {what}: so many are missing, and so many are counted");
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
            ("results that wait in each case", template.waited.len().to_string()),
        ],
    );
}
