//! Records from files.
//!
//! `config` says which, `source` finds them, a `tail` follows one file for all plugins, a `reader` reads
//! from one place on, `framing`, `assemble` and `multiline` make records of lines, `checkpoint` and
//! `identity` say where to go on in which file, and `thread` drives it all.

pub mod config;

pub mod once;
pub mod thread;

pub mod book;
pub mod source;
pub mod tail;

pub mod buffers;
pub mod reader;

pub mod assemble;
pub mod framing;
pub mod labels;
pub mod multiline;

pub mod checkpoint;
pub mod identity;

pub use config::Config;
