//! The `prometheus` source: a real server is scraped, and targets that misbehave cost their own scrapes only.

use std::fs;

use picket_tests::servers::{Page, Prometheus, Server, Target, need};
use picket_tests::{Node, until};
use serde_json::Value;

const SAMPLES: &str = r#"
[forwarders.samples]
kind = "file"
path = "{dir}/samples.ndjson"
include = ["sample"]
"#;

/// A source that scrapes each second.
fn source(targets: &[&Target], more: &str) -> String {
    let targets: Vec<String> = targets.iter().map(|target| format!("\"{}\"", target.address())).collect();
    format!(
        "{SAMPLES}[sources.scraped]\nkind = \"prometheus\"\ninterval = \"1s\"\ntargets = [{}]\n{more}\n",
        targets.join(", ")
    )
}

/// The samples of a metric of one target, in their order.
fn samples(node: &Node, name: &str, instance: impl ToString) -> Vec<Value> {
    let is_one =
        |row: &Value| row["name"] == name && row["labels"]["instance"] == instance.to_string().as_str();
    node.rows_of("samples.ndjson").into_iter().filter(is_one).collect()
}

/// Waits until the last sample of `up` of a target says so.
fn until_up(node: &Node, target: &Target, up: f64) {
    until(&format!("{} has up {up}", target.address()), || {
        let last = samples(node, "up", target.address()).pop()?;
        (last["value"].as_f64() == Some(up)).then_some(())
    });
}

/// What the status says of the source's targets that are not up.
fn problems(node: &Node) -> String {
    let status = node.get("/api/v1/status").unwrap().json();
    let sources = status["sources"].as_array().unwrap();
    sources.iter().find(|source| source["name"] == "scraped").unwrap()["problems"].to_string()
}

fn page(text: &str) -> Page {
    Page::Text(text.to_owned())
}

#[test]
fn a_real_server_is_scraped_and_its_series_end_with_it() {
    if !need(&[Server::Prometheus]) {
        return;
    }
    let mut server = Prometheus::start();
    let address = server.address();
    let config = format!(
        "{SAMPLES}[sources.prometheus]\nkind = \"prometheus\"\ninterval = \"1s\"\ntargets = [\"{address}\"]\n"
    );
    let mut node = Node::builder().config(&config).start();
    let last = |name: &str| samples(&node, name, address).pop();
    until("it is up", || (last("up")?["value"].as_f64() == Some(1.0)).then_some(()));
    let build = until("its metrics come", || last("prometheus_build_info"));
    assert_eq!(build["labels"]["job"], "prometheus");
    assert!(last("scrape_samples_scraped").unwrap()["value"].as_f64().unwrap() > 100.0);
    assert_eq!(
        last("scrape_samples_scraped").unwrap()["value"],
        last("scrape_samples_post_metric_relabeling").unwrap()["value"]
    );
    let checked = node.cli("check --connect");
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(
        format!("{}{}", checked.stdout, checked.stderr).contains(&format!("http://{address}/metrics: ")),
        "{checked:?}"
    );

    server.kill();
    until("it is down", || (last("up")?["value"].as_f64() == Some(0.0)).then_some(()));
    until("its series end", || (last("prometheus_build_info")?["stale"] == true).then_some(()));
    assert_eq!(node.cli("check --connect").code, Some(1));
    assert!(node.stop().success());
}

#[test]
fn a_target_that_misbehaves_costs_its_own_scrape_only() {
    let good = Target::start(page("good 1\n"));
    let endless = Target::start(Page::Endless);
    let malformed = Target::start(page("good 1\nbad{ 1\n"));
    let silent = Target::start(Page::Silent);
    let many = Target::start(page("a 1\nb 1\nc 1\n"));
    let config = source(
        &[&good, &endless, &malformed, &silent, &many],
        "sample_limit = 2\nbody_size_limit = \"1MiB\"",
    );
    let mut node = Node::builder().config(&config).start();
    until_up(&node, &good, 1.0);
    for bad in [&endless, &malformed, &silent, &many] {
        until_up(&node, bad, 0.0);
    }
    let before = samples(&node, "good", good.address()).len();
    until("the good one goes on", || {
        (samples(&node, "good", good.address()).len() > before + 2).then_some(())
    });
    let problems = problems(&node);
    for said in
        ["1048576 bytes", "line 2", "did not answer", "3 samples after relabelling, and 2 may be there"]
    {
        assert!(problems.contains(said), "{said}: {problems}");
    }
    assert!(samples(&node, "endless", endless.address()).is_empty());
    assert!(samples(&node, "good", malformed.address()).is_empty(), "nothing of a malformed page is taken");
    assert!(node.metric("picket_scrape_results_total{result=\"body-limit\",source=\"scraped\"}") > 0.0);

    // What is mended is scraped again, and what a page has no more ends.
    malformed.answer(page("mended 1\n"));
    until_up(&node, &malformed, 1.0);
    malformed.answer(page("other 1\n"));
    until("the series that is gone ends", || {
        (samples(&node, "mended", malformed.address()).pop()?["stale"] == true).then_some(())
    });
    assert!(node.stop().success());
}

#[test]
fn a_token_is_read_again_when_it_was_refused() {
    let guarded = Target::start(Page::Guarded("right"));
    let node = Node::builder()
        .file("token", "hunter2\n")
        .config(&source(&[&guarded], "http.bearer_token_file = \"{dir}/token\""))
        .start();
    until_up(&node, &guarded, 0.0);
    assert!(problems(&node).contains("401"));
    assert!(!node.log().contains("hunter2"), "no secret is shown");
    fs::write(node.path("token"), "right\n").unwrap();
    until_up(&node, &guarded, 1.0);
}

#[test]
fn a_targets_file_is_read_again_and_a_bad_one_changes_nothing() {
    let (first, second) = (Target::start(page("a 1\n")), Target::start(page("a 2\n")));
    let list = |target: &Target| {
        format!("[{{\"targets\": [\"{}\"], \"labels\": {{\"zone\": \"z\"}}}}]", target.address())
    };
    let mut node = Node::builder()
        .file("targets.json", list(&first))
        .config(&source(&[], "targets_file = \"{dir}/targets.json\""))
        .start();
    until_up(&node, &first, 1.0);
    assert_eq!(samples(&node, "a", first.address())[0]["labels"]["zone"], "z");

    let replace = |text: &str| {
        fs::write(node.path("targets.new"), text).unwrap();
        fs::rename(node.path("targets.new"), node.path("targets.json")).unwrap();
    };
    replace("[{\"targets\": 1}]");
    until("the bad file is told", || problems(&node).contains("no list of targets").then_some(()));
    let before = samples(&node, "a", first.address()).len();
    until("the former target stays", || (samples(&node, "a", first.address()).len() > before).then_some(()));

    replace(&list(&second));
    until_up(&node, &second, 1.0);
    for name in ["a", "up"] {
        until("the target that is gone ends", || {
            (samples(&node, name, first.address()).pop()?["stale"] == true).then_some(())
        });
    }
    assert!(node.stop().success());
}
