//! Why a log cannot be opened, in words that say what to do; and the reading of its state. Broker and commands.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

use super::directory;
use super::recover::RecoverError;
use super::state::{Damaged, SIZE, State};

/// Why the log cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// There is no log in the directory and no key to begin one with.
    NotBegun,
    /// There are records and no state.
    NoState,
    /// Another process writes it.
    InUse,
    /// The state cannot be used.
    State(Damaged),
    /// The files do not fit the state.
    Files(RecoverError),
    /// The system refuses.
    Io(io::Error),
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotBegun => f.write_str(
                "there is no audit log in the directory; begin one with `tunnelward audit init DIRECTORY`, or name a key in audit.key",
            ),
            Self::NoState => f.write_str(
                "there are records and no state, so nobody can say where they end; keep the files elsewhere and begin a log with `tunnelward audit init DIRECTORY`",
            ),
            Self::InUse => f.write_str("another process writes it"),
            Self::State(e) => e.fmt(f),
            Self::Files(RecoverError::Io(file, e)) => write!(f, "{}: {e}", directory::name(*file)),
            Self::Files(RecoverError::Gone(file)) => {
                write!(f, "{} is gone, and the state says that it has records", directory::name(*file))
            }
            Self::Files(RecoverError::Altered(file, flaw)) => write!(
                f,
                "{}: a line behind the last commit {flaw}; see `tunnelward audit verify`, keep the files elsewhere and begin a log with `tunnelward audit init DIRECTORY`",
                directory::name(*file)
            ),
            Self::Io(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}

/// Reads the block of an open state.
///
/// # Errors
/// When it is damaged or cannot be read.
pub fn read_state(file: &File) -> Result<State, OpenError> {
    let mut block = Zeroizing::new(Vec::with_capacity(SIZE + 1));
    let bound = u64::try_from(SIZE + 1).unwrap_or(u64::MAX);
    file.take(bound).read_to_end(&mut block).map_err(OpenError::Io)?;
    State::read(&block).map_err(OpenError::State)
}

/// The state of a log, as it is now.
///
/// # Errors
/// When there is none, or it is damaged.
pub fn state_of(directory: &Path) -> Result<State, OpenError> {
    let file = File::open(directory::state(directory)).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => OpenError::NoState,
        _ => OpenError::Io(e),
    })?;
    read_state(&file)
}
