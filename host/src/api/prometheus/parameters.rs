//! What is asked for: parameters of queries and look-ups, checked as Prometheus checks them.

use std::time::Duration;

use picket_sandbox::QueryTime;

use super::failure::{Failure, Sort};
use super::form::Form;
use super::times::{nanos, parse_duration, parse_time, shown};
use super::view::Lookup;

/// Points of each series of a range, as in Prometheus: more than a screen has pixels.
const MAX_POINTS: i64 = 11_000;
/// Series, names or values in one answer to a look-up, whatever `limit` says. The store of a node holds some
/// hundred thousand series; who wants to see more than these has not asked for anything in particular.
const MAX_FOUND: usize = 50_000;

/// An expression to be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) expression: String,
    pub(super) time: QueryTime,
    /// How long it may take, when the caller says so.
    pub(super) timeout: Option<Duration>,
    /// Series in the answer; none when there is no bound.
    pub(super) limit: Option<usize>,
}

/// For `query`. `now` is Unix time in nanoseconds.
pub(super) fn instant(form: &Form, now: u64) -> Result<Asked, Failure> {
    let time = match form.first("time") {
        // Prometheus cuts to milliseconds too.
        None => now / 1_000_000 * 1_000_000,
        Some(text) => moment("time", text)?,
    };
    asked(form, QueryTime::Instant(time))
}

/// For `query_range`.
pub(super) fn range(form: &Form) -> Result<Asked, Failure> {
    let start = time("start", form.first("start").unwrap_or_default())?;
    let end = time("end", form.first("end").unwrap_or_default())?;
    if end < start {
        return Err(Failure::parameter("end", "end timestamp must not be before start time"));
    }
    let step = duration("step", form.first("step").unwrap_or_default())?;
    if step <= 0 {
        return Err(Failure::parameter(
            "step",
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    if (end - start) / step >= MAX_POINTS {
        return Err(Failure::new(
            Sort::BadData,
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution \
             (?step=XX)",
        ));
    }
    let kept = |name: &str, millis| nanos(millis).ok_or_else(|| Failure::parameter(name, BEFORE_1970));
    let time = QueryTime::Range {
        start: kept("start", start)?,
        end: kept("end", end)?,
        step: Duration::from_millis(step.unsigned_abs()),
    };
    asked(form, time)
}

const BEFORE_1970: &str = "a node has no samples from before 1970";

fn asked(form: &Form, time: QueryTime) -> Result<Asked, Failure> {
    let timeout = form.first("timeout").map(|text| duration("timeout", text)).transpose()?;
    Ok(Asked {
        expression: form.first("query").unwrap_or_default().to_owned(),
        time,
        timeout: timeout.map(|millis| Duration::from_millis(millis.max(0).unsigned_abs())),
        limit: limit(form)?,
    })
}

/// For `series`, `labels` and `label/…/values`: which series, and how many. Without times it means all that the
/// store has.
pub(super) fn lookup(form: &Form) -> Result<Lookup, Failure> {
    let bound = |name: &str, default: u64| -> Result<u64, Failure> {
        match form.first(name) {
            None => Ok(default),
            Some(text) => Ok(nanos(time(name, text)?).unwrap_or(0)),
        }
    };
    let (start, end) = (bound("start", 0)?, bound("end", u64::MAX)?);
    if end < start {
        return Err(Failure::parameter("end", "end timestamp must not be before start time"));
    }
    Ok(Lookup {
        selectors: form.all("match[]").map(str::to_owned).collect(),
        start,
        end,
        limit: limit(form)?.map_or(MAX_FOUND, |limit| limit.min(MAX_FOUND)),
    })
}

/// At most so many; 0 and nothing mean that there is no bound.
pub(super) fn limit(form: &Form) -> Result<Option<usize>, Failure> {
    number(form, "limit")
}

/// The same for a parameter of another name.
pub(super) fn number(form: &Form, name: &str) -> Result<Option<usize>, Failure> {
    match form.first(name).map(str::parse::<usize>) {
        None | Some(Ok(0)) => Ok(None),
        Some(Ok(limit)) => Ok(Some(limit)),
        Some(Err(_)) => Err(Failure::parameter(name, "limit must be a number that is not negative")),
    }
}

/// Whether a switch is on.
pub(super) fn switch(form: &Form, name: &str) -> Result<bool, Failure> {
    match form.first(name) {
        None => Ok(false),
        Some(text) => match text.to_ascii_lowercase().as_str() {
            "1" | "t" | "true" => Ok(true),
            "0" | "f" | "false" => Ok(false),
            _ => Err(Failure::parameter(name, format!("\"{}\" is neither true nor false", shown(text)))),
        },
    }
}

fn time(name: &str, text: &str) -> Result<i64, Failure> {
    parse_time(text).map_err(|why| Failure::parameter(name, why))
}

fn moment(name: &str, text: &str) -> Result<u64, Failure> {
    nanos(time(name, text)?).ok_or_else(|| Failure::parameter(name, BEFORE_1970))
}

fn duration(name: &str, text: &str) -> Result<i64, Failure> {
    parse_duration(text).map_err(|why| Failure::parameter(name, why))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const NOW: u64 = 1_700_000_000_123_456_789;

    #[test]
    fn an_instant_is_now_or_as_asked() {
        let asked = instant(&Form::of("query=up&timeout=5s&limit=7"), NOW).unwrap();
        assert_eq!(asked.expression, "up");
        assert_eq!(asked.time, QueryTime::Instant(1_700_000_000_123_000_000));
        assert_eq!((asked.timeout, asked.limit), (Some(Duration::from_secs(5)), Some(7)));
        let asked = instant(&Form::of("query=up&time=10.5&limit=0"), NOW).unwrap();
        assert_eq!((asked.time, asked.limit), (QueryTime::Instant(10_500_000_000), None));
    }

    #[test]
    fn a_range_has_a_start_an_end_and_a_step() {
        let asked = range(&Form::of("query=up&start=10&end=1970-01-01T00:01:00Z&step=15s")).unwrap();
        let time =
            QueryTime::Range { start: 10_000_000_000, end: 60_000_000_000, step: Duration::from_secs(15) };
        assert_eq!(asked.time, time);
    }

    fn check_refused(outcome: Result<impl std::fmt::Debug, Failure>, says: &str) {
        let failure = outcome.unwrap_err();
        assert_eq!(failure.sort, Sort::BadData, "{failure:?}");
        assert!(failure.error.contains(says), "{failure:?}");
    }

    #[test]
    fn what_is_wrong_with_a_query_is_said_in_the_words_of_prometheus() {
        let now = |text: &str| instant(&Form::of(text), NOW);
        check_refused(now("time=x"), "invalid parameter \"time\": cannot parse \"x\" to a valid timestamp");
        check_refused(now("time=-1"), "before 1970");
        check_refused(now("timeout=x"), "\"timeout\": cannot parse \"x\" to a valid duration");
        check_refused(now("limit=-1"), "\"limit\"");
        let between = |text: &str| range(&Form::of(text));
        check_refused(between("end=1&step=1"), "invalid parameter \"start\": cannot parse \"\"");
        check_refused(between("start=1&end=1"), "\"step\": cannot parse");
        check_refused(between("start=2&end=1&step=1"), "end timestamp must not be before start time");
        check_refused(between("start=1&end=2&step=0"), "zero or negative query resolution step");
        check_refused(between("start=1&end=2&step=-1m"), "to a valid duration");
        check_refused(between("start=0&end=11000&step=1"), "exceeded maximum resolution of 11,000 points");
        assert!(between("start=0&end=10999&step=1").is_ok());
    }

    #[test]
    fn a_lookup_without_times_is_over_all_that_is_kept() {
        let found = lookup(&Form::of("match[]=up&match[]={a=\"b\"}")).unwrap();
        assert_eq!((found.start, found.end, found.limit), (0, u64::MAX, MAX_FOUND));
        assert_eq!(found.selectors, ["up", "{a=\"b\"}"]);
        let found = lookup(&Form::of("start=-5&end=2&limit=999999999")).unwrap();
        assert_eq!((found.start, found.end, found.limit), (0, 2_000_000_000, MAX_FOUND));
        check_refused(lookup(&Form::of("start=2&end=1")), "before start time");
    }

    #[test]
    fn switches_are_true_or_false() {
        assert_eq!(switch(&Form::of(""), "x"), Ok(false));
        assert_eq!(switch(&Form::of("x=True"), "x"), Ok(true));
        check_refused(switch(&Form::of("x=2"), "x"), "neither true nor false");
    }
}
