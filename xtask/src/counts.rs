//! How often seeded tests repeat themselves: reduced in `cargo xtask test`, in full in `cargo xtask soak`.
//! The tests read these from the environment, and somebody who looks into one failure sets them. Scenarios
//! have both of their counts beside them and go by `PICKET_SOAK`.

use std::process::Command;

/// A number that a test takes from the environment.
pub(crate) struct Count {
    /// The environment variable.
    pub variable: &'static str,
    /// What it counts.
    pub meaning: &'static str,
    /// For `cargo xtask test`.
    pub reduced: u64,
    /// For `cargo xtask soak`: what has to be shown.
    pub full: u64,
}

/// All of them.
pub(crate) const COUNTS: &[Count] = &[
    Count {
        variable: "PICKET_MODEL_SEEDS",
        meaning: "seeds of the model test of commit and journal, unsynced writes lost",
        reduced: 300,
        full: 10_000,
    },
    Count {
        variable: "PICKET_FUZZ_RUNS",
        meaning: "mutated inputs for each parser",
        reduced: 2_000,
        full: 20_000,
    },
];

/// Gives a command the counts, reduced or in full, and says which.
pub(crate) fn set(command: &mut Command, full: bool) {
    for count in COUNTS {
        // What the caller has set wins: somebody who looks into one failure wants his own count.
        let value = std::env::var(count.variable).unwrap_or_else(|_| {
            let value = if full { count.full } else { count.reduced };
            value.to_string()
        });
        eprintln!("    {}={value} ({})", count.variable, count.meaning);
        command.env(count.variable, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_gets_every_count() {
        let mut command = Command::new("true");
        set(&mut command, true);
        let given: Vec<_> = command.get_envs().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
        assert_eq!(given.len(), COUNTS.len());
        assert!(COUNTS.iter().all(|count| count.reduced < count.full), "reduced is less than full");
    }
}
