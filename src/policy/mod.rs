//! The call policy: which calls may reach an MCP server, and what of its answers may leave. Pure.
//!
//! Bytes in, verdict out: nothing here reads a file, a clock or the environment; the time is passed in. The broker and
//! `policy check` use [`load()`] to find every fault of a policy, the worker uses [`Policy::decide`] before it forwards
//! anything and [`Policy::filter`] before it posts a list. What is not allowed is refused; what cannot be read in one
//! way only is refused too. Must never let through what it does not understand, nor repeat to a caller anything but
//! the id of a rule.

mod canonical;
mod decide;
mod fault;
mod filter;
mod index;
pub mod json;
mod load;
mod nearest;
mod number;
mod pattern;
mod reach;
mod rules;
mod schema;
mod state;
mod suggest;

pub use canonical::{definition, sha256_hex, string};
pub use decide::{Call, Decision, builtin};
pub use fault::Fault;
pub use filter::List;
#[cfg(test)]
pub use load::paths;
pub use load::{VERSION, load};
pub use nearest::nearest;
pub use rules::{Kind, Limits, Mode, Pins, Policy};
pub use state::{State, Ticket};
pub use suggest::{Offer, differences, suggest};

#[cfg(test)]
mod tests;
