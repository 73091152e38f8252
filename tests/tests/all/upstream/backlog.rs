//! The agent starts with a long backlog as it starts with none.

use std::time::{Duration, Instant};

use picket_tests::servers::{Fault, Flaky, Nobody};
use picket_tests::upstream::{Meter, folder_bytes, forwarder_status, of_forwarder, until_reached};
use picket_tests::{Node, count, report, until};

use super::QUICK;

/// How much more memory an agent may take that starts with a backlog: a batch and a record in their forms.
const MEMORY: u64 = 32 << 20;

/// How often each start is measured.
const STARTS: usize = 3;

/// Starts the agent again some times: how long each time it took until it was ready, and its memory then.
fn starts(node: &mut Node) -> Vec<(Duration, u64)> {
    let start = |_| {
        assert!(node.stop().success());
        let begun = Instant::now();
        node.start();
        (begun.elapsed(), node.resident())
    };
    (0..STARTS).map(start).collect()
}

#[test]
fn a_start_with_a_backlog_takes_no_longer_and_no_more_memory_than_one_without() {
    // Sixteen kilobytes each.
    let findings = count(2_048, 131_072);
    let (lane, nobody) = (count(64, 4096), Nobody::reserve());
    let way = Flaky::http(nobody.address());
    way.refuse();
    let config = format!(
        "[agent]\ndrain = \"1s\"\n[archive]\nmax_bytes = \"1MiB\"\n[journal]\nsegment_bytes = \"4MiB\"\n\
         [lanes]\nevents_bytes = \"{lane}MiB\"\n\
         [forwarders.away]\nkind = \"webhook\"\nurl = \"{}\"\n{QUICK}",
        way.url()
    );
    let meter = Meter::new(0, 1).padded(4);
    let mut node = meter.node().config(&config).start();
    let empty = starts(&mut node);
    let empty_bytes = folder_bytes(&node.path("data"));

    meter.pour(&node, 1..=findings, 50);
    let waits = |name| of_forwarder(&node, name, "queued_frames");
    until("all of it waits", || (waits("away") >= findings).then_some(()));
    until("nobody else waits", || (waits("results") + waits("archive") == 0).then_some(()));
    let backlog = folder_bytes(&node.path("data/lanes"));
    assert!(backlog >= findings * (16 << 10), "{backlog} bytes wait");
    let full = starts(&mut node);
    until("it tries to send", || {
        forwarder_status(&node, "away").filter(|status| status["error"].is_string())
    });
    let memory = full.iter().map(|(_, memory)| *memory).max().unwrap().max(node.resident());

    // No measure of this machine's speed: both are taken on it, at the same time.
    let (slowest, quickest) = (empty.iter().max().unwrap().0, full.iter().min().unwrap().0);
    assert!(quickest <= slowest * 5, "ready after {quickest:?} with a backlog, after {slowest:?} without");
    let without = empty.iter().map(|(_, memory)| *memory).max().unwrap();
    assert!(memory <= without + MEMORY, "{memory} bytes of memory with a backlog, {without} without");

    // A receiver that takes everything.
    way.repeat(&[Fault::Answer(200, None)]);
    way.allow();
    until_reached("findings", findings, || of_forwarder(&node, "away", "sent_frames_total"));
    assert_eq!(of_forwarder(&node, "away", "refused_frames_total"), 0);
    let segment = ((lane << 20) / 16).min(8 << 20);
    let lanes = || folder_bytes(&node.path("data/lanes"));
    until("the lanes are small again", || (lanes() <= 2 * segment + (2 << 20)).then_some(()));
    // Beside the lanes' last segments: the journal's, the archive, what the state has not reused yet.
    let data = || folder_bytes(&node.path("data"));
    until("the data folder is small again", || (data() <= empty_bytes + segment + (24 << 20)).then_some(()));
    report(
        "a restart with a backlog",
        &[
            ("MiB that wait", (backlog >> 20).to_string()),
            ("ms until ready", quickest.as_millis().to_string()),
            ("ms until ready without a backlog", slowest.as_millis().to_string()),
            ("MiB of memory", (memory >> 20).to_string()),
            ("MiB of memory without a backlog", (without >> 20).to_string()),
            ("MiB in the data folder afterwards", (data() >> 20).to_string()),
        ],
    );
    assert!(node.stop().success());
}
