//! A crash-safe log of opaque records in segment files: one writer, any number of readers.
//!
//! It knows nothing of what a record holds, starts no thread, and keeps no cursors: a reader's
//! position is the reader's business. It does not sync by itself either: the writer decides how
//! many records share one [`Journal::sync`].
//!
//! # What it promises
//!
//! - A record is there after a power cut once the `sync` after its `append` has returned. Records
//!   come back in the order in which they were appended, without gaps.
//! - A reader never sees a record that a power cut could still take ([`Tail::durable_end`]).
//! - A record whose `append` or `sync` failed is not seen by any reader. It may come back at the
//!   next start, but only when nothing was made durable after it.
//! - A damaged or half-written end is repaired by [`Journal::open`] without a human, and
//!   [`Repair`] says what was cut. Damage further in front costs the rest of its segment: readers
//!   go on with the next one, and [`Tail::damage`] counts what they skipped.
//! - Positions only grow: one that was given out is never used again for another record.
//! - Opening reads the headers of all segments and the records of the last one, so its cost does
//!   not grow with the backlog. Reading needs memory for one record and [`READ_AHEAD`] bytes.
//!
//! # Layout
//!
//! A folder holds the segments, named by their number with 20 digits and `.journal`, the file
//! `lock` that the writer holds locked, and `*.damaged` files that a repair has set aside for
//! people. All numbers are little-endian; CRC is CRC-32 (ISO-HDLC, as in zlib).
//!
//! ```text
//! segment := header record*
//!
//! header (44 bytes)
//!    0  magic            8 bytes  "PICKETJ\n"
//!    8  version          u32      1; a higher one is refused
//!   12  crc of 0..12     u32      the same place in every version, so that damage is not taken
//!                                 for a newer version
//!   16  segment          u64      this segment's number, from 1
//!   24  previous segment u64      0 for the first one
//!   32  previous end     u64      where the previous segment ends: bytes behind it are void
//!   40  crc of 0..40     u32
//!
//! record
//!    0  length           u32      of the payload, at least 1, so that zeros are no record
//!    4  crc              u32      over segment (u64), offset of the record (u64), and payload, so
//!                                 that a record is valid at its own place only
//!    8  payload
//! ```
//!
//! # Operations
//!
//! *Append* writes behind the last record; the first one after a sync that does not fit into
//! [`Config::segment_bytes`] any more starts a new segment.
//! *Sync* is one `fdatasync` of the segment, and one of the folder when the segment is new.
//!
//! *After a failed write* the segment is cut back to where it was. *After a failed sync* nobody
//! knows which of its bytes are on the disk, and asking again would be answered with success
//! (the kernel forgets the failure), so the segment is left at its durable end and the next
//! record starts a new one. The new header's `previous end` is what makes this last: whatever
//! stands in the old segment behind that offset, and whatever segments stand between the two,
//! was reported as failed and is void.
//!
//! One thing can still go wrong: the sync of a failing disk fails, then cutting the segment fails
//! as well, then the process is killed, and its successor finds the failed records in the
//! system's cache, takes them for durable, and only then the power fails.
//!
//! *Open* follows the headers from the last segment to the first, removes void segments, checks
//! the last segment's records and cuts off what follows the last good one. After a cut, writing
//! goes on in a new segment, so that a position behind the cut, should somebody have kept one,
//! never names another record.
//!
//! *Delete* removes whole segments from the old end. Readers inside them go on reading what they
//! have open and then find the first segment that is left.
#![forbid(unsafe_code)]

mod position;

mod error;
mod format;
mod fs;

mod journal;
mod reader;
mod recovery;
mod tail;
mod window;

pub mod sim;

pub use error::JournalError;
pub use format::{FORMAT_VERSION, MAX_RECORD_BYTES, ParsedSegment, parse_segment};
pub use fs::{File, FileSystem, RealFs};
pub use journal::{Config, Journal};
pub use position::{ParsePositionError, Position};
pub use reader::{Entry, READ_AHEAD, Reader};
pub use recovery::{Repair, inspect};
pub use tail::{Damage, Tail};

#[cfg(test)]
mod tests;
