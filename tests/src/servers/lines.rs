//! A file of JSON lines that a server writes, read on as it grows.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// The file, and what was read of it. Each line is an object with one key, which says of what kind it is.
pub(crate) struct Lines {
    path: PathBuf,
    read: Mutex<Read>,
}

#[derive(Default)]
struct Read {
    offset: u64,
    lines: Vec<Value>,
}

impl Lines {
    /// Nothing is read yet; the file may not be there yet.
    pub(crate) fn of(path: PathBuf) -> Self {
        Self { path, read: Mutex::default() }
    }

    /// What all lines of a kind hold, in the file's order.
    pub(crate) fn all(&self, kind: &str) -> Vec<Value> {
        self.read_on().lines.iter().filter_map(|line| line.get(kind)).cloned().collect()
    }

    /// How many lines of a kind there are: cheap, for waiting.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.read_on().lines.iter().filter(|line| line.get(kind).is_some()).count()
    }

    fn read_on(&self) -> MutexGuard<'_, Read> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(mut file) = File::open(&self.path) else { return read };
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(read.offset)).expect("a file can be read from anywhere");
        file.read_to_end(&mut text).expect("a file can be read");
        // An unfinished last line is read the next time.
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        read.offset += whole as u64;
        for line in text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let parsed = serde_json::from_slice(line)
                .unwrap_or_else(|error| panic!("{error} in {:?}", String::from_utf8_lossy(line)));
            read.lines.push(parsed);
        }
        read
    }
}
