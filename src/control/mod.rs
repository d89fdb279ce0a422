//! The control plane: polling it for commands and posting their results. Worker only.
//!
//! Knows HTTP and the tunnel protocol; knows nothing of MCP beyond carrying its payloads as raw text. Nothing here
//! opens a file, starts a process or follows a redirect. [`wire`], [`backoff`], [`headers`], [`body`], [`api_error`]
//! and [`failure`] are pure: bytes and values in, values out.

pub mod api_error;
pub mod backoff;
pub mod body;
pub mod client;
pub mod cuts;
pub mod failure;
pub mod headers;
pub mod metadata;
pub mod poll;
pub mod random;
pub mod respond;
#[cfg(test)]
pub(crate) mod testing;
pub mod wire;

/// Name of the component in log lines.
const COMPONENT: &str = "controlplane";
