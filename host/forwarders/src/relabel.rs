//! Relabelling.
