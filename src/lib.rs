//! tunnelward: a hardened, minimal-footprint agent for the Secure MCP Tunnel.
//!
//! One binary, three processes. `run` is the *broker*: it owns systemd, the children and every descriptor, and
//! never parses a byte from the network. The *worker* is a fresh image of the same binary in which TLS, HTTP, JSON
//! and MCP live; a SEQPACKET socket to the broker is all it inherits. *launch* execs one stdio MCP server.
//!
//! A room imports only from floors below it, never sideways, and `tests/suite/house.rs` checks that:
//!
//! ```text
//! main.rs
//! commands/
//! worker/   broker/   launch
//! control/  mcp/
//! net/      health/
//! tls/      ipc/
//! confine/
//! config/   audit/
//! policy/
//! sys/      exit      log
//! ```
//!
//! The way of a call: `control::poll` → `control::wire` → `worker::dispatch` → `policy::decide` → (permit over `ipc`, given
//! when `audit` has the decision) → `mcp::http` or `mcp::stdio` → `policy::filter` → `control::respond` → (end of call over
//! `ipc`, into `audit`).

pub mod audit;
pub mod broker;
pub mod commands;
pub mod config;
pub mod confine;
pub mod control;
pub mod exit;
pub mod health;
pub mod ipc;
pub mod launch;
pub mod log;
pub mod mcp;
pub mod net;
pub mod policy;
pub mod sys;
pub mod tls;
pub mod worker;
