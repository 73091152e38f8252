//! `picket plugin inspect`: what a component is and what it asks for, without running it.

use std::path::PathBuf;

use clap::Args;
use picket_sandbox::Import;

use super::super::Failure;
use super::super::global::Global;
use super::super::output::{self, Output, Paint, bytes};
use super::bench::Bench;
use crate::telemetry::escape;

/// Of `picket plugin inspect`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The component.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Interfaces that need a grant, and the line of a plugin's section that gives it.
const GRANTS: [(&str, &str); 2] =
    [("picket:plugin/state", "grants.state = \"16MiB\""), ("picket:plugin/series", "grants.series = true")];

pub(in crate::cli) fn run(global: &Global, arguments: &Arguments) -> Result<(), Failure> {
    global.start_log();
    let bench = Bench::open(&arguments.file)?;
    match global.output {
        Output::Json => output::json(&serde_json::json!({
            "file": bench.file,
            "digest": bench.digest,
            "bytes": bench.bytes,
            "kinds": kinds(&bench),
            "grants": grants(bench.component.imports()),
            "imports": bench.component.imports().iter().map(named).collect::<Vec<_>>(),
        }))?,
        Output::Text => output::text(&show(&bench, global.paint()))?,
    }
    Ok(())
}

fn show(bench: &Bench, paint: Paint) -> String {
    let grants = grants(bench.component.imports());
    let asks = match grants.is_empty() {
        true => "nothing beyond what every plugin gets".to_owned(),
        false => grants.join(", "),
    };
    let imports: Vec<String> =
        bench.component.imports().iter().map(|import| format!("\n    {}", escape(&named(import)))).collect();
    format!(
        "{}\n  kinds: {}\n  size: {}\n  digest: {}\n  asks for: {asks}\n  imports:{}\n",
        paint.bold(&escape(&bench.file.to_string_lossy())),
        kinds(bench).join(", "),
        bytes(bench.bytes),
        bench.digest,
        paint.faint(&imports.concat()),
    )
}

fn kinds(bench: &Bench) -> Vec<String> {
    bench.component.kinds().iter().map(ToString::to_string).collect()
}

fn grants(imports: &[Import]) -> Vec<&'static str> {
    let asked = |interface: &str| imports.iter().any(|import| import.interface == interface);
    GRANTS.iter().filter(|(interface, _)| asked(interface)).map(|(_, line)| *line).collect()
}

fn named(import: &Import) -> String {
    match import.version.as_str() {
        "" => import.interface.clone(),
        version => format!("{}@{version}", import.interface),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_the_lines_that_the_configuration_needs() {
        let import = |interface: &str| Import { interface: interface.into(), version: "0.1.0".into() };
        assert_eq!(grants(&[import("picket:plugin/log"), import("wasi:io/streams")]), [""; 0]);
        assert_eq!(grants(&[import("picket:plugin/state")]), ["grants.state = \"16MiB\""]);
        assert_eq!(named(&import("picket:plugin/log")), "picket:plugin/log@0.1.0");
    }
}
