//! Runs other programs step by step and says what is going on: which step, and how long it took.

use std::ffi::OsStr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Announces a step of the work.
pub(crate) fn step(what: &str) {
    eprintln!("==> {what}");
}

/// Runs a program as a step with its output shown, and fails when it fails.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<()> {
    step(what);
    let started = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
    if !status.success() {
        bail!("{what}: `{}` ended with {status}", shown(command));
    }
    eprintln!("    {what}: done in {}", duration(started.elapsed()));
    Ok(())
}

/// The command line as it would be typed.
pub(crate) fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program()];
    words.extend(command.get_args());
    words.into_iter().map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// A length of time for people: `0.4 s`, `12 s`, `3 min 5 s`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        for (millis, expected) in [(430, "0.4 s"), (12_900, "12 s"), (185_000, "3 min 5 s")] {
            assert_eq!(duration(Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn a_failing_program_is_named() {
        let error = run("nothing", Command::new("false").arg("x")).expect_err("false fails");
        assert!(error.to_string().contains("`false x` ended with"), "{error}");
    }
}
