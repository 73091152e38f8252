//! The child process that compiles: its body, and what goes in and out.
//!
//! Compiling takes time and memory that grow faster than the component, and nothing in the compiler
//! bounds them; a process can be bounded and killed. The child takes from its parent nothing but
//! three files: standard input holds the bounds and the component, standard output takes the
//! compiled code, standard error a message. It sets its bounds on itself before it looks at a byte
//! of the component.

use std::io::{Read, Write};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, Signal, setrlimit};

use crate::engine;

/// Begins the input, so that a person who runs the hidden verb by hand gets a clear answer.
const MAGIC: [u8; 8] = *b"picketc1";
/// Address space beyond the memory that may be written: the program itself, and what threads and
/// the allocator reserve without using it.
const RESERVED_BYTES: u64 = 2 << 30;
/// Files: the standard ones, and some for the runtime.
const FILES: u64 = 64;
/// The agent's own work comes first.
const NICE: i32 = 10;

/// What the child may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChildBounds {
    /// Bytes of memory.
    pub(crate) memory: u64,
    /// Seconds of CPU time, of all its threads together.
    pub(crate) cpu_seconds: u64,
    /// Bytes of compiled code.
    pub(crate) code: u64,
}

impl ChildBounds {
    /// As they stand before the component in the child's input.
    pub(crate) fn encode(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let numbers = [u64::from_le_bytes(MAGIC), self.memory, self.cpu_seconds, self.code];
        for (slot, number) in bytes.chunks_mut(8).zip(numbers) {
            slot.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    fn decode(bytes: [u8; 32]) -> Option<Self> {
        let mut numbers = bytes.chunks(8).map(|chunk| chunk.try_into().map_or(0, u64::from_le_bytes));
        let mut next = || numbers.next().unwrap_or(0);
        let magic = next();
        let bounds = Self { memory: next(), cpu_seconds: next(), code: next() };
        (magic == u64::from_le_bytes(MAGIC)).then_some(bounds)
    }

    /// Sets them on this process.
    fn apply(self) -> rustix::io::Result<()> {
        let limit =
            |resource, bound: u64| setrlimit(resource, Rlimit { current: Some(bound), maximum: Some(bound) });
        limit(Resource::Core, 0)?;
        limit(Resource::Nofile, FILES)?;
        limit(Resource::Fsize, self.code)?;
        limit(Resource::Cpu, self.cpu_seconds)?;
        limit(Resource::Data, self.memory)?;
        limit(Resource::As, self.memory.saturating_add(RESERVED_BYTES))?;
        rustix::thread::set_no_new_privs(true)?;
        // The parent waits for the child; without it there is nobody to compile for.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
    }
}

/// The body of the hidden verb that the [`Compiler`](crate::Compiler) runs the agent's own binary
/// with. Reads a component from standard input and writes compiled code to standard output. Call it
/// before any thread is started.
pub fn compile_child() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Nobody is left to tell when standard error is closed.
            let _ = std::io::stderr().write_all(message.as_bytes());
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut stdin = std::io::stdin().lock();
    let mut bounds = [0; 32];
    let begun = stdin.read_exact(&mut bounds).ok();
    let bounds = begun
        .and_then(|()| ChildBounds::decode(bounds))
        .ok_or("this is an inner command of the agent, which compiles a component given on standard input")?;
    bounds.apply().map_err(|error| format!("the bounds of the compiler cannot be set: {error}"))?;
    // Below the parent's priority or not, the result is the same.
    let _ = rustix::process::setpriority_process(None, NICE);
    let mut component = Vec::new();
    stdin.read_to_end(&mut component).map_err(|error| format!("the component cannot be read: {error}"))?;
    let engine = engine::new_inner().map_err(|error| error.to_string())?;
    let code = engine.precompile_component(&component).map_err(|error| format!("{error:#}"))?;
    std::io::stdout().write_all(&code).map_err(|error| format!("the code cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_survive_the_way_to_the_child() {
        let bounds = ChildBounds { memory: 1 << 30, cpu_seconds: 9, code: 77 };
        assert_eq!(ChildBounds::decode(bounds.encode()), Some(bounds));
        assert_eq!(ChildBounds::decode([0; 32]), None);
    }
}
