//! What broker and worker say to each other, and the socket they say it over.

pub mod channel;
pub mod digest;
pub mod errand;
pub mod handed;
pub mod msg;
pub mod order;
pub mod parts;
