//! The `webhook` forwarder.
