//! The operating system: the only room with `unsafe`, `libc` and raw `rustix`.
//!
//! Used by every role. Signatures are safe: descriptors go in borrowed and come out owned, lengths are checked here,
//! and every `unsafe` block carries its proof. Nothing here knows what the agent does.

pub mod attempt;
pub mod env;
pub mod errno;
pub mod exec;
pub mod fds;
pub mod files;
pub mod ids;
pub mod kernel;
pub mod limits;
pub mod listen;
pub mod locked;
pub mod memfd;
pub mod message;
pub mod pair;
pub mod panic;
pub mod poll;
pub mod process;
pub mod signals;
pub mod terminal;
pub mod unix;
pub mod watch;
