//! What targets of scrapes send, and the files that name them.

use std::time::Duration;

use picket::model::Sample;
use picket_http::Mask;
use picket_scrape::exposition::{Entry, Format, MAX_LABELS, MAX_NAME_BYTES, MAX_VALUE_BYTES, Parser};
use picket_scrape::targets::{Defaults, Group, parse, resolve};
use picket_scrape::{Page, Round, Rules, Series};

use crate::{Target, shape, shape_of_text};

const PAGE: &str = "# HELP a_seconds Took \\\\ \\n.\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n\
    a_seconds_bucket{le=\"0.5\",x=\"\\\"\"} 1 # {t=\"u\"} 0.3 1.5\na_seconds_bucket{le=\"+Inf\"} 2 1700000000.5\n# EOF\n";

const PLAIN: &str = "# HELP a Counts.\n# TYPE a counter\na{job=\"x\",y=\"\\\\\"} NaN 1700000000123\nb -Inf\n";

/// A page, read in both formats, and twice by one target.
pub(super) const EXPOSITION: Target = Target {
    name: "exposition",
    about: "a page of metrics in the text format and in OpenMetrics",
    samples: &[],
    seeds: || vec![PAGE.as_bytes().to_vec(), PLAIN.as_bytes().to_vec()],
    words: &[
        "# HELP ",
        "# TYPE ",
        "# UNIT ",
        "# EOF\n",
        " counter\n",
        " gauge\n",
        "{le=\"",
        "\"} ",
        " # {",
        "+Inf",
        "NaN",
        "1e308",
        "\\n",
        "\\\"",
        " 1700000000",
    ],
    run: |data| {
        let mut shapes = Vec::new();
        for format in [Format::Text, Format::OpenMetrics] {
            match entries(format, data) {
                Ok(count) => shapes.extend([1, count as u64]),
                Err(message) => shapes.push(shape_of_text(&message)),
            }
            shapes.push(twice(format, data));
        }
        shape(&shapes)
    },
};

/// How many entries there are; each of them is within its bounds.
fn entries(format: Format, data: &[u8]) -> Result<usize, String> {
    let mut count = 0;
    for entry in Parser::new(format, data).map_err(|error| error.fault.to_string())? {
        count += 1;
        let Entry::Sample(sample) = entry.map_err(|error| error.fault.to_string())? else { continue };
        assert!(!sample.name.is_empty() && sample.name.len() <= MAX_NAME_BYTES, "the name is out of bounds");
        assert!(sample.labels.len() <= MAX_LABELS, "there are too many labels");
        for (name, value) in &sample.labels {
            assert!(name.len() <= MAX_NAME_BYTES && value.len() <= MAX_VALUE_BYTES, "a label is too long");
        }
    }
    Ok(count)
}

/// Scraped a second time, and then gone: what was there has ended, and nothing else has.
fn twice(format: Format, data: &[u8]) -> u64 {
    let group = Group { targets: vec!["a:1".to_owned()], ..Group::default() };
    let defaults = Defaults { scheme: "http".to_owned(), ..Defaults::default() };
    let target = resolve(&defaults, &[group]).expect("this is a target").remove(0);
    let (rules, mut series) = (Rules::default(), Series::default());
    let mut take = |time, body: &[u8]| {
        let page = Ok(Page { format, body: body.to_vec(), mask: Mask::default() });
        rules.take(&target, &mut series, Round { time, took: Duration::ZERO, page }, usize::MAX).samples
    };
    let stale = |samples: &[Sample]| samples.iter().filter(|sample| sample.is_stale()).count();
    let (first, second) = (take(1_000_000_000, data), take(2_000_000_000, data));
    assert_eq!((stale(&first), stale(&second)), (0, 0), "what is there again has ended");
    let gone = take(3_000_000_000, b"?");
    assert_eq!(stale(&gone), first.len() - 5, "what is gone has not ended");
    first.len() as u64
}

/// A targets file in both notations.
pub(super) const TARGETS: Target = Target {
    name: "targets",
    about: "a targets file, as JSON and as YAML",
    samples: &[],
    seeds: || {
        vec![
            br#"[{"targets": ["a:1", "[::1]:2"], "labels": {"x": "y", "__param_z": "w"}}]"#.to_vec(),
            b"- targets: [a:1]\n  labels:\n    x: 'y'\n- targets:\n    - b:2\n".to_vec(),
        ]
    },
    words: &[
        "targets",
        "labels",
        "- ",
        ": ",
        "\"",
        "[",
        "]",
        "{",
        "}",
        "&a ",
        "*a",
        "__scheme__",
        "__metrics_path__",
    ],
    run: |data| {
        let mut shapes = Vec::new();
        for is_yaml in [false, true] {
            let groups = match parse(data, is_yaml) {
                Ok(groups) => groups,
                Err(message) => {
                    shapes.push(shape_of_text(&message));
                    continue;
                }
            };
            let defaults = Defaults { scheme: "http".to_owned(), ..Defaults::default() };
            match resolve(&defaults, &groups) {
                Ok(targets) => {
                    let targets_in = groups.iter().map(|group| group.targets.len()).sum::<usize>();
                    assert!(targets.len() <= targets_in, "there are targets that nobody named");
                    shapes.extend([1, targets.len() as u64]);
                }
                Err(error) => shapes.push(shape_of_text(&error.to_string())),
            }
        }
        shape(&shapes)
    },
};
