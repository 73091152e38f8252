//! The samples of one series in a stretch of time, compressed. Knows neither windows nor files.
//!
//! After Pelkonen et al., "Gorilla: A Fast, Scalable, In-Memory Time Series Database" (VLDB 2015): a time is the
//! difference of two differences, a value the difference in bits (XOR) from the one before. The paper's
//! times are seconds; these are milliseconds, and so the steps of a time's width are others: 7 bits for the
//! jitter of scrapes, 12 for a late one, 20 for a missed one, 64 for everything else.
//!
//! A closed chunk is one byte string: the number of its samples, the time of the first, the bits.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::bits::{Bits, MAX_GROWTH, put};
use crate::varint::{self, Reader};

/// Samples of one chunk at most: whoever wants one of them decodes all before it.
pub(crate) const MAX_SAMPLES: u16 = 240;

/// Bytes that one sample may add: 4 + 64 bits of time, 2 + 5 + 6 + 64 bits of value, and the buffer's growth.
pub(crate) const MAX_SAMPLE_BYTES: u64 = 19 + MAX_GROWTH as u64;

/// Widths of a difference of differences, by the number of ones before it.
const WIDTHS: [u8; 5] = [0, 7, 12, 20, 64];

/// No leading zeros are that many: a value has not been written in full yet.
const NO_WINDOW: u8 = u8::MAX;

/// The chunk at the end of a series, which grows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Open {
    bits: Vec<u8>,
    first: i64,
    delta: i64,
    count: u16,
    free: u8,
    leading: u8,
    trailing: u8,
}

/// Bytes that are no chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damaged;

impl Open {
    pub(crate) fn count(&self) -> u16 {
        self.count
    }

    /// The time of its first sample; means nothing while it has none.
    pub(crate) fn first(&self) -> i64 {
        self.first
    }

    /// Bytes in memory beside the structure itself.
    pub(crate) fn bytes(&self) -> u64 {
        self.bits.capacity() as u64
    }

    /// Adds a sample behind `last`, the one that was added before (of no meaning for the first).
    pub(crate) fn push(&mut self, last: (i64, u64), (time, value): (i64, u64)) {
        debug_assert!(self.count < MAX_SAMPLES && (self.count == 0 || last.0 < time));
        if self.count == 0 {
            (self.first, self.delta, self.leading) = (time, 0, NO_WINDOW);
            put(&mut self.bits, &mut self.free, value, 64);
        } else {
            let delta = time.wrapping_sub(last.0);
            self.put_time(delta.wrapping_sub(self.delta));
            self.delta = delta;
            self.put_value(last.1 ^ value);
        }
        self.count += 1;
    }

    fn put_time(&mut self, change: i64) {
        let fits = |width: u8| {
            width == 64 || (width == 0 && change == 0) || {
                width > 0 && (-(1_i64 << (width - 1))..1 << (width - 1)).contains(&change)
            }
        };
        let step = WIDTHS.iter().position(|width| fits(*width)).expect("everything fits 64 bits");
        // So many ones and a zero; no zero behind the most ones.
        let last = WIDTHS.len() - 1;
        let prefix = ((1_u64 << step) - 1) << u8::from(step < last);
        put(&mut self.bits, &mut self.free, prefix, (step + usize::from(step < last)) as u8);
        put(&mut self.bits, &mut self.free, change as u64, WIDTHS[step]);
    }

    fn put_value(&mut self, xor: u64) {
        if xor == 0 {
            return put(&mut self.bits, &mut self.free, 0, 1);
        }
        let (leading, trailing) = ((xor.leading_zeros() as u8).min(31), xor.trailing_zeros() as u8);
        if self.leading != NO_WINDOW && leading >= self.leading && trailing >= self.trailing {
            put(&mut self.bits, &mut self.free, 0b10, 2);
            let width = 64 - self.leading - self.trailing;
            return put(&mut self.bits, &mut self.free, xor >> self.trailing, width);
        }
        (self.leading, self.trailing) = (leading, trailing);
        let width = 64 - leading - trailing;
        put(&mut self.bits, &mut self.free, 0b11, 2);
        put(&mut self.bits, &mut self.free, u64::from(leading), 5);
        // 1 to 64; 64 is written as 0.
        put(&mut self.bits, &mut self.free, u64::from(width % 64), 6);
        put(&mut self.bits, &mut self.free, xor >> trailing, width);
    }

    /// What it holds now, as a closed chunk.
    pub(crate) fn closed(&self) -> Arc<[u8]> {
        let mut head = Vec::with_capacity(16 + self.bits.len());
        varint::put(&mut head, u64::from(self.count));
        varint::put_signed(&mut head, self.first);
        head.extend_from_slice(&self.bits);
        head.into()
    }
}

fn read_head(reader: &mut Reader<'_>) -> Option<(u16, i64)> {
    let count = u16::try_from(reader.varint()?).ok().filter(|count| (1..=MAX_SAMPLES).contains(count))?;
    Some((count, reader.signed()?))
}

/// Gives each sample of a closed chunk to `each` until that has enough. Bytes from a file that are no chunk give
/// some samples and then the error; times rise in any case.
pub(crate) fn decode(chunk: &[u8], mut each: impl FnMut(i64, f64) -> ControlFlow<()>) -> Result<(), Damaged> {
    let mut reader = Reader::new(chunk);
    let (count, first) = read_head(&mut reader).ok_or(Damaged)?;
    let mut decoder = Decoder {
        bits: Bits::new(reader.rest()),
        time: first,
        delta: 0,
        value: 0,
        leading: NO_WINDOW,
        trailing: 0,
    };
    for number in 0..count {
        let read = if number == 0 { decoder.first() } else { decoder.next() };
        read.ok_or(Damaged)?;
        if each(decoder.time, f64::from_bits(decoder.value)).is_break() {
            break;
        }
    }
    Ok(())
}

struct Decoder<'a> {
    bits: Bits<'a>,
    time: i64,
    delta: i64,
    value: u64,
    leading: u8,
    trailing: u8,
}

impl Decoder<'_> {
    fn first(&mut self) -> Option<()> {
        self.value = self.bits.take(64)?;
        Some(())
    }

    fn next(&mut self) -> Option<()> {
        let width = WIDTHS[usize::from(self.bits.ones(WIDTHS.len() as u8 - 1)?)];
        if width > 0 {
            let raw = self.bits.take(width)?;
            let unused = 64 - u32::from(width);
            // Shifted up and down again, which extends the sign.
            self.delta = self.delta.wrapping_add(((raw << unused) as i64) >> unused);
        }
        self.time = self.time.checked_add(self.delta).filter(|time| *time > self.time)?;
        if self.bits.take(1)? == 0 {
            return Some(());
        }
        if self.bits.take(1)? == 1 {
            let leading = self.bits.take(5)? as u8;
            let width = self.bits.take(6)? as u8;
            let width = if width == 0 { 64 } else { width };
            self.trailing = 64_u8.checked_sub(leading + width)?;
            self.leading = leading;
        }
        let width = 64_u8.checked_sub(self.leading.checked_add(self.trailing)?)?;
        self.value ^= self.bits.take(width)? << self.trailing;
        Some(())
    }
}

#[cfg(test)]
#[path = "chunk_tests.rs"]
mod tests;
