//! Binary operators of the parser's tree and the checks of their modifiers.

use promql_parser::parser::{self as parsed, token};

use crate::ast::{
    Arithmetic, Binary, Cardinality, Comparison, Expr, Matching, Node, Operator, SetOperator, Type,
};
use crate::guard::Fault;
use crate::labels::Subset;
use crate::lower::Lowering;

/// Our tree of a binary expression.
pub(crate) fn lower(lowering: &mut Lowering<'_>, binary: &parsed::BinaryExpr) -> Result<Expr, Fault> {
    let left = lowering.expr(&binary.lhs)?;
    let right = lowering.expr(&binary.rhs)?;
    let place = left.place;
    let op = operator(binary.op)
        .ok_or_else(|| Fault::new(place, format!("the operator {} is not supported", binary.op)))?;
    let modifier = binary.modifier.clone().unwrap_or_default();
    let returns_bool = modifier.return_bool;
    let has_fill = modifier.fill_values != parsed::VectorMatchFillValues::default();
    let of_vectors = left.value_type() == Type::Vector && right.value_type() == Type::Vector;
    if matches!(op, Operator::Set(_)) && has_fill {
        return Err(Fault::new(place, "filling in missing series not allowed for set operators"));
    }
    let is_grouped = matches!(
        modifier.card,
        parsed::VectorMatchCardinality::ManyToOne(_) | parsed::VectorMatchCardinality::OneToMany(_)
    );
    if !of_vectors && (modifier.matching.is_some() || has_fill || is_grouped) {
        return Err(Fault::new(place, "vector matching only allowed between instant vectors"));
    }
    let matching = matching(modifier);
    Ok(Expr { place, node: Node::Binary(Box::new(Binary { op, left, right, returns_bool, matching })) })
}

fn matching(modifier: parsed::BinModifier) -> Matching {
    let on = match modifier.matching {
        None => Subset::Except(Vec::new()),
        Some(parsed::LabelModifier::Include(names)) => Subset::Only(names.labels),
        Some(parsed::LabelModifier::Exclude(names)) => Subset::Except(names.labels),
    };
    let (cardinality, include) = match modifier.card {
        parsed::VectorMatchCardinality::ManyToOne(names) => (Cardinality::ManyToOne, names.labels),
        parsed::VectorMatchCardinality::OneToMany(names) => (Cardinality::OneToMany, names.labels),
        parsed::VectorMatchCardinality::OneToOne | parsed::VectorMatchCardinality::ManyToMany => {
            (Cardinality::OneToOne, Vec::new())
        }
    };
    let (fill_left, fill_right) = (modifier.fill_values.lhs, modifier.fill_values.rhs);
    Matching { on, cardinality, include, fill_left, fill_right }
}

fn operator(op: token::TokenType) -> Option<Operator> {
    Some(match op.id() {
        token::T_ADD => Operator::Arithmetic(Arithmetic::Add),
        token::T_SUB => Operator::Arithmetic(Arithmetic::Subtract),
        token::T_MUL => Operator::Arithmetic(Arithmetic::Multiply),
        token::T_DIV => Operator::Arithmetic(Arithmetic::Divide),
        token::T_MOD => Operator::Arithmetic(Arithmetic::Modulo),
        token::T_POW => Operator::Arithmetic(Arithmetic::Power),
        token::T_ATAN2 => Operator::Arithmetic(Arithmetic::Atan2),
        token::T_EQLC => Operator::Comparison(Comparison::Equal),
        token::T_NEQ => Operator::Comparison(Comparison::NotEqual),
        token::T_GTR => Operator::Comparison(Comparison::Greater),
        token::T_LSS => Operator::Comparison(Comparison::Less),
        token::T_GTE => Operator::Comparison(Comparison::GreaterOrEqual),
        token::T_LTE => Operator::Comparison(Comparison::LessOrEqual),
        token::T_LAND => Operator::Set(SetOperator::And),
        token::T_LOR => Operator::Set(SetOperator::Or),
        token::T_LUNLESS => Operator::Set(SetOperator::Unless),
        _ => return None,
    })
}
