//! Starts the confined process that asks the MCP servers, and the servers that are children, as the broker would.
//!
//! Confines itself as the broker first. Reads nothing of a server: what the survey says is text to be printed.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use aws_lc_rs::rand;

use crate::broker::scratch::Scratch;
use crate::broker::spawn::{Images, Process};
use crate::broker::{self, domain};
use crate::config::Config;
use crate::confine::kernel::Kernel;
use crate::exit::Exit;
use crate::ipc::digest::hex;
use crate::ipc::handed;
use crate::sys::message;
use crate::sys::poll::{self, Interest};
use crate::sys::process::{self, Kill};
use crate::sys::unix;
use crate::worker::survey::{CONNECTED, END, FAILED, MAX_FRAME, NOT_CONNECTED, Order, SOCKET, TEXT};

/// From its start until the survey must have said everything.
const WITHIN: Duration = Duration::from_secs(300);
/// Most bytes that it may say: a policy file has at most 1 MiB.
const MAX_TEXT: usize = 4 << 20;
/// How long a killed process may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// What is wrong, with the exit code.
pub type Failed = (Exit, String);

/// What the survey says. `base` is where temporary directories are made.
///
/// # Errors
/// When the kernel lacks what is required, or the system or the survey fails.
pub fn run(config: Config, base: Option<&str>, differences: bool) -> Result<String, Failed> {
    let abi =
        Kernel::probe().check(config.confinement.require).map_err(|e| (Exit::Unavailable, e.to_string()))?;
    let os = |e: &dyn std::fmt::Display| (Exit::Os, e.to_string());
    process::harden().and_then(|()| process::adopt_orphans()).map_err(|e| os(&e))?;
    let mut random = [0; 8];
    rand::fill(&mut random).map_err(|_| (Exit::Os, "no random numbers".into()))?;
    let identity = config.confinement.identity;
    let mut scratch = Scratch::make(base, &hex(&random), identity).map_err(|e| os(&e))?;
    let said = match broker::enter(identity, abi, &domain::grants(&config, Some(&scratch))) {
        Ok(_) => {
            let dressed: io::Result<Vec<_>> =
                config.commands.into_iter().map(|command| scratch.dress(command)).collect();
            dressed.and_then(|commands| ask(Config { commands, ..config }, differences)).map_err(|e| os(&e))
        }
        Err(e) => Err(os(&e)),
    };
    // What is left of it in a directory for temporary files harms nobody.
    let _ = scratch.remove();
    said
}

/// A process that ends with this.
struct Running {
    process: Process,
    /// What it writes there is nobody's, but must have somewhere to go.
    stderr: Option<OwnedFd>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.process.kill(Kill::Force);
        let _ = poll::wait(&[Interest::read(self.process.exit_fd())], Some(GONE_WITHIN));
        let _ = self.process.reap();
    }
}

fn ask(config: Config, differences: bool) -> io::Result<String> {
    let mut running = Vec::new();
    let mut pipes = Vec::new();
    for server in &config.commands {
        let launched = Images::default().launch(server, config.worker.require)?;
        running.push(Running { process: launched.process, stderr: launched.stderr });
        pipes.push((launched.stdin, launched.stdout));
    }
    let survey = Images { worker: vec!["survey".into()], ..Images::default() }.worker()?;
    running.push(Running { process: survey.process, stderr: survey.stderr });
    handed::hand(&survey.socket, &Order { config: config.worker, differences })?;
    for (index, (stdin, stdout)) in pipes.iter().enumerate() {
        message::send(&survey.socket, index.to_string().as_bytes(), &[stdin.as_fd(), stdout.as_fd()])?;
    }
    drop(pipes);
    listen(&survey.socket, &running, &config.unix_sockets)
}

/// Everything that the survey says, once it says that this was all. Connects the Unix sockets that it wants, which are
/// those of the configuration.
fn listen(socket: &OwnedFd, running: &[Running], unix_sockets: &BTreeMap<u8, PathBuf>) -> io::Result<String> {
    let started = Instant::now();
    let mut text = Vec::new();
    let mut streams: Vec<&OwnedFd> = running.iter().filter_map(|r| r.stderr.as_ref()).collect();
    loop {
        let left = WITHIN.checked_sub(started.elapsed()).ok_or(io::ErrorKind::TimedOut)?;
        let interests: Vec<Interest<'_>> = std::iter::once(socket)
            .chain(streams.iter().copied())
            .map(|fd| Interest::read(fd.as_fd()))
            .collect();
        let ready = poll::wait(&interests, Some(left))?;
        let mut readable = ready.iter().skip(1).map(|r| r.readable);
        streams.retain(|stream| !readable.next().unwrap_or(false) || is_open(stream));
        if !ready.first().is_some_and(|r| r.readable) {
            continue;
        }
        let mut frame = vec![0; MAX_FRAME];
        let got = match message::recv(socket, &mut frame) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => continue,
            other => other?,
        };
        match frame.get(..got.len).and_then(<[u8]>::split_first) {
            Some((&END, _)) => return String::from_utf8(text).map_err(io::Error::other),
            Some((&TEXT, more)) if text.len() + more.len() <= MAX_TEXT && more.is_ascii() => {
                text.extend_from_slice(more);
            }
            Some((&SOCKET, [binding])) => match unix_sockets.get(binding).map(|path| unix::connect(path)) {
                Some(Ok(connected)) => message::send(socket, &[CONNECTED], &[connected.as_fd()])?,
                Some(Err(_)) => message::send(socket, &[NOT_CONNECTED], &[])?,
                None => return Err(io::Error::other("the survey wants a socket that is not configured")),
            },
            Some((&FAILED, why)) => {
                return Err(io::Error::other(String::from_utf8_lossy(why).escape_debug().to_string()));
            }
            Some(_) => return Err(io::Error::other("the survey says what is not legal")),
            None => return Err(io::Error::other("the survey ended before it had said everything")),
        }
    }
}

/// Reads what is there; whether more may come.
fn is_open(stream: &OwnedFd) -> bool {
    let mut some = [0; 4096];
    match rustix::io::read(stream, &mut some) {
        Ok(0) => false,
        Ok(_) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => true,
        Err(_) => false,
    }
}
