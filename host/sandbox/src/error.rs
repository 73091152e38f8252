//! What can go wrong in a call into a guest, as facts with stable names.
//!
//! Inside, host functions and limits raise a [`Violation`], which travels through wasmtime as the
//! cause of the trap; at the edge [`classify`] turns whatever wasmtime gives back into a
//! [`CallError`]. After any of them the instance is gone.

use std::time::Duration;

use wasmtime::{Trap, WasmBacktrace};

use crate::{Kind, keys, text};

/// A guest's error message is cut at this many bytes.
pub(crate) const MESSAGE_BYTES: usize = 1024;
/// Frames of a backtrace shown to people.
const SHOWN_FRAMES: usize = 8;
/// A function's name in a backtrace: mangled names of generic code can be very long.
const FRAME_BYTES: usize = 200;

/// A call into a guest failed, and the instance with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The call took longer than allowed.
    #[error("the call took longer than {limit:?} (`{key}`)")]
    Deadline {
        /// What was allowed.
        limit: Duration,
        /// The setting that says so.
        key: &'static str,
    },
    /// The guest stopped itself: a panic, an invalid memory access, a division by zero.
    #[error("the plugin stopped: {cause}{}", shown(.output, .backtrace))]
    Trap {
        /// wasmtime's name of the trap.
        cause: String,
        /// The last lines that the guest wrote to stderr in this call; a panic's message is there.
        output: String,
        /// Innermost function first, as far as the component names them.
        backtrace: Vec<String>,
    },
    /// The guest called itself too deeply.
    #[error("the plugin used up its stack of 512 KiB, by recursion as a rule{}", shown("", .backtrace))]
    StackOverflow {
        /// Innermost function first.
        backtrace: Vec<String>,
    },
    /// The guest wanted more memory than allowed.
    #[error("the plugin wanted {wanted} bytes of memory, {limit} are allowed (`{}`)", keys::MEMORY)]
    Memory {
        /// Bytes allowed.
        limit: u64,
        /// Bytes wanted in all.
        wanted: u64,
    },
    /// The guest wanted more table elements than allowed.
    #[error("the plugin wanted {wanted} table elements, {limit} are allowed (`{}`)", keys::TABLE_ELEMENTS)]
    Tables {
        /// Elements allowed.
        limit: u64,
        /// Elements wanted in all.
        wanted: u64,
    },
    /// All guests together would have more memory than the agent allows.
    #[error(
        "the plugin wanted {wanted} more bytes, but all plugins have {used} of {limit} (`{}`)",
        keys::AGENT_MEMORY
    )]
    Budget {
        /// Bytes that all may have.
        limit: u64,
        /// Bytes that all had.
        used: u64,
        /// Bytes wanted on top.
        wanted: u64,
    },
    /// The component consists of too many instances, memories or tables, or holds too many handles.
    #[error("the plugin needs too many parts: {what}{}", .key.map(|key| format!(" (`{key}`)")).unwrap_or_default())]
    Parts {
        /// wasmtime's own words.
        what: String,
        /// The setting that says so; none for memories and tables, whose number cannot be set.
        key: Option<&'static str>,
    },
    /// The call returned too much, or a host call was given too much.
    #[error("the plugin returned, or gave to a host call, more than {limit} bytes (`{key}`)")]
    Output {
        /// Bytes allowed.
        limit: u64,
        /// The setting that says so.
        key: &'static str,
    },
    /// The report has too many findings.
    #[error("the plugin reported {found} findings in one call, {limit} are allowed (`{}`)", keys::FINDINGS)]
    Findings {
        /// How many there were.
        found: u64,
        /// How many are allowed.
        limit: u64,
    },
    /// The generation reported too many different metric label sets.
    #[error("the plugin reported more than {limit} metric label sets (`{}`)", keys::LABEL_SETS)]
    LabelSets {
        /// How many are allowed.
        limit: u64,
    },
    /// What the guest returned breaks the rules of the interface.
    #[error("the plugin returned what the interface does not allow: {what}")]
    Report {
        /// Which value and what is wrong with it.
        what: String,
    },
    /// The guest wanted to wait; it gets no time for that.
    #[error(
        "the plugin called `{function}` to wait, which plugins cannot do: the host calls them when there is work"
    )]
    Waited {
        /// The function of WASI.
        function: &'static str,
    },
    /// The guest called `exit`.
    #[error("the plugin called `exit`{}", shown(.output, &[]))]
    Exit {
        /// The last lines that the guest wrote to stderr in this call.
        output: String,
    },
    /// The guest returned an error of its own.
    #[error("the plugin says: {0}")]
    Guest(String),
    /// The component exports no such kind. The instance lives on.
    #[error("the component exports no {0}")]
    NoSuchKind(Kind),
    /// An earlier call failed. Make a new instance.
    #[error("an earlier call into this instance failed")]
    Discarded,
    /// wasmtime refuses to make the instance or to call it, for a reason that has no name here.
    #[error("the plugin cannot be run: {what}")]
    Runtime {
        /// wasmtime's own words.
        what: String,
    },
}

impl CallError {
    /// The setting whose bound was met, one of [`keys::ALL`]; none when it was no bound that can be set.
    pub fn limit(&self) -> Option<&'static str> {
        match self {
            Self::Deadline { key, .. } | Self::Output { key, .. } => Some(key),
            Self::Parts { key, .. } => *key,
            Self::Memory { .. } => Some(keys::MEMORY),
            Self::Tables { .. } => Some(keys::TABLE_ELEMENTS),
            Self::Budget { .. } => Some(keys::AGENT_MEMORY),
            Self::Findings { .. } => Some(keys::FINDINGS),
            Self::LabelSets { .. } => Some(keys::LABEL_SETS),
            _ => None,
        }
    }

    /// A stable word for metric labels.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Deadline { .. } => "deadline",
            Self::Trap { .. } => "trap",
            Self::StackOverflow { .. } => "stack-overflow",
            Self::Memory { .. } => "memory",
            Self::Tables { .. } => "tables",
            Self::Budget { .. } => "budget",
            Self::Parts { .. } => "parts",
            Self::Output { .. } => "output",
            Self::Findings { .. } => "findings",
            Self::LabelSets { .. } => "label-sets",
            Self::Report { .. } => "report",
            Self::Waited { .. } => "waited",
            Self::Exit { .. } => "exit",
            Self::Guest(_) => "guest",
            Self::NoSuchKind(_) => "no-such-kind",
            Self::Discarded => "discarded",
            Self::Runtime { .. } => "runtime",
        }
    }
}

fn shown(output: &str, backtrace: &[String]) -> String {
    let mut shown = String::new();
    if !output.is_empty() {
        shown.push_str(": ");
        shown.push_str(output);
    }
    if !backtrace.is_empty() {
        shown.push_str(" (in ");
        shown.push_str(&backtrace.join(" < "));
        shown.push(')');
    }
    shown
}

/// A plugin's own words on what is wrong with its configuration or an asset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", place(.key, .asset, (*.line, *.column)))]
pub struct ConfigProblem {
    /// Keys of the plugin's `config` joined by dots; empty when the cause is not one key.
    pub key: String,
    /// The asset that does not parse.
    pub asset: Option<String>,
    /// The line in the asset, counted from 1; 0 when there is none.
    pub line: u32,
    /// The column in that line, counted from 1; 0 when there is none.
    pub column: u32,
    /// One sentence, or a list of problems; at most 8 KiB, control characters made visible.
    pub message: String,
}

fn place(key: &str, asset: &Option<String>, at: (u32, u32)) -> String {
    let mut place = Vec::new();
    if !key.is_empty() {
        place.push(format!("key `{key}`"));
    }
    match (asset, at) {
        (Some(asset), (0, _)) => place.push(format!("asset `{asset}`")),
        (Some(asset), (line, 0)) => place.push(format!("asset `{asset}`, line {line}")),
        (Some(asset), (line, column)) => {
            place.push(format!("asset `{asset}`, line {line}, column {column}"));
        }
        (None, _) => {}
    }
    if place.is_empty() { String::new() } else { format!(" ({})", place.join(", ")) }
}

/// A generation cannot be configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigureError {
    /// The plugin refuses its configuration or an asset.
    #[error(transparent)]
    Refused(#[from] ConfigProblem),
    /// The plugin failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// What a host function or a limit raises. It unwinds the guest as a trap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error("the deadline has passed")]
    Deadline,
    #[error("{wanted} bytes of memory wanted, {limit} allowed")]
    Memory { limit: u64, wanted: u64 },
    #[error("{wanted} table elements wanted, {limit} allowed")]
    Tables { limit: u64, wanted: u64 },
    #[error("{wanted} bytes wanted beyond the {used} of {limit} in use")]
    Budget { limit: u64, used: u64, wanted: u64 },
    #[error("`{0}` waits, and plugins cannot wait")]
    Waited(&'static str),
    #[error("`exit` was called")]
    Exit,
    #[error("{0}")]
    Misuse(&'static str),
}

/// What [`classify`] needs to know of the call that failed.
pub(crate) struct Circumstances {
    /// The deadline that was set for the call, and the setting that says so.
    pub(crate) deadline: (Duration, &'static str),
    /// What the call might have returned, in bytes, and the setting that says so.
    pub(crate) output: (u64, &'static str),
    /// The last lines of stderr.
    pub(crate) stderr: String,
}

/// Finds out what an error of wasmtime means.
pub(crate) fn classify(error: &wasmtime::Error, at: Circumstances) -> CallError {
    let late = || CallError::Deadline { limit: at.deadline.0, key: at.deadline.1 };
    if let Some(violation) = error.downcast_ref::<Violation>() {
        return match violation.clone() {
            Violation::Deadline => late(),
            Violation::Memory { limit, wanted } => CallError::Memory { limit, wanted },
            Violation::Tables { limit, wanted } => CallError::Tables { limit, wanted },
            Violation::Budget { limit, used, wanted } => CallError::Budget { limit, used, wanted },
            Violation::Waited(function) => CallError::Waited { function },
            Violation::Exit => CallError::Exit { output: at.stderr },
            Violation::Misuse(what) => {
                CallError::Trap { cause: what.into(), output: at.stderr, backtrace: backtrace(error) }
            }
        };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => late(),
        Some(Trap::StackOverflow) => CallError::StackOverflow { backtrace: backtrace(error) },
        Some(trap) => {
            CallError::Trap { cause: trap.to_string(), output: at.stderr, backtrace: backtrace(error) }
        }
        None => by_text(error, at),
    }
}

/// wasmtime has no type for these; the tests hold its wording to ours.
fn by_text(error: &wasmtime::Error, at: Circumstances) -> CallError {
    let cause = error.root_cause().to_string();
    if cause.contains("fuel allocated for hostcalls has been exhausted") {
        CallError::Output { limit: at.output.0, key: at.output.1 }
    } else if cause.contains("count too high") || cause.contains("handle limit exceeded") {
        let key = [("handle", keys::HANDLES), ("instance", keys::INSTANCES)];
        let key = key.into_iter().find(|(word, _)| cause.contains(word)).map(|(_, key)| key);
        CallError::Parts { what: text::message(&cause, MESSAGE_BYTES), key }
    } else {
        CallError::Runtime { what: text::message(&format!("{error:#}"), MESSAGE_BYTES) }
    }
}

/// The functions' names as wasmtime prints them, demangled; plugins are stripped as a rule and then
/// have only numbers.
fn backtrace(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    let name = |line: &str| line.split_once(" - ").map(|(_, name)| text::message(name.trim(), FRAME_BYTES));
    backtrace.to_string().lines().filter_map(name).take(SHOWN_FRAMES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_a_bound_that_was_met_names_the_setting() {
        let (limit, key) = (7, keys::SNAPSHOT);
        let met = [
            CallError::Deadline { limit: Duration::from_secs(2), key: keys::CALL_DEADLINE },
            CallError::Deadline { limit: Duration::from_secs(2), key: keys::CONFIGURE_DEADLINE },
            CallError::Memory { limit, wanted: 8 },
            CallError::Tables { limit, wanted: 8 },
            CallError::Budget { limit, used: 6, wanted: 2 },
            CallError::Parts { what: "x".into(), key: Some(keys::HANDLES) },
            CallError::Parts { what: "x".into(), key: Some(keys::INSTANCES) },
            CallError::Output { limit, key },
            CallError::Output { limit, key: keys::OUTPUT },
            CallError::Findings { found: 8, limit },
            CallError::LabelSets { limit },
        ];
        for error in met {
            let key = error.limit().unwrap_or_else(|| panic!("{error} names no setting"));
            assert!(keys::ALL.contains(&key), "{key}");
            assert!(error.to_string().contains(&format!("`{key}`")), "{error}");
        }
    }
}
