//! The environment, read once.
//!
//! The broker takes a snapshot at its start and passes it on; nobody reads the environment after that, and it is
//! never written. Worker and launch do not use it.

use std::collections::BTreeMap;

/// The environment of the process. Bytes that are not UTF-8 become U+FFFD in names and values, so that a damaged
/// value fails its own check instead of passing as unset.
#[must_use]
pub fn snapshot() -> BTreeMap<String, String> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect()
}
