//! From the parser's tree to ours, with the checks that the parser leaves out.

use std::time::{Duration, SystemTime};

use picket_pattern::{MAX_COMPILED_BYTES, anchored};
use promql_parser::label as parsed_label;
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{self as parsed, token};

use crate::ast::{Aggregate, Aggregation, At, Expr, Node, Selector, Shift, Subquery, Type};
use crate::atoms::{Atom, Atoms};
use crate::functions::{self, Function};
use crate::guard::Fault;
use crate::labels::{METRIC_NAME, Subset};
use crate::limits::{MAX_DURATION_MS, MAX_TIME_MS};
use crate::operators;
use crate::position::Position;
use crate::rewrite;
use crate::scan::Token;
use crate::storage::{MatchOp, Matcher};

/// Our tree of a parsed expression.
pub(crate) fn lower(expr: &parsed::Expr, tokens: &[Token<'_>]) -> Result<Expr, Fault> {
    Lowering { tokens, atoms: Atoms::of(tokens), selectors: 0 }.expr(expr)
}

pub(crate) struct Lowering<'a> {
    tokens: &'a [Token<'a>],
    atoms: Atoms,
    selectors: usize,
}

impl Lowering<'_> {
    pub(crate) fn expr(&mut self, expr: &parsed::Expr) -> Result<Expr, Fault> {
        match expr {
            parsed::Expr::Paren(paren) => self.expr(&paren.expr),
            parsed::Expr::NumberLiteral(number) => Ok(self.leaf(Atom::Number, Node::Number(number.val))),
            parsed::Expr::StringLiteral(text) => Ok(self.leaf(Atom::Text, Node::Text(text.val.clone()))),
            parsed::Expr::VectorSelector(selector) => {
                let (place, selector) = self.selector(selector)?;
                Ok(Expr { place, node: Node::Selector(selector) })
            }
            parsed::Expr::MatrixSelector(matrix) => {
                let (place, selector) = self.selector(&matrix.vs)?;
                Ok(Expr { place, node: Node::Range(selector, positive_ms(matrix.range, place)?) })
            }
            parsed::Expr::Subquery(subquery) => self.subquery(subquery),
            parsed::Expr::Unary(unary) => {
                let inner = self.expr(&unary.expr)?;
                Ok(Expr { place: inner.place, node: Node::Negate(Box::new(inner)) })
            }
            parsed::Expr::Binary(binary) => operators::lower(self, binary),
            parsed::Expr::Aggregate(aggregate) => self.aggregate(aggregate),
            parsed::Expr::Call(call) => self.call(call),
            parsed::Expr::Extension(_) => {
                Err(Fault::new(Position(0), "the expression has a part that is not supported"))
            }
        }
    }

    fn leaf(&mut self, atom: Atom, node: Node) -> Expr {
        Expr { place: self.atoms.take(atom), node }
    }

    fn selector(&mut self, selector: &parsed::VectorSelector) -> Result<(Position, Selector), Fault> {
        let place = self.atoms.take(Atom::Selector);
        if !selector.matchers.or_matchers.is_empty() {
            return Err(Fault::new(
                place,
                "\"or\" between label matchers is not PromQL, use a regular expression",
            ));
        }
        let mut matchers = Vec::with_capacity(selector.matchers.matchers.len() + 1);
        let mut holds_for_none = true;
        if let Some(value) = selector.name.clone() {
            matchers.push(Matcher { name: METRIC_NAME.to_owned(), op: MatchOp::Equal, value });
            holds_for_none = false;
        }
        for parsed in &selector.matchers.matchers {
            let (matcher, takes_empty) = matcher(parsed, self.tokens, place)?;
            matchers.push(matcher);
            holds_for_none &= takes_empty;
        }
        if holds_for_none {
            return Err(Fault::new(place, "vector selector must contain at least one non-empty matcher"));
        }
        let shift = shift(selector.at.as_ref(), selector.offset.as_ref(), place)?;
        let id = self.selectors;
        self.selectors += 1;
        Ok((place, Selector { matchers, shift, id }))
    }

    fn subquery(&mut self, subquery: &parsed::SubqueryExpr) -> Result<Expr, Fault> {
        let expr = self.expr(&subquery.expr)?;
        let place = expr.place;
        want(&expr, Type::Vector, "subquery")?;
        let range_ms = positive_ms(subquery.range, place)?;
        let step_ms = subquery.step.map(|step| positive_ms(step, place)).transpose()?;
        let shift = shift(subquery.at.as_ref(), subquery.offset.as_ref(), place)?;
        Ok(Expr { place, node: Node::Subquery(Box::new(Subquery { expr, range_ms, step_ms, shift })) })
    }

    fn aggregate(&mut self, aggregate: &parsed::AggregateExpr) -> Result<Expr, Fault> {
        let place = self.atoms.take(Atom::Head);
        let op = aggregation(aggregate.op)
            .ok_or_else(|| Fault::new(place, format!("the aggregation {} is not supported", aggregate.op)))?;
        let parameter = aggregate.param.as_deref().map(|parameter| self.expr(parameter)).transpose()?;
        let expr = self.expr(&aggregate.expr)?;
        let context = "aggregation expression";
        want(&expr, Type::Vector, context)?;
        if let Some(parameter) = &parameter {
            let wanted = if op == Aggregation::CountValues { Type::Text } else { Type::Scalar };
            want(parameter, wanted, context)?;
        }
        let by = match &aggregate.modifier {
            None => Subset::Only(Vec::new()),
            Some(parsed::LabelModifier::Include(names)) => Subset::Only(names.labels.clone()),
            Some(parsed::LabelModifier::Exclude(names)) => Subset::Except(names.labels.clone()),
        };
        Ok(Expr { place, node: Node::Aggregate(Box::new(Aggregate { op, expr, parameter, by })) })
    }

    fn call(&mut self, call: &parsed::Call) -> Result<Expr, Fault> {
        let place = self.atoms.take(Atom::Head);
        let function = functions::lookup(call.func.name).map_err(|message| Fault::new(place, message))?;
        let types = &call.func.arg_types;
        let mut arguments = Vec::with_capacity(call.args.args.len());
        for (index, argument) in call.args.args.iter().enumerate() {
            let argument = self.expr(argument)?;
            let wanted = match types[index.min(types.len().saturating_sub(1))] {
                ValueType::Vector => Type::Vector,
                ValueType::Scalar => Type::Scalar,
                ValueType::Matrix => Type::Matrix,
                ValueType::String => Type::Text,
            };
            want(&argument, wanted, &format!("call to function {:?}", call.func.name))?;
            arguments.push(argument);
        }
        if matches!(function, Function::Info) {
            self.complete_info(place, &mut arguments)?;
        }
        Ok(Expr { place, node: Node::Call(function, arguments) })
    }

    /// The second argument of `info` selects labels and is not evaluated; by default those of `target_info`.
    fn complete_info(&mut self, place: Position, arguments: &mut Vec<Expr>) -> Result<(), Fault> {
        match arguments.get_mut(1) {
            Some(Expr { node: Node::Selector(selector), .. }) => {
                // What was only there for the parser, see `rewrite::ANY_NAME`.
                let is_any =
                    |m: &Matcher| m.op == MatchOp::NotEqual && m.name == METRIC_NAME && m.value.is_empty();
                selector.matchers.retain(|matcher| !is_any(matcher));
                Ok(())
            }
            Some(labels) => Err(Fault::new(labels.place, "expected label selectors only")),
            None => {
                let name = METRIC_NAME.to_owned();
                let matcher = Matcher { name, op: MatchOp::Equal, value: "target_info".to_owned() };
                let selector =
                    Selector { matchers: vec![matcher], shift: Shift::default(), id: self.selectors };
                self.selectors += 1;
                arguments.push(Expr { place, node: Node::Selector(selector) });
                Ok(())
            }
        }
    }
}

fn want(expr: &Expr, wanted: Type, context: &str) -> Result<(), Fault> {
    let got = expr.value_type();
    if got == wanted {
        return Ok(());
    }
    let message = format!("expected type {} in {context}, got {}", wanted.name(), got.name());
    Err(Fault::new(expr.place, message))
}

/// Our matcher of a selector at a place, and whether the empty text meets it.
fn matcher(
    matcher: &parsed_label::Matcher,
    tokens: &[Token<'_>],
    selector: Position,
) -> Result<(Matcher, bool), Fault> {
    let (op, is_negated) = match matcher.op {
        parsed_label::MatchOp::Equal => (MatchOp::Equal, false),
        parsed_label::MatchOp::NotEqual => (MatchOp::NotEqual, true),
        parsed_label::MatchOp::Re(_) => (MatchOp::Regex, false),
        parsed_label::MatchOp::NotRe(_) => (MatchOp::NotRegex, true),
    };
    let (value, matches_empty) = match op {
        MatchOp::Equal | MatchOp::NotEqual => (matcher.value.clone(), matcher.value.is_empty()),
        MatchOp::Regex | MatchOp::NotRegex => {
            let (place, value) = rewrite::pattern(&matcher.value, tokens)
                .ok_or_else(|| Fault::new(selector, "the regular expression is no quoted text"))?;
            let regex = anchored(&value, MAX_COMPILED_BYTES)
                .map_err(|error| Fault::new(place, format!("error parsing regexp: {error}: `{value}`")))?;
            let matches_empty = regex.is_match("");
            (value, matches_empty)
        }
    };
    Ok((Matcher { name: matcher.name.clone(), op, value }, matches_empty != is_negated))
}

fn shift(
    at: Option<&parsed::AtModifier>,
    offset: Option<&parsed::Offset>,
    place: Position,
) -> Result<Shift, Fault> {
    let at = match at {
        None => None,
        Some(parsed::AtModifier::Start) => Some(At::Start),
        Some(parsed::AtModifier::End) => Some(At::End),
        Some(parsed::AtModifier::At(time)) => Some(At::TimeMs(unix_ms(*time, place)?)),
    };
    let offset_ms = match offset {
        None => 0,
        Some(parsed::Offset::Pos(duration)) => duration_ms(*duration, place)?,
        Some(parsed::Offset::Neg(duration)) => -duration_ms(*duration, place)?,
    };
    Ok(Shift { at, offset_ms })
}

fn unix_ms(time: SystemTime, place: Position) -> Result<i64, Fault> {
    let ms = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()),
        Err(before) => i64::try_from(before.duration().as_millis()).map(|ms| -ms),
    };
    ms.ok()
        .filter(|ms| ms.abs() <= MAX_TIME_MS)
        .ok_or_else(|| Fault::new(place, "timestamp out of bounds for @ modifier"))
}

fn positive_ms(duration: Duration, place: Position) -> Result<i64, Fault> {
    match duration_ms(duration, place)? {
        0 => Err(Fault::new(place, "duration must be greater than 0")),
        ms => Ok(ms),
    }
}

fn duration_ms(duration: Duration, place: Position) -> Result<i64, Fault> {
    // Half a millisecond that a fraction of a second leaves is rounded, not cut.
    let ms = (duration + Duration::from_micros(500)).as_millis();
    i64::try_from(ms)
        .ok()
        .filter(|&ms| ms <= MAX_DURATION_MS)
        .ok_or_else(|| Fault::new(place, "duration out of range"))
}

fn aggregation(op: token::TokenType) -> Option<Aggregation> {
    Some(match op.id() {
        token::T_SUM => Aggregation::Sum,
        token::T_AVG => Aggregation::Avg,
        token::T_MIN => Aggregation::Min,
        token::T_MAX => Aggregation::Max,
        token::T_COUNT => Aggregation::Count,
        token::T_STDDEV => Aggregation::Stddev,
        token::T_STDVAR => Aggregation::Stdvar,
        token::T_GROUP => Aggregation::Group,
        token::T_QUANTILE => Aggregation::Quantile,
        token::T_TOPK => Aggregation::TopK,
        token::T_BOTTOMK => Aggregation::BottomK,
        token::T_LIMITK => Aggregation::LimitK,
        token::T_LIMIT_RATIO => Aggregation::LimitRatio,
        token::T_COUNT_VALUES => Aggregation::CountValues,
        _ => return None,
    })
}
