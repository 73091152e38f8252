//! Components that are refused before anything of them runs, each with its own reason.

use picket_guests_build::component as guest;
use picket_sandbox::{CompileError, Compiler, Component, Grants, InspectError, LinkError};

use crate::harness::{self, component};

fn inspect(bytes: &[u8]) -> InspectError {
    let folder = tempfile::tempdir().unwrap();
    let compiler = Compiler::new(harness::engine(), harness::config(folder.path().join("cache"))).unwrap();
    match compiler.compile(bytes).map(|component: Component| component.kinds().to_vec()) {
        Err(CompileError::Inspect(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_component_is_refused() {
    assert_eq!(inspect(b"#!/bin/sh\n"), InspectError::NotWebAssembly);
    assert_eq!(inspect(b"\0asm\x01\0\0\0"), InspectError::CoreModule);
    let whole = guest("hostile");
    let half = &whole[..whole.len() / 2];
    assert_eq!(inspect(half), InspectError::Truncated { bytes: half.len() as u64 });
}

#[test]
fn a_damaged_component_is_refused() {
    let mut bytes = guest("hostile");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].fill(0xff);
    let folder = tempfile::tempdir().unwrap();
    let compiler = Compiler::new(harness::engine(), harness::config(folder.path().join("cache"))).unwrap();
    let error = compiler.compile(&bytes).unwrap_err();
    assert!(matches!(&error, CompileError::Invalid { .. }), "{error:?}");
}

#[test]
fn a_component_without_a_kind_is_refused() {
    let error = inspect(&guest("no-kind"));
    assert!(
        matches!(&error, InspectError::UnknownKind { exports } if exports == &["picket:plugin/lifecycle@0.1.0"])
    );
    assert_eq!(inspect(&guest("no-lifecycle")), InspectError::NoLifecycle);
    for name in ["no-plugin", "unknown-kind"] {
        let error = inspect(&guest(name));
        assert!(matches!(error, InspectError::UnknownKind { .. }), "{error:?}");
    }
}

#[test]
fn a_component_for_a_later_version_is_refused() {
    let error = inspect(&guest("later-version"));
    let InspectError::NewerVersion { interface, found, known } = error else { panic!("{error:?}") };
    assert!(interface.starts_with("picket:plugin/"), "{interface}");
    assert_eq!((found.as_str(), known.as_str()), ("0.2.0", "0.1.0"));
}

#[test]
fn what_is_not_granted_is_refused_before_anything_runs() {
    let error = component("counting").link("web", &Grants::default()).err().unwrap();
    let LinkError::Ungranted { interface, grant } = &error else { panic!("{error:?}") };
    assert_eq!(
        (interface.as_str(), grant.as_str()),
        ("picket:plugin/state", "plugins.web.grants.state = \"16MiB\"")
    );
    let error = component("alerting").link("load", &Grants::default()).err().unwrap();
    assert!(error.to_string().contains("`plugins.load.grants.series = true`"), "{error}");
}

#[test]
fn files_and_network_are_refused() {
    let error = component("reaching").link("web", &Grants::default()).err().unwrap();
    assert!(
        matches!(&error, LinkError::Wasi { interface } if interface.starts_with("wasi:filesystem/")),
        "{error:?}"
    );
}

#[test]
fn an_unknown_import_is_refused() {
    let error = component("unknown-import").link("web", &Grants::default()).err().unwrap();
    assert!(
        matches!(&error, LinkError::UnknownImport { interface } if interface.contains("telepathy")),
        "{error:?}"
    );
}

#[test]
fn imports_are_told_with_their_versions() {
    let component = component("counting");
    let state = component.imports().iter().find(|import| import.interface == "picket:plugin/state").unwrap();
    assert_eq!(state.version, "0.1.0");
    assert!(!component.imports().iter().any(|import| import.interface == "picket:plugin/series"));
}
