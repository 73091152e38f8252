//! `picket plugin inspect`: what a component is and what it asks for, without running it.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;
use picket_sandbox::Import;

use super::super::Failure;
use super::super::global::Global;
use super::super::oneshot;
use super::super::output::{self, Output, Paint, bytes};
use super::bench::Bench;
use crate::lifecycle;
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
    // With everything granted: what is refused even so can never be loaded.
    let section = oneshot::ad_hoc(&bench.file)?;
    let refused = bench.component.link(&section.name, &lifecycle::grants(&section.grants)).err();
    match global.output {
        Output::Json => output::json(&serde_json::json!({
            "file": bench.file,
            "name": section.name,
            "digest": bench.digest,
            "bytes": bench.bytes,
            "kinds": kinds(&bench),
            "exports": bench.component.exports(),
            "grants": grants(&section.name, bench.component.imports()),
            "imports": bench.component.imports().iter().map(named).collect::<Vec<_>>(),
            "refused": refused.as_ref().map(ToString::to_string),
        }))?,
        Output::Text => output::text(&show(&bench, &section.name, global.paint()))?,
    }
    match refused {
        Some(error) => {
            let file = bench.file.display();
            Err(anyhow!("{file}: no agent of this version can load it: {error}").into())
        }
        None => Ok(()),
    }
}

fn show(bench: &Bench, name: &str, paint: Paint) -> String {
    let component = &bench.component;
    let grants = grants(name, component.imports());
    let asks = match grants.is_empty() {
        true => " nothing beyond what every plugin gets".to_owned(),
        false => grants.iter().map(|line| format!("\n    {line}")).collect(),
    };
    let listed = |names: &mut dyn Iterator<Item = String>| {
        let lines: Vec<String> = names.map(|name| format!("\n    {}", escape(&name))).collect();
        paint.faint(&lines.concat())
    };
    format!(
        "{}\n  kinds: {}\n  size: {}\n  digest: {}\n  asks for:{asks}\n  exports:{}\n  imports:{}\n",
        paint.bold(&escape(&bench.file.to_string_lossy())),
        kinds(bench).join(", "),
        bytes(bench.bytes),
        bench.digest,
        listed(&mut component.exports().iter().cloned()),
        listed(&mut component.imports().iter().map(named)),
    )
}

fn kinds(bench: &Bench) -> Vec<String> {
    bench.component.kinds().iter().map(ToString::to_string).collect()
}

/// The lines of configuration that a component needs, each with the interface that it grants.
fn grants(name: &str, imports: &[Import]) -> Vec<String> {
    let asked = |interface: &str| imports.iter().any(|import| import.interface == interface);
    let needed = GRANTS.iter().filter(|(interface, _)| asked(interface));
    needed.map(|(interface, line)| format!("plugins.{name}.{line}    # {interface}")).collect()
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
        assert_eq!(grants("web", &[import("picket:plugin/log"), import("wasi:io/streams")]), [""; 0]);
        let state = "plugins.web.grants.state = \"16MiB\"    # picket:plugin/state";
        assert_eq!(grants("web", &[import("picket:plugin/state")]), [state]);
        assert_eq!(named(&import("picket:plugin/log")), "picket:plugin/log@0.1.0");
    }
}
