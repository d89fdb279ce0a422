//! The integration tests: one crate, a module per topic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "test code: helpers fail as loudly as the tests they serve"
)]

#[path = "../lab/mod.rs"]
mod lab;

#[path = "lab.rs"]
mod lab_itself;

mod agent;
mod asking;
mod audit;
mod audit_fire;
mod calls;
mod cases;
mod cases_a;
mod cases_a_channels;
mod cases_b_backoff;
mod cases_b_outage;
mod cases_b_poll;
mod cases_c_bounds;
mod cases_c_bytes;
mod cases_c_malformed;
mod cases_c_route;
mod cases_d;
mod cases_e_post;
mod cases_e_retry;
mod cases_f;
mod cases_g;
mod cases_h;
mod cases_i_calls;
mod cases_i_eras;
mod cases_i_life;
mod cases_i_start;
mod cases_j;
mod cases_n;
mod config;
mod denied;
mod docs;
mod doctor;
mod doctor_cases;
mod doctor_report;
mod drop_in;
mod export_fields;
mod forward_proxy;
mod health;
mod house;
mod init;
mod interop;
mod ipc_hostile;
mod journal;
mod kill;
mod kill_process;
mod kill_stdio;
mod lesser_kernels;
mod metrics;
mod name_server;
mod names;
mod names_cut;
mod own_network;
mod panic;
mod place;
mod policy_build;
mod policy_bypass;
mod policy_calls;
mod policy_rules;
mod policy_servers;
mod policy_unused;
mod processes;
mod proxy_life;
mod proxy_mutual;
mod proxy_routes;
mod proxy_unix;
mod readiness;
mod redteam;
mod reload;
mod reload_load;
mod resolution;
mod resolver;
mod shells;
mod startup_wait;
mod status;
mod tls_exchange;
mod tls_identity;
mod tls_peers;
mod tls_pin;
mod tls_refusals;
mod watchdog;
mod world;
