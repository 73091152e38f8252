//! A forwarder that is made when it is needed, and made again until that works: a certificate or a password that
//! cannot be read keeps its results waiting, and stops nothing else.

use picket_forwarders::{Batch, Forwarder, SendError, Sent};

use crate::model::FrameKind;

/// Makes it, or says what is in the way.
pub(super) type Make = dyn Fn() -> Result<Box<dyn Forwarder>, SendError> + Send;

pub(super) struct Late {
    kinds: Vec<FrameKind>,
    make: Box<Make>,
    made: Option<Box<dyn Forwarder>>,
}

impl Late {
    /// `kinds` are those that it can take at most.
    pub(super) fn new(kinds: Vec<FrameKind>, make: Box<Make>) -> Self {
        Self { kinds, make, made: None }
    }

    fn made(&mut self) -> Result<&mut dyn Forwarder, SendError> {
        let made = match self.made.take() {
            Some(made) => made,
            None => (self.make)()?,
        };
        Ok(self.made.insert(made).as_mut())
    }
}

impl Forwarder for Late {
    fn wants(&self, kind: FrameKind) -> bool {
        self.kinds.contains(&kind)
    }

    fn resume(&mut self, note: &[u8]) -> Result<(), SendError> {
        self.made()?.resume(note)
    }

    fn prepare(&mut self) -> Result<Option<Vec<u8>>, SendError> {
        self.made()?.prepare()
    }

    fn send(&mut self, batch: &Batch) -> Result<Sent, SendError> {
        self.made()?.send(batch)
    }

    fn probe(&mut self) -> Result<String, SendError> {
        self.made()?.probe()
    }
}
