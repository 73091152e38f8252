//! Where a record stands in the journal.

use std::fmt;
use std::str::FromStr;

/// A place between two records. Places compare in the order of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// Number of the segment file, from 1.
    pub segment: u64,
    /// Bytes from the start of that file.
    pub offset: u64,
}

impl Position {
    /// Before everything.
    pub const ZERO: Self = Self { segment: 0, offset: 0 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment, self.offset)
    }
}

/// The text is no position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no journal position: two numbers with a colon between them are expected")]
pub struct ParsePositionError(String);

impl FromStr for Position {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split_once(':')
            .and_then(|(segment, offset)| {
                Some(Self { segment: segment.parse().ok()?, offset: offset.parse().ok()? })
            })
            .ok_or_else(|| ParsePositionError(text.chars().take(50).collect()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_position_reads_back_as_written() {
        let position = Position { segment: 7, offset: 44 };
        assert_eq!(position.to_string().parse(), Ok(position));
        for text in ["", "7", "7:", ":7", "a:b", "7:-1"] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }
}
