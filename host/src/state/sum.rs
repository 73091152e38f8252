//! A sum over all entries of the database, kept beside them: sled checks each of its pieces, and when one is
//! damaged it may leave it out without a word, old values and missing keys included. The sum tells.
//!
//! It finds damage, not malice.

/// What the entries add up to, in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sum {
    entries: u64,
    marks: u64,
}

impl Sum {
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.entries = self.entries.wrapping_add(1);
        self.marks = self.marks.wrapping_add(mark(key, value));
    }

    pub(super) fn remove(&mut self, key: &[u8], value: &[u8]) {
        self.entries = self.entries.wrapping_sub(1);
        self.marks = self.marks.wrapping_sub(mark(key, value));
    }

    pub(super) fn encode(self) -> Vec<u8> {
        [self.entries.to_le_bytes(), self.marks.to_le_bytes()].concat()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (entries, marks) = bytes.split_at_checked(8)?;
        let number = |bytes: &[u8]| Some(u64::from_le_bytes(bytes.try_into().ok()?));
        Some(Self { entries: number(entries)?, marks: number(marks)? })
    }
}

/// A number for an entry, spread over all bits so that wrong ones do not cancel each other out.
fn mark(key: &[u8], value: &[u8]) -> u64 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&(key.len() as u64).to_le_bytes());
    crc.update(key);
    crc.update(value);
    let mut mark = u64::from(crc.finalize()).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mark = (mark ^ (mark >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mark = (mark ^ (mark >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mark ^ (mark >> 31)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn of(entries: &[(&str, &str)]) -> Sum {
        let mut sum = Sum::default();
        entries.iter().for_each(|(key, value)| sum.add(key.as_bytes(), value.as_bytes()));
        sum
    }

    #[test]
    fn the_order_does_not_matter_and_everything_else_does() {
        let both = of(&[("a", "1"), ("b", "2")]);
        assert_eq!(both, of(&[("b", "2"), ("a", "1")]));
        for other in
            [of(&[("a", "1")]), of(&[("a", "2"), ("b", "1")]), of(&[("a", "1"), ("b2", "")]), of(&[])]
        {
            assert_ne!(both, other);
        }
        let mut less = both;
        less.remove(b"b", b"2");
        assert_eq!(less, of(&[("a", "1")]));
        assert_eq!(Sum::decode(&both.encode()).unwrap(), both);
        assert_eq!(Sum::decode(&both.encode()[..9]), None);
    }
}
