//! Memory for reading, used again and again.
//!
//! A block's memory is fresh pages if nothing is done about it, and the kernel takes longer to hand
//! out a quarter of a megabyte than it takes to read and search it. So blocks that were handed on are
//! remembered, and the memory of those that nobody else holds any more is taken back.

use std::collections::VecDeque;
use std::sync::Arc;

use super::assemble::Chunk;
use crate::model::Block;

/// Blocks that are remembered: what a few lanes hold, and at most some ten megabytes.
const MAX_LENT: usize = 32;
/// Smaller blocks are cheap to allocate.
const MIN_LENT_BYTES: usize = 32 << 10;
/// How many of the oldest lent blocks are asked whether they are free.
const ASKED: usize = 4;

/// Memory for reading.
#[derive(Debug, Default)]
pub struct Buffers {
    /// Bytes as they stand in the file, where the records need other ones.
    pub raw: Vec<u8>,
    /// The records of the last step.
    pub chunk: Chunk,
    /// Blocks that were handed on, oldest first.
    lent: VecDeque<Arc<Block>>,
}

impl Buffers {
    /// Empties the chunk, and finds memory for it if its own was handed on.
    pub fn prepare(&mut self) {
        self.chunk.clear();
        if self.chunk.data.capacity() > 0 {
            return;
        }
        for index in 0..self.lent.len().min(ASKED) {
            if Arc::strong_count(&self.lent[index]) > 1 {
                continue;
            }
            let block = self.lent.remove(index).and_then(Arc::into_inner);
            if let Some(block) = block {
                self.chunk.data = block.data;
                self.chunk.records = block.records;
                self.chunk.clear();
            }
            return;
        }
    }

    /// Remembers a block that was handed on.
    pub fn lend(&mut self, block: Arc<Block>) {
        if block.data.capacity() < MIN_LENT_BYTES {
            return;
        }
        if self.lent.len() >= MAX_LENT {
            self.lent.pop_front();
        }
        self.lent.push_back(block);
    }

    /// Gives the memory back to the system, when there is nothing to read for a while.
    pub fn release(&mut self) {
        *self = Self::default();
    }
}
