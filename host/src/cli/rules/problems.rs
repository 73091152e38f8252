//! What the component says is wrong with rule files, one problem a line.

use picket_sandbox::ConfigProblem;
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

/// The first problem, and those that its message lists behind it, each on a line that begins with the file. The
/// sandbox may have made the lines' ends visible.
pub(super) fn problems(problem: &ConfigProblem) -> Vec<Problem> {
    let file = problem.asset.as_deref().unwrap_or_default();
    let mut place = file.to_owned();
    if problem.line > 0 {
        place += &format!(":{}", problem.line);
    }
    if problem.line > 0 && problem.column > 0 {
        place += &format!(":{}", problem.column);
    }
    if !problem.key.is_empty() {
        place = format!("key `{}`", problem.key);
    }
    let message = problem.message.replace(&format!("\\n{file}:"), &format!("\n{file}:"));
    let mut lines = message.split('\n');
    let first = Problem { place, message: lines.next().unwrap_or_default().to_owned() };
    let further = lines.filter(|line| !line.trim().is_empty()).map(|line| match line.split_once(": ") {
        Some((place, message)) if place.starts_with(file) => {
            Problem { place: place.to_owned(), message: message.to_owned() }
        }
        _ => Problem { place: String::new(), message: line.to_owned() },
    });
    std::iter::once(first).chain(further).collect()
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
        let expected = ["a.yml:3:7: bad (and 2 more)", "a.yml:4:1: group `g`: worse: x", "a.yml:9:2: worst"];
        for end in ["\n", "\\n"] {
            let message = format!("bad (and 2 more){end}a.yml:4:1: group `g`: worse: x{end}a.yml:9:2: worst");
            assert_eq!(shown(Some("a.yml"), 3, &message), expected);
        }
    }
}
