//! The `remote_write` forwarder.
