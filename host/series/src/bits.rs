//! Bits after one another in bytes, the highest first. Knows nothing of samples.

/// By how many bytes a buffer grows at most. It grows by a quarter: chunks are many and most stay small, so doubling
/// would waste half; and all grow together, so many small steps would leave holes between them.
pub(crate) const MAX_GROWTH: usize = 64;
/// By how many bytes it grows at least.
const MIN_GROWTH: usize = 24;

/// Appends the lowest `count` bits of `bits`, at most 64. `free` is how many bits of the last byte are unused.
pub(crate) fn put(bytes: &mut Vec<u8>, free: &mut u8, bits: u64, count: u8) {
    debug_assert!(count <= 64);
    let mut left = count;
    while left > 0 {
        if *free == 0 {
            if bytes.len() == bytes.capacity() {
                bytes.reserve_exact((bytes.len() / 4).clamp(MIN_GROWTH, MAX_GROWTH));
            }
            bytes.push(0);
            *free = 8;
        }
        let take = left.min(*free);
        let part = (bits >> (left - take)) & ((1 << take) - 1);
        let last = bytes.last_mut().expect("a byte was just pushed, or some of its bits are free");
        *last |= (part as u8) << (*free - take);
        *free -= take;
        left -= take;
    }
}

/// Reads what [`put`] has written.
pub(crate) struct Bits<'a> {
    bytes: &'a [u8],
    /// The bit to read next.
    at: usize,
}

impl<'a> Bits<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `count` bits, at most 64; none when there are fewer.
    pub(crate) fn take(&mut self, count: u8) -> Option<u64> {
        let count = usize::from(count);
        if count > self.bytes.len() * 8 - self.at {
            return None;
        }
        let mut value = 0;
        let mut left = count;
        while left > 0 {
            let within = self.at % 8;
            let take = left.min(8 - within);
            let byte = u64::from(self.bytes[self.at / 8]);
            value = (value << take) | ((byte >> (8 - within - take)) & ((1 << take) - 1));
            self.at += take;
            left -= take;
        }
        Some(value)
    }

    /// How many of the next bits are ones before a zero, which is taken too; at most `most`, behind which no zero
    /// stands.
    pub(crate) fn ones(&mut self, most: u8) -> Option<u8> {
        for count in 0..most {
            if self.take(1)? == 0 {
                return Some(count);
            }
        }
        Some(most)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_put_is_taken(fields in prop::collection::vec((any::<u64>(), 0..=64_u8), 0..50)) {
            let (mut bytes, mut free) = (Vec::new(), 0);
            for (bits, count) in &fields {
                put(&mut bytes, &mut free, *bits, *count);
            }
            let mut reader = Bits::new(&bytes);
            for (bits, count) in &fields {
                let mask = if *count == 64 { u64::MAX } else { (1 << count) - 1 };
                prop_assert_eq!(reader.take(*count), Some(bits & mask));
            }
            prop_assert_eq!(reader.take(8), None);
        }
    }

    #[test]
    fn ones_end_with_a_zero_or_at_the_most() {
        let mut reader = Bits::new(&[0b0101_1111]);
        assert_eq!([0, 1, 4, 1].map(|most| reader.ones(most)), [Some(0), Some(0), Some(1), Some(1)]);
        assert_eq!(reader.ones(9), None);
    }
}
