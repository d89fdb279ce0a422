//! Health, as far as it can be thought: what makes the service ready, what a request may ask for, how figures are kept
//! and written down. Pure: bytes and values in, values and text out; the broker and the worker do the rest.

pub mod board;
pub mod figures;
pub mod histogram;
pub mod metrics;
pub mod ready;
pub mod request;
pub mod response;
pub mod view;
