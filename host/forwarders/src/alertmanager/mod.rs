//! The `alertmanager` forwarder.
