//! The `otlp` forwarder.
