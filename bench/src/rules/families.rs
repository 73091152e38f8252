//! The series of one target: metrics with labels and their values, named like those of a usual node.
//!
//! A value depends on the seed, the target, the series and the time, and on nothing that was there before: whoever
//! scrapes sees the same node, however often and at whatever moments. One series in [`ONE_HOT_IN`] is hot: above each
//! threshold that the generated rules have, while all others are below, so that which alerts fire is no matter of
//! chance.

use std::fmt::Write as _;

/// Series on each target's page.
pub(super) const SERIES: u32 = 1000;
/// How many targets are in a rack, a label of targets by which rules select.
pub(super) const RACK: u32 = 10;
/// Of so many series one is hot.
const ONE_HOT_IN: u64 = 200;

/// How a metric's values come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Grows by a rate of its own between these bounds, in units a second; by 5000 to 6000 when it is hot.
    Counter(u64, u64),
    /// Between 12 and 68 with two digits, another value at each scrape; 93 to 98 when it is hot.
    Gauge,
    /// Always 0 or 1.
    State,
}

/// Metrics alike.
pub(super) struct Family {
    /// With `#` for the metric's number.
    pub(super) name: &'static str,
    /// How many metrics.
    pub(super) metrics: u32,
    /// Labels, and how many values each has: `device-0` to `device-7`.
    pub(super) labels: &'static [(&'static str, u32)],
    pub(super) kind: Kind,
}

/// What is on each page: together [`SERIES`].
pub(super) const FAMILIES: &[Family] = &[
    family("node_cpu_seconds_total", 1, &[("cpu", 16), ("mode", 8)], Kind::Counter(1, 10)),
    family("node_disk_#_total", 12, &[("device", 8)], Kind::Counter(1, 40)),
    family("node_network_#_total", 16, &[("device", 10)], Kind::Counter(1, 50)),
    family("node_netstat_#_total", 44, &[], Kind::Counter(1, 50)),
    family("node_vmstat_#_total", 20, &[], Kind::Counter(1, 50)),
    family("http_requests_total", 1, &[("handler", 10), ("method", 2), ("code", 4)], Kind::Counter(40, 60)),
    family("http_request_errors_total", 1, &[("handler", 10), ("method", 2)], Kind::Counter(1, 1)),
    family("node_filesystem_#", 6, &[("mountpoint", 12)], Kind::Gauge),
    family("node_memory_#", 50, &[], Kind::Gauge),
    family("queue_length", 1, &[("queue", 30)], Kind::Gauge),
    family("node_hwmon_#", 5, &[("sensor", 10)], Kind::Gauge),
    family("node_sockstat_#", 50, &[], Kind::Gauge),
    family("node_systemd_unit_state", 1, &[("name", 40), ("state", 5)], Kind::State),
];

const fn family(
    name: &'static str,
    metrics: u32,
    labels: &'static [(&'static str, u32)],
    kind: Kind,
) -> Family {
    Family { name, metrics, labels, kind }
}

impl Family {
    /// The name of one of its metrics.
    pub(super) fn metric(&self, number: u32) -> String {
        self.name.replace('#', &number.to_string())
    }

    /// All sets of labels, as they stand between braces; one empty text without labels.
    pub(super) fn sets(&self) -> Vec<String> {
        let mut sets = vec![String::new()];
        for (label, values) in self.labels {
            let join = |set: &String, value: u32| {
                let comma = if set.is_empty() { "" } else { "," };
                format!("{set}{comma}{label}=\"{label}-{value}\"")
            };
            sets = sets.iter().flat_map(|set| (0..*values).map(move |value| join(set, value))).collect();
        }
        sets
    }
}

/// Which series a value is of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) seed: u64,
    pub(super) target: u32,
    /// Its place on the page.
    pub(super) series: u32,
}

impl Place {
    /// Numbers of this series' own.
    fn number(self) -> u64 {
        mix(self.seed ^ (u64::from(self.target) << 32) ^ u64::from(self.series))
    }

    /// Writes its value so many seconds after the start.
    pub(super) fn write(self, kind: Kind, seconds: f64, page: &mut String) {
        let own = self.number();
        let is_hot = own.is_multiple_of(ONE_HOT_IN);
        // Another one each second, so that no two scrapes of a target get the same.
        let noise = mix(own ^ seconds as u64);
        // Cannot fail: it is a text.
        let _ = match kind {
            Kind::Counter(least, most) => {
                let (least, most) = if is_hot { (5000, 6000) } else { (least, most) };
                let rate = least + (own >> 8) % (most - least + 1);
                // Less than a second, so that it never falls between two scrapes.
                let wobble = (noise % 800) as f64 / 1000.0;
                write!(page, "{}", 1_000_000 + (rate as f64 * (seconds + wobble)) as u64)
            }
            Kind::Gauge => {
                let hundredths =
                    if is_hot { 9300 + noise % 500 } else { 2000 + (own >> 8) % 4000 + noise % 1600 - 800 };
                write!(page, "{}.{:02}", hundredths / 100, hundredths % 100)
            }
            Kind::State => write!(page, "{}", (own >> 8) % 2),
        };
    }
}

/// The finisher of SplitMix64 (Steele, Lea and Flood, 2014).
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn value(place: Place, kind: Kind, seconds: f64) -> f64 {
        let mut text = String::new();
        place.write(kind, seconds, &mut text);
        text.parse().unwrap()
    }

    #[test]
    fn a_page_has_as_many_series_as_it_says() {
        let series = |family: &Family| family.metrics * family.sets().len() as u32;
        assert_eq!(FAMILIES.iter().map(series).sum::<u32>(), SERIES);
        assert_eq!(FAMILIES[1].metric(3), "node_disk_3_total");
        assert_eq!(FAMILIES[0].sets()[9], "cpu=\"cpu-1\",mode=\"mode-1\"");
        assert_eq!(FAMILIES[3].sets(), [""]);
    }

    #[test]
    fn values_are_clearly_above_the_thresholds_or_below() {
        for series in 0..10_000 {
            let place = Place { seed: 1, target: 3, series };
            for seconds in [0.0, 15.0, 400.5] {
                let gauge = value(place, Kind::Gauge, seconds);
                assert!((12.0..68.0).contains(&gauge) || (93.0..98.0).contains(&gauge), "{gauge}");
            }
            let [first, last] = [0.0, 300.0].map(|at| value(place, Kind::Counter(1, 50), at));
            let rate = (last - first) / 300.0;
            assert!((0.5..51.0).contains(&rate) || (4900.0..6100.0).contains(&rate), "{rate}");
        }
    }

    #[test]
    fn counters_never_fall() {
        let place = Place { seed: 7, target: 1, series: 5 };
        let values: Vec<f64> =
            (0..500).map(|at| value(place, Kind::Counter(40, 60), f64::from(at) * 5.01)).collect();
        assert!(values.is_sorted());
    }
}
