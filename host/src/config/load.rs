//! Reads the files in their order and lays environment and flags over them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::checked::{Checked, check};
use super::environment;
use super::files::{Files, Place};
use super::problem::{Code, Problem, Problems};
use super::raw::{Raw, SINGLE};
use super::text::parse;
use super::tree::{Node, Origin, Value, merge};

/// A configuration file is written by a person; a larger one is a mistake.
const MAX_FILE: u64 = 4 << 20;
/// More files than a person would keep in `conf.d`.
const MAX_FILES: usize = 1000;

/// A setting given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The setting's keys joined by dots.
    pub key: String,
    /// Its value, written as in a variable of the environment.
    pub value: String,
    /// The flag as the person wrote it, such as `--log-level`.
    pub name: &'static str,
}

/// Where a configuration comes from.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The main file; files of the folder `conf.d` beside it are laid over it.
    pub file: PathBuf,
    /// The environment; variables without the prefix are passed over.
    pub environment: Vec<(OsString, OsString)>,
    /// Settings from the command line.
    pub flags: Vec<Flag>,
    /// The running program, to find the first-party plugins beside it.
    pub executable: Option<PathBuf>,
}

impl Options {
    /// A file with this process' environment.
    pub fn of_process(file: PathBuf) -> Self {
        Self {
            file,
            environment: std::env::vars_os().collect(),
            flags: Vec::new(),
            executable: std::env::current_exe().ok(),
        }
    }
}

/// Reads and checks a configuration. All problems that can be found at once are in the error.
pub fn load(options: &Options) -> Result<Checked, Problems> {
    let mut problems = Vec::new();
    let mut files = Files::default();
    for path in list(&options.file, &mut problems) {
        match read(&path) {
            Ok(text) => {
                files.add(path, text);
            }
            Err(problem) => problems.push(*problem),
        }
    }
    compose(files, options, problems)
}

/// As [`load`], from one text instead of files: for one-shot runs, tests and fuzzing. Any text gives a
/// configuration or problems; nothing panics.
pub fn load_text(name: &str, text: &str, options: &Options) -> Result<Checked, Problems> {
    let mut files = Files::default();
    files.add(name.into(), text.to_owned());
    compose(files, options, Vec::new())
}

/// The socket that an agent of this configuration has, also when much else in it is wrong: who asks the
/// agent what is wrong must be able to reach it. None when not even that can be told.
pub fn socket(options: &Options) -> Option<PathBuf> {
    let (mut files, mut problems) = (Files::default(), Vec::new());
    for path in list(&options.file, &mut problems) {
        files.add(path.clone(), read(&path).ok()?);
    }
    let tree = tree(&files, options, &mut problems)?;
    let raw = Raw::decode(&tree, &files, &mut problems);
    super::checked::socket(&raw, &tree, &files)
}

fn compose(files: Files, options: &Options, mut problems: Vec<Problem>) -> Result<Checked, Problems> {
    let Some(tree) = tree(&files, options, &mut problems) else { return Err(sorted(problems, &files)) };
    let raw = Raw::decode(&tree, &files, &mut problems);
    check(raw, tree, &files, options, &mut problems).ok_or_else(|| sorted(problems, &files))
}

/// What files, environment and flags say together; none when a file could not be read.
fn tree(files: &Files, options: &Options, problems: &mut Vec<Problem>) -> Option<Node> {
    let count = files.paths().count();
    let mut tree = Node::empty(Origin::File { file: 0, span: 0..0 });
    for file in 0..count {
        merge(&mut tree, parse(files, file, problems));
    }
    if problems.iter().any(|problem| matches!(problem.code, Code::Syntax | Code::Unreadable)) {
        // What is missing because a file could not be read would only cause errors that are not there.
        return None;
    }
    environment::apply(&mut tree, &options.environment, &SINGLE, problems);
    for flag in &options.flags {
        let path: Vec<String> = flag.key.split('.').map(str::to_owned).collect();
        let origin = Origin::Flag(flag.name.into());
        tree.insert(&path, Node { value: Value::Open(flag.value.clone()), key: origin.clone(), origin });
    }
    Some(tree)
}

/// By file and line, then those of the environment and of flags.
fn sorted(mut problems: Vec<Problem>, files: &Files) -> Problems {
    let order: Vec<PathBuf> = files.paths().map(Path::to_owned).collect();
    let rank = |path: &Path| order.iter().position(|known| known == path).unwrap_or(order.len());
    problems.sort_by_key(|problem| match &problem.place {
        None => (0, 0, 0),
        Some(Place::Path { file }) => (rank(file), 0, 0),
        Some(Place::File { file, line, column }) => (rank(file), *line, *column),
        Some(Place::Variable { .. }) => (usize::MAX - 1, 0, 0),
        Some(Place::Flag { .. }) => (usize::MAX, 0, 0),
    });
    Problems(problems)
}

/// The main file and the files of `conf.d` by name.
fn list(main: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let mut paths = vec![main.to_owned()];
    let folder = main.parent().unwrap_or(Path::new("")).join("conf.d");
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return paths,
        Err(error) => {
            problems.push(*unreadable(&folder, &error));
            return paths;
        }
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        // Editors leave hidden files behind.
        .filter(|path| path.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b".")))
        .collect();
    found.sort();
    if found.len() > MAX_FILES {
        let message = format!("{} files are too many: at most {MAX_FILES} are read", found.len());
        problems.push(Problem::new(Code::Unreadable, message).in_file(&folder));
        return paths;
    }
    paths.extend(found);
    paths
}

fn read(path: &Path) -> Result<String, Box<Problem>> {
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if !metadata.is_file() {
        return Err(Problem::new(Code::Unreadable, "the configuration is no file").in_file(path).into());
    }
    if metadata.len() > MAX_FILE {
        let message = format!("the file has {} bytes: at most {MAX_FILE} are read", metadata.len());
        return Err(Problem::new(Code::Unreadable, message).in_file(path).into());
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Problem::new(Code::Syntax, format!("the file is no UTF-8 text: the byte at {at} is wrong"))
            .in_file(path)
            .help("save it as UTF-8")
            .into()
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Box<Problem> {
    let help = match error.kind() {
        std::io::ErrorKind::NotFound => "write one, or name another with --config",
        std::io::ErrorKind::PermissionDenied => "let the agent's user read it",
        _ => "check the path and the disk",
    };
    Problem::new(Code::Unreadable, format!("the configuration cannot be read: {error}"))
        .in_file(path)
        .help(help)
        .into()
}
