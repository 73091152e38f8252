//! Receivers that are away, slow, or break off.
