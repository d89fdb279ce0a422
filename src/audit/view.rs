//! Reads records for people: one after the other, with what a filter or a table wants to know. Commands only.
//!
//! Nothing is verified here; a line that is not a record is passed over.

use std::fs::File;
use std::io;
use std::path::Path;

use serde::Deserialize;

use super::directory;
use super::lines::{Line, Lines};

/// A record, as far as it is shown.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct View {
    /// Its number.
    pub seq: u64,
    /// When.
    pub time: String,
    /// What.
    pub event: String,
    /// The call.
    pub call: Option<String>,
    /// Of the control plane.
    pub request_id: Option<String>,
    /// The channel.
    pub channel: Option<String>,
    /// The JSON-RPC method.
    pub method: Option<String>,
    /// The tool, prompt or resource.
    pub name: Option<String>,
    /// The decision.
    pub decision: Option<String>,
    /// How a call ended.
    pub outcome: Option<String>,
    /// The code of the answer.
    pub status: Option<u16>,
    /// The size of the answer.
    pub result_bytes: Option<u64>,
    /// The size of the command's message.
    pub request_bytes: Option<u64>,
    /// The trace id.
    pub trace: Option<String>,
    /// Keyed digest of the session id.
    pub session: Option<String>,
    /// How long it took.
    pub ms: Option<u64>,
}

/// Hands every record of a directory to `each`, with its line.
///
/// # Errors
/// When a file cannot be read.
pub fn each(directory: &Path, mut each: impl FnMut(&View, &str)) -> io::Result<()> {
    for file in directory::files(directory)? {
        let mut lines = Lines::new(File::open(directory::path(directory, file))?);
        while let Some(line) = lines.step()? {
            let Line::Whole(line) = line else { continue };
            let Ok(text) = std::str::from_utf8(line) else { continue };
            if let Ok(view) = serde_json::from_str(text) {
                each(&view, text);
            }
        }
    }
    Ok(())
}
