//! Counters of processors that never step back.
//!
//! The kernel's do: `iowait` is an estimate, and `idle` of a processor that sleeps is corrected afterwards.
//! A rate over such a step would count the whole counter again. So the last value is held until it is passed,
//! as node_exporter does it.

use std::collections::HashMap;

/// A processor whose idle time falls by more than this was taken away and came back: it counts anew.
const REPLUGGED_SECONDS: f64 = 3.0;

/// The last values, by processor and mode.
#[derive(Debug, Default)]
pub struct Counters {
    last: HashMap<String, HashMap<&'static str, f64>>,
}

impl Counters {
    /// Takes the values of one processor, in seconds by mode, and raises those that have stepped back.
    pub fn hold(&mut self, cpu: &str, values: &mut [(&'static str, f64)]) {
        let last = self.last.entry(cpu.to_owned()).or_default();
        let fell = |(mode, now): &(&str, f64)| {
            *mode == "idle" && last.get(mode).is_some_and(|last| last - now > REPLUGGED_SECONDS)
        };
        if values.iter().any(fell) {
            last.clear();
        }
        for (mode, value) in values {
            let held = last.entry(mode).or_insert(*value);
            *held = held.max(*value);
            *value = *held;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_hold_their_last_value_unless_the_processor_came_back() {
        let mut counters = Counters::default();
        for (given, held) in [
            ([100.0, 10.0], [100.0, 10.0]),
            ([99.0, 9.5], [100.0, 10.0]),
            ([101.0, 9.9], [101.0, 10.0]),
            ([101.0, 10.5], [101.0, 10.5]),
            ([0.5, 0.1], [0.5, 0.1]),
        ] {
            let mut values = [("idle", given[0]), ("iowait", given[1])];
            counters.hold("0", &mut values);
            assert_eq!(values.map(|(_, value)| value), held);
        }
        let mut other = [("idle", 1.0), ("iowait", 0.0)];
        counters.hold("1", &mut other);
        assert_eq!(other, [("idle", 1.0), ("iowait", 0.0)]);
    }
}
