//! Receivers are away while a lot is committed, and come back in a bad state.

use std::cell::Cell;
use std::time::Duration;

use picket_tests::servers::{Fault, Flaky, Otlp, Prometheus, Server, VictoriaMetrics, need};
use picket_tests::upstream::{
    Meter, check_all, folder_bytes, ids_of_bodies, ids_of_logs, numbers_of_logs, of_forwarder, until_reached,
};
use picket_tests::{count, report, until};

use super::{OF_METER, QUICK};

/// Samples of one request, and of each finding.
const REQUEST: u64 = 500;
const SAMPLES: u64 = 10;

/// How much more memory the agent may take while it catches up than it has when nothing waits: a batch of each
/// forwarder (2 MiB and less) in its forms, the plugin's, and what the allocator keeps.
const MEMORY: u64 = 128 << 20;

/// What receivers do that come back: slow, broken, overloaded.
const BAD: [Fault; 8] = [
    Fault::Delay(Duration::from_millis(20)),
    Fault::Answer(503, None),
    Fault::Pass,
    Fault::Reset,
    Fault::Pass,
    Fault::LoseReply,
    Fault::Answer(429, None),
    Fault::Pass,
];

fn config(victoria: &Flaky, prometheus: &Flaky, collector: &Flaky, lane: u64) -> String {
    format!(
        "[lanes]\nevents_bytes = \"{lane}MiB\"\nsamples_bytes = \"{lane}MiB\"\n\
         [forwarders.victoria]\nkind = \"remote_write\"\nurl = \"{}/api/v1/write\"\nsamples_per_request = {REQUEST}\n{QUICK}{OF_METER}\
         [forwarders.prometheus]\nkind = \"remote_write\"\nurl = \"{}/api/v1/write\"\n{QUICK}{OF_METER}\
         [forwarders.collector]\nkind = \"otlp\"\nurl = \"{}\"\ncompression = \"none\"\n\
         batch = {{ max_frames = 50 }}\nselect.include = [\"finding\"]\n{QUICK}",
        victoria.url(),
        prometheus.url(),
        collector.url()
    )
}

#[test]
fn an_outage_loses_nothing_and_repeats_only_where_a_reply_was_lost() {
    if !need(&[Server::VictoriaMetrics, Server::Prometheus, Server::Otlp]) {
        return;
    }
    let (findings, piece, lane) = (count(2_000, 100_000), count(50, 500), count(16, 1024));
    let (victoria, prometheus, otlp) = (VictoriaMetrics::start(), Prometheus::start(), Otlp::start());
    let ways = [victoria.address(), prometheus.address(), otlp.address()].map(Flaky::http);
    let [to_victoria, to_prometheus, to_otlp] = &ways;
    ways.iter().for_each(Flaky::refuse);

    let meter = Meter::new(SAMPLES, 100);
    let mut node = meter.node().config(&config(to_victoria, to_prometheus, to_otlp, lane)).start();
    let idle = node.resident();
    meter.pour(&node, 1..=findings, piece);
    let total = findings * SAMPLES;
    let waits = |name| of_forwarder(&node, name, "queued_frames");
    until("all of it waits", || (waits("victoria") >= total && waits("collector") >= findings).then_some(()));
    let lanes = node.path("data/lanes");
    let backlog = folder_bytes(&lanes);

    let without_loss: Vec<_> = BAD.into_iter().filter(|fault| *fault != Fault::LoseReply).collect();
    to_victoria.repeat(&BAD);
    to_prometheus.repeat(&without_loss);
    to_otlp.repeat(&BAD);
    let most = Cell::new(0);
    let sent = |name| {
        most.set(node.resident().max(most.get()));
        of_forwarder(&node, name, "sent_frames_total")
    };
    for way in &ways {
        way.once(&[Fault::Answer(429, Some("1"))]);
        way.allow();
    }
    until_reached("samples for VictoriaMetrics", total, || sent("victoria"));
    until_reached("samples for Prometheus", total, || sent("prometheus"));
    until_reached("findings", findings, || sent("collector"));

    // Prometheus takes samples of a series in order only, and says when they are not.
    prometheus.until_count("meter", total);
    assert_eq!(meter.check_samples(&prometheus.raw_samples("meter"), findings), 0);
    assert_eq!(prometheus.metric("prometheus_tsdb_out_of_order_samples_total"), 0.0);
    // VictoriaMetrics keeps repeats.
    victoria.until_count("meter", total);
    let repeats = meter.check_samples(&victoria.export("meter"), findings);
    let lost = to_victoria.counts().lost;
    assert!(repeats <= lost * REQUEST, "{repeats} samples came again, and {lost} replies were lost");
    otlp.until_count("log", usize::try_from(findings).unwrap());
    check_all("findings", &numbers_of_logs(&otlp.logs()), 1..=findings);
    let lost = ids_of_bodies(&to_otlp.lost_bodies());
    for (id, times) in ids_of_logs(&otlp.logs()) {
        let lost = lost.get(&id).copied().unwrap_or(0);
        assert!(times <= 1 + lost, "{id} came {times} times, and {lost} replies to it were lost");
    }
    for counts in ways.iter().map(Flaky::counts) {
        assert!(counts.answered > 0 && counts.resets > 0, "there was trouble: {counts:?}");
    }
    let grown = most.get().saturating_sub(idle);
    assert!(grown <= MEMORY, "the agent took {grown} bytes more than {idle}");
    // What is left is one segment of each lane.
    let segment = (lane << 20) / 16;
    let small = || folder_bytes(&lanes) <= 2 * segment.min(8 << 20) + (1 << 20);
    until("the folder of the lanes is small again", || small().then_some(()));
    report(
        "outage of all receivers",
        &[
            ("samples", total.to_string()),
            ("findings", findings.to_string()),
            ("MiB in the lanes", (backlog >> 20).to_string()),
            ("MiB of memory more than idle", (grown >> 20).to_string()),
            ("repeated samples", repeats.to_string()),
        ],
    );
    assert!(node.stop().success());
}
