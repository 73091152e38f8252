//! A fast hash of token texts, and maps keyed by such hashes.
//!
//! Templates are compared by the 64-bit hashes of their tokens instead of their texts. The hash is not
//! keyed: who writes to a log could make two texts collide, and would gain that they count as one.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// An odd constant with well mixed bits (the golden ratio in 64 bits).
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// The hash of a text. Stored in snapshots and in the state: changing it needs a new version there.
#[inline]
pub fn hash(bytes: &[u8]) -> u64 {
    let mut state = bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = step(state, u64::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, b| tail << 8 | u64::from(*b));
        state = step(state, tail);
    }
    finish(state)
}

/// Goes on with another word.
#[inline]
pub fn step(state: u64, word: u64) -> u64 {
    (state.rotate_left(23) ^ word).wrapping_mul(MULTIPLIER)
}

/// Spreads the state over all bits, since maps use the high and the low ones.
#[inline]
pub fn finish(state: u64) -> u64 {
    let mixed = (state ^ state >> 32).wrapping_mul(MULTIPLIER);
    mixed ^ mixed >> 29
}

/// A map whose keys are hashes already.
pub type HashedMap<V> = HashMap<u64, V, BuildHasherDefault<Ready>>;

/// Takes a hash as it is.
#[derive(Debug, Default, Clone, Copy)]
pub struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash(bytes);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn texts_that_differ_little_have_different_hashes() {
        let mut seen = HashSet::new();
        for length in 0..40 {
            for byte in [0, b'a', b'b'] {
                let mut text = vec![b'a'; length];
                if let Some(last) = text.last_mut() {
                    *last = byte;
                }
                seen.insert(hash(&text));
            }
        }
        assert_eq!(seen.len(), 1 + 39 * 3);
    }

    /// Snapshots hold hashes.
    #[test]
    fn the_hash_stays_what_it_is() {
        assert_eq!(hash(b""), 0);
        assert_eq!(hash(b"uid=<num>"), hash(b"uid=<num>"));
        assert_ne!(hash(b"uid=<num>"), hash(b"uid=<hex>"));
    }
}
