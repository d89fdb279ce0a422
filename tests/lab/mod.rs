//! The lab: a control plane that behaves like the hosted one, an MCP stub, and a load generator, for tests and for
//! people who want to try the agent without an account. Independent of the agent's own code.
//!
//! In tests (`#[path = "../lab/mod.rs"] mod lab;`, on a tokio runtime):
//!
//! ```ignore
//! let plane = lab::ControlPlane::start(lab::Options { tls: true, ..Default::default() }).await;
//! let stub = lab::Stub::start(lab::StubOptions::default()).await;      // an MCP server at stub.url()
//! // … start the agent with plane.url(), plane.tunnel_id, plane.api_key, plane.ca_pem(), stub.url() …
//! plane.enqueue(lab::Command::call("r1", "7", "tools/list", "{}").response_timeout("5s"));
//! let answer = plane.wait_for_response("r1", Duration::from_secs(5)).await;
//! assert_eq!(answer.resp_code, 200);
//! plane.fault(lab::Fault::status(lab::On::Poll, 503, 3));                // the next three polls fail
//! stub.on_next(lab::Reply::sse().event("{…}").then(lab::Part::Cut));     // the next MCP request gets exactly this
//! plane.assert_clean();                                                 // nothing broke the contract
//! ```
//!
//! As a command: `cargo run --example lab -- serve` prints its URLs as one JSON line; see `main.rs`.

#![allow(dead_code, unused_imports, reason = "included by two crates, of which none uses everything")]
#![allow(missing_docs, reason = "not a library: the documented parts are documented where it helps")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "test code: what cannot be set up must fail loudly"
)]

pub mod admin;
pub mod body;
pub mod check;
pub mod command;
pub mod faults;
pub mod hosted;
pub mod line;
pub mod mcp;
pub mod pki;
pub mod plane;
pub mod program;
pub mod raw;
pub mod records;
pub mod relay;
pub mod responses;
pub mod server;
pub mod state;
pub mod stub;
pub mod tunnel;

pub use body::{Part, Reply};
pub use command::Command;
pub use faults::{Drip, Fault, On};
pub use pki::Ca;
pub use plane::{ControlPlane, Options};
pub use program::{attacker, program};
pub use raw::RawServer;
pub use records::{PollRecord, ResponseRecord};
pub use relay::{Relay, open};
pub use stub::{Stub, StubOptions, StubRequest};
