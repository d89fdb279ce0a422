//! The worker's first frame: the configuration, in a sealed memfd. Worker only.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use crate::config::types::Worker;
use crate::confine::kernel::{Failed, Missing};
use crate::confine::selftest::NotDenied;
use crate::control;
use crate::ipc::channel::{self, Channel, Received};
use crate::ipc::msg::{FromWorker, ToWorker};
use crate::sys;
use crate::sys::poll::{self, Interest};
use crate::tls;

/// The largest configuration that is read: CA bundles are a few hundred KiB.
const MAX_CONFIG: u64 = 16 << 20;

/// How long the broker may take to send it; it does so right after starting us.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

/// What the broker hands over at the start.
pub struct Start {
    /// The checked configuration.
    pub config: Worker,
    /// 32 hex digits, one per service process.
    pub instance_id: String,
    /// Where health requests come in.
    pub listener: Option<OwnedFd>,
}

/// Why the worker cannot serve.
#[derive(Debug)]
pub enum StartError {
    /// The socket.
    Socket(channel::Error),
    /// The broker is gone.
    Gone,
    /// The first frame is not a configuration with its memfd.
    NoConfig,
    /// The memfd is not what the frame says.
    Memfd(std::io::Error),
    /// Its content is not the digest that the frame names.
    Digest,
    /// Its content is not a configuration.
    Content(serde_json::Error),
    /// The call policy; the broker found no fault in it.
    Policy(String),
    /// The TLS configuration.
    Tls(tls::Error),
    /// The control-plane client.
    Control(control::client::Error),
    /// No runtime.
    Runtime(std::io::Error),
    /// The kernel cannot confine this process as it must be.
    Kernel(Missing),
    /// A step of the confinement.
    Confinement(Failed),
    /// All steps were made, and still something is possible that must not be.
    SelfTest(NotDenied),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(e) => write!(f, "{e}"),
            Self::Gone => f.write_str("the broker closed the socket"),
            Self::NoConfig => f.write_str("the first frame carries no configuration"),
            Self::Memfd(e) => write!(f, "the configuration cannot be read: {e}"),
            Self::Digest => f.write_str("the configuration is not the one the frame names"),
            // serde_json quotes no values of strings, so no secret can be in it.
            Self::Content(e) => {
                write!(f, "the configuration is malformed at line {} column {}", e.line(), e.column())
            }
            Self::Policy(e) => write!(f, "the call policy cannot be read: {e}"),
            Self::Tls(e) => write!(f, "{e}"),
            Self::Control(e) => write!(f, "{e}"),
            Self::Runtime(e) => write!(f, "no runtime: {e}"),
            Self::Kernel(e) => write!(f, "{e}"),
            Self::Confinement(e) => write!(f, "confinement failed at {e}"),
            Self::SelfTest(e) => write!(f, "the confinement does not hold: {e}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<channel::Error> for StartError {
    fn from(e: channel::Error) -> Self {
        Self::Socket(e)
    }
}
impl From<tls::Error> for StartError {
    fn from(e: tls::Error) -> Self {
        Self::Tls(e)
    }
}
impl From<control::client::Error> for StartError {
    fn from(e: control::client::Error) -> Self {
        Self::Control(e)
    }
}

/// Waits for the configuration and checks that it is the one that was sent. Needs no runtime: the secrets are read
/// before there is anything else.
///
/// # Errors
/// When the first frame is anything else.
pub fn receive(socket: &OwnedFd) -> Result<Start, StartError> {
    let socket = socket.try_clone().map_err(channel::Error::from)?;
    poll::wait(&[Interest::read(socket.as_fd())], Some(TOLD_WITHIN)).map_err(channel::Error::from)?;
    let (messages, fds) = match Channel::<FromWorker, ToWorker>::new(socket).recv()? {
        Received::Frame(messages, fds) => (messages, fds),
        Received::Nothing | Received::Closed => return Err(StartError::Gone),
    };
    let mut messages = messages.into_iter();
    let (Some(ToWorker::Config { size, sha256, instance_id }), None) = (messages.next(), messages.next())
    else {
        return Err(StartError::NoConfig);
    };
    let mut fds = fds.into_iter();
    let (Some(memfd), listener) = (fds.next(), fds.next()) else { return Err(StartError::NoConfig) };
    if size > MAX_CONFIG {
        return Err(StartError::NoConfig);
    }
    let bytes = zeroize::Zeroizing::new(sys::memfd::read_sealed(memfd, size).map_err(StartError::Memfd)?);
    if crate::ipc::digest::sha256_hex(&bytes) != sha256 {
        return Err(StartError::Digest);
    }
    let config = serde_json::from_slice(&bytes).map_err(StartError::Content)?;
    Ok(Start { config, instance_id, listener })
}
