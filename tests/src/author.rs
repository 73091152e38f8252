//! A plugin's project as its author has it: outside the repository, built and tested by the `picket` program
//! alone.
//!
//! Nothing is fetched: a new project begins with the repository's own versions of crates, which were there
//! to build this. All projects share a target folder that stays from run to run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::binary;
use crate::ran::Ran;

/// A project in a temporary folder.
pub struct Project {
    folder: TempDir,
    name: String,
}

impl Project {
    /// Begins one with `picket plugin new`.
    pub fn new(kind: &str, name: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("picket-author-")
            .tempdir()
            .expect("a temporary folder can be made");
        let mut command = Command::new(binary::picket());
        command.args(["plugin", "new", "--kind", kind, name]).current_dir(folder.path());
        Ran::of(&mut command).expect(0, &[&format!("Made {name}, "), "src/lib.rs", &format!("cd {name}")]);
        Self { folder, name: name.to_owned() }
    }

    /// The project's folder.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    /// The component that a build makes.
    pub fn component(&self) -> PathBuf {
        self.path().join(format!("{}.wasm", self.name))
    }

    /// Runs the program in the project's folder.
    pub fn picket(&self, line: &str) -> Ran {
        self.run(binary::picket(), line)
    }

    /// Runs cargo there.
    pub fn cargo(&self, line: &str) -> Ran {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        self.run(Path::new(&cargo), line)
    }

    /// Changes one of the project's files; panics when `from` does not stand there.
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.path().join(file);
        let text = fs::read_to_string(&path).expect("the file is there");
        assert!(text.contains(from), "`{from}` does not stand in {file}:\n{text}");
        fs::write(path, text.replace(from, to)).expect("the file can be written");
    }

    fn run(&self, program: &Path, line: &str) -> Ran {
        let mut command = Command::new(program);
        command
            .args(line.split_whitespace())
            .current_dir(self.path())
            .env("CARGO_NET_OFFLINE", "true")
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_TARGET_DIR", binary::target().join("authors"))
            // What the run of these tests sets for itself is none of the project's business.
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("RUSTFLAGS");
        Ran::of(&mut command)
    }
}

/// The project's own part of the shared target folder goes with it: every temporary folder would leave a new
/// one. Projects that live at one time need different names for that.
impl Drop for Project {
    fn drop(&mut self) {
        for of in ["", " --release --target wasm32-wasip2"] {
            self.cargo(&format!("clean --quiet --package {}{of}", self.name));
        }
    }
}
