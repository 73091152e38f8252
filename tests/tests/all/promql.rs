//! PromQL as the built plugin evaluates it in the sandbox, over the project's own cases in Prometheus' format. The
//! suite of Prometheus itself is run by `cargo xtask promql-conformance`.

use std::path::Path;

use picket_conformance::{Program, component, folder, passed, report};
use picket_tests::{cache, picket, plugin};

#[test]
fn the_projects_own_cases_pass_in_the_sandbox() {
    let program = Program { path: picket().to_owned(), args: vec!["__compile".into()] };
    let compiled = cache().join("picket").join("compiled");
    let component = component(&plugin("promql-rules"), &compiled, program).unwrap();
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/promql-rules/engine/tests/cases");
    let files = folder(&component, &cases).unwrap();
    assert!(passed(&files), "{}", report(&files));
}
