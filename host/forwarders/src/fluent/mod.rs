//! The `fluent` forwarder.
