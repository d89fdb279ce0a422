//! Resource limits of the roles, each with its reason. What is not named here is bounded by the unit's control group.

use super::kernel::{Failed, Step as _};
use crate::config::types;
use crate::sys::limits::{Limit, lower};

/// Descriptors of the broker and the most that anyone below it can have, since a hard limit is inherited: the broker
/// itself needs a few for each child, a worker two for each call that its channels allow at once.
const BROKER_DESCRIPTORS: u64 = 65_536;
/// Descriptors that a worker has besides its connections: socket, epoll, standard streams, a lookup.
const WORKER_DESCRIPTORS: u64 = 64;
/// Connections of one channel beyond its calls in progress: those that are idle or just being opened.
const SPARE_CONNECTIONS: u64 = 32;
/// Address space of a worker besides payloads: its image, threads of name lookups, TLS sessions, the heap's slack.
const WORKER_SPACE: u64 = 512 << 20;
/// How often a payload may be in memory at a time: as it came, decoded, and as it is sent.
const COPIES: u64 = 3;

/// For the broker, and so for everything below it: no message queues, no real-time priority (nobody needs them),
/// descriptors as many as servers and workers can use. Core dumps are off in every role already.
pub(super) fn broker() -> Result<(), Failed> {
    lower(Limit::MessageQueues, 0).step("limit of message queues")?;
    lower(Limit::RealTime, 0).step("limit of real-time priority")?;
    lower(Limit::Descriptors, BROKER_DESCRIPTORS).step("limit of descriptors")
}

/// For the worker: no file grows, and memory and descriptors are as many as the configured bounds can take.
pub(super) fn worker(config: &types::Worker) -> Result<(), Failed> {
    let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let channels = number(config.bindings.len());
    let calls = number(config.mcp.max_concurrent_requests);
    let waiting = number(config.control.max_inflight);
    let connections = channels.saturating_mul(calls.saturating_add(SPARE_CONNECTIONS)).saturating_mul(2);
    // What `Limits::in_flight_bytes` says can be held at worst, in all its copies.
    let answers = channels.saturating_mul(calls.saturating_mul(5).saturating_add(waiting));
    let payloads = number(config.limits.in_flight_bytes)
        .saturating_add(number(config.limits.poll_body_bytes))
        .saturating_add(number(config.limits.answer_bytes).saturating_mul(answers));
    network(connections, payloads.saturating_mul(COPIES))
}

/// For a worker with one errand: one connection, or two while it tries another address, and a handshake.
pub(super) fn errand() -> Result<(), Failed> {
    network(2, 0)
}

/// No file grows; `connections` and `payloads` bytes have their place.
fn network(connections: u64, payloads: u64) -> Result<(), Failed> {
    lower(Limit::FileSize, 0).step("limit of file sizes")?;
    lower(Limit::Descriptors, connections.saturating_add(WORKER_DESCRIPTORS)).step("limit of descriptors")?;
    lower(Limit::AddressSpace, payloads.saturating_add(WORKER_SPACE)).step("limit of address space")
}

/// For an MCP server: at most `more` processes and threads beyond those that exist. The kernel counts all of the
/// user, so what exists is counted generously: everything on the machine.
pub(super) fn child(more: u32) -> Result<(), Failed> {
    let most = u64::from(crate::sys::kernel::tasks()).saturating_add(u64::from(more));
    lower(Limit::Processes, most).step("limit of processes")
}
