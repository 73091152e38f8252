//! How large and how deep an expression may be.
//!
//! Expressions come from rule files and from whoever may query a node. Parsing and evaluation recurse over the
//! tree, and a guest's stack is small and not growable: what is too deep is refused before the parser sees it.

/// The longest expression that is parsed, in bytes. Generated rules of public mixins stay below 8 KiB.
pub const MAX_EXPRESSION_BYTES: usize = 64 * 1024;

/// How deep an expression may nest: brackets, signs and a chain of binary operators all count, as each is a level
/// of the tree. At this depth an optimised evaluation takes less than 256 KiB of stack (a test runs with so much).
pub const MAX_DEPTH: usize = 128;

/// The longest range, step or offset, in milliseconds: 292 years, what Prometheus can hold in nanoseconds.
pub const MAX_DURATION_MS: i64 = 292 * 365 * 24 * 3_600_000;

/// The largest time that an evaluation, an `@` or an argument may name, in milliseconds either side of 1970: beyond
/// the year 100,000. Sums of a few of them cannot overflow.
pub const MAX_TIME_MS: i64 = 1 << 52;

/// How many warnings and how many infos an answer carries at most. The first of a kind says what to do.
pub const MAX_NOTES: usize = 32;
