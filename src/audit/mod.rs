//! The audit log: one line for each event, chained, authenticated with a key that only goes forward, and the check of
//! it afterwards.
//!
//! [`chain`], [`state`] and [`event`] are pure. [`writer`] is the broker's: the only one that writes, in groups, each of
//! which is committed at once. [`verify`] and [`view`] are the commands'. Nothing here is for worker or launch, and
//! nothing may come here that an event does not name.

pub mod chain;
pub mod clock;
pub mod digest;
pub mod directory;
pub mod event;
pub mod lines;
pub mod object;
pub mod open;
mod recover;
pub mod settings;
pub mod state;
#[cfg(test)]
mod testing;
pub mod verify;
pub mod view;
pub mod writer;
