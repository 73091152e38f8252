//! Prometheus and the agent beside each other: the same targets, the same rules, an interval of a second. The same alerts
//! go pending, fire and are resolved at the same time, with the same texts; rules and queries have the same answers.
//!
//! Debian's Prometheus 2.42 takes the left edge of a range in, which later ones leave out: no range here has samples that
//! differ around its edge.

mod site;
mod timeline;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use picket_tests::servers::{Prometheus, REGION, Server, need, quoted};
use picket_tests::{HOPELESS, Node, count, plugin, report, until};
use serde_json::Value;

use site::{Site, Work};
use timeline::{Labels, Timeline, labels};

/// Both scrape and evaluate so often, each at moments of its own: what happens is scraped by one at once and by the other
/// an interval later, and evaluated by one at once and by the other an interval later.
const INTERVAL: Duration = Duration::from_secs(1);

/// Between two looks at both.
const PAUSE: Duration = Duration::from_millis(40);

/// Both of them, what they are given to scrape, and what they made of it.
struct Sides {
    site: Site,
    prometheus: Prometheus,
    node: Node,
    theirs: Timeline,
    ours: Timeline,
    looked: Instant,
    /// The longest time between two looks: by so much an event may have been seen too late.
    longest: Duration,
    /// Seconds since 1970 at which nothing more was going to change.
    settled: Vec<f64>,
}

impl Sides {
    fn start() -> Self {
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules").join("side_by_side.yml");
        let rules = std::fs::read_to_string(rules).unwrap();
        let site = Site::start();
        let targets = site.addresses();
        let prometheus = Prometheus::builder().scraping("app", &targets, &rules).start();
        let config = format!(
            "[sources.app]\nkind = \"prometheus\"\ninterval = \"1s\"\ntargets = [\"{}\", \"{}\"]\n\
             [plugins.promql-rules]\nassets = \"{{dir}}/rules.yml\"\ngrants.series = true\n\
             config = {{ interval = \"1s\", external_labels = {{ {} = \"{}\" }} }}\n",
            targets[0], targets[1], REGION.0, REGION.1
        );
        let node = Node::builder().install(&plugin("promql-rules"), "promql-rules").file("rules.yml", rules);
        let sides = Self {
            site,
            prometheus,
            node: node.config(&config).start(),
            theirs: Timeline::default(),
            ours: Timeline::default(),
            looked: Instant::now(),
            longest: Duration::ZERO,
            settled: Vec::new(),
        };
        sides.until_quiet();
        sides
    }

    /// Waits until both have scraped everything and evaluated it: at first there is no heartbeat.
    fn until_quiet(&self) {
        until("both have scraped both targets", || {
            let [theirs, ours] = self.api("query?query=count(heartbeat)%2Bcount(load)")?;
            let is_there = |data: &Value| data["result"][0]["value"][1] == "3";
            (is_there(&theirs) && is_there(&ours)).then_some(())
        });
        until("the rules and their health are the same", || self.rules_agree().then_some(()));
        until("no alert is left of the beginning", || {
            let [theirs, ours] = self.api("alerts")?;
            let is_empty = |data: &Value| data["alerts"].as_array().is_some_and(Vec::is_empty);
            (is_empty(&theirs) && is_empty(&ours)).then_some(())
        });
    }

    /// Asks both: Prometheus' answer and the agent's.
    fn api(&self, rest: &str) -> Option<[Value; 2]> {
        Some([self.prometheus.api(rest)?, self.node.prometheus(rest)?])
    }

    fn look(&mut self) {
        thread::sleep(PAUSE);
        self.site.show();
        self.theirs.look(&self.prometheus.api("alerts").expect("Prometheus answers"));
        self.ours.look(&self.node.prometheus("alerts").expect("the agent answers"));
        self.longest = self.longest.max(self.looked.elapsed());
        self.looked = Instant::now();
    }

    /// Looks at both until something is so.
    fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + HOPELESS;
        loop {
            self.look();
            if is_so(self) {
                return;
            }
            let (theirs, ours) = (&self.theirs.now, &self.ours.now);
            assert!(
                Instant::now() < deadline,
                "in vain: {what}\nPrometheus has {theirs:#?}\nthe agent has {ours:#?}"
            );
        }
    }

    /// Waits until these alerts fire and no others are there, on both sides and with the same texts, and both have made of
    /// this phase all that there is to be made of it: queries are asked about the moment that is kept then.
    fn until_fire(&mut self, phase: &str, expected: &[&str]) {
        let what = format!("{phase}: {expected:?} fire");
        let fire = |sides: &Self| sides.theirs.now == sides.ours.now && sides.ours.fire(expected);
        self.until(&what, fire);
        // What no alert tells of may have been scraped or recorded before by one of them only.
        self.until_later("up", seconds());
        let scraped = seconds();
        RECORDED.iter().for_each(|series| self.until_later(series, scraped));
        self.until("the rules and their health are the same", Self::rules_agree);
        self.until(&what, fire);
        let settled = (seconds() * 1000.0).floor() / 1000.0;
        self.settled.push(settled);
        // No sample of this phase comes behind that moment any more.
        self.until_later("up", settled);
    }

    /// Waits until both have samples of these series that are later than a time.
    fn until_later(&mut self, series: &str, time: f64) {
        let path = format!("query?query={}", quoted(&format!("min(timestamp({series}))")));
        self.until(&format!("both have samples of {series} after {time}"), |sides| {
            let is_later = |data: &Value| {
                let value = data["result"][0]["value"][1].as_str();
                value.and_then(|value| value.parse::<f64>().ok()).is_some_and(|at| at > time)
            };
            sides.api(&path).expect("both answer").iter().all(is_later)
        });
    }

    /// Whether both show the same rules with the same health: one that cannot be evaluated, all others well.
    fn rules_agree(&self) -> bool {
        let [theirs, ours] = self.api("rules").unwrap().map(|data| rules(&data));
        let broken = ours.iter().filter(|rule| rule[3] != "ok").map(|rule| &*rule[2]);
        theirs == ours && broken.eq(["load:never"])
    }

    /// All that can go wrong with the targets, one after the other, and their recovery. Gives how many phases it was.
    fn round(&mut self) -> usize {
        let before = self.settled.len();
        // Nothing has moved while nobody looked.
        self.looked = Instant::now();
        (self.site.load, self.site.queue) = (85, 20);
        self.site.set_work(Work::Grows);
        self.until_fire("load, a queue and work", &["Busy", "LoadHigh", "QueueLong"]);
        (self.site.load, self.site.queue, self.site.free) = (95, 0, 5 << 30);
        self.site.set_work(Work::Rests);
        self.until_fire("more load, no disk, no queue", &["DiskLow", "LoadHigh"]);
        (self.site.load, self.site.heartbeat) = (10, false);
        self.until_fire("a series vanishes, the load too", &["DiskLow", "HeartbeatGone"]);
        self.site.set_up(false);
        self.until_fire("a target goes down", &["HalfDown", "HeartbeatGone", "TargetDown"]);
        (self.site.free, self.site.heartbeat) = (60 << 30, true);
        self.site.show();
        self.site.set_up(true);
        self.site.set_work(Work::Restarts);
        self.until_fire("the target is back, a counter is reset", &["Restarted"]);
        self.site.set_work(Work::Rests);
        self.until_fire("all is well", &[]);
        self.settled.len() - before
    }

    /// Compares what queries find at all times that nothing was moving, and between them. Gives how many it were.
    fn compare_queries(&self, phases: usize) -> usize {
        let times = &self.settled[self.settled.len() - phases..];
        let mut asked = 0;
        let mut compare = |expression: &str, time: f64| {
            let path = format!("query?query={}&time={time:.3}", quoted(expression));
            let [theirs, ours] = self.api(&path).unwrap_or_else(|| panic!("{expression} has no answer"));
            assert_eq!(found(&ours), found(&theirs), "{expression} at {time:.3}: the agent, and Prometheus");
            asked += 1;
        };
        for time in times {
            INSTANT.iter().for_each(|expression| compare(expression, *time));
        }
        for pair in times.windows(2) {
            let range = format!("{}ms", ((pair[1] - pair[0]) * 1000.0).round());
            RANGES.iter().for_each(|expression| compare(&expression.replace("RANGE", &range), pair[1]));
        }
        asked
    }
}

/// A series that each group with such rules records.
const RECORDED: [&str; 3] = ["job:load:max", "instance:work:increase5s", "job:up:avg"];

/// What series have at a moment. Of the counter there is nothing: it goes on between two scrapes.
const INSTANT: [&str; 12] = [
    "load",
    "up",
    "sum by (job) (load)",
    "quantile(0.25, load)",
    "topk(1, load) > bool 50",
    "job:load:max",
    "instance:free:ratio",
    "job:up:avg",
    "absent(heartbeat)",
    "label_replace(load, \"place\", \"$1-$2\", \"zone\", \"(.)(.*)\")",
    "count by (alertname, alertstate, severity) (ALERTS)",
    "load * on (instance, job) group_left up unless queue_length > 10",
];

/// What they had from one moment to another. Both scraped each value, though not equally often.
const RANGES: [&str; 5] = [
    "max_over_time(load[RANGE])",
    "min_over_time(queue_length[RANGE])",
    "changes(load[RANGE])",
    "max_over_time(sum(load)[RANGE:1s]) > bool 0",
    "present_over_time(heartbeat[RANGE])",
];

/// The present time, in seconds since 1970.
fn seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Rules as rows that do not tell of files: group, type, name, health, and an alert's state.
fn rules(data: &Value) -> BTreeSet<[String; 5]> {
    let mut rows = BTreeSet::new();
    for group in data["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let row = [&group["name"], &rule["type"], &rule["name"], &rule["health"], &rule["state"]];
            rows.insert(row.map(text));
        }
    }
    rows
}

/// The series that an instant query found, with their values as they stand.
fn found(data: &Value) -> BTreeMap<Labels, String> {
    let row = |row: &Value| (labels(&row["metric"]), row["value"][1].as_str().unwrap().to_owned());
    data["result"].as_array().unwrap().iter().map(row).collect()
}

#[test]
fn alerts_live_as_those_of_a_prometheus_beside_the_agent() {
    if !need(&[Server::Prometheus]) {
        return;
    }
    let length = Duration::from_secs(count(0, 600));
    let mut sides = Sides::start();
    let (begun, mut phases, mut queries) = (Instant::now(), 0, 0);
    while phases == 0 || begun.elapsed() < length {
        let round = sides.round();
        queries += sides.compare_queries(round);
        phases += round;
    }
    // An interval of scraping and one of evaluating, and the time that nobody looked.
    let likeness = sides.ours.compare(&sides.theirs, 2 * INTERVAL + sides.longest);
    // One that warns of the load and one that calls it critical; the others once each.
    assert_eq!(likeness.alerts, 9, "{:?}", sides.ours);
    report(
        "Prometheus beside the agent, with the same targets and rules",
        &[
            ("seconds", begun.elapsed().as_secs().to_string()),
            ("phases", phases.to_string()),
            ("alerts compared", likeness.alerts.to_string()),
            ("times that one went pending, firing or resolved", likeness.events.to_string()),
            ("seconds that one was apart at most", format!("{:.2}", likeness.largest.as_secs_f64())),
            ("queries compared", queries.to_string()),
        ],
    );
    assert!(sides.node.stop().success());
}
