//! The agent with five and with ten plugins and nothing to do: what it costs just to have it.

use std::time::Duration;

use anyhow::Result;

use crate::Setting;
use crate::agent::Home;
use crate::process::{cpu_seconds, memory};
use crate::series::Series;

const BENCH: &str = "idle";
/// How long it is watched.
const WATCH: Duration = Duration::from_secs(30);
/// How long it is left alone first: caches are written, the host's metrics read once.
const SETTLE: Duration = Duration::from_secs(10);
/// The first-party plugins.
const PLUGINS: [&str; 5] = ["access-log", "auth-guard", "log-patterns", "file-guard", "thresholds"];
/// What is measured: how it is called, and the endings of the plugins' names. Each name is loaded once.
const CASES: [(&str, &[&str]); 2] =
    [("five plugins, nothing to do", &[""]), ("ten plugins, nothing to do", &["", "-again"])];

/// Measures an agent that reads files nobody writes, and the machine's metrics.
pub(crate) fn measure(setting: &Setting) -> Result<Vec<Series>> {
    let mut all = Vec::new();
    for (case, copies) in CASES {
        all.extend(watch(setting, case, copies)?);
    }
    Ok(all)
}

fn watch(setting: &Setting, case: &'static str, copies: &[&str]) -> Result<[Series; 2]> {
    let mut cpu = Series::new(BENCH, case, "CPU", "% of a core").aim("below 0.2 %");
    let mut resident = Series::new(BENCH, case, "resident memory", "MB").aim("below 40 MB");
    for round in 0..setting.rounds {
        eprintln!("    {case}: round {} of {}", round + 1, setting.rounds);
        let home = Home::new(&setting.folder.join("idle"))?;
        for plugin in PLUGINS {
            home.install(plugin, &std::fs::read(setting.plugins.join(format!("{plugin}.wasm")))?)?;
        }
        std::fs::create_dir(home.path("logs"))?;
        std::fs::write(home.path("logs").join("quiet.log"), "one line\n")?;
        std::fs::create_dir(home.path("files"))?;
        std::fs::write(home.path("files").join("note.txt"), "a note\n")?;
        let mut agent = home.start(setting, &sections(&home, copies))?;
        agent.wait_ready()?;
        std::thread::sleep(SETTLE);
        let id = agent.daemon.id();
        let before = cpu_seconds(id)?;
        std::thread::sleep(WATCH);
        cpu.values.push((cpu_seconds(id)? - before) / WATCH.as_secs_f64() * 100.0);
        resident.values.push(memory(id, "VmRSS:")? / 1e6);
        resident.peak_bytes.push(memory(id, "VmHWM:")?);
        agent.daemon.stop()?;
    }
    Ok([cpu, resident])
}

fn sections(home: &Home, copies: &[&str]) -> String {
    let mut text = format!(
        "[sources.logs]\nkind = \"file\"\ninclude = [{:?}]\n\n[sources.files]\nkind = \"directory\"\ninclude = [{:?}]\n\n\
         [sources.host]\nkind = \"host\"\ninterval = \"15s\"\n\n",
        home.path("logs/*.log"),
        home.path("files"),
    );
    for plugin in PLUGINS {
        for copy in copies {
            let source = match plugin {
                "file-guard" => "[\"files\"]",
                "thresholds" => "[]",
                _ => "[\"logs\"]",
            };
            text += &format!(
                "[plugins.{plugin}{copy}]\ncomponent = \"{plugin}.wasm\"\nsources = {source}\n\
                 grants = {{ state = \"16MiB\", series = true }}\n\n"
            );
        }
    }
    text
}
