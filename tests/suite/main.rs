//! The integration tests: one crate, a module per topic.

#[path = "../lab/mod.rs"]
mod lab;

#[path = "lab.rs"]
mod lab_itself;

mod house;
mod interop;
