//! Capability `log`: lines for the agent's log, at a bounded rate. What the guest writes to stdout
//! and stderr comes this way too. Never waits on anything but the sink.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use wasmtime::component::{HasSelf, Linker};

use super::HostState;
use crate::accounts::Counters;
use crate::bindings::{log, types};
use crate::{Limits, text};

/// A line's text is cut here.
pub(crate) const MAX_MESSAGE: usize = 4096;
/// Further fields are left out.
const MAX_FIELDS: usize = 16;
/// A field's name is cut here.
const MAX_NAME: usize = 128;
/// A field's value is cut here.
const MAX_VALUE: usize = 4096;

/// How much a line matters, by the guest's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// For the plugin's author.
    Debug,
    /// Worth reading.
    Info,
    /// Something is not as it should be.
    Warn,
    /// Something failed.
    Error,
}

/// What the guest used to write a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogOrigin {
    /// The capability.
    Log,
    /// Standard output; its lines have the level `info`.
    Stdout,
    /// Standard error; its lines have the level `warn`. Panics are told here.
    Stderr,
}

/// A name and a value of a line, cut and with control characters made visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogField {
    /// At most 128 bytes before escaping.
    pub name: String,
    /// At most 4096 bytes before escaping.
    pub value: String,
}

/// A line that a guest wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// The plugin's name.
    pub plugin: &'a str,
    /// The generation, as [`Services`](crate::Services) name it.
    pub generation: &'a str,
    /// How it was written.
    pub origin: LogOrigin,
    /// How much it matters.
    pub level: LogLevel,
    /// At most 4096 bytes before escaping; control characters are visible.
    pub message: &'a str,
    /// At most 16.
    pub fields: &'a [LogField],
}

/// Where lines go. Called on the plugin's thread while its deadline runs: it must not block for long.
pub trait LogSink: Send + Sync {
    /// Takes one line.
    fn line(&self, line: &LogLine<'_>);
}

/// Writes lines to the agent's own log as `tracing` events of the target `picket::plugin`.
#[derive(Debug, Clone, Copy, Default)]
pub struct TracingLog;

impl LogSink for TracingLog {
    fn line(&self, line: &LogLine<'_>) {
        let fields: Vec<_> =
            line.fields.iter().map(|field| format!("{}={}", field.name, field.value)).collect();
        let fields = fields.join(" ");
        // A line without fields has none in the agent's log either.
        let fields = Some(fields.as_str()).filter(|fields| !fields.is_empty());
        let LogLine { plugin, generation, message, .. } = line;
        macro_rules! event {
            ($level:ident) => {
                tracing::$level!(target: "picket::plugin", plugin, generation, fields, "{message}")
            };
        }
        match line.level {
            LogLevel::Debug => event!(debug),
            LogLevel::Info => event!(info),
            LogLevel::Warn => event!(warn),
            LogLevel::Error => event!(error),
        }
    }
}

/// Lets through so many lines a second, with bursts (a token bucket).
#[derive(Debug)]
struct Rate {
    per_second: u32,
    burst: u32,
    /// Lines that may come at once, at `at`.
    left: f64,
    at: Instant,
}

impl Rate {
    fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        Self { per_second, burst, left: f64::from(burst), at: now }
    }

    fn admit(&mut self, now: Instant) -> bool {
        let since: Duration = now.saturating_duration_since(self.at);
        self.at = now;
        self.left = (self.left + since.as_secs_f64() * f64::from(self.per_second)).min(f64::from(self.burst));
        let admitted = self.left >= 1.0;
        if admitted {
            self.left -= 1.0;
        }
        admitted
    }
}

/// The one rate of a generation, whichever of its instances writes, so that failing and being
/// replaced brings no new burst.
#[derive(Debug)]
pub(crate) struct LogRate(Mutex<Option<Rate>>);

impl LogRate {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(None))
    }

    fn admit(&self, limits: (u32, u32)) -> bool {
        let now = Instant::now();
        let mut rate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rate.get_or_insert_with(|| Rate::new(limits.0, limits.1, now)).admit(now)
    }
}

/// Where an instance's lines go. Clones share everything: WASI's stdout has one too.
#[derive(Clone)]
pub(crate) struct LogContext {
    plugin: Arc<str>,
    generation: Arc<str>,
    sink: Arc<dyn LogSink>,
    rate: Arc<LogRate>,
    counters: Arc<Counters>,
    /// Lines a second and at once.
    limits: (u32, u32),
}

impl LogContext {
    pub(crate) fn new(
        plugin: &str,
        generation: &str,
        sink: Arc<dyn LogSink>,
        shared: (Arc<LogRate>, Arc<Counters>),
        limits: &Limits,
    ) -> Self {
        Self {
            plugin: plugin.into(),
            generation: generation.into(),
            sink,
            rate: shared.0,
            counters: shared.1,
            limits: (limits.log_rate, limits.log_burst),
        }
    }

    /// Writes a line unless there were too many.
    pub(crate) fn write(
        &self,
        origin: LogOrigin,
        level: LogLevel,
        message: &str,
        fields: &[types::LabelResult],
    ) {
        if !self.rate.admit(self.limits) {
            Counters::add(&self.counters.log_dropped, 1);
            return;
        }
        Counters::add(&self.counters.log_lines, 1);
        let field = |field: &types::LabelResult| LogField {
            name: text::message(&field.name, MAX_NAME),
            value: text::message(&field.value, MAX_VALUE),
        };
        self.sink.line(&LogLine {
            plugin: &self.plugin,
            generation: &self.generation,
            origin,
            level,
            message: &text::escape(text::cut(message, MAX_MESSAGE)),
            fields: &fields.iter().take(MAX_FIELDS).map(field).collect::<Vec<_>>(),
        });
    }
}

impl log::Host for LogContext {
    fn log(&mut self, level: log::Level, message: String, fields: Vec<log::Label>) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        };
        self.write(LogOrigin::Log, level, &message, &fields);
        Ok(())
    }
}

pub(crate) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    log::add_to_linker::<_, HasSelf<LogContext>>(linker, |host| &mut host.log)
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use tracing::field::{Field, Visit};
    use tracing::span;

    use super::*;

    /// Remembers the names of each event's fields.
    #[derive(Clone, Default)]
    struct Names(Arc<Mutex<Vec<String>>>);

    impl Visit for Names {
        fn record_debug(&mut self, field: &Field, _value: &dyn Debug) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(field.name().to_owned());
        }
    }

    impl tracing::Subscriber for Names {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn event(&self, event: &tracing::Event<'_>) {
            event.record(&mut self.clone());
        }

        fn enter(&self, _: &span::Id) {}

        fn exit(&self, _: &span::Id) {}
    }

    #[test]
    fn a_line_without_fields_shows_none() {
        let names = |fields: &[LogField]| {
            let names = Names::default();
            let (origin, level) = (LogOrigin::Stderr, LogLevel::Warn);
            let line = LogLine { plugin: "p", generation: "g", origin, level, message: "m", fields };
            tracing::subscriber::with_default(names.clone(), || TracingLog.line(&line));
            let mut names = names.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            names.sort();
            names
        };
        assert_eq!(names(&[]), ["generation", "message", "plugin"]);
        let field = LogField { name: "a".into(), value: "b".into() };
        assert_eq!(names(&[field]), ["fields", "generation", "message", "plugin"]);
    }

    #[test]
    fn the_rate_admits_a_burst_and_then_so_many_a_second() {
        let start = Instant::now();
        let mut rate = Rate::new(10, 3, start);
        let admitted = |rate: &mut Rate, now| (0..100).filter(|_| rate.admit(now)).count();
        assert_eq!(admitted(&mut rate, start), 3);
        assert_eq!(admitted(&mut rate, start + Duration::from_millis(250)), 2);
        assert_eq!(admitted(&mut rate, start + Duration::from_secs(60)), 3);
        assert_eq!(admitted(&mut rate, start), 0, "a clock that steps back admits nothing");
    }
}
