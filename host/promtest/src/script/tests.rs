//! Whole files, good and bad.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::cases::{Annotation, Results, Time};
use proptest::prelude::*;

fn cases(text: &str) -> Vec<Case> {
    let case = |block: Block| match block.command.unwrap() {
        Command::Eval(case) => Some(*case),
        _ => None,
    };
    script(text).into_iter().filter_map(case).collect()
}

fn only(text: &str) -> Case {
    let mut cases = cases(text);
    assert_eq!(cases.len(), 1, "{text}");
    cases.remove(0)
}

#[test]
fn a_file_is_read_block_by_block() {
    let text = "# Comment.\nclear\nLoad 5m\n  up{a=\"b\"} 1+1x2 _\n  up@st 0 1m\n  down 0x1\n\n\
                eval instant at 1h30m up\n  up{a=\"b\"} 3\n# ends the block\nload_with_nhcb 10s53ms\n  x 1";
    let blocks = script(text);
    let lines: Vec<usize> = blocks.iter().map(|block| block.line).collect();
    assert_eq!(lines, [2, 3, 8, 11]);
    let Ok(Command::Load(load)) = &blocks[1].command else { panic!("{blocks:?}") };
    assert_eq!((load.step, load.with_nhcb, load.series.len()), (300_000, false, 2));
    assert_eq!(load.series[0].points.len(), 4);
    let Ok(Command::Load(load)) = &blocks[3].command else { panic!("{blocks:?}") };
    assert_eq!((load.step, load.with_nhcb), (10_053, true));
    let Ok(Command::Eval(case)) = &blocks[2].command else { panic!("{blocks:?}") };
    assert_eq!((case.line, case.time, case.expression.as_str()), (8, Time::Instant(5_400_000), "up"));
}

#[test]
fn evaluations_are_read_in_all_their_forms() {
    let range = only("eval range from 0 to 1m step 10s sum by (a) (x)\n {a=\"1\"} 1 _ 3x1");
    assert_eq!(range.time, Time::Range { start: 0, end: 60_000, step: 10_000 });
    assert_eq!(range.expression, "sum by (a) (x)");
    let Results::Series(rows) = &range.expected.results else { panic!("{range:?}") };
    assert_eq!(rows[0].1.len(), 4);
    assert_eq!(only("eval instant time()").time, Time::Instant(0));
    assert!(matches!(only("eval instant at 5m vector(1) > 2").expected.results, Results::Empty));
    for (text, value) in [("-0.5", -0.5), ("+Inf", f64::INFINITY), ("0x1F", 31.0), ("12e3", 12_000.0)] {
        let case = only(&format!("eval instant at 5m 1\n  {text}"));
        let Results::Scalar(number) = case.expected.results else { panic!("{case:?}") };
        assert_eq!(number, value, "{text}");
    }
}

#[test]
fn expectations_are_read_in_all_their_forms() {
    let case = only(
        "eval instant at 1m x\n expect ordered\n expect no_info\n expect warn msg: a: b\n expect warn regex:c.d\n",
    );
    assert!(case.expected.ordered && matches!(case.expected.infos, Annotation::None));
    let Annotation::Some(patterns) = &case.expected.warnings else { panic!("{case:?}") };
    assert!(patterns[0].matches("a: b") && !patterns[0].matches("a: b!") && patterns[1].matches("xc-dx"));
    assert!(only("eval_fail instant x\n expected_fail_message no").expected.fail.unwrap()[0].matches("no"));
    assert!(only("eval instant x\n expect fail").expected.fail.unwrap().is_empty());
    let text = only("eval instant at 50m \"Foo\"\n expect string `Foo`\n");
    assert!(matches!(&text.expected.results, Results::Text(text) if text == "Foo"));
    let matrix = only("eval instant at 1m x[1m]\n expect range vector from 10s to 1m step 10s\n x 1 2\n");
    assert!(
        matches!(&matrix.expected.results, Results::Matrix { from: 10_000, step: 10_000, rows } if rows.len() == 1)
    );
}

#[test]
fn annotations_match_both_ways() {
    let said = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let expected = |lines: &str| only(&format!("eval instant x\n{lines}")).expected.warnings;
    let two = expected("expect warn msg: a\nexpect warn regex: ^b");
    assert_eq!(two.mismatch(&said(&["a", "bc"])), None);
    assert!(two.mismatch(&said(&["a"])).unwrap().contains("^b"));
    assert!(two.mismatch(&said(&["a", "b", "c"])).unwrap().contains("`c` was not expected"));
    assert!(expected("expect warn").mismatch(&[]).is_some());
    assert!(expected("expect no_warn").mismatch(&said(&["a"])).is_some());
    assert_eq!(expected("").mismatch(&said(&["a"])), None);
}

#[test]
fn a_scalar_ends_its_block() {
    let found = cases("eval instant 1\n  1\neval instant 2\n  2\n");
    assert_eq!(found.iter().map(|case| case.line).collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn a_mistake_is_told_with_its_line_and_costs_its_block_only() {
    let text = "load 5m\n  up 1 two\n\nfoo\n\neval instant at x up\n\neval instant at 5m up\n  up{ 1\n\neval sometimes up\n\neval instant at 5m up\n  expect nonsense\n\neval instant at 0 up";
    let wrong: Vec<(usize, usize)> = script(text)
        .iter()
        .filter_map(|block| block.command.as_ref().err())
        .map(|error| (error.line, error.column))
        .collect();
    assert_eq!(wrong, [(2, 6), (4, 1), (6, 1), (9, 5), (11, 1), (14, 8)]);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "((load|eval|clear|expect|\\PC{0,6})[ \n]([a-z0-9{}\"=_x+:@ -]{0,20})\n?){0,8}") {
        let _ = script(&text);
    }
}
