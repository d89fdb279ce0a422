//! Placeholder.
use super::{Call, End, Note};
use crate::config::types::{Channel, Limits, Mcp};
use crate::ipc::msg::Era;
use crate::log::Log;
use std::os::fd::OwnedFd;
use tokio::sync::mpsc;

/// Placeholder.
#[derive(Debug)]
pub struct Stdio {}
/// Placeholder.
#[derive(Debug)]
#[expect(missing_docs, reason = "x")]
pub struct ChildPipes {
    pub stdin: OwnedFd,
    pub stdout: OwnedFd,
    pub era: Option<Era>,
    pub generation: u32,
}
/// Placeholder.
#[derive(Debug)]
#[expect(missing_docs, reason = "x")]
pub enum StdioEvent {
    Want { index: u8, era: Era },
    Lost { index: u8, generation: u32 },
}

#[expect(missing_docs, reason = "x")]
#[expect(clippy::too_many_arguments, reason = "x")]
impl Stdio {
    pub fn new(
        _i: u8,
        _s: bool,
        _m: &Mcp,
        _l: &Limits,
        _e: mpsc::UnboundedSender<StdioEvent>,
        _log: Log,
        _c: Channel,
    ) -> Self {
        Self {}
    }
    pub async fn request(&self, _call: Call, _notes: &mpsc::Sender<Note>) -> End {
        End::DeadlinePassed
    }
    pub async fn notification(&self, _call: Call) -> End {
        End::DeadlinePassed
    }
    pub fn attach(&self, _p: ChildPipes) {}
    pub fn gone(&self, _g: u32, _r: std::time::Duration) {}
    pub fn index(&self) -> u8 {
        0
    }
    pub fn close(&self) {}
}
