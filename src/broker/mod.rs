//! The broker.

pub mod budget;
pub mod permit;
pub mod window;
