//! Sizes and lengths of time as people write them in the configuration, the same as in the agent's
//! own: `16MiB`, `90s`, `1h 30m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time: `250ms`, `90s`, `1h 30m`, `7d`. For fields of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub Duration);

/// A number of bytes: `512`, `64KiB`, `16MiB`, or with decimal units `64kB`, `16MB`. For fields of a
/// configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(pub u64);

/// Units of time in nanoseconds.
const TIMES: [(&str, u64); 8] = [
    ("w", 604_800_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Units of size in bytes.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl Span {
    /// Of whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// In nanoseconds, at most `u64::MAX`.
    pub fn as_nanos(self) -> u64 {
        crate::plugin::nanos(self.0)
    }
}

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected =
            "is no length of time: write a whole number and a unit, such as `250ms`, `90s` or `2h`";
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(expected);
        }
        let mut nanos = 0_u64;
        while !rest.is_empty() {
            let (number, unit);
            (number, rest) = split(rest, |byte| byte.is_ascii_digit()).ok_or(expected)?;
            (unit, rest) = split(rest.trim_start(), |byte| byte.is_ascii_alphabetic()).ok_or(expected)?;
            let factor = TIMES.iter().find(|(name, _)| *name == unit).ok_or(expected)?.1;
            let number: u64 = number.parse().map_err(|_| expected)?;
            nanos = number.checked_mul(factor).and_then(|part| nanos.checked_add(part)).ok_or(expected)?;
            rest = rest.trim_start();
        }
        Ok(Self(Duration::from_nanos(nanos)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.as_nanos();
        if rest == 0 {
            return f.write_str("0s");
        }
        let mut gap = "";
        for (unit, factor) in TIMES {
            if rest / factor > 0 {
                write!(f, "{gap}{}{unit}", rest / factor)?;
                gap = " ";
            }
            rest %= factor;
        }
        Ok(())
    }
}

impl FromStr for ByteSize {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "is no size: write a whole number and a unit, such as `512KiB`, `16MiB` or `1GB`";
        let text = text.trim();
        let known = SIZES.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
        let (number, factor) = known.unwrap_or((text, 1));
        let number: u64 = number.trim_end().parse().map_err(|_| expected)?;
        number.checked_mul(factor).map(Self).ok_or(expected)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = SIZES[..4].iter().find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor));
        match unit {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// Splits off the longest start whose bytes pass; none when that is empty.
fn split(text: &str, passes: impl Fn(u8) -> bool) -> Option<(&str, &str)> {
    let end = text.bytes().position(|byte| !passes(byte)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Reads either type from its text.
fn from_text<'de, D: Deserializer<'de>, T: FromStr<Err = &'static str>>(reader: D) -> Result<T, D::Error> {
    let text = String::deserialize(reader)?;
    text.parse().map_err(|expected| de::Error::custom(format_args!("`{text}` {expected}")))
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        from_text(reader)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, writer: S) -> Result<S::Ok, S::Error> {
        writer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        from_text(reader)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, writer: S) -> Result<S::Ok, S::Error> {
        writer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    fn span(text: &str, nanos: u64) {
        assert_eq!(text.parse::<Span>().unwrap().as_nanos(), nanos, "{text}");
    }

    #[test]
    fn lengths_of_time_are_numbers_with_units() {
        span("250ms", 250_000_000);
        span(" 1h 30m", 5_400_000_000_000);
        span("1h30m", 5_400_000_000_000);
        span("2 d", 172_800_000_000_000);
        for text in ["", "5", "s", "-1s", "1.5s", "1 year", "99999999w", "1s!"] {
            assert!(text.parse::<Span>().unwrap_err().contains("`90s`"), "{text}");
        }
    }

    #[test]
    fn sizes_are_numbers_with_or_without_units() {
        for (text, bytes) in
            [("512", 512), ("64KiB", 65536), ("16 MiB", 16 << 20), ("1GB", 1_000_000_000), ("7B", 7)]
        {
            assert_eq!(text.parse::<ByteSize>().unwrap().0, bytes, "{text}");
        }
        for text in ["", "MiB", "1.5MiB", "-1", "99999999999TiB", "16 mib"] {
            assert!(text.parse::<ByteSize>().unwrap_err().contains("`16MiB`"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanos: u64, bytes: u64) {
            let span = Span(Duration::from_nanos(nanos));
            prop_assert_eq!(span.to_string().parse::<Span>(), Ok(span));
            let size = ByteSize(bytes);
            prop_assert_eq!(size.to_string().parse::<ByteSize>(), Ok(size));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,24}") {
            let _ = text.parse::<Span>();
            let _ = text.parse::<ByteSize>();
        }
    }
}
