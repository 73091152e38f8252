//! The level of the log: `info`, or `info,picket::sources=debug`.

use tracing_subscriber::filter::{LevelFilter, Targets};

/// The text is no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no level of the log")]
pub struct LevelError(String);

/// Reads a level. Unlike tracing's own parser it refuses `inof`, which that takes for a module's name.
pub fn parse_level(text: &str) -> Result<Targets, LevelError> {
    let mut targets = Targets::new();
    for part in text.split(',').map(str::trim) {
        let error = || LevelError(part.chars().take(80).collect());
        match part.split_once('=') {
            Some((module, level)) if is_module(module.trim()) => {
                targets = targets.with_target(module.trim(), filter(level).ok_or_else(error)?);
            }
            Some(_) => return Err(error()),
            None => targets = targets.with_default(filter(part).ok_or_else(error)?),
        }
    }
    Ok(targets)
}

fn filter(level: &str) -> Option<LevelFilter> {
    match level.trim() {
        "off" => Some(LevelFilter::OFF),
        "error" => Some(LevelFilter::ERROR),
        "warn" => Some(LevelFilter::WARN),
        "info" => Some(LevelFilter::INFO),
        "debug" => Some(LevelFilter::DEBUG),
        "trace" => Some(LevelFilter::TRACE),
        _ => None,
    }
}

fn is_module(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn a_level_counts_for_the_module_it_names() {
        let Ok(targets) = parse_level("warn, picket::sources=debug") else { panic!("it is a level") };
        assert!(targets.would_enable("picket::sources::file", &Level::DEBUG));
        assert!(!targets.would_enable("picket::state", &Level::INFO));
        assert!(targets.would_enable("picket::state", &Level::WARN));
    }

    #[test]
    fn what_is_no_level_is_refused() {
        for text in ["", "inof", "info,", "info,picket=", "=debug", "info,picket debug", "INFO,x=yes"] {
            assert!(parse_level(text).is_err(), "{text}");
        }
    }
}
