//! What is appended, as bytes for the log: each series' labels once in a log, then samples. Touches no file.
//!
//! Entries stand in batches; each begins anew with id and time 0. An entry is a number: 0 for a series (its id,
//! the number of its labels, their names and values), otherwise, less one, the difference of the id to the one
//! before (zigzag); then the difference of the time in milliseconds, then the value: a whole number n of at
//! most 53 bits as 2 × zigzag(n), every other as a one and eight bytes.
//!
//! A sample that is not later than the last of its series replaces everything of the series from its time on: so
//! a log may repeat what an earlier one has, and a clock that was set back is followed.

use crate::index::Index;
use crate::labels::{MAX_LABELS, MAX_NAME_BYTES, MAX_VALUE_BYTES};
use crate::series::Series;
use crate::varint::{self, Reader};

/// Whole numbers beyond this are written as eight bytes.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// Bytes that may wait to be written: the first samples of 100,000 series with their labels. With more, the disk does
/// not keep up, and the log is begun anew from memory when it does.
const MAX_PENDING: usize = 32 << 20;

/// Entries one after another.
#[derive(Default)]
pub(crate) struct Encoder {
    bytes: Vec<u8>,
    id: u64,
    time: i64,
}

impl Encoder {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Ends the batch and returns it.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        (self.id, self.time) = (0, 0);
        std::mem::take(&mut self.bytes)
    }

    pub(crate) fn series(&mut self, series: &Series, index: &Index) {
        varint::put(&mut self.bytes, 0);
        varint::put(&mut self.bytes, series.id);
        varint::put(&mut self.bytes, series.labels.len() as u64);
        for id in &series.labels {
            let pair = index.pair(*id);
            varint::put_text(&mut self.bytes, index.name_text(pair.name));
            varint::put_text(&mut self.bytes, &pair.value);
        }
    }

    pub(crate) fn sample(&mut self, id: u64, time: i64, value: f64) {
        let step = id.wrapping_sub(self.id) as i64;
        varint::put(&mut self.bytes, (((step << 1) ^ (step >> 63)) as u64).wrapping_add(1));
        varint::put_signed(&mut self.bytes, time.wrapping_sub(self.time));
        (self.id, self.time) = (id, time);
        let whole = value as i64;
        if value.abs() <= MAX_WHOLE && (whole as f64).to_bits() == value.to_bits() {
            varint::put(&mut self.bytes, (((whole << 1) ^ (whole >> 63)) as u64) << 1);
        } else {
            self.bytes.push(1);
            self.bytes.extend_from_slice(&value.to_bits().to_le_bytes());
        }
    }
}

/// What has been appended since it was last written. Off in a store without a folder.
#[derive(Default)]
pub(crate) struct Pending {
    encoder: Encoder,
    /// Which log it is for.
    log: u32,
    on: bool,
    overflowed: bool,
}

impl Pending {
    /// What is appended from now on is for another log, whose number this returns: the labels of series with that
    /// number are in it already.
    pub(crate) fn begin(&mut self) -> u32 {
        self.encoder.take();
        self.log += 1;
        (self.on, self.overflowed) = (true, false);
        self.log
    }

    /// Nothing is kept until another log begins.
    pub(crate) fn stop(&mut self) {
        self.encoder = Encoder::default();
        self.on = false;
    }

    /// What waits, and whether more would have to.
    pub(crate) fn take(&mut self) -> (Vec<u8>, bool) {
        (self.encoder.take(), self.overflowed)
    }

    pub(crate) fn sample(&mut self, series: &mut Series, index: &Index, time: i64, value: f64) {
        if !self.on {
            return;
        }
        if self.encoder.len() >= MAX_PENDING {
            self.overflowed = true;
            return self.stop();
        }
        if series.declared != self.log {
            series.declared = self.log;
            self.encoder.series(series, index);
        }
        self.encoder.sample(series.id, time, value);
    }
}

/// An entry of a log.
#[derive(Debug, PartialEq)]
pub(crate) enum Entry<'a> {
    Series { id: u64, labels: Vec<(&'a str, &'a str)> },
    Sample { id: u64, time: i64, value: f64 },
}

/// The entries of a batch. Ends at the first that is none.
pub(crate) struct Entries<'a> {
    reader: Reader<'a>,
    id: u64,
    time: i64,
}

impl<'a> Entries<'a> {
    pub(crate) fn new(batch: &'a [u8]) -> Self {
        Self { reader: Reader::new(batch), id: 0, time: 0 }
    }

    /// The next one; an error if the bytes are no batch.
    pub(crate) fn next(&mut self) -> Result<Option<Entry<'a>>, crate::chunk::Damaged> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        self.entry().map(Some).ok_or(crate::chunk::Damaged)
    }

    fn entry(&mut self) -> Option<Entry<'a>> {
        let key = self.reader.varint()?;
        if key == 0 {
            let id = self.reader.varint()?;
            let count = self.reader.size(MAX_LABELS)?;
            let mut label = || Some((self.reader.text(MAX_NAME_BYTES)?, self.reader.text(MAX_VALUE_BYTES)?));
            let labels: Vec<_> = (0..count).map(|_| label()).collect::<Option<_>>()?;
            return Some(Entry::Series { id, labels });
        }
        let key = key - 1;
        self.id = self.id.wrapping_add(((key >> 1) as i64 ^ -((key & 1) as i64)) as u64);
        self.time = self.time.wrapping_add(self.reader.signed()?);
        let value = self.reader.varint()?;
        let value = match value {
            1 => f64::from_bits(self.reader.u64()?),
            whole if whole & 1 == 0 => {
                let whole = whole >> 1;
                ((whole >> 1) as i64 ^ -((whole & 1) as i64)) as f64
            }
            _ => return None,
        };
        Some(Entry::Sample { id: self.id, time: self.time, value })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<u64>().prop_map(f64::from_bits),
            any::<i64>().prop_map(|whole| whole as f64),
            (-1000..1000_i64).prop_map(|whole| whole as f64),
            Just(-0.0),
            Just(MAX_WHOLE),
            Just(-MAX_WHOLE),
        ]
    }

    proptest! {
        #[test]
        fn samples_come_back_bit_for_bit(samples in prop::collection::vec((0..1_u64 << 60, 0..1_i64 << 60, value()), 0..50)) {
            let mut encoder = Encoder::default();
            samples.iter().for_each(|(id, time, value)| encoder.sample(*id, *time, *value));
            let batch = encoder.take();
            let mut entries = Entries::new(&batch);
            for (id, time, value) in samples {
                let Some(Entry::Sample { id: read, time: at, value: bits }) = entries.next().unwrap() else { panic!() };
                prop_assert_eq!((read, at, bits.to_bits()), (id, time, value.to_bits()));
            }
            prop_assert_eq!(entries.next(), Ok(None));
        }

        #[test]
        fn any_bytes_are_entries_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut entries = Entries::new(&bytes);
            while let Ok(Some(_)) = entries.next() {}
        }
    }
}
