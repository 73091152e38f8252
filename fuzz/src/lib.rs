//! One target for each parser of bytes that come from outside, and what throws bytes at them.
//!
//! A target feeds the bytes to the parser as the agent would, and panics when something holds no
//! longer that always has to: a parser that panics by itself, a text that changes when it is written and
//! read again, more bytes out than in. It gives back a number for the shape of what it saw, so that
//! inputs which reach something new are kept and mutated further.
//!
//! This works on stable Rust without instrumentation: the shape takes the place of coverage. Targets
//! take `&[u8]` and nothing else, so that any other fuzzer can drive them as well.
#![forbid(unsafe_code)]

mod corpus;
mod driver;
mod mutate;
mod shrink;
pub mod targets;

pub use corpus::{folder, load};
pub use driver::{Crash, Limits, Summary, fuzz, replay};
pub use targets::TARGETS;

/// A parser under test.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, also of its folder in the corpus.
    pub name: &'static str,
    /// What it parses, for people.
    pub about: &'static str,
    /// Files of the repository whose lines are good inputs to start from.
    pub samples: &'static [&'static str],
    /// Further good inputs.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Pieces that its language is made of.
    pub words: &'static [&'static str],
    /// Feeds it, and gives the shape of what came out.
    pub run: fn(&[u8]) -> u64,
}

/// A shape of several numbers, each taken by its magnitude, so that counting up is no news for ever.
pub fn shape(parts: &[u64]) -> u64 {
    parts.iter().fold(0xcbf2_9ce4_8422_2325, |mixed, part| {
        (mixed ^ u64::from(u64::BITS - part.leading_zeros())).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A shape of a text without what varies: digits count as one, quoted parts as none.
pub fn shape_of_text(text: &str) -> u64 {
    let mut quoted = false;
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |mixed, byte| {
        quoted ^= byte == b'`' || byte == b'"';
        match byte {
            _ if quoted => mixed,
            b'0'..=b'9' => mixed,
            _ => (mixed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3),
        }
    })
}
