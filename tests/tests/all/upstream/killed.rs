//! The agent is killed at random moments while it catches up with what an outage has left.

use std::time::Duration;

use picket_tests::servers::{Fault, Flaky, Otlp, Server, VictoriaMetrics, need};
use picket_tests::upstream::{Meter, check_all, ids_of_logs, numbers_of_logs, of_forwarder, until_reached};
use picket_tests::{count, report};

use super::{OF_METER, QUICK};

#[test]
fn after_kill_9_while_it_catches_up_nothing_that_was_read_is_missing_upstream() {
    if !need(&[Server::VictoriaMetrics, Server::Otlp]) {
        return;
    }
    let (kills, findings, piece) = (count(5, 50), count(2_000, 100_000), count(50, 500));
    let (victoria, otlp) = (VictoriaMetrics::start(), Otlp::start());
    let ways = [victoria.address(), otlp.address()].map(Flaky::http);
    ways.iter().for_each(Flaky::refuse);
    let meter = Meter::new(10, 100);
    let config = format!(
        "[forwarders.victoria]\nkind = \"remote_write\"\nurl = \"{}/api/v1/write\"\n{QUICK}{OF_METER}\
         [forwarders.collector]\nkind = \"otlp\"\nurl = \"{}\"\nbatch = {{ max_frames = 50 }}\n\
         select.include = [\"finding\"]\n{QUICK}",
        ways[0].url(),
        ways[1].url()
    );
    let mut node = meter.node().config(&config).start();
    meter.pour(&node, 1..=findings, piece);
    for way in &ways {
        way.repeat(&[Fault::Delay(Duration::from_millis(20)), Fault::Pass, Fault::Answer(503, None)]);
        way.allow();
    }
    let arrived = || otlp.count("log") as u64;
    for kill in 1..=kills {
        until_reached("findings", findings * kill / (kills + 1), arrived);
        node.kill();
        if kill % 3 == 0 {
            // A life that may end before it is ready.
            node.launch();
            std::thread::sleep(Duration::from_millis(kill * 13 % 300));
            node.kill();
        }
        node.start();
    }
    let left = |name| of_forwarder(&node, name, "queued_frames");
    until_reached("findings", findings, arrived);
    let waits = || left("victoria") + left("collector");
    let most = waits();
    until_reached("what waits is sent", most, || most.saturating_sub(waits()));

    let logs = otlp.logs();
    check_all("findings", &numbers_of_logs(&logs), 1..=findings);
    assert_eq!(ids_of_logs(&logs).len() as u64, findings, "a finding has one id, however often it comes");
    victoria.until_count("meter", findings * meter.samples);
    let repeats = meter.check_samples(&victoria.export("meter"), findings);
    // A life that ends costs the batch that was on its way.
    let lives = kills + kills / 3;
    let again: u64 = ids_of_logs(&logs).values().map(|times| times - 1).sum();
    assert!(again <= lives * (50 + piece), "{again} findings came again after {lives} kills");
    let batch = 10_000 + piece * meter.samples;
    assert!(repeats <= lives * batch, "{repeats} samples came again after {lives} kills");
    report(
        "kill -9 while the agent catches up",
        &[
            ("kills", lives.to_string()),
            ("findings", findings.to_string()),
            ("samples", (findings * meter.samples).to_string()),
            ("repeated findings", again.to_string()),
            ("repeated samples", repeats.to_string()),
        ],
    );
    assert!(node.stop().success());
}
