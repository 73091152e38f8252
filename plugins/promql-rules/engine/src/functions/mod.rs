//! The functions of PromQL by name.

pub(crate) mod histogram;
pub(crate) mod math;
pub(crate) mod natural;
pub(crate) mod over_time;
pub(crate) mod rate;
pub(crate) mod trend;

use crate::ast::Type;
use crate::calendar::Date;
use over_time::OverTime;

/// A function, as far as an evaluation has to tell them apart.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Function {
    Time,
    Pi,
    /// `start()`, `end()`, `range()` and `step()` of the query.
    QueryStart,
    QueryEnd,
    QueryRange,
    QueryStep,
    MaxOf,
    MinOf,
    Scalar,
    Vector,
    Timestamp,
    Absent,
    AbsentOverTime,
    /// The flag: descending.
    Sort(bool),
    SortByLabel(bool),
    LabelReplace,
    LabelJoin,
    Info,
    HistogramQuantile,
    HistogramQuantiles,
    HistogramFraction,
    Clamp,
    ClampMax,
    ClampMin,
    Round,
    /// From each value to another.
    Map(fn(f64) -> f64),
    /// Of a time in Unix seconds, by default that of the evaluation.
    Date(fn(Date) -> i64),
    /// Of the samples in a window.
    OverTime(OverTime),
}

/// The function of this name, or why there is none.
pub(crate) fn lookup(name: &str) -> Result<Function, String> {
    use Function as F;
    let known = match name {
        "time" => F::Time,
        "pi" => F::Pi,
        "start" => F::QueryStart,
        "end" => F::QueryEnd,
        "range" => F::QueryRange,
        "step" => F::QueryStep,
        "max_of" => F::MaxOf,
        "min_of" => F::MinOf,
        "scalar" => F::Scalar,
        "vector" => F::Vector,
        "timestamp" => F::Timestamp,
        "absent" => F::Absent,
        "absent_over_time" => F::AbsentOverTime,
        "sort" => F::Sort(false),
        "sort_desc" => F::Sort(true),
        "sort_by_label" => F::SortByLabel(false),
        "sort_by_label_desc" => F::SortByLabel(true),
        "label_replace" => F::LabelReplace,
        "label_join" => F::LabelJoin,
        "info" => F::Info,
        "histogram_quantile" => F::HistogramQuantile,
        "histogram_quantiles" => F::HistogramQuantiles,
        "histogram_fraction" => F::HistogramFraction,
        "clamp" => F::Clamp,
        "clamp_max" => F::ClampMax,
        "clamp_min" => F::ClampMin,
        "round" => F::Round,
        "histogram_avg" | "histogram_count" | "histogram_sum" | "histogram_stddev" | "histogram_stdvar" => {
            return Err(format!("{name}() is for native histograms, which are not supported"));
        }
        "start_timestamp" => {
            return Err("start_timestamp() is not supported: start timestamps are not stored".to_owned());
        }
        _ => {
            return math::map(name)
                .map(F::Map)
                .or_else(|| math::date(name).map(F::Date))
                .or_else(|| over_time::lookup(name).map(F::OverTime))
                .ok_or_else(|| format!("the function {name}() is not supported"));
        }
    };
    Ok(known)
}

impl Function {
    /// Whether the value depends on the time of the evaluation even if all samples are given.
    pub(crate) fn depends_on_time(self) -> bool {
        matches!(
            self,
            Self::Time
                | Self::Timestamp
                | Self::Date(_)
                | Self::QueryStart
                | Self::QueryEnd
                | Self::QueryRange
                | Self::QueryStep
                | Self::OverTime(OverTime::PredictLinear)
        )
    }

    pub(crate) fn returns(self) -> Type {
        match self {
            Self::Time | Self::Pi | Self::Scalar | Self::MaxOf | Self::MinOf => Type::Scalar,
            Self::QueryStart | Self::QueryEnd | Self::QueryRange | Self::QueryStep => Type::Scalar,
            _ => Type::Vector,
        }
    }
}
