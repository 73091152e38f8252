//! A whole `.test` file: `clear`, `load` and `eval`, block by block. What is wrong with one block leaves the
//! others alone.

use crate::cases::{Case, head};
use crate::duration::parse_duration;
use crate::places::{NotationError, SyntaxError};
use crate::scan::Cursor;
use crate::series::{Labels, series};
use crate::values::{MAX_FILE_POINTS, Point, left, values};

/// A command, or why it cannot be read.
#[derive(Debug, Clone)]
pub struct Block {
    /// Where it begins, counted from 1.
    pub line: usize,
    /// What it says.
    pub command: Result<Command, SyntaxError>,
}

/// What a block says.
#[derive(Debug, Clone)]
pub enum Command {
    /// Drop what was loaded.
    Clear,
    /// Add series.
    Load(Load),
    /// Evaluate.
    Eval(Box<Case>),
}

/// Series with samples at even times from Unix time 0 on.
#[derive(Debug, Clone, Default)]
pub struct Load {
    /// Between two samples, in milliseconds.
    pub step: i64,
    /// Classic histograms are wanted as native ones too.
    pub with_nhcb: bool,
    /// The series.
    pub series: Vec<Loaded>,
}

/// One series.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Its labels.
    pub labels: Labels,
    /// Its samples; the first is of time 0.
    pub points: Vec<Point>,
}

/// Reads a file.
pub fn script(text: &str) -> Vec<Block> {
    // A comment ends a block, as an empty line does.
    let is_comment = |line: &str| line.starts_with('#');
    let lines: Vec<&str> =
        text.lines().map(str::trim).map(|line| if is_comment(line) { "" } else { line }).collect();
    let mut blocks = Vec::new();
    let (mut at, mut room) = (0, MAX_FILE_POINTS);
    while at < lines.len() {
        let line = at + 1;
        match lines[at] {
            "" => at += 1,
            first => {
                let word = first.split_whitespace().next().unwrap_or_default().to_lowercase();
                let command = match word.as_str() {
                    "clear" => {
                        at += 1;
                        Ok(Command::Clear)
                    }
                    word if word.starts_with("load") => load(&lines, &mut at, &mut room).map(Command::Load),
                    word if word.starts_with("eval") => {
                        eval(&lines, &mut at).map(|case| Command::Eval(Box::new(case)))
                    }
                    word => {
                        to_end(&lines, &mut at);
                        let message = format!("`{word}` is no command: there are `clear`, `load` and `eval`");
                        Err(SyntaxError { line, column: 1, message })
                    }
                };
                blocks.push(Block { line, command });
            }
        }
    }
    blocks
}

/// Goes behind the block.
fn to_end(lines: &[&str], at: &mut usize) {
    while lines.get(*at).is_some_and(|line| !line.is_empty()) {
        *at += 1;
    }
}

fn placed(line: usize) -> impl Fn(NotationError) -> SyntaxError {
    move |error| SyntaxError { line, column: error.column, message: error.message }
}

/// `room` is how many samples the file may still have.
fn load(lines: &[&str], at: &mut usize, room: &mut usize) -> Result<Load, SyntaxError> {
    let start = *at;
    to_end(lines, at);
    let wrong = |message: String| SyntaxError { line: start + 1, column: 1, message };
    let (word, step) = lines[start]
        .split_once(char::is_whitespace)
        .ok_or_else(|| wrong("`load STEP` is expected".into()))?;
    let with_nhcb = match word.to_lowercase().as_str() {
        "load" => false,
        "load_with_nhcb" => true,
        _ => return Err(wrong(format!("`{word}` is not known: there are `load` and `load_with_nhcb`"))),
    };
    let step = parse_duration(step.trim()).map_err(|error| wrong(error.to_string()))?;
    let mut load = Load { step, with_nhcb, series: Vec::new() };
    for (index, line) in lines[start + 1..*at].iter().enumerate() {
        let number = start + 2 + index;
        let Some(loaded) = loaded(line).map_err(placed(number))? else { continue };
        *room = left(*room, &loaded.points).map_err(|message| SyntaxError {
            line: number,
            column: 1,
            message,
        })?;
        load.series.push(loaded);
    }
    Ok(load)
}

/// A series with its samples. Nothing of a line of start timestamps (`series@st …`): they belong to no sample
/// that is kept here.
fn loaded(line: &str) -> Result<Option<Loaded>, NotationError> {
    let mut cursor = Cursor::new(line);
    let labels = series(&mut cursor)?;
    if cursor.take("@st") {
        return Ok(None);
    }
    Ok(Some(Loaded { labels, points: values(&mut cursor)? }))
}

fn eval(lines: &[&str], at: &mut usize) -> Result<Case, SyntaxError> {
    let start = *at;
    let mut end = start;
    to_end(lines, &mut end);
    // Behind a mistake the block is over.
    *at = end;
    let mut case = head(lines[start], start + 1)?;
    for (index, line) in lines[start + 1..end].iter().enumerate() {
        if case.expected.line(line).map_err(placed(start + 2 + index))? {
            *at = start + 2 + index;
            break;
        }
    }
    Ok(case)
}

#[cfg(test)]
mod tests;
