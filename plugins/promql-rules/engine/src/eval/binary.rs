//! Binary operators, and how the series of both sides find each other.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::block::{ABSENT, Block, Output, Row, present};
use super::grid::Grid;
use super::index::Index;
use super::{Evaluated, Evaluator, Failure};
use crate::ast::{Binary, Cardinality, Matching, Operator, SetOperator};
use crate::labels::{Label, Labels, Subset, is_metadata};

impl Evaluator<'_> {
    pub(crate) fn binary(&mut self, binary: &Binary, grid: Grid) -> Result<Evaluated, Failure> {
        let left = self.eval(&binary.left, grid)?;
        let right = self.eval(&binary.right, grid)?;
        let block = match (left, right) {
            (Evaluated::Scalar(left), Evaluated::Scalar(right)) => {
                let pairs = left.into_iter().zip(right);
                return Ok(Evaluated::Scalar(pairs.map(|(a, b)| of_scalars(binary.op, a, b)).collect()));
            }
            (Evaluated::Vector(left), Evaluated::Scalar(right)) => with_scalar(binary, left, &right, false),
            (Evaluated::Scalar(left), Evaluated::Vector(right)) => with_scalar(binary, right, &left, true),
            (Evaluated::Vector(left), Evaluated::Vector(right)) => match binary.op {
                Operator::Set(op) => self.set_operator(op, &binary.matching.on, left, right)?,
                _ => self.vectors(binary, &left, &right)?,
            },
        };
        Ok(Evaluated::Vector(block))
    }

    fn vectors(&mut self, binary: &Binary, left: &Block, right: &Block) -> Result<Block, Failure> {
        let matching = &binary.matching;
        let swapped = matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        // Not swapped, also with group_right: Prometheus' `fill_left` always stands in for the "many" side there.
        let (fill_many, fill_one) = (matching.fill_left, matching.fill_right);
        let mut join = Join::new(binary, many, one, swapped);
        for step in 0..left.steps {
            self.check_deadline(step)?;
            join.begin(step)?;
            for (row, value) in many.at(step) {
                let partner = join.one_at[join.many_groups[row]];
                match (partner, fill_one) {
                    (Some(partner), _) => {
                        join.pair(step, (Some(row), value), (Some(partner), one.get(partner, step)))?
                    }
                    (None, Some(fill)) => join.pair(step, (Some(row), value), (None, fill))?,
                    (None, None) => {}
                }
            }
            let Some(fill) = fill_many else { continue };
            for (row, value) in one.at(step) {
                if !join.matched[join.one_groups[row]] {
                    join.pair(step, (None, fill), (Some(row), value))?;
                }
            }
        }
        self.check_cells(join.output.block.rows.len(), Grid { start_ms: 0, step_ms: 1, count: left.steps })?;
        Ok(join.output.block.compact())
    }

    fn set_operator(
        &mut self,
        op: SetOperator,
        on: &Subset,
        mut left: Block,
        right: Block,
    ) -> Result<Block, Failure> {
        let mut index = Index::new(on.clone());
        let left_groups: Vec<usize> = left.rows.iter().map(|row| index.ordinal(&row.labels)).collect();
        let right_groups: Vec<usize> = right.rows.iter().map(|row| index.ordinal(&row.labels)).collect();
        if op == SetOperator::Or {
            return union(left, right, (&left_groups, &right_groups), index.len());
        }
        let mut found = vec![false; index.len()];
        for step in 0..left.steps {
            found.fill(false);
            right.at(step).for_each(|(row, _)| found[right_groups[row]] = true);
            for (row, &group) in left_groups.iter().enumerate() {
                if found[group] != (op == SetOperator::And) {
                    left.set(row, step, ABSENT);
                }
            }
        }
        Ok(left.compact())
    }
}

fn of_scalars(op: Operator, left: f64, right: f64) -> f64 {
    match op {
        Operator::Arithmetic(op) => op.apply(left, right),
        Operator::Comparison(op) => f64::from(u8::from(op.holds(left, right))),
        Operator::Set(_) => f64::NAN,
    }
}

/// The value of an operation between samples, or nothing where a comparison does not hold. `kept` is what a
/// comparison lets through.
fn of_samples(binary: &Binary, left: f64, right: f64, kept: f64) -> Option<f64> {
    match binary.op {
        Operator::Arithmetic(op) => Some(op.apply(left, right)),
        Operator::Comparison(op) if binary.returns_bool => Some(f64::from(u8::from(op.holds(left, right)))),
        Operator::Comparison(op) => op.holds(left, right).then_some(kept),
        Operator::Set(_) => None,
    }
}

fn changes_name(binary: &Binary) -> bool {
    binary.returns_bool || matches!(binary.op, Operator::Arithmetic(_))
}

fn with_scalar(binary: &Binary, mut block: Block, scalar: &[f64], scalar_is_left: bool) -> Block {
    block.map_steps(|step, value| {
        let (left, right) = if scalar_is_left { (scalar[step], value) } else { (value, scalar[step]) };
        of_samples(binary, left, right, value).map_or(ABSENT, present)
    });
    if changes_name(binary) {
        block.rows.iter_mut().for_each(|row| row.drop_name = true);
    }
    block.compact()
}

/// All of the left side, and of the right side what no series of the left side matches.
fn union(
    left: Block,
    mut right: Block,
    (left_groups, right_groups): (&[usize], &[usize]),
    groups: usize,
) -> Result<Block, Failure> {
    let mut found = vec![false; groups];
    for step in 0..left.steps {
        found.fill(false);
        left.at(step).for_each(|(row, _)| found[left_groups[row]] = true);
        for (row, &group) in right_groups.iter().enumerate() {
            if found[group] {
                right.set(row, step, ABSENT);
            }
        }
    }
    let mut all = left;
    let right = right.compact();
    all.rows.extend(right.rows);
    all.values.extend(right.values);
    // One series may stand on both sides, at different steps.
    Ok(if all.steps > 1 { all.merge()? } else { all })
}

/// A series of one side and its value, or a fill value alone.
type Side = (Option<usize>, f64);

/// The match of a side where at most one series has each group's labels with one where many may.
struct Join<'a> {
    binary: &'a Binary,
    many: &'a Block,
    one: &'a Block,
    swapped: bool,
    many_groups: Vec<usize>,
    one_groups: Vec<usize>,
    /// At the current step: the series of the "one" side by group, whether a group has a result, and which.
    one_at: Vec<Option<usize>>,
    matched: Vec<bool>,
    results: HashSet<(usize, usize)>,
    /// The series of the output for a pair.
    pairs: HashMap<(Option<usize>, Option<usize>), usize>,
    output: Output,
}

impl<'a> Join<'a> {
    fn new(binary: &'a Binary, many: &'a Block, one: &'a Block, swapped: bool) -> Self {
        let mut index = Index::new(binary.matching.on.clone());
        let mut groups = |block: &Block| block.rows.iter().map(|row| index.ordinal(&row.labels)).collect();
        let (many_groups, one_groups) = (groups(many), groups(one));
        Self {
            binary,
            many,
            one,
            swapped,
            many_groups,
            one_groups,
            one_at: vec![None; index.len()],
            matched: vec![false; index.len()],
            results: HashSet::new(),
            pairs: HashMap::new(),
            output: Output::new(many.steps),
        }
    }

    fn begin(&mut self, step: usize) -> Result<(), Failure> {
        self.one_at.fill(None);
        self.matched.fill(false);
        self.results.clear();
        // Prometheus looks for duplicates only when something could match.
        let matching = &self.binary.matching;
        let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
        if !fills && self.many.at(step).next().is_none() {
            return Ok(());
        }
        for (row, _) in self.one.at(step) {
            if let Some(other) = self.one_at[self.one_groups[row]].replace(row) {
                return Err(self.duplicate(row, other));
            }
        }
        Ok(())
    }

    /// Notes the result of two samples.
    fn pair(&mut self, step: usize, many: Side, one: Side) -> Result<(), Failure> {
        let group = match (many.0, one.0) {
            (Some(row), _) => self.many_groups[row],
            (None, Some(row)) => self.one_groups[row],
            (None, None) => return Ok(()),
        };
        let result = self.result(many.0, one.0);
        let is_one_to_one = self.binary.matching.cardinality == Cardinality::OneToOne;
        if is_one_to_one && self.matched[group] {
            let message =
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
            return Err(Failure::Failed(message.to_owned()));
        }
        if !is_one_to_one && !self.results.insert((group, result)) {
            let message = "multiple matches for labels: grouping labels must ensure unique matches";
            return Err(Failure::Failed(message.to_owned()));
        }
        self.matched[group] = true;
        let (left, right) = if self.swapped { (one.1, many.1) } else { (many.1, one.1) };
        // A comparison lets the left side's value through, whichever side is the "many".
        if let Some(value) = of_samples(self.binary, left, right, left) {
            self.output.set(result, step, value)?;
        }
        Ok(())
    }

    /// The series of the output for a pair.
    fn result(&mut self, many: Option<usize>, one: Option<usize>) -> usize {
        if let Some(&result) = self.pairs.get(&(many, one)) {
            return result;
        }
        let row = self.result_row(many, one);
        let result = self.output.row(row);
        // With one step each pair comes once.
        if self.many.steps > 1 {
            self.pairs.insert((many, one), result);
        }
        result
    }

    /// The labels of a result: those of the "many" side, less what does not match, and what the "one" side adds.
    fn result_row(&self, many_row: Option<usize>, one_row: Option<usize>) -> Row {
        let matching = &self.binary.matching;
        let (many, drop_name) = side(self.many, many_row, self.one, one_row, matching);
        let drops_now = matches!(self.binary.op, Operator::Arithmetic(_));
        let matches = |name: &str| match &matching.on {
            _ if matching.cardinality != Cardinality::OneToOne => true,
            Subset::Except(names) => !names.iter().any(|n| n == name),
            on => on.has(name),
        };
        let mut labels = many.filter(|name| matches(name) && !(drops_now && is_metadata(name)));
        if !matching.include.is_empty() {
            let (one, _) = side(self.one, one_row, self.many, many_row, matching);
            let mut changed = labels.edit();
            for name in &matching.include {
                changed.set(Label::new(name.as_str(), one.get(name)));
            }
            labels = changed.finish();
        }
        Row { labels: Rc::new(labels), drop_name: drop_name || self.binary.returns_bool }
    }

    fn duplicate(&self, row: usize, other: usize) -> Failure {
        let labels = &self.one.rows[row].labels;
        let group = self.binary.matching.on.cut(labels);
        let side = if self.swapped { "left" } else { "right" };
        let mut series = [labels.to_string(), self.one.rows[other].labels.to_string()];
        series.sort();
        let [first, second] = series;
        Failure::Failed(format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the operation: \
             [{first}, {second}];many-to-many matching not allowed: matching labels must be unique on one side"
        ))
    }
}

/// The labels of a side's series; of a side that is filled, the labels by which the other side's series matches.
fn side(
    block: &Block,
    row: Option<usize>,
    other: &Block,
    other_row: Option<usize>,
    matching: &Matching,
) -> (Rc<Labels>, bool) {
    match (row, other_row) {
        (Some(row), _) => (Rc::clone(&block.rows[row].labels), block.rows[row].drop_name),
        (None, Some(row)) => (Rc::new(matching.on.cut(&other.rows[row].labels)), false),
        (None, None) => (Rc::default(), false),
    }
}
