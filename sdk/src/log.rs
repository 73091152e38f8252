//! The capability `log`: lines in the agent's own log, with the plugin and generation. Always
//! granted.
//!
//! The host takes 100 lines a second by default (bursts of 1000) and counts what it drops; a
//! message is cut at 4096 bytes, fields at 16. Use the macros [`debug!`](crate::debug),
//! [`info!`](crate::info), [`warn!`](crate::warn) and [`error!`](crate::error).

pub use crate::bindings::imports::picket::plugin::log::Level;
use crate::finding::labels_of;

/// Writes one line.
pub fn log(level: Level, message: &str, fields: &[(&str, &str)]) {
    let fields = labels_of(fields);
    #[cfg(target_arch = "wasm32")]
    crate::bindings::imports::picket::plugin::log::log(level, message, &fields);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::host::log(level, message, fields);
}

/// Logs at debug level: `debug!("read {n} rules")`, or with fields first:
/// `debug!([client = address, tries = n], "refused")`.
#[macro_export]
macro_rules! debug { ($($line:tt)+) => { $crate::log_line!($crate::log::Level::Debug, $($line)+) } }

/// Logs at info level; see [`debug!`].
#[macro_export]
macro_rules! info { ($($line:tt)+) => { $crate::log_line!($crate::log::Level::Info, $($line)+) } }

/// Logs at warn level; see [`debug!`].
#[macro_export]
macro_rules! warn { ($($line:tt)+) => { $crate::log_line!($crate::log::Level::Warn, $($line)+) } }

/// Logs at error level; see [`debug!`].
#[macro_export]
macro_rules! error { ($($line:tt)+) => { $crate::log_line!($crate::log::Level::Error, $($line)+) } }

#[doc(hidden)]
#[macro_export]
macro_rules! log_line {
    ($level:expr, [$($name:ident = $value:expr),+ $(,)?], $($message:tt)+) => {
        $crate::log::log(
            $level,
            &::std::format!($($message)+),
            &[$((::std::stringify!($name), &*::std::string::ToString::to_string(&$value))),+],
        )
    };
    ($level:expr, $($message:tt)+) => { $crate::log::log($level, &::std::format!($($message)+), &[]) };
}
