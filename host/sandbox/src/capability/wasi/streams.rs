//! WASI's streams: stdin is at its end, stdout and stderr are cut into lines for the log.

use std::collections::VecDeque;

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::io::error as io_error;
use wasmtime_wasi::p2::bindings::sync::io::{poll, streams};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, IoError, StreamError, StreamResult};

use super::WasiContext;
use crate::error::Violation;
use crate::text;
use crate::{LogLevel, LogOrigin};

/// The handles' numbers. Every handle of a stream means one of these.
pub(super) const STDIN: u32 = 0;
pub(super) const STDOUT: u32 = 1;
pub(super) const STDERR: u32 = 2;

/// What a guest may write at once, as `check-write` tells it. Never zero, or it would wait.
const MAX_WRITE: u64 = 64 << 10;
/// A line without an end is cut into pieces of this size.
const MAX_LINE: usize = super::super::log::MAX_MESSAGE;
/// Lines kept to explain a trap: a panic's place and message.
const KEPT_LINES: usize = 2;
/// Bytes of a kept line.
const KEPT_BYTES: usize = 512;

/// A stream's unfinished line and the last finished ones.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pending: Vec<u8>,
    last: VecDeque<String>,
}

impl Lines {
    pub(super) fn forget(&mut self) {
        self.last.clear();
    }

    pub(super) fn last(&self) -> String {
        Vec::from_iter(self.last.iter().map(String::as_str)).join(" ")
    }

    /// Takes bytes and gives each finished line to `write`.
    fn push(&mut self, bytes: &[u8], mut write: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut rest = piece;
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(MAX_LINE - self.pending.len()));
                self.pending.extend_from_slice(now);
                rest = later;
                if self.pending.len() == MAX_LINE || self.pending.ends_with(b"\n") {
                    self.flush(&mut write);
                }
            }
        }
    }

    fn flush(&mut self, mut write: impl FnMut(&str)) {
        let line = String::from_utf8_lossy(&self.pending);
        let line = line.trim_end();
        if !line.is_empty() {
            if self.last.len() == KEPT_LINES {
                self.last.pop_front();
            }
            self.last.push_back(text::message(line, KEPT_BYTES));
            write(line);
        }
        self.pending.clear();
    }
}

impl WasiContext {
    /// Writes unfinished lines to the log.
    pub(super) fn flush(&mut self) {
        let Self { log, stdout, stderr, .. } = self;
        stdout.flush(|line| log.write(LogOrigin::Stdout, LogLevel::Info, line, &[]));
        stderr.flush(|line| log.write(LogOrigin::Stderr, LogLevel::Warn, line, &[]));
    }

    fn write_bytes(&mut self, stream: u32, bytes: &[u8]) {
        let Self { log, stdout, stderr, .. } = self;
        if stream == STDERR {
            stderr.push(bytes, |line| log.write(LogOrigin::Stderr, LogLevel::Warn, line, &[]));
        } else {
            stdout.push(bytes, |line| log.write(LogOrigin::Stdout, LogLevel::Info, line, &[]));
        }
    }
}

fn waited<T>(function: &'static str) -> wasmtime::Result<T> {
    Err(wasmtime::Error::new(Violation::Waited(function)))
}

impl io_error::Host for WasiContext {}

impl io_error::HostError for WasiContext {
    fn to_debug_string(&mut self, _error: Resource<IoError>) -> wasmtime::Result<String> {
        // No stream here fails, so no guest has an error to ask about.
        Ok(String::new())
    }

    fn drop(&mut self, _error: Resource<IoError>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl poll::Host for WasiContext {
    // Only output streams give pollables, and those are always ready; clocks refuse to.
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        Ok((0..).take(pollables.len()).collect())
    }
}

impl poll::HostPollable for WasiContext {
    fn ready(&mut self, _pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        Ok(true)
    }

    fn block(&mut self, _pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        Ok(())
    }

    fn drop(&mut self, _pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl streams::Host for WasiContext {
    fn convert_stream_error(&mut self, error: StreamError) -> wasmtime::Result<streams::StreamError> {
        match error {
            StreamError::Closed => Ok(streams::StreamError::Closed),
            StreamError::LastOperationFailed(error) | StreamError::Trap(error) => Err(error),
        }
    }
}

impl streams::HostInputStream for WasiContext {
    fn read(&mut self, _stream: Resource<DynInputStream>, _len: u64) -> StreamResult<Vec<u8>> {
        Err(StreamError::Closed)
    }

    fn blocking_read(&mut self, _stream: Resource<DynInputStream>, _len: u64) -> StreamResult<Vec<u8>> {
        Err(StreamError::Closed)
    }

    fn skip(&mut self, _stream: Resource<DynInputStream>, _len: u64) -> StreamResult<u64> {
        Err(StreamError::Closed)
    }

    fn blocking_skip(&mut self, _stream: Resource<DynInputStream>, _len: u64) -> StreamResult<u64> {
        Err(StreamError::Closed)
    }

    fn subscribe(&mut self, _stream: Resource<DynInputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        waited("wasi:io/streams#[method]input-stream.subscribe")
    }

    fn drop(&mut self, _stream: Resource<DynInputStream>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl streams::HostOutputStream for WasiContext {
    fn check_write(&mut self, _stream: Resource<DynOutputStream>) -> StreamResult<u64> {
        Ok(MAX_WRITE)
    }

    fn write(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        self.write_bytes(stream.rep(), &bytes);
        Ok(())
    }

    fn blocking_write_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        bytes: Vec<u8>,
    ) -> StreamResult<()> {
        self.write_bytes(stream.rep(), &bytes);
        Ok(())
    }

    // Lines are written as they end; an unfinished one waits for its end or that of the call.
    fn flush(&mut self, _stream: Resource<DynOutputStream>) -> StreamResult<()> {
        Ok(())
    }

    fn blocking_flush(&mut self, _stream: Resource<DynOutputStream>) -> StreamResult<()> {
        Ok(())
    }

    fn subscribe(&mut self, _stream: Resource<DynOutputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        // Writing never waits, so what can be waited for here is ready from the start.
        Ok(Resource::new_own(0))
    }

    // Zeroes in a log help nobody, however many: they are taken and forgotten.
    fn write_zeroes(&mut self, _stream: Resource<DynOutputStream>, _len: u64) -> StreamResult<()> {
        Ok(())
    }

    fn blocking_write_zeroes_and_flush(
        &mut self,
        _stream: Resource<DynOutputStream>,
        _len: u64,
    ) -> StreamResult<()> {
        Ok(())
    }

    fn splice(
        &mut self,
        _stream: Resource<DynOutputStream>,
        _source: Resource<DynInputStream>,
        _len: u64,
    ) -> StreamResult<u64> {
        Err(StreamError::Closed)
    }

    fn blocking_splice(
        &mut self,
        _stream: Resource<DynOutputStream>,
        _source: Resource<DynInputStream>,
        _len: u64,
    ) -> StreamResult<u64> {
        Err(StreamError::Closed)
    }

    fn drop(&mut self, _stream: Resource<DynOutputStream>) -> wasmtime::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(writes: &[&[u8]], expected: &[&str]) {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for bytes in writes {
            lines.push(bytes, |line| seen.push(line.to_owned()));
        }
        lines.flush(|line| seen.push(line.to_owned()));
        assert_eq!(seen, expected);
    }

    #[test]
    fn writes_become_lines() {
        check(&[b"one\ntw", b"o\n\n", b"three"], &["one", "two", "three"]);
        check(&[&[b'x'; MAX_LINE + 1], b"\n"], &["x".repeat(MAX_LINE).as_str(), "x"]);
        check(&[b"\xff\n"], &["\u{fffd}"]);
    }

    #[test]
    fn the_last_lines_are_kept() {
        let mut lines = Lines::default();
        lines.push(b"a\nb\nc\n", |_| ());
        assert_eq!(lines.last(), "b c");
        lines.forget();
        assert_eq!(lines.last(), "");
    }
}
