//! Configuration: read from file, environment and flags, checked once in the broker, then immutable.

pub mod types;
