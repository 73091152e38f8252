//! Unpackers open containers (archives, mail, images), so that scanners see the members.

pub use crate::bindings::unpacker_kind::exports::picket::plugin::unpacker::Member;
use crate::{Object, Plugin, Result};

/// Opens containers.
pub trait Unpacker: Plugin {
    /// An open container.
    type Container: Container;

    /// Opens an object; none when it is no container of a type known here. The object is given for
    /// good: the container reads from it between calls, for example by
    /// [`Object::into_reader`](Object::into_reader).
    fn open(&mut self, object: Object<'static>) -> Result<Option<Self::Container>>;
}

/// An open container. The host pulls: [`next`](Container::next), then [`read`](Container::read)
/// until it gives nothing.
pub trait Container: 'static {
    /// Goes to the next member; none at the end.
    fn next(&mut self) -> Result<Option<Member>>;

    /// The next bytes of the current member, at most `len`; none at its end.
    fn read(&mut self, len: usize) -> Result<Vec<u8>>;
}

impl Member {
    /// A member with the path that it has inside, and its size if the container says it.
    pub fn new(path: impl Into<String>, size: Option<u64>) -> Self {
        Self { path: path.into(), size }
    }
}
