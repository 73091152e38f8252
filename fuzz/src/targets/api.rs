//! What callers of Prometheus' query API send: the parameters of their requests.

use picket::api::prometheus::judged::{Expression, judged};

use crate::{Target, shape, shape_of_text};

/// Points of a range and items of a look-up that are ever answered, as the documentation says.
const MOST: (u128, usize) = (11_000, 50_000);

/// A time that parameters are judged at, with a part of a millisecond.
const NOW: u64 = 1_700_000_000_123_456_789;

/// A query string, which is also what stands in a form's body.
pub(super) const PARAMETERS: Target = Target {
    name: "api-parameters",
    about: "a query string or form body of the query API",
    samples: &[],
    seeds: || {
        let seeds: [&[u8]; 6] = [
            b"query=sum%28rate%28x%5B5m%5D%29%29&time=1700000000.123&timeout=5s&limit=10",
            b"query=up&start=1700000000&end=2023-11-14T22:20:00Z&step=15s",
            b"query=up&start=0&end=10999&step=1",
            b"match[]=up&match%5B%5D=%7Bjob%3D%22a%20b%22%7D&start=-292273086-05-16T16:47:06Z&limit=0",
            b"start=1e3&end=292277025-08-18T07:12:54.999999999Z&limit=99999999999999999999",
            b"query=&time=2015-07-01T22:10:51.781%2B02:00&step=1h30m&timeout=-1",
        ];
        seeds.map(<[u8]>::to_vec).to_vec()
    },
    words: &[
        "query=",
        "time=",
        "start=",
        "end=",
        "step=",
        "timeout=",
        "limit=",
        "match[]=",
        "match%5B%5D=",
        "&",
        "+",
        "%2B",
        "%00",
        "%ff",
        "1d2h3m4s5ms",
        "1y",
        "w",
        "ms",
        "-1",
        "1e300",
        "0.0005",
        "inf",
        "NaN",
        "9223372036854775808",
        "18446744073709551615",
        "2015-07-01T20:10:51.781Z",
        "-292273086-05-16T16:47:06Z",
    ],
    run: |data| {
        let found = judged(data, NOW);
        let mut shapes = Vec::new();
        for outcome in [&found.instant, &found.range] {
            match outcome {
                Ok(asked) => shapes.extend([1, asked.text.len() as u64, points(asked)]),
                Err(message) => shapes.push(refused(message)),
            }
        }
        if let (Ok(instant), Ok(range)) = (&found.instant, &found.range) {
            assert_eq!(
                (&instant.text, instant.timeout),
                (&range.text, range.timeout),
                "one form says two things"
            );
            assert!(!range.step.is_zero(), "a range never gets on");
        }
        match &found.lookup {
            Ok(lookup) => {
                assert!(lookup.start <= lookup.end, "a look-up ends before it begins");
                assert!(lookup.limit <= MOST.1 && lookup.limit > 0, "a look-up has no bound");
                assert!(
                    lookup.selectors.iter().map(String::len).sum::<usize>() <= 3 * data.len(),
                    "out of nothing"
                );
                shapes.extend([2, lookup.selectors.len() as u64, lookup.limit as u64]);
            }
            Err(message) => shapes.push(refused(message)),
        }
        shape(&shapes)
    },
};

/// How many points an expression is evaluated at, which has a bound.
fn points(asked: &Expression) -> u64 {
    assert!(asked.start <= asked.end, "a range ends before it begins");
    if asked.step.is_zero() {
        return 1;
    }
    let points = u128::from(asked.end - asked.start) / asked.step.as_nanos() + 1;
    assert!(points <= MOST.0, "{points} points are too many");
    u64::try_from(points).unwrap_or(u64::MAX)
}

/// The shape of a refusal, which says why and quotes little.
fn refused(message: &str) -> u64 {
    assert!(!message.is_empty() && message.len() < 1000, "a refusal of {} bytes", message.len());
    shape_of_text(message)
}
