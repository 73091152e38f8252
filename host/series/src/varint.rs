//! Numbers and byte strings as files have them: little ones in few bytes (LEB128), the signed ones zigzag. A reader
//! never reads beyond its bytes and takes no memory for a length that it has only been told.

/// Appends a number, seven bits a byte.
pub(crate) fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Appends a signed number; small ones of either sign are short.
pub(crate) fn put_signed(bytes: &mut Vec<u8>, number: i64) {
    put(bytes, ((number << 1) ^ (number >> 63)) as u64);
}

/// Appends a string with its length before it.
pub(crate) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put(bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

/// Reads what the functions above have written, or finds that it is something else.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What has not been read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*taken)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return None;
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        let number = self.varint()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// A length or an index, of at most `most`.
    pub(crate) fn size(&mut self, most: usize) -> Option<usize> {
        usize::try_from(self.varint()?).ok().filter(|size| *size <= most)
    }

    /// A string of at most `most` bytes.
    pub(crate) fn text(&mut self, most: usize) -> Option<&'a str> {
        let length = self.size(most)?;
        std::str::from_utf8(self.take(length)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(number in any::<u64>(), shift in 0..64, signed in any::<i64>()) {
            let mut bytes = Vec::new();
            put(&mut bytes, number >> shift);
            put_signed(&mut bytes, signed >> shift);
            put_text(&mut bytes, "ä");
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint(), Some(number >> shift));
            prop_assert_eq!(reader.signed(), Some(signed >> shift));
            prop_assert_eq!(reader.text(2), Some("ä"));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            let _ = Reader::new(&bytes).varint();
            let _ = Reader::new(&bytes).text(4);
        }
    }

    #[test]
    fn what_is_too_large_is_refused() {
        assert_eq!(Reader::new(&[0xff; 10]).varint(), None);
        assert_eq!(Reader::new(&[3, b'a', b'b', b'c']).text(2), None);
        assert_eq!(Reader::new(&[3, b'a']).text(3), None);
        assert_eq!(Reader::new(&[1, 0xff]).text(3), None);
    }
}
