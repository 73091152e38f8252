//! The error of a plugin's calls: a message for the operator.
//!
//! It is no enum, since the host does nothing with it but show it and discard the instance.

use std::fmt;

/// Why a call failed. Anything that implements [`std::error::Error`] becomes one with `?`.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(String);

/// The result of a plugin's call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with this message. Say what happened, and to what.
    pub fn new(message: impl fmt::Display) -> Self {
        Self(message.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?})", self.0)
    }
}

// `Error` itself must not implement `std::error::Error`, or this would overlap with the identity.
impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl From<Error> for String {
    fn from(error: Error) -> Self {
        error.0
    }
}
