//! Reads durable records in order, over segment boundaries, deletions and damage.

use std::io;
use std::sync::Arc;

use crate::format::RECORD_HEADER_BYTES;
use crate::tail::{Shared, Stretch};
use crate::window::Window;
use crate::{File, JournalError, Position};

pub use crate::window::READ_AHEAD;

/// A read error at the same place this often in a row is taken for damage: a disk that cannot read
/// one sector must not hold up everything behind it for ever.
const READ_ATTEMPTS: u32 = 3;

/// A durable record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where the record begins.
    pub position: Position,
    /// Where it ends: the place to go on from.
    pub next: Position,
    /// What was appended.
    pub payload: Vec<u8>,
}

/// A place in the journal that moves forward. Holds one file open and buffers one record or
/// [`READ_AHEAD`] bytes, whichever is more.
pub struct Reader {
    shared: Arc<Shared>,
    position: Position,
    file: Option<(u64, Box<dyn File>)>,
    window: Window,
    failures: u32,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, position: Position) -> Self {
        Self { shared, position, file: None, window: Window::default(), failures: 0 }
    }

    /// Where the next record is looked for.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The next durable record, or `None` at the durable end; later calls see what has become
    /// durable by then. Damaged data is skipped up to the end of its segment and counted in
    /// [`Tail::damage`](crate::Tail::damage).
    ///
    /// An error leaves the reader where it is: call again, later. The third failure in a row at
    /// the same place is taken for damage.
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator is done once it has ended; a reader goes on when more has become durable"
    )]
    pub fn next(&mut self) -> Result<Option<Entry>, JournalError> {
        loop {
            let Some(stretch) = self.shared.ends().after(self.position) else {
                return Ok(None);
            };
            match self.read(&stretch) {
                Ok(Some(entry)) => {
                    self.failures = 0;
                    self.position = entry.next;
                    return Ok(Some(entry));
                }
                Ok(None) => self.skip(&stretch),
                Err(error) if self.was_deleted(&error, &stretch) => {}
                Err(error) => {
                    self.file = None;
                    self.failures += 1;
                    if self.failures >= READ_ATTEMPTS {
                        self.skip(&stretch);
                    } else {
                        let path = self.shared.path(stretch.from.segment);
                        return Err(JournalError::io("cannot read the segment", &path)(error));
                    }
                }
            }
        }
    }

    fn read(&mut self, stretch: &Stretch) -> io::Result<Option<Entry>> {
        let position = stretch.from;
        if self.file.as_ref().is_none_or(|(segment, _)| *segment != position.segment) {
            self.window.clear();
            let file = self.shared.fs.open(&self.shared.path(position.segment), false)?;
            self.file = Some((position.segment, file));
        }
        let Some((_, file)) = &self.file else {
            return Ok(None);
        };
        let payload = self.window.record(file.as_ref(), position, stretch.end)?;
        Ok(payload.map(|payload| Entry {
            position,
            next: Position {
                segment: position.segment,
                offset: position.offset + RECORD_HEADER_BYTES + payload.len() as u64,
            },
            payload: payload.to_vec(),
        }))
    }

    /// Whether the segment was deleted between looking it up and opening it.
    fn was_deleted(&self, error: &io::Error, stretch: &Stretch) -> bool {
        error.kind() == io::ErrorKind::NotFound
            && !self.shared.ends().segments.contains_key(&stretch.from.segment)
    }

    fn skip(&mut self, stretch: &Stretch) {
        self.failures = 0;
        self.file = None;
        self.shared.count_damage(stretch.end - stretch.from.offset);
        self.position = Position { segment: stretch.from.segment, offset: stretch.end };
    }
}
