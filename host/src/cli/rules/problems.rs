//! What the component says is wrong with rule files, one problem a line.

use picket_sandbox::ConfigProblem;
use regex::Regex;
use serde::Serialize;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    /// `FILE:LINE:COLUMN`, as far as that is known.
    pub(super) place: String,
    /// With group and rule.
    pub(super) message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.place.is_empty() {
            true => f.write_str(&self.message),
            false => write!(f, "{}: {}", self.place, self.message),
        }
    }
}

/// The first problem, and those that its message lists behind it, each on a line that begins with its place. The
/// sandbox makes the lines' ends visible.
pub(super) fn problems(problem: &ConfigProblem) -> Vec<Problem> {
    let mut place = problem.asset.clone().unwrap_or_default();
    for number in [problem.line, problem.column].into_iter().take_while(|number| *number > 0) {
        place += &format!(":{number}");
    }
    if !problem.key.is_empty() {
        place = format!("key `{}`", problem.key);
    }
    let further = Regex::new(r"(?:\n|\\n)([^\n]+?:\d+:\d+): ").expect("the pattern is written right above");
    let message = &problem.message;
    let mut found = Vec::new();
    let mut start = 0;
    for captures in further.captures_iter(message) {
        let (Some(whole), Some(next)) = (captures.get(0), captures.get(1)) else { continue };
        let next = std::mem::replace(&mut place, next.as_str().to_owned());
        found.push(Problem { place: next, message: message[start..whole.start()].to_owned() });
        start = whole.end();
    }
    found.push(Problem { place, message: message[start..].to_owned() });
    let left = not_listed(&mut found);
    found.extend(left);
    found
}

/// The first message says how many more there are. Here they stand below it, so only what is not listed is told,
/// at the end.
fn not_listed(found: &mut [Problem]) -> Option<Problem> {
    let counted = Regex::new(r" \(and (\d+) more\)$").expect("the pattern is written right here");
    let listed = found.len().checked_sub(1).filter(|listed| *listed > 0)?;
    let first = &mut found[0].message;
    let captures = counted.captures(first)?;
    let (start, count) = (captures.get(0)?.start(), captures.get(1)?.as_str().parse::<usize>().ok()?);
    first.truncate(start);
    let left = count.checked_sub(listed).filter(|left| *left > 0)?;
    Some(Problem { place: String::new(), message: format!("and {left} more, which are not listed") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(file: Option<&str>, line: u32, message: &str) -> Vec<String> {
        let problem = ConfigProblem {
            key: String::new(),
            asset: file.map(str::to_owned),
            line,
            column: 7,
            message: message.to_owned(),
        };
        problems(&problem).iter().map(Problem::to_string).collect()
    }

    #[test]
    fn every_problem_has_a_line_with_its_place() {
        assert_eq!(shown(Some("a.yml"), 3, "bad"), ["a.yml:3:7: bad"]);
        assert_eq!(shown(Some("a.yml"), 0, "bad"), ["a.yml: bad"]);
        assert_eq!(shown(None, 3, "bad").len(), 1);
        let expected = ["a.yml:3:7: bad", "b.yml:4:1: group `g`: worse: x", "a.yml:9:2: worst"];
        for end in ["\n", "\\n"] {
            let further = format!("{end}b.yml:4:1: group `g`: worse: x{end}a.yml:9:2: worst");
            assert_eq!(shown(Some("a.yml"), 3, &format!("bad (and 2 more){further}")), expected);
            let found = shown(Some("a.yml"), 3, &format!("bad (and 5 more){further}"));
            assert_eq!(found[..3], expected);
            assert_eq!(found[3..], ["and 3 more, which are not listed"]);
        }
        assert_eq!(shown(Some("a.yml"), 3, "bad (and 2 more)"), ["a.yml:3:7: bad (and 2 more)"]);
    }
}
