//! Entries of the state in a plain file of their own, with a checksum: what a damaged database is filled from.
//! Knows nothing of when one is written and of what is in it.
//!
//! ```text
//! file   := header entry* end            all numbers little-endian, CRC is CRC-32
//! header := "PICKETD\n" version(u32) segment(u64) offset(u64) crc of the header before it(u32)
//! entry  := key length(u32, not 0) value length(u32) key value
//! end    := 0(u32) crc of everything behind the header and before the crc(u32)
//! ```
//!
//! A file is there whole or not at all: it is written under another name, synced and renamed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use picket_journal::Position;

use super::StateError;

const MAGIC: &[u8; 8] = b"PICKETD\n";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 8 + 4 + 16 + 4;
/// Keys and values in the database are far shorter; a damaged length must not ask for more.
const MAX_FIELD_BYTES: u32 = 1 << 20;

/// A file in the making. One that is dropped unfinished leaves a file that the next one overwrites.
pub(super) struct Dump {
    path: PathBuf,
    file: BufWriter<File>,
    crc: crc32fast::Hasher,
    bytes: u64,
}

impl Dump {
    /// Begins a file that shows the state as it was at a place of the journal.
    pub(super) fn begin(path: &Path, at: Position) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = BufWriter::new(options.open(unfinished(path))?);
        let header = header(at);
        file.write_all(&header)?;
        let bytes = header.len() as u64;
        Ok(Self { path: path.to_owned(), file, crc: crc32fast::Hasher::new(), bytes })
    }

    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let [key_length, value_length] = [key, value].map(|field| (field.len() as u32).to_le_bytes());
        for part in [&key_length[..], &value_length[..], key, value] {
            self.put(part)?;
        }
        Ok(())
    }

    /// Puts it in the place of the one before. Returns its length in bytes.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        self.put(&0u32.to_le_bytes())?;
        let crc = self.crc.clone().finalize();
        self.file.write_all(&crc.to_le_bytes())?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(unfinished(&self.path), &self.path)?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(self.bytes + 4)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc.update(bytes);
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes)
    }
}

/// The place of the journal that a file stands for, if there is one with a good header.
pub(super) fn position(path: &Path) -> Option<Position> {
    let mut bytes = [0; HEADER_BYTES];
    File::open(path).ok()?.read_exact(&mut bytes).ok()?;
    let number = |from: usize| Some(u64::from_le_bytes(bytes.get(from..from + 8)?.try_into().ok()?));
    let at = Position { segment: number(12)?, offset: number(20)? };
    (header(at) == bytes).then_some(at)
}

/// Calls `each` with every entry. Only the end tells whether the file is whole, so ask [`is_whole`] first.
pub(super) fn read(
    path: &Path,
    mut each: impl FnMut(Vec<u8>, Vec<u8>) -> Result<(), StateError>,
) -> Result<(), StateError> {
    let damaged = || StateError::Damaged { what: path.display().to_string() };
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged(),
        _ => StateError::io("read", path)(error),
    };
    position(path).ok_or_else(damaged)?;
    let mut input =
        Input { file: BufReader::new(File::open(path).map_err(failed)?), crc: Default::default() };
    input.take(HEADER_BYTES as u32).map_err(failed)?;
    input.crc = crc32fast::Hasher::new();
    loop {
        let key_length = input.number().map_err(failed)?;
        if key_length == 0 {
            break;
        }
        let value_length = input.number().map_err(failed)?;
        if key_length.max(value_length) > MAX_FIELD_BYTES {
            return Err(damaged());
        }
        let key = input.take(key_length).map_err(failed)?;
        each(key, input.take(value_length).map_err(failed)?)?;
    }
    let found = input.crc.clone().finalize();
    match input.number().map_err(failed)? == found {
        true => Ok(()),
        false => Err(damaged()),
    }
}

/// Whether the file is there and can be read to its end.
pub(super) fn is_whole(path: &Path) -> bool {
    read(path, |_, _| Ok(())).is_ok()
}

struct Input {
    file: BufReader<File>,
    crc: crc32fast::Hasher,
}

impl Input {
    fn take(&mut self, length: u32) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length as usize];
        self.file.read_exact(&mut bytes)?;
        self.crc.update(&bytes);
        Ok(bytes)
    }

    fn number(&mut self) -> io::Result<u32> {
        let bytes = self.take(4)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }
}

fn header(at: Position) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..20].copy_from_slice(&at.segment.to_le_bytes());
    header[20..28].copy_from_slice(&at.offset.to_le_bytes());
    let crc = crc32fast::hash(&header[..28]);
    header[28..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Gives back the room of a file that was not finished.
pub(super) fn discard(path: &Path) {
    // The next one overwrites it.
    let _ = fs::remove_file(unfinished(path));
}

fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("new")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const AT: Position = Position { segment: 3, offset: 99 };

    fn written(path: &Path) -> Vec<u8> {
        let mut dump = Dump::begin(path, AT).unwrap();
        dump.add(b"a", b"1").unwrap();
        dump.add(b"bc", &[7; 3000]).unwrap();
        dump.add(b"d", b"").unwrap();
        assert_eq!(dump.finish().unwrap(), fs::metadata(path).unwrap().len());
        fs::read(path).unwrap()
    }

    #[test]
    fn entries_come_back_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dump");
        written(&path);
        let mut found = Vec::new();
        read(&path, |key, value| {
            found.push((key, value.len()));
            Ok(())
        })
        .unwrap();
        assert_eq!(found, [(b"a".to_vec(), 1), (b"bc".to_vec(), 3000), (b"d".to_vec(), 0)]);
        assert_eq!((position(&path), is_whole(&path)), (Some(AT), true));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn every_wrong_byte_and_every_cut_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dump");
        let good = written(&path);
        for at in (0..good.len()).filter(|at| *at < 100 || at % 97 == 0 || *at > good.len() - 40) {
            let mut bad = good.clone();
            bad[at] ^= 1u8 << (at % 8);
            fs::write(&path, &bad).unwrap();
            assert!(!is_whole(&path), "byte {at}");
            assert_eq!(position(&path).is_none(), at < HEADER_BYTES, "byte {at}");
            fs::write(&path, &good[..at]).unwrap();
            assert!(!is_whole(&path), "cut at {at}");
        }
        fs::remove_file(&path).unwrap();
        assert!(!is_whole(&path) && position(&path).is_none());
    }
}
