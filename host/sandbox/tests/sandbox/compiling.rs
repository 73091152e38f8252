//! Compilation is bounded: components that are too large, take too long or need too much memory.

use std::time::{Duration, Instant};

use picket_sandbox::{CompileError, Compiler, CompilerConfig};

use crate::harness;

fn bomb() -> Vec<u8> {
    picket_guests_build::component("compile-bomb")
}

fn failure(bytes: &[u8], change: impl FnOnce(&mut CompilerConfig)) -> CompileError {
    let folder = tempfile::tempdir().unwrap();
    let mut config = harness::config(folder.path().join("cache"));
    change(&mut config);
    Compiler::new(harness::engine(), config).unwrap().compile(bytes).unwrap_err()
}

#[test]
fn a_bomb_that_takes_too_long_is_stopped() {
    let bytes = bomb();
    let begun = Instant::now();
    let limit = Duration::from_millis(300);
    let error = failure(&bytes, |config| config.time = limit);
    assert!(
        matches!(error, CompileError::Time { limit } if limit == Duration::from_millis(300)),
        "{error:?}"
    );
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn a_bomb_that_needs_too_much_memory_is_stopped() {
    let error = failure(&bomb(), |config| config.memory = 48 << 20);
    assert!(matches!(error, CompileError::Memory { limit: 50_331_648 }), "{error:?}");
}

#[test]
fn a_component_that_is_too_large_is_not_even_looked_at() {
    let error = failure(&[0; 1001], |config| config.component_bytes = 1000);
    assert!(matches!(error, CompileError::TooLarge { bytes: 1001, limit: 1000 }), "{error:?}");
}

#[test]
fn a_compiler_that_is_not_there_is_named() {
    let bytes = picket_guests_build::component("hostile");
    let error = failure(&bytes, |config| config.program = "/nonexistent/picket".into());
    assert!(error.to_string().contains("/nonexistent/picket"), "{error}");
    let error = failure(&bytes, |config| config.program = "/bin/false".into());
    assert!(matches!(error, CompileError::Invalid { .. } | CompileError::Crashed { .. }), "{error:?}");
}

#[test]
fn a_compiler_that_writes_something_else_does_no_harm() {
    let bytes = picket_guests_build::component("hostile");
    let error = failure(&bytes, |config| config.program = "/bin/true".into());
    assert!(matches!(error, CompileError::Invalid { .. }), "{error:?}");
}
