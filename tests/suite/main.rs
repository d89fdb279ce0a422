//! The integration tests: one crate, a module per topic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: helpers fail as loudly as the tests they serve"
)]

#[path = "../lab/mod.rs"]
mod lab;

#[path = "lab.rs"]
mod lab_itself;

mod agent;
mod cases;
mod cases_a;
mod cases_a_channels;
mod cases_b_backoff;
mod cases_b_poll;
mod cases_c_bytes;
mod cases_c_malformed;
mod cases_c_route;
mod cases_d;
mod cases_e_post;
mod cases_e_retry;
mod cases_n;
mod config;
mod docs;
mod house;
mod interop;
mod ipc_hostile;
mod world;
