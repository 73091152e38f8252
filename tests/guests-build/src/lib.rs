//! The guests of `tests/guests` as built components, for every crate whose tests need them; and the
//! crafted ones of `build/crafted.rs`, which no compiler of guests would make.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

/// Where the component of an example of `tests/guests` lies, or a crafted one.
pub fn path(name: &str) -> PathBuf {
    let file = format!("{name}.wasm");
    let guest = Path::new(env!("PICKET_GUESTS")).join(&file);
    if guest.exists() { guest } else { Path::new(env!("PICKET_CRAFTED")).join(file) }
}

/// The bytes of such a component.
pub fn component(name: &str) -> Vec<u8> {
    let path = path(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()))
}
