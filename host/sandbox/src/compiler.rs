//! Turns a component's bytes into code: from the cache, or by a child process within bounds.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::num::NonZero;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::MemfdFlags;
use rustix::process::Signal;
use sha2::{Digest as _, Sha256};

use crate::cache::{Cache, CacheError, Found, OurCode};
use crate::compile_child::ChildBounds;
use crate::error::MESSAGE_BYTES;
use crate::{Component, Engine, InspectError, engine, header, text};

/// Threads of the child. More would gain little on the components that there are, and the agent is
/// a guest on its node.
const THREADS: usize = 4;
/// Compiled code may be this many times as large as the component, and `CODE_SLACK` more.
const CODE_FACTOR: u64 = 32;
const CODE_SLACK: u64 = 16 << 20;
/// How often the parent looks whether the child has ended: much less than any compilation takes.
const POLL: Duration = Duration::from_millis(2);

/// How components are compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompilerConfig {
    /// Folder of compiled code. Made for this user alone when there is none; must belong to this
    /// user and be writable by no other.
    pub cache_dir: PathBuf,
    /// The program that calls [`compile_child`](crate::compile_child), as an absolute path: the agent's
    /// own binary.
    /// `/proc/self/exe` stays right when the file on disk is replaced by a newer one.
    pub program: PathBuf,
    /// Its arguments: the hidden verb.
    pub args: Vec<OsString>,
    /// Bytes of memory that the child may use. Default 1 GiB; large guests of other languages take
    /// up to 400 MiB.
    pub memory: u64,
    /// How long a compilation may take by the wall clock. Default 60 s; the largest guests take 5.
    pub time: Duration,
    /// Bytes of a component. Default 64 MiB.
    pub component_bytes: u64,
    /// Bytes of compiled code that are kept besides the newest. Default 1 GiB.
    pub cache_bytes: u64,
}

impl CompilerConfig {
    /// The default bounds for a folder and a program.
    pub fn new(cache_dir: PathBuf, program: PathBuf, args: Vec<OsString>) -> Self {
        let time = Duration::from_secs(60);
        Self {
            cache_dir,
            program,
            args,
            memory: 1 << 30,
            time,
            component_bytes: 64 << 20,
            cache_bytes: 1 << 30,
        }
    }
}

/// A component cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The bytes are no plugin.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The file is too large to be looked at.
    #[error("the component has {bytes} bytes, {limit} are allowed (`compile.component`)")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The size allowed.
        limit: u64,
    },
    /// The component is not valid.
    #[error("the component is not valid WebAssembly, or uses what this agent does not support: {what}")]
    Invalid {
        /// The compiler's own words.
        what: String,
    },
    /// The compilation took too long.
    #[error("compiling the component took longer than {limit:?} (`compile.time`)")]
    Time {
        /// What was allowed.
        limit: Duration,
    },
    /// The compilation needed too much memory.
    #[error("compiling the component took more than {limit} bytes of memory (`compile.memory`)")]
    Memory {
        /// What was allowed.
        limit: u64,
    },
    /// The compiled code is too large.
    #[error("the component's compiled code has more than {limit} bytes")]
    Code {
        /// What was allowed.
        limit: u64,
    },
    /// The child failed in a way that has no name here.
    #[error("the compiler ended with {status}: {message}")]
    Crashed {
        /// How it ended.
        status: String,
        /// The end of what it said.
        message: String,
    },
    /// The child cannot be started.
    #[error("the compiler {} cannot be started: {source}", .program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// The operating system's own words.
        source: std::io::Error,
    },
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// What a compiler did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CompilerCounts {
    /// Components whose code came from the cache.
    pub cached: u64,
    /// Components that were compiled.
    pub compiled: u64,
    /// Files of the cache that were not to be trusted and were removed.
    pub discarded: u64,
    /// Compiled code that could not be written to the cache; it was used all the same.
    pub not_stored: u64,
}

#[derive(Default)]
struct Counters {
    cached: AtomicU64,
    compiled: AtomicU64,
    discarded: AtomicU64,
    not_stored: AtomicU64,
}

/// Compiles components. Can be shared by threads; each compilation has a child of its own.
pub struct Compiler {
    engine: Arc<Engine>,
    config: CompilerConfig,
    cache: Cache,
    compatibility: u64,
    counters: Counters,
}

impl Compiler {
    /// Opens the cache.
    pub fn new(engine: Arc<Engine>, config: CompilerConfig) -> Result<Self, CompileError> {
        let cache = Cache::open(&config.cache_dir, config.cache_bytes)?;
        let compatibility = engine::compatibility(engine.inner());
        Ok(Self { engine, config, cache, compatibility, counters: Counters::default() })
    }

    /// Compiles a component, or finds its code in the cache. Blocks for as long as that takes; never
    /// call it where plugins run.
    pub fn compile(&self, bytes: &[u8]) -> Result<Component, CompileError> {
        let (size, limit) = (bytes.len() as u64, self.config.component_bytes);
        if size > limit {
            return Err(CompileError::TooLarge { bytes: size, limit });
        }
        header::check(bytes)?;
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        let name = name(&digest, self.compatibility);
        let code = match self.cached(&name) {
            Some(code) => code,
            None => self.fresh(&name, bytes)?,
        };
        Ok(Component::inspect(self.engine.clone(), code, digest)?)
    }

    /// What was done so far, for metrics.
    pub fn counts(&self) -> CompilerCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CompilerCounts {
            cached: read(&self.counters.cached),
            compiled: read(&self.counters.compiled),
            discarded: read(&self.counters.discarded),
            not_stored: read(&self.counters.not_stored),
        }
    }

    fn cached(&self, name: &str) -> Option<wasmtime::component::Component> {
        let found = match self.cache.find(name) {
            Found::Code(code) => match code.load(self.engine.inner()) {
                Ok(code) => {
                    count(&self.counters.cached);
                    return Some(code);
                }
                Err(_) => self.cache.discard(name, "wasmtime cannot load it"),
            },
            other => other,
        };
        if let Found::Discarded(why) = found {
            count(&self.counters.discarded);
            tracing::warn!(name, why, "A file of compiled code was removed and is made anew.");
        }
        None
    }

    fn fresh(&self, name: &str, bytes: &[u8]) -> Result<wasmtime::component::Component, CompileError> {
        let fresh = OurCode::fresh(self.run_child(bytes)?);
        count(&self.counters.compiled);
        let code = match self.cache.store(name, &fresh) {
            Ok(stored) => stored,
            Err(error) => {
                count(&self.counters.not_stored);
                tracing::warn!(%error, "Compiled code cannot be kept; it will be compiled again at the next start.");
                fresh
            }
        };
        let invalid = |error: wasmtime::Error| CompileError::Invalid { what: message(&format!("{error:#}")) };
        code.load(self.engine.inner()).map_err(invalid)
    }

    /// Compiles in a child and gives its output.
    fn run_child(&self, bytes: &[u8]) -> Result<File, CompileError> {
        let start =
            |source: std::io::Error| CompileError::Start { program: self.config.program.clone(), source };
        let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS);
        let seconds = self.config.time.as_secs().saturating_add(1);
        let bounds = ChildBounds {
            memory: self.config.memory,
            cpu_seconds: seconds.saturating_mul(threads as u64),
            code: (bytes.len() as u64).saturating_mul(CODE_FACTOR).saturating_add(CODE_SLACK),
        };
        let mut input = anonymous("picket-component").map_err(start)?;
        let code = anonymous("picket-code").map_err(start)?;
        let mut errors = anonymous("picket-compiler-errors").map_err(start)?;
        input.write_all(&bounds.encode()).and_then(|()| input.write_all(bytes)).map_err(start)?;
        input.rewind().map_err(start)?;
        let child = Command::new(&self.config.program)
            .args(&self.config.args)
            // Nothing of the agent's environment, which may hold secrets, reaches the compiler.
            .env_clear()
            .env("RAYON_NUM_THREADS", threads.to_string())
            .current_dir("/")
            .stdin(Stdio::from(input))
            .stdout(Stdio::from(code.try_clone().map_err(start)?))
            .stderr(Stdio::from(errors.try_clone().map_err(start)?))
            .spawn()
            .map_err(start)?;
        let ended = wait(child, self.config.time).map_err(start)?;
        match ended {
            Some(status) if status.success() => Ok(code),
            Some(status) => Err(self.failed(status, &last_words(&mut errors), bounds)),
            None => Err(CompileError::Time { limit: self.config.time }),
        }
    }

    /// Why a child failed.
    fn failed(&self, status: ExitStatus, words: &str, bounds: ChildBounds) -> CompileError {
        let signal = status.signal();
        let is = |other: Signal| signal == Some(other.as_raw());
        if is(Signal::XCPU) || is(Signal::KILL) {
            return CompileError::Time { limit: self.config.time };
        }
        if is(Signal::XFSZ) || words.contains("File too large") {
            return CompileError::Code { limit: bounds.code };
        }
        // Rust's words for a failed allocation and for a thread that has no room for its stack.
        let starved = ["memory allocation of", "Cannot allocate memory", "Resource temporarily unavailable"];
        if starved.iter().any(|words_of| words.contains(words_of)) {
            return CompileError::Memory { limit: bounds.memory };
        }
        if status.code() == Some(1) {
            return CompileError::Invalid { what: message(words) };
        }
        CompileError::Crashed { status: status.to_string(), message: message(words) }
    }
}

/// The name of a component's code in the cache.
fn name(digest: &[u8; 32], compatibility: u64) -> String {
    let mut name = String::with_capacity(81);
    for byte in digest {
        name.push_str(&format!("{byte:02x}"));
    }
    name + &format!("-{compatibility:016x}")
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn message(words: &str) -> String {
    text::message(words.trim(), MESSAGE_BYTES)
}

/// A file in memory without a name.
fn anonymous(name: &str) -> std::io::Result<File> {
    Ok(File::from(rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)?))
}

/// The end of the child's standard error, where the reason stands.
fn last_words(errors: &mut File) -> String {
    let mut bytes = Vec::new();
    // What cannot be read is left out: the status tells the main thing.
    let _ = errors.rewind();
    let _ = errors.read_to_end(&mut bytes);
    let start = bytes.len().saturating_sub(MESSAGE_BYTES);
    String::from_utf8_lossy(&bytes[start..]).into_owned()
}

/// Waits for the child to end; kills it when it takes too long, and gives nothing then.
fn wait(mut child: Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begun.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}
