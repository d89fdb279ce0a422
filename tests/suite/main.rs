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
mod config;
mod docs;
mod house;
mod interop;
mod world;
