//! The journal's segment files, as they look after a crash, bit rot or a person with an editor.

use std::path::Path;
use std::sync::Arc;

use picket_journal::sim::SimFs;
use picket_journal::{Config, Journal, parse_segment};

use crate::{Target, shape};

/// Where the header ends and the first record begins.
const HEADER: usize = 44;

/// One segment in memory.
pub(super) const SEGMENT: Target = Target {
    name: "segment",
    about: "the journal's segment format",
    samples: &[],
    seeds: segments,
    words: &["PICKETJ\n"],
    run: |data| {
        let Some(parsed) = parse_segment(data) else { return 0 };
        let bytes: usize = parsed.records.iter().map(|record| record.len()).sum();
        assert!(parsed.end <= data.len() as u64 && bytes as u64 <= parsed.end, "more came out than went in");
        assert!(parsed.records.iter().all(|record| !record.is_empty()), "an empty record came out");
        shape(&[1, parsed.segment, parsed.records.len() as u64, bytes as u64])
    },
};

/// A journal whose last segment holds the data: it opens or says why not, and reading it ends.
pub(super) const OPEN: Target = Target {
    name: "journal",
    about: "opening a journal after its last segment was changed, and reading it",
    samples: &[],
    seeds: segments,
    words: &["PICKETJ\n"],
    run: |data| {
        let (fs, folder) = (SimFs::new(1), Path::new("/journal"));
        let path = write(&fs, folder);
        let mended = mend(data);
        fs.tamper(&path, |content| *content = mended).expect("the segment was written above");
        let Ok((mut journal, repair)) = Journal::open(Arc::new(fs), folder, Config::default()) else {
            return 0;
        };
        let at = journal.append(b"written after the repair").expect("a repaired journal takes records");
        assert_eq!(journal.sync().expect("a repaired journal syncs"), at);
        let mut reader = journal.tail().reader(journal.first());
        let (mut records, mut last) = (0, Vec::new());
        while let Ok(Some(entry)) = reader.next() {
            assert!(entry.position < entry.next, "reading does not get on");
            records += 1;
            last = entry.payload;
        }
        assert_eq!(last, b"written after the repair", "what was synced is not read");
        shape(&[2, u64::from(repair.is_clean()), records])
    },
};

/// Writes a small journal and gives its last segment's path.
fn write(fs: &SimFs, folder: &Path) -> std::path::PathBuf {
    let config = Config { segment_bytes: 64 << 10, ..Config::default() };
    let (mut journal, _) =
        Journal::open(Arc::new(fs.clone()), folder, config).expect("an empty folder becomes a journal");
    for payload in [&b"one"[..], &[0; 300], b"three"] {
        journal.append(payload).expect("there is room");
    }
    let end = journal.sync().expect("nothing fails here");
    folder.join(format!("{:020}.journal", end.segment))
}

fn segments() -> Vec<Vec<u8>> {
    let fs = SimFs::new(1);
    let path = write(&fs, Path::new("/journal"));
    vec![fs.content(&path).expect("it was written")]
}

/// Makes the checksums right for what the bytes say, or a mutation would never get past them. Whether it
/// does so for the header and for each record is up to the bytes, so that wrong ones come up too.
fn mend(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    if bytes.len() < HEADER || bytes[HEADER - 1] & 7 == 7 {
        return bytes;
    }
    let crc = crc32fast::hash(&bytes[..12]).to_le_bytes();
    bytes[12..16].copy_from_slice(&crc);
    let crc = crc32fast::hash(&bytes[..40]).to_le_bytes();
    bytes[40..44].copy_from_slice(&crc);
    let segment = bytes[16..24].to_vec();
    let mut at = HEADER;
    while let Some(length) = bytes.get(at..at + 4) {
        let length = u32::from_le_bytes(length.try_into().expect("four bytes")) as usize;
        let Some(payload) = bytes.get(at + 8..).and_then(|rest| rest.get(..length)) else { break };
        if length == 0 || payload[0] == 0xff {
            break;
        }
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&segment);
        hasher.update(&(at as u64).to_le_bytes());
        hasher.update(payload);
        let crc = hasher.finalize().to_le_bytes();
        bytes[at + 4..at + 8].copy_from_slice(&crc);
        at += 8 + length;
    }
    bytes
}
