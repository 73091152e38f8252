//! What a silence may be.

use super::NewSilence;
use super::matcher::{BadMatcher, Test};

/// Matchers of one silence: more than an alert has labels that people go by.
pub const MAX_MATCHERS: usize = 16;
/// Bytes of the comment: some sentences, not a document.
pub const MAX_COMMENT: usize = 1024;
/// Bytes of the creator's name.
pub const MAX_CREATOR: usize = 128;
/// How long a silence may last, in nanoseconds: a year and a day. What is to be silent for longer is a rule to be
/// changed.
pub const MAX_LENGTH: u64 = 366 * 86_400 * 1_000_000_000;

/// What is wrong with a silence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// A matcher is wrong.
    #[error(transparent)]
    Matcher(#[from] BadMatcher),
    /// It has too many matchers.
    #[error("it has {0} matchers; at most {MAX_MATCHERS} are allowed")]
    TooManyMatchers(usize),
    /// It would silence everything, or everything without some label.
    #[error("every matcher matches an absent label; one at least must not, such as `alertname=DiskFull`")]
    MatchesNothingInParticular,
    /// The end is not behind the beginning.
    #[error("it ends before it begins")]
    EndsBeforeItBegins,
    /// It would have ended already.
    #[error("it ends in the past")]
    EndsInThePast,
    /// It lasts too long.
    #[error("it lasts longer than 366 days; what is to be silent for longer is a rule to be changed")]
    TooLong,
    /// Nobody says why.
    #[error("it has no comment: say why, for whoever finds it later")]
    NoComment,
    /// A text is too long.
    #[error("its {what} has {bytes} bytes; at most {limit} are allowed")]
    TextTooLong {
        /// Which text.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
}

/// Checks a silence and makes its matchers ready.
pub(super) fn checked(wanted: &NewSilence, now: u64) -> Result<Vec<Test>, Mistake> {
    if wanted.ends_at <= wanted.starts_at {
        return Err(Mistake::EndsBeforeItBegins);
    }
    if wanted.ends_at <= now {
        return Err(Mistake::EndsInThePast);
    }
    if wanted.ends_at - wanted.starts_at > MAX_LENGTH || wanted.starts_at.saturating_sub(now) > MAX_LENGTH {
        return Err(Mistake::TooLong);
    }
    if wanted.comment.trim().is_empty() {
        return Err(Mistake::NoComment);
    }
    for (what, text, limit) in
        [("comment", &wanted.comment, MAX_COMMENT), ("creator's name", &wanted.created_by, MAX_CREATOR)]
    {
        if text.len() > limit {
            return Err(Mistake::TextTooLong { what, bytes: text.len(), limit });
        }
    }
    tests(wanted)
}

/// The matchers, ready to use.
pub(super) fn tests(wanted: &NewSilence) -> Result<Vec<Test>, Mistake> {
    if wanted.matchers.len() > MAX_MATCHERS {
        return Err(Mistake::TooManyMatchers(wanted.matchers.len()));
    }
    let tests = wanted.matchers.iter().map(super::Matcher::test).collect::<Result<Vec<_>, _>>()?;
    if tests.iter().all(|test| test.holds(&[])) {
        return Err(Mistake::MatchesNothingInParticular);
    }
    Ok(tests)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const NOW: u64 = 1_700_000_000_000_000_000;
    const HOUR: u64 = 3_600_000_000_000;

    fn wanted() -> NewSilence {
        NewSilence {
            matchers: vec!["alertname=DiskFull".parse().unwrap()],
            starts_at: NOW,
            ends_at: NOW + HOUR,
            created_by: "me".into(),
            comment: "disk is being changed".into(),
        }
    }

    fn check(change: impl FnOnce(&mut NewSilence), expected: Result<(), Mistake>) {
        let mut silence = wanted();
        change(&mut silence);
        assert_eq!(checked(&silence, NOW).map(|_| ()), expected);
    }

    #[test]
    fn a_silence_within_its_bounds_is_taken() {
        check(|_| {}, Ok(()));
        check(|silence| silence.starts_at = NOW - HOUR, Ok(()));
        check(|silence| silence.comment = "x".repeat(MAX_COMMENT), Ok(()));
        check(|silence| silence.created_by = "x".repeat(MAX_CREATOR), Ok(()));
        check(|silence| silence.ends_at = NOW + MAX_LENGTH, Ok(()));
        let many =
            |silence: &mut NewSilence| silence.matchers = vec![wanted().matchers[0].clone(); MAX_MATCHERS];
        check(many, Ok(()));
    }

    #[test]
    fn a_silence_beyond_them_says_why_not() {
        check(|silence| silence.ends_at = NOW, Err(Mistake::EndsBeforeItBegins));
        check(
            |silence| (silence.starts_at, silence.ends_at) = (NOW - 2 * HOUR, NOW - HOUR),
            Err(Mistake::EndsInThePast),
        );
        check(|silence| silence.ends_at = NOW + MAX_LENGTH + 1, Err(Mistake::TooLong));
        let far = |silence: &mut NewSilence| {
            (silence.starts_at, silence.ends_at) = (NOW + MAX_LENGTH + 1, NOW + MAX_LENGTH + 2);
        };
        check(far, Err(Mistake::TooLong));
        check(|silence| silence.comment = " ".into(), Err(Mistake::NoComment));
        let long = |what, limit| Err(Mistake::TextTooLong { what, bytes: limit + 1, limit });
        check(|silence| silence.comment = "x".repeat(MAX_COMMENT + 1), long("comment", MAX_COMMENT));
        check(
            |silence| silence.created_by = "x".repeat(MAX_CREATOR + 1),
            long("creator's name", MAX_CREATOR),
        );
        check(|silence| silence.matchers.clear(), Err(Mistake::MatchesNothingInParticular));
        let all = |silence: &mut NewSilence| {
            silence.matchers = vec!["a=~.*".parse().unwrap(), "b!=x".parse().unwrap()]
        };
        check(all, Err(Mistake::MatchesNothingInParticular));
        let many = |silence: &mut NewSilence| {
            silence.matchers = vec![silence.matchers[0].clone(); MAX_MATCHERS + 1];
        };
        check(many, Err(Mistake::TooManyMatchers(MAX_MATCHERS + 1)));
    }
}
