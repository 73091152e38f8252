//! What is wrong with a configuration, as it is shown: each folder of `testdata` holds a
//! configuration (and perhaps `environment` and `flags`) and the messages it gives.
//!
//! `PICKET_UPDATE=1 cargo test` writes the messages anew; look at the difference before committing it.

use std::path::{Path, PathBuf};

use super::*;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/testdata");

fn lines(path: &Path, separator: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let pair = |line: &str| line.split_once(separator).map(|(a, b)| (a.to_owned(), b.to_owned()));
    text.lines().filter_map(pair).collect()
}

fn options(folder: &Path) -> Options {
    let flags = lines(&folder.join("flags"), " ").into_iter().map(|(name, setting)| {
        let (key, value) = setting.split_once('=').unwrap();
        Flag { key: key.into(), value: value.into(), name: name.leak() }
    });
    Options {
        file: folder.join("picket.toml"),
        environment: lines(&folder.join("environment"), "=")
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        flags: flags.collect(),
        executable: None,
    }
}

#[test]
fn a_folder_of_plugins_that_is_named_is_the_only_one() {
    let folder = tempfile::tempdir().unwrap();
    let beside = folder.path().join("plugins");
    std::fs::create_dir(&beside).unwrap();
    std::fs::write(beside.join("web.wasm"), "").unwrap();
    let mut options = options(folder.path());
    options.executable = Some(folder.path().join("picket"));
    let component = |text: &str| {
        let checked = load_text("picket.toml", text, &options).unwrap();
        checked.plugins["web"].component.clone()
    };
    assert_eq!(component("[plugins.web]\n"), beside.canonicalize().unwrap().join("web.wasm"));
    let named = component("plugin_dir = \"/nowhere\"\n[plugins.web]\n");
    assert_eq!(named, Path::new("/nowhere/web.wasm"));
}

#[test]
fn errors_are_shown_as_expected() {
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(DATA).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let mut wrong = Vec::new();
    for folder in folders {
        let problems = load(&options(&folder)).err().map(|problems| problems.to_string()).unwrap_or_default();
        let shown = problems.replace(&format!("{}/", folder.display()), "") + "\n";
        let file = folder.join("error.txt");
        if std::env::var_os("PICKET_UPDATE").is_some() {
            std::fs::write(&file, &shown).unwrap();
        } else if std::fs::read_to_string(&file).unwrap_or_default() != shown {
            wrong.push(format!("{}:\n{shown}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "these messages are not as expected:\n{}", wrong.join("\n"));
}
