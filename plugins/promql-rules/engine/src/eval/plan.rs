//! Which samples a query needs: one request for each selector, found before anything is evaluated.

use super::grid::{self, Span};
use super::{Failure, Options, info};
use crate::ast::{Expr, Node, Selector, Shift};
use crate::functions::Function;
use crate::storage::{Request, Wanted};

/// The requests of a query, without repetition.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) requests: Vec<Request>,
    /// The request of each selector by its number.
    pub(crate) slots: Vec<usize>,
}

/// From which to which time an expression is evaluated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

pub(crate) struct Planner<'a> {
    pub(crate) options: &'a Options<'a>,
    pub(crate) span: Span,
    pub(crate) plan: Plan,
}

impl Planner<'_> {
    pub(crate) fn visit(&mut self, expr: &Expr, times: Times) -> Result<(), Failure> {
        match &expr.node {
            Node::Number(_) | Node::Text(_) => Ok(()),
            Node::Selector(selector) => {
                self.instant(selector, times);
                Ok(())
            }
            Node::Range(selector, range_ms) => {
                let times = self.shifted(times, selector.shift);
                self.request(selector, times.first - range_ms + 1, times.last, Wanted::All);
                Ok(())
            }
            Node::Subquery(subquery) => {
                let times = self.shifted(times, subquery.shift);
                let step = subquery.step_ms.unwrap_or(self.options.subquery_step_ms);
                let inner = grid::subquery(
                    times.first,
                    times.last,
                    subquery.range_ms,
                    step,
                    self.options.max_samples,
                )
                .ok_or(Failure::TooManySamples)?;
                let times = Times { first: inner.start_ms, last: inner.last() };
                self.visit(&subquery.expr, times)
            }
            Node::Negate(inner) => self.visit(inner, times),
            Node::Binary(binary) => {
                self.visit(&binary.left, times)?;
                self.visit(&binary.right, times)
            }
            Node::Aggregate(aggregate) => {
                if let Some(parameter) = &aggregate.parameter {
                    self.visit(parameter, times)?;
                }
                self.visit(&aggregate.expr, times)
            }
            Node::Call(Function::Info, arguments) => self.info(arguments, times),
            Node::Call(_, arguments) => arguments.iter().try_for_each(|argument| self.visit(argument, times)),
        }
    }

    fn instant(&mut self, selector: &Selector, times: Times) {
        let times = self.shifted(times, selector.shift);
        let wanted = if times.first == times.last { Wanted::Latest } else { Wanted::Marked };
        // A sample that is exactly as old as the lookback is too old.
        self.request(selector, times.first - self.options.lookback_ms + 1, times.last, wanted);
    }

    /// The info series are looked at when the series are that they belong to.
    fn info(&mut self, arguments: &[Expr], times: Times) -> Result<(), Failure> {
        self.visit(&arguments[0], times)?;
        if let Some((selector, _)) = info::selector(arguments) {
            self.instant(&selector, times);
        }
        Ok(())
    }

    fn shifted(&self, times: Times, shift: Shift) -> Times {
        let at = |time| self.span.shifted(time, shift);
        Times { first: at(times.first), last: at(times.last) }
    }

    fn request(&mut self, selector: &Selector, start_ms: i64, end_ms: i64, wanted: Wanted) {
        let request = Request { matchers: selector.matchers.clone(), start_ms, end_ms, wanted };
        let known = self.plan.requests.iter().position(|known| *known == request);
        let slot = known.unwrap_or_else(|| {
            self.plan.requests.push(request);
            self.plan.requests.len() - 1
        });
        self.plan.slots.push(slot);
    }
}
