//! Encoding and cutting, without a network.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use prost::Message as _;

use super::super::encode::{self, MAX_AHEAD_MS, STALE, Table};
use super::super::message::{Label, WriteRequest};
use super::super::metadata::{LOOK, Metadata};
use super::super::{judge, shard};
use super::sample;
use crate::{Description, MetricType, SendError};
use picket_http::{Answer, NoAnswer};

const NOW: i64 = 1_795_274_692_000;

fn decoded(body: &[u8]) -> WriteRequest {
    WriteRequest::decode(snap::raw::Decoder::new().decompress_vec(body).unwrap().as_slice()).unwrap()
}

fn text(labels: &[Label]) -> String {
    labels.iter().map(|label| format!("{}={}", label.name, label.value)).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_request_has_the_bytes_of_the_specification() {
    let table = encode::table(&[sample("up", &[("job", "x")], 1, 2.0)], NOW);
    let plain =
        snap::raw::Decoder::new().decompress_vec(&encode::body(&table.series, &table.points)).unwrap();
    let name = b"\x0a\x0e\x0a\x08__name__\x12\x02up";
    let job = b"\x0a\x08\x0a\x03job\x12\x01x";
    let point = b"\x12\x0b\x09\0\0\0\0\0\0\0\x40\x10\x01";
    let length = (name.len() + job.len() + point.len()) as u8;
    assert_eq!(plain, [&[0x0a, length], &name[..], job, point].concat());
}

#[test]
fn labels_are_sorted_by_their_bytes_and_those_without_a_value_are_left_out() {
    let labels = [("b", "1"), ("a", "2"), ("B", "3"), ("empty", ""), ("__tmp", "4"), ("_", "5")];
    let table = encode::table(&[sample("up", &labels, 1, 1.0)], NOW);
    assert_eq!(text(&table.series[0]), "B=3 _=5 __name__=up a=2 b=1");
    let nameless = encode::table(&[sample("", &[("a", "b")], 1, 1.0)], NOW);
    assert_eq!(text(&nameless.series[0]), "a=b");
}

#[test]
fn what_receivers_would_choke_on_is_refused_before_it_is_sent() {
    let reason = |frame| {
        let table = encode::table(&[frame], NOW);
        assert!(table.points.is_empty());
        table.refused.into_iter().next().unwrap().reason
    };
    assert_eq!(reason(sample("9x", &[], 1, 1.0)), "`9x` is no name of a metric");
    assert_eq!(reason(sample("up", &[("a-b", "x")], 1, 1.0)), "`a-b` is no name of a label");
    assert_eq!(reason(sample("up", &[("a", "x"), ("a", "y")], 1, 1.0)), "it has the label `a` twice");
    assert_eq!(reason(sample("", &[("a", "")], 1, 1.0)), "it has no label at all");
    assert!(reason(sample("up", &[], NOW + MAX_AHEAD_MS + 1, 1.0)).contains("ahead of this machine's clock"));
    assert!(encode::table(&[sample("up", &[], NOW + MAX_AHEAD_MS, 1.0)], NOW).refused.is_empty());
}

#[test]
fn stale_markers_keep_their_bits_and_other_nans_become_prometheus_own() {
    let bits = |bits: u64| {
        let table = encode::table(&[sample("up", &[], 1, f64::from_bits(bits))], NOW);
        let request = decoded(&encode::body(&table.series, &table.points));
        request.timeseries[0].samples[0].value.to_bits()
    };
    assert_eq!(bits(STALE), 0x7ff0_0000_0000_0002);
    assert_eq!(bits(f64::NAN.to_bits()), 0x7ff8_0000_0000_0001);
    assert_eq!(bits(0xfff8_0000_0000_0000), 0x7ff8_0000_0000_0001);
    assert_eq!(bits(f64::NEG_INFINITY.to_bits()), f64::NEG_INFINITY.to_bits());
    assert_eq!(bits((-0.0_f64).to_bits()), 0);
}

#[test]
fn of_one_millisecond_the_last_is_sent_and_another_value_is_counted() {
    let frames: Vec<_> =
        [(5, 1.0), (5, 2.0), (4, 9.0), (5, 2.0)].map(|(time, value)| sample("up", &[], time, value)).into();
    let table = encode::table(&frames, NOW);
    let points: Vec<_> = table.points.iter().map(|point| (point.time, point.value, point.frame)).collect();
    assert_eq!(points, [(4, 9.0, 2), (5, 2.0, 3)]);
    let refused: Vec<_> = table.refused.iter().map(|refused| refused.frame).collect();
    assert_eq!(refused, [0], "the third has the same value as the last");
}

#[test]
fn a_request_is_halved_between_series_first() {
    let frames: Vec<_> = [("a", 1), ("b", 1), ("b", 2), ("b", 3), ("b", 4)]
        .map(|(name, time)| sample(name, &[], time, 1.0))
        .into();
    let table = encode::table(&frames, NOW);
    let request = shard::rounds(&table, 1, 500, 0).remove(0).unwrap().remove(0).pop_front().unwrap();
    let (first, second) = request.halves().unwrap();
    assert_eq!((first.points.len(), second.points.len()), (1, 4));
    assert!(first.halves().is_none());
    let (first, second) = second.halves().unwrap();
    assert_eq!((first.points[1].time, second.points[0].time), (2, 3));
}

#[test]
fn large_requests_are_cut_before_receivers_refuse_their_size() {
    let long = "x".repeat(4000);
    let frames: Vec<_> = (0..2000)
        .map(|number| sample("up", &[("n", &number.to_string()), ("long", &long)], 1, 1.0))
        .collect();
    let table = encode::table(&frames, NOW);
    let requests = shard::rounds(&table, 1, 2000, 0).remove(0).unwrap().remove(0);
    let sizes =
        requests.iter().map(|request| decoded(&encode::body(&table.series, &request.points)).encoded_len());
    let sizes: Vec<usize> = sizes.collect();
    assert!(sizes.len() == 3 && sizes.iter().all(|size| *size < 4 << 20), "{sizes:?}");
}

#[test]
fn answers_mean_what_they_mean() {
    use judge::Meaning;
    let answer = |status, body: &str| {
        let body = body.as_bytes().to_vec();
        let retry_after = Some(Duration::from_secs(7));
        judge::answer(Ok(Answer { status, retry_after, content_type: String::new(), body }), "h/w")
    };
    assert_eq!(answer(204, ""), Meaning::Accepted);
    assert_eq!(answer(200, "x"), Meaning::Accepted);
    let error = SendError::Later {
        reason: "h/w answered HTTP 503: busy".into(),
        after: Some(Duration::from_secs(7)),
    };
    assert_eq!(answer(503, "busy"), Meaning::Later(error));
    assert!(matches!(answer(429, ""), Meaning::Later(_)));
    assert!(matches!(answer(500, "write to WAL: no space left on device"), Meaning::Later(_)));
    assert!(matches!(answer(502, ""), Meaning::Unsure(_)));
    assert!(matches!(answer(504, ""), Meaning::Unsure(_)));
    assert!(matches!(answer(500, "too old sample\n"), Meaning::FinalWords(..)));
    assert_eq!(answer(400, "out of bounds\n"), Meaning::Refused("HTTP 400: out of bounds".into()));
    assert!(matches!(answer(413, ""), Meaning::Refused(_)));
    for status in [301, 307, 401, 403, 404, 405, 407, 415] {
        assert!(matches!(answer(status, ""), Meaning::Unusable(_)), "{status}");
    }
    let broken = NoAnswer::Timeout { to: "h".into(), after: Duration::from_secs(1) };
    assert!(matches!(judge::answer(Err(broken), "h/w"), Meaning::Unsure(_)));
    let away = NoAnswer::Connect { to: "h".into(), cause: "refused".into() };
    assert!(matches!(judge::answer(Err(away), "h/w"), Meaning::Later(_)));
    assert!(judge::is_about_order("HTTP 400: duplicate sample for timestamp"));
    assert!(!judge::is_about_order("HTTP 400: out of bounds"));
}

#[test]
fn metadata_is_told_when_it_has_changed_and_from_time_to_time() {
    let describe = |help: &str| {
        let (name, help) = ("picket_x_total".to_owned(), help.to_owned());
        move || vec![Description { name, kind: MetricType::Counter, help }]
    };
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut metadata = Metadata::every(Duration::from_secs(60));
    assert_eq!(metadata.due(at(0), describe("a")).len(), 1);
    assert_eq!(metadata.due(at(1), || panic!("it is not looked so often")).len(), 0);
    assert_eq!(metadata.due(at(11), describe("a")).len(), 0);
    assert_eq!(metadata.due(at(22), describe("b")).len(), 1);
    assert_eq!(metadata.due(at(81), describe("b")).len(), 0);
    assert_eq!(metadata.due(at(92), describe("b")).len(), 1);
    let mut often = Metadata::every(Duration::from_millis(1));
    assert_eq!(often.due(at(0), describe("a")).len(), 1);
    assert_eq!(often.due(at(0) + LOOK / 2, describe("a")).len(), 0);
    let mut never = Metadata::every(Duration::ZERO);
    assert_eq!(never.due(at(0), || panic!("it is never looked")).len(), 0);
}

#[test]
fn metadata_says_what_metrics_are() {
    let help = "é".repeat(1000);
    let told =
        decoded(&encode::metadata(&[Description { name: "x".into(), kind: MetricType::Histogram, help }]));
    let told = &told.metadata[0];
    assert_eq!((told.r#type, told.metric_family_name.as_str(), told.help.len()), (3, "x", 1024));
}

proptest! {
    /// Whatever a batch holds: each sample goes exactly once or is refused, series keep their shard, and within a
    /// series times ascend from request to request.
    #[test]
    fn nothing_is_lost_doubled_or_disordered(
        wanted in prop::collection::vec((0..6_u8, -20..4_000_000_i64, 0..3_u8), 1..300),
        shards in 1..5_usize,
        samples in 1..50_usize,
        begun in -5_000_000..0_i64,
    ) {
        let frame = |(series, time, value): &(u8, i64, u8)| {
            sample("m", &[("s", &series.to_string())], NOW - 5_000_000 + time / 7, f64::from(*value))
        };
        let frames: Vec<_> = wanted.iter().map(frame).collect();
        let table: Table = encode::table(&frames, NOW);
        let started = NOW + begun;
        let mut last: BTreeMap<usize, (usize, i64)> = BTreeMap::new();
        let mut count = 0;
        for round in shard::rounds(&table, shards, samples, started) {
            prop_assert_eq!(round.len(), shards);
            let times: Vec<i64> = round.iter().flatten().flat_map(|request| request.points.iter().map(|point| point.time)).collect();
            prop_assert!(times.iter().max().unwrap() - times.iter().min().unwrap() < shard::ROUND_MS);
            prop_assert!(times.iter().all(|time| *time < started) || times.iter().all(|time| *time >= started));
            for (shard, line) in round.iter().enumerate() {
                for request in line {
                    prop_assert!((1..=samples).contains(&request.points.len()));
                    let series = decoded(&encode::body(&table.series, &request.points)).timeseries;
                    prop_assert_eq!(series.iter().map(|series| series.samples.len()).sum::<usize>(), request.points.len());
                    for point in &request.points {
                        count += 1;
                        if let Some((before, time)) = last.insert(point.series, (shard, point.time)) {
                            prop_assert_eq!(before, shard);
                            prop_assert!(time < point.time);
                        }
                    }
                }
            }
        }
        let merged: std::collections::BTreeSet<_> = wanted.iter().map(|(series, time, _)| (series, time / 7 )).collect();
        prop_assert_eq!(count, merged.len());
    }
}
