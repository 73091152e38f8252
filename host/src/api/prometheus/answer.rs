//! What an expression gave, in the JSON of `query` and `query_range`.
//!
//! Written by hand, because times are numbers with three digits behind the point and values are text, and
//! because there may be half a million of them.

use std::io::{self, Write};

use picket_sandbox::{Answer, AnswerRow, AnswerValue, Label};

use super::failure::Failure;
use super::number::{write_seconds, write_value};
use super::page::{MAX_BYTES, Page, TRUNCATED, too_large};

/// Renders an answer. At most `limit` series are shown; `at` is the time of a text, in Unix nanoseconds.
pub(super) fn render(mut answer: Answer, limit: Option<usize>, at: u64) -> Result<Vec<u8>, Failure> {
    if let (Some(limit), AnswerValue::Vector(rows) | AnswerValue::Matrix(rows)) = (limit, &mut answer.value)
        && rows.len() > limit
    {
        rows.truncate(limit);
        answer.warnings.push(TRUNCATED.to_owned());
    }
    let mut page = Page::new(MAX_BYTES);
    // The page's only error is that it is full.
    write_answer(&mut page, &answer, at).map_err(|_| too_large())?;
    Ok(page.into_bytes())
}

fn write_answer(page: &mut Page, answer: &Answer, at: u64) -> io::Result<()> {
    page.write_all(br#"{"status":"success","data":{"resultType":"#)?;
    match &answer.value {
        AnswerValue::Scalar(time, value) => {
            page.write_all(br#""scalar","result":"#)?;
            write_point(page, *time, *value)?;
        }
        AnswerValue::Text(text) => {
            page.write_all(br#""string","result":["#)?;
            write_seconds(page, at)?;
            page.write_all(b",")?;
            write_text(page, text)?;
            page.write_all(b"]")?;
        }
        AnswerValue::Vector(rows) => {
            page.write_all(br#""vector","result":"#)?;
            write_list(page, rows, write_sample)?;
        }
        AnswerValue::Matrix(rows) => {
            page.write_all(br#""matrix","result":"#)?;
            write_list(page, rows, write_series)?;
        }
    }
    page.write_all(b"}")?;
    write_notes(page, "warnings", &answer.warnings)?;
    write_notes(page, "infos", &answer.infos)?;
    page.write_all(b"}")
}

/// A series with its one point.
fn write_sample(page: &mut Page, row: &AnswerRow) -> io::Result<()> {
    write_metric(page, &row.labels)?;
    page.write_all(br#","value":"#)?;
    match row.points.first() {
        Some((time, value)) => write_point(page, *time, *value)?,
        // An engine that gives a row without a point has no value for it.
        None => page.write_all(b"null")?,
    }
    page.write_all(b"}")
}

/// A series with all its points.
fn write_series(page: &mut Page, row: &AnswerRow) -> io::Result<()> {
    write_metric(page, &row.labels)?;
    page.write_all(br#","values":"#)?;
    write_list(page, &row.points, |page, (time, value)| write_point(page, *time, *value))?;
    page.write_all(b"}")
}

/// The labels, up to the comma before what else an object holds.
fn write_metric(page: &mut Page, labels: &[Label]) -> io::Result<()> {
    page.write_all(br#"{"metric":{"#)?;
    for (index, label) in labels.iter().enumerate() {
        if index > 0 {
            page.write_all(b",")?;
        }
        write_text(page, &label.name)?;
        page.write_all(b":")?;
        write_text(page, &label.value)?;
    }
    page.write_all(b"}")
}

fn write_point(page: &mut Page, time: u64, value: f64) -> io::Result<()> {
    page.write_all(b"[")?;
    write_seconds(page, time)?;
    page.write_all(b",\"")?;
    write_value(page, value)?;
    page.write_all(b"\"]")
}

fn write_notes(page: &mut Page, name: &str, notes: &[String]) -> io::Result<()> {
    if notes.is_empty() {
        return Ok(());
    }
    write!(page, ",\"{name}\":")?;
    write_list(page, notes, |page, note| write_text(page, note))
}

fn write_list<T>(
    page: &mut Page,
    items: &[T],
    mut write: impl FnMut(&mut Page, &T) -> io::Result<()>,
) -> io::Result<()> {
    page.write_all(b"[")?;
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            page.write_all(b",")?;
        }
        write(page, item)?;
    }
    page.write_all(b"]")
}

fn write_text(page: &mut Page, text: &str) -> io::Result<()> {
    serde_json::to_writer(page, text).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const AT: u64 = 1_435_781_451_781_000_000;

    fn answer(value: AnswerValue) -> Answer {
        Answer { value, warnings: Vec::new(), infos: Vec::new() }
    }

    fn row(labels: &[(&str, &str)], points: &[(u64, f64)]) -> AnswerRow {
        let label = |(name, value): &(&str, &str)| Label { name: (*name).into(), value: (*value).into() };
        AnswerRow { labels: labels.iter().map(label).collect(), points: points.to_vec() }
    }

    fn check(value: AnswerValue, data: &str) {
        let text = String::from_utf8(render(answer(value), None, AT).unwrap()).unwrap();
        assert_eq!(text, format!(r#"{{"status":"success","data":{data}}}"#));
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }

    #[test]
    fn each_type_has_its_shape() {
        check(
            AnswerValue::Scalar(AT, f64::INFINITY),
            r#"{"resultType":"scalar","result":[1435781451.781,"+Inf"]}"#,
        );
        check(
            AnswerValue::Text("a\"b".into()),
            r#"{"resultType":"string","result":[1435781451.781,"a\"b"]}"#,
        );
        check(AnswerValue::Vector(vec![]), r#"{"resultType":"vector","result":[]}"#);
        check(
            AnswerValue::Vector(vec![
                row(&[("__name__", "up"), ("job", "a")], &[(AT, 1.0)]),
                row(&[], &[(2_000_000_000, 0.5)]),
            ]),
            concat!(
                r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a"},"#,
                r#""value":[1435781451.781,"1"]},{"metric":{},"value":[2,"0.5"]}]}"#
            ),
        );
        check(
            AnswerValue::Matrix(vec![row(
                &[("a", "b")],
                &[(1_000_000_000, f64::NAN), (2_500_000_000, -1e21)],
            )]),
            concat!(
                r#"{"resultType":"matrix","result":[{"metric":{"a":"b"},"#,
                r#""values":[[1,"NaN"],[2.500,"-1e+21"]]}]}"#
            ),
        );
    }

    #[test]
    fn notes_stand_beside_the_data_and_a_limit_adds_one() {
        let rows = || AnswerValue::Vector(vec![row(&[], &[(0, 1.0)]), row(&[], &[(0, 2.0)])]);
        let noted = Answer { warnings: vec!["w".into()], infos: vec!["i".into()], ..answer(rows()) };
        let text = String::from_utf8(render(noted, Some(1), AT).unwrap()).unwrap();
        assert!(
            text.ends_with(r#"[0,"1"]}]},"warnings":["w","results truncated due to limit"],"infos":["i"]}"#),
            "{text}"
        );
        let text = String::from_utf8(render(answer(rows()), Some(2), AT).unwrap()).unwrap();
        assert!(!text.contains("warnings"), "{text}");
    }

    #[test]
    fn an_answer_beyond_the_bound_is_none() {
        let points = vec![(0, 1.0 / 3.0); 1_000_000];
        let failure = render(answer(AnswerValue::Matrix(vec![row(&[], &points)])), None, AT).unwrap_err();
        assert!(failure.error.contains("larger than 16 MiB"), "{failure:?}");
    }
}
