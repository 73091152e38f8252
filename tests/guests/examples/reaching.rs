//! An analyzer that reaches for the disk. No agent ever links it.

use bindings::exports::picket::plugin::analyzer::{Batch, Guest as Analyzer};
use bindings::exports::picket::plugin::lifecycle::{ConfigError, Guest as Lifecycle, Interest, Setup};
use bindings::picket::plugin::types::Report;

picket_guests::bindings!("picket:guests/analyzer");

struct Reaching;

impl Lifecycle for Reaching {
    fn configure(_config: String) -> Result<Setup, ConfigError> {
        Ok(Setup {
            interest: Interest { literals: Vec::new(), ignore_ascii_case: false },
            groups: Vec::new(),
        })
    }

    fn snapshot() -> Result<Vec<u8>, String> {
        Ok(Vec::new())
    }

    fn restore(_state: Vec<u8>, _from_version: String) -> Result<(), String> {
        Ok(())
    }

    fn plugin_version() -> String {
        "1.0.0".into()
    }
}

impl Analyzer for Reaching {
    fn analyze(_batch: Batch) -> Result<Report, String> {
        std::fs::read("/etc/shadow").map(|_| ()).map_err(|error| error.to_string())?;
        Err("it was readable".into())
    }
}

bindings::export!(Reaching with_types_in bindings);
