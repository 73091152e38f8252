//! Evaluates a query over the samples of a store.
//!
//! An expression is evaluated for all its times at once: each node gives one [`Block`] with a column of values for
//! the steps of its grid. An instant query is the case of one step.

mod aggregate;
mod binary;
mod block;
mod call;
mod grid;
mod histogram;
mod index;
mod info;
mod label_functions;
mod plan;
mod ranked;
mod selector;
mod windows;

use std::cell::Cell;
use std::rc::Rc;

use crate::ast::{Expr, Node, Type};
use crate::labels::Labels;
use crate::limits::MAX_TIME_MS;
use crate::notes::Notes;
use crate::parse::Query;
use crate::storage::{Series, Storage, StorageError};
use block::{Block, SameLabels, is_absent};
use grid::{Grid, Span};
use plan::{Plan, Planner, Times};
use selector::Part;

/// How a query is evaluated and what it may cost.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// How old a sample may be that an instant selector takes, in milliseconds. Prometheus: five minutes.
    pub lookback_ms: i64,
    /// The step of a subquery without one, in milliseconds.
    pub subquery_step_ms: i64,
    /// How many samples the query may hold at a time.
    pub max_samples: usize,
    /// Asked again and again: whether the query has to give up because its time is over.
    pub is_over: &'a dyn Fn() -> bool,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { lookback_ms: 300_000, subquery_step_ms: 60_000, max_samples: 50_000_000, is_over: &|| false }
    }
}

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// More samples than [`Options::max_samples`].
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// [`Options::is_over`] said so.
    #[error("query timed out in expression evaluation")]
    DeadlineExceeded,
    /// The store could not answer.
    #[error("expanding series: {0}")]
    Storage(#[from] StorageError),
    /// The expression has no value for these samples, in Prometheus' words.
    #[error("{0}")]
    Failed(String),
}

pub(crate) use EvalError as Failure;

impl From<SameLabels> for EvalError {
    fn from(_: SameLabels) -> Self {
        Self::Failed("vector cannot contain metrics with the same labelset".to_owned())
    }
}

/// What a query gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The value.
    pub value: Value,
    /// What makes the value doubtful, with line and column.
    pub warnings: Vec<String>,
    /// What may make the value doubtful, with line and column.
    pub infos: Vec<String>,
}

/// The value of a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Scalar {
        /// Milliseconds since 1970.
        time_ms: i64,
        /// The number.
        value: f64,
    },
    /// A text.
    Text {
        /// Milliseconds since 1970.
        time_ms: i64,
        /// The text.
        text: String,
    },
    /// Series with one value each, in no order but that of `sort` and `topk`.
    Vector(Vec<Sample>),
    /// Series with their values, ordered by labels. What a range query gives, also for a scalar.
    Matrix(Vec<Series>),
}

/// One value of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The labels of the series.
    pub labels: Rc<Labels>,
    /// Milliseconds since 1970: the time of the evaluation.
    pub time_ms: i64,
    /// The value.
    pub value: f64,
}

impl Query {
    /// Evaluates the query at one time, in milliseconds since 1970.
    ///
    /// # Errors
    /// [`EvalError`].
    pub fn instant(
        &self,
        time_ms: i64,
        storage: &mut dyn Storage,
        options: &Options<'_>,
    ) -> Result<Answer, EvalError> {
        let span = Span { start_ms: time_ms, end_ms: time_ms, step_ms: 0 };
        let mut evaluator = Evaluator::prepare(&self.expr, span, storage, options)?;
        let value = evaluator.instant_value(&self.expr, time_ms)?;
        Ok(evaluator.answer(value, &self.text))
    }

    /// Evaluates the query at each step from `start_ms` to `end_ms`, both inclusive, in milliseconds since 1970.
    ///
    /// # Errors
    /// [`EvalError`], also when the query is neither a scalar nor a vector.
    pub fn range(
        &self,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
        storage: &mut dyn Storage,
        options: &Options<'_>,
    ) -> Result<Answer, EvalError> {
        if !matches!(self.expr.value_type(), Type::Scalar | Type::Vector) {
            let got = self.expr.value_type().name();
            let message =
                format!("invalid expression type {got:?} for range query, must be Scalar or instant Vector");
            return Err(Failure::Failed(message));
        }
        if step_ms <= 0 || end_ms < start_ms {
            return Err(Failure::Failed(
                "a range needs a step above zero and an end not before its start".into(),
            ));
        }
        let span = Span { start_ms, end_ms, step_ms };
        let mut evaluator = Evaluator::prepare(&self.expr, span, storage, options)?;
        let grid =
            Grid::between(start_ms, end_ms, step_ms, options.max_samples).ok_or(Failure::TooManySamples)?;
        let value = evaluator.range_value(&self.expr, grid)?;
        Ok(evaluator.answer(value, &self.text))
    }
}

/// One evaluation of a query.
pub(crate) struct Evaluator<'a> {
    options: &'a Options<'a>,
    span: Span,
    plan: Plan,
    /// The series of each request.
    data: Vec<Rc<Vec<Series>>>,
    notes: Notes,
    /// How many samples are held besides those of the node that is evaluated.
    held: usize,
    /// Samples that windows looked at since the clock was looked at.
    worked: Cell<usize>,
}

/// A scalar has a value at each step, a vector may have none.
pub(crate) enum Evaluated {
    Scalar(Vec<f64>),
    Vector(Block),
}

impl<'a> Evaluator<'a> {
    /// Finds out what the query needs and gets it.
    fn prepare(
        expr: &Expr,
        span: Span,
        storage: &mut dyn Storage,
        options: &'a Options<'a>,
    ) -> Result<Self, Failure> {
        if span.start_ms.abs() > MAX_TIME_MS || span.end_ms.abs() > MAX_TIME_MS {
            return Err(Failure::Failed("the time of the evaluation is out of range".to_owned()));
        }
        let mut planner = Planner { options, span, plan: Plan::default() };
        planner.visit(expr, Times { first: span.start_ms, last: span.end_ms })?;
        let plan = planner.plan;
        let mut data: Vec<Rc<Vec<Series>>> = Vec::new();
        if !plan.requests.is_empty() {
            data = storage.select(&plan.requests)?.into_iter().map(Rc::new).collect();
        }
        if data.len() != plan.requests.len() {
            return Err(StorageError("the store did not answer each request".to_owned()).into());
        }
        Ok(Self { options, span, plan, data, notes: Notes::default(), held: 0, worked: Cell::new(0) })
    }

    fn answer(self, value: Value, text: &str) -> Answer {
        let (warnings, infos) = self.notes.finish(text);
        Answer { value, warnings, infos }
    }

    fn instant_value(&mut self, expr: &Expr, time_ms: i64) -> Result<Value, Failure> {
        let grid = Grid::at(time_ms);
        Ok(match &expr.node {
            Node::Text(text) => Value::Text { time_ms, text: text.clone() },
            Node::Range(..) | Node::Subquery(_) => self.samples(expr, grid)?,
            _ => match self.eval(expr, grid)? {
                Evaluated::Scalar(values) => Value::Scalar { time_ms, value: values[0] },
                Evaluated::Vector(block) => Value::Vector(vector(finished(block)?, time_ms)),
            },
        })
    }

    fn range_value(&mut self, expr: &Expr, grid: Grid) -> Result<Value, Failure> {
        let block = match self.eval(expr, grid)? {
            Evaluated::Vector(block) => finished(block)?,
            Evaluated::Scalar(values) => {
                let mut block = Block::new(grid.count);
                let labels = Rc::new(Labels::default());
                block.add(block::Row { labels, drop_name: false }).copy_from_slice(&values);
                block
            }
        };
        Ok(Value::Matrix(matrix(&block, grid)))
    }

    /// The samples of a range selector or a subquery themselves.
    fn samples(&mut self, expr: &Expr, grid: Grid) -> Result<Value, Failure> {
        let range = self.range(expr, grid)?;
        let mut found = Vec::new();
        let mut held = 0;
        for (index, series) in range.series.iter().enumerate() {
            let mut edges = windows::Edges::default();
            let Some(window) = self.window(series, &range, grid.time(0), &mut edges) else { continue };
            let dropped = range.drops_name(index);
            let labels = if dropped { series.labels.without_name() } else { series.labels.clone() };
            held += window.times.len();
            found.push(Series { labels, times: window.times.to_vec(), values: window.values.to_vec() });
        }
        self.check_samples(held)?;
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        if found.windows(2).any(|pair| pair[0].labels == pair[1].labels) {
            return Err(SameLabels.into());
        }
        Ok(Value::Matrix(found))
    }

    /// Evaluates a scalar or a vector.
    pub(crate) fn eval(&mut self, expr: &Expr, grid: Grid) -> Result<Evaluated, Failure> {
        self.check_deadline(0)?;
        let held = self.held;
        let value = self.eval_node(expr, grid)?;
        self.held = held;
        let size = match &value {
            Evaluated::Scalar(values) => values.len(),
            Evaluated::Vector(block) => block.present(),
        };
        self.check_samples(size)?;
        self.held += size;
        Ok(value)
    }

    fn eval_node(&mut self, expr: &Expr, grid: Grid) -> Result<Evaluated, Failure> {
        match &expr.node {
            Node::Number(value) => Ok(Evaluated::Scalar(vec![*value; grid.count])),
            Node::Selector(selector) => self.selector(selector, grid, Part::Value).map(Evaluated::Vector),
            Node::Negate(inner) => Ok(match self.eval(inner, grid)? {
                Evaluated::Scalar(values) => Evaluated::Scalar(values.into_iter().map(|v| -v).collect()),
                Evaluated::Vector(block) => Evaluated::Vector(block.map(|v| -v)),
            }),
            Node::Binary(binary) => self.binary(binary, grid),
            Node::Aggregate(aggregate) => self.aggregate(aggregate, grid).map(Evaluated::Vector),
            Node::Call(function, arguments) => self.call(*function, arguments, grid, expr.place),
            Node::Text(_) | Node::Range(..) | Node::Subquery(_) => {
                Err(Failure::Failed("a text or a range vector has no value at a time".to_owned()))
            }
        }
    }

    pub(crate) fn vector(&mut self, expr: &Expr, grid: Grid) -> Result<Block, Failure> {
        match self.eval(expr, grid)? {
            Evaluated::Vector(block) => Ok(block),
            Evaluated::Scalar(_) => Err(Failure::Failed("expected an instant vector".to_owned())),
        }
    }

    pub(crate) fn scalar(&mut self, expr: &Expr, grid: Grid) -> Result<Vec<f64>, Failure> {
        match self.eval(expr, grid)? {
            Evaluated::Scalar(values) => Ok(values),
            Evaluated::Vector(_) => Err(Failure::Failed("expected a scalar".to_owned())),
        }
    }

    /// The values of those arguments that are scalars.
    pub(crate) fn scalars(&mut self, arguments: &[Expr], grid: Grid) -> Result<Vec<Vec<f64>>, Failure> {
        let scalars = arguments.iter().filter(|argument| argument.value_type() == Type::Scalar);
        scalars.map(|argument| self.scalar(argument, grid)).collect()
    }

    pub(crate) fn note_quantiles(&mut self, quantiles: &[f64], place: crate::position::Position) {
        for &quantile in quantiles.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
            self.notes.invalid_quantile(quantile, place);
        }
    }

    /// Whether so many samples more may be held.
    pub(crate) fn check_samples(&self, more: usize) -> Result<(), Failure> {
        if self.held.saturating_add(more) > self.options.max_samples {
            return Err(Failure::TooManySamples);
        }
        Ok(())
    }

    /// Blocks have room for values that are absent; it is bounded as well, more generously.
    pub(crate) fn check_cells(&self, series: usize, grid: Grid) -> Result<(), Failure> {
        const CELLS_PER_SAMPLE: usize = 8;
        let most = self.options.max_samples.saturating_mul(CELLS_PER_SAMPLE);
        if series.saturating_mul(grid.count) > most { Err(Failure::TooManySamples) } else { Ok(()) }
    }

    /// Looks at the clock now and then while windows are: one step may see a day of samples.
    pub(crate) fn work(&self, samples: usize) -> Result<(), Failure> {
        const SAMPLES_PER_LOOK: usize = 1 << 16;
        let worked = self.worked.get().saturating_add(samples);
        if worked < SAMPLES_PER_LOOK {
            self.worked.set(worked);
            return Ok(());
        }
        self.worked.set(0);
        if (self.options.is_over)() { Err(Failure::DeadlineExceeded) } else { Ok(()) }
    }

    /// Looks at the clock now and then while series are counted through.
    pub(crate) fn check_deadline(&self, index: usize) -> Result<(), Failure> {
        const SERIES_PER_LOOK: usize = 1024;
        if index.is_multiple_of(SERIES_PER_LOOK) && (self.options.is_over)() {
            return Err(Failure::DeadlineExceeded);
        }
        Ok(())
    }
}

/// Drops the names that are to be dropped, which may make series the same.
fn finished(mut block: Block) -> Result<Block, SameLabels> {
    for row in block.rows.iter_mut().filter(|row| row.drop_name) {
        row.labels = row.labels.without_name();
        row.drop_name = false;
    }
    block.compact().merge()
}

fn vector(block: Block, time_ms: i64) -> Vec<Sample> {
    let samples = block.rows.into_iter().zip(block.values);
    samples.map(|(row, value)| Sample { labels: row.labels, time_ms, value }).collect()
}

fn matrix(block: &Block, grid: Grid) -> Vec<Series> {
    let mut series: Vec<Series> = (0..block.rows.len())
        .map(|row| {
            let samples = grid.times().zip(block.series(row).iter().copied());
            let (times, values) = samples.filter(|&(_, value)| !is_absent(value)).unzip();
            Series { labels: block.rows[row].labels.clone(), times, values }
        })
        .collect();
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    series
}
