//! Starts the confined process that meets the peers, and the servers that are children, as the broker would.
//!
//! Confines itself as the broker first, for good. Reads nothing of a peer: what the survey says is text to be printed, and
//! so is the end of what a child wrote to stderr.

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
use crate::worker::survey::{CONNECT, END, FAILED, MAX_FRAME, Order, TEXT, Task};

/// From its start until the survey must have said everything.
const WITHIN: Duration = Duration::from_secs(300);
/// Most bytes that it may say: a policy file has at most 1 MiB.
const MAX_TEXT: usize = 4 << 20;
/// How long a killed process may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// What is kept of a child's stderr, from its end: a message and where it came from.
const MAX_LAST_WORDS: usize = 2048;

/// What was said.
#[derive(Debug)]
pub struct Said {
    /// By the survey.
    pub text: String,
    /// On stderr, at the end, by each of the commands.
    pub last_words: Vec<Vec<u8>>,
}

/// What is wrong, with the exit code.
pub type Failed = (Exit, String);

/// What the survey says. `base` is where temporary directories are made.
///
/// # Errors
/// When the kernel lacks what is required, or the system or the survey fails.
pub fn run(config: Config, base: Option<&str>, task: Task) -> Result<Said, Failed> {
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
            dressed.and_then(|commands| ask(Config { commands, ..config }, task)).map_err(|e| os(&e))
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
    /// What it writes there must have somewhere to go.
    stderr: Option<OwnedFd>,
    /// The end of that.
    last_words: Vec<u8>,
}

impl Running {
    /// Reads what is there on stderr; nothing more comes once it is closed.
    fn hear(&mut self) {
        let mut some = [0; 4096];
        let Some(stderr) = &self.stderr else { return };
        match rustix::io::read(stderr, &mut some) {
            Ok(n @ 1..) => {
                self.last_words.extend_from_slice(some.get(..n).unwrap_or_default());
                let more = self.last_words.len().saturating_sub(MAX_LAST_WORDS);
                self.last_words.drain(..more);
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Ok(0) | Err(_) => self.stderr = None,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.process.kill(Kill::Force);
        let _ = poll::wait(&[Interest::read(self.process.exit_fd())], Some(GONE_WITHIN));
        let _ = self.process.reap();
    }
}

fn ask(config: Config, task: Task) -> io::Result<Said> {
    let start = |process, stderr| Running { process, stderr, last_words: Vec::new() };
    let mut running = Vec::new();
    let mut pipes = Vec::new();
    for server in &config.commands {
        let launched = Images::default().launch(server, config.worker.require)?;
        running.push(start(launched.process, launched.stderr));
        pipes.push((launched.stdin, launched.stdout));
    }
    let survey = Images { worker: vec!["survey".into()], ..Images::default() }.worker()?;
    running.push(start(survey.process, survey.stderr));
    handed::hand(&survey.socket, &Order { config: config.worker, task })?;
    for (index, (stdin, stdout)) in pipes.iter().enumerate() {
        message::send(&survey.socket, index.to_string().as_bytes(), &[stdin.as_fd(), stdout.as_fd()])?;
    }
    drop(pipes);
    let text = listen(&survey.socket, &mut running, &config.unix_sockets)?;
    running.pop();
    let last_words = running.iter_mut().map(|r| std::mem::take(&mut r.last_words)).collect();
    Ok(Said { text, last_words })
}

/// Everything that the survey says, once it says that this was all.
fn listen(socket: &OwnedFd, running: &mut [Running], paths: &BTreeMap<u8, PathBuf>) -> io::Result<String> {
    let started = Instant::now();
    let mut text = Vec::new();
    loop {
        let left = WITHIN.checked_sub(started.elapsed()).ok_or(io::ErrorKind::TimedOut)?;
        let streams = running.iter().filter_map(|r| r.stderr.as_ref());
        let interests: Vec<Interest<'_>> =
            std::iter::once(socket).chain(streams).map(|fd| Interest::read(fd.as_fd())).collect();
        let ready = poll::wait(&interests, Some(left))?;
        let mut readable = ready.iter().skip(1).map(|r| r.readable);
        for heard in running.iter_mut().filter(|r| r.stderr.is_some()) {
            if readable.next().unwrap_or(false) {
                heard.hear();
            }
        }
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
            Some((&CONNECT, [binding])) => {
                // A server whose queue is full is one that cannot be reached.
                let connected = paths.get(binding).and_then(|path| unix::connect(path).ok());
                let fds: Vec<_> = connected.iter().map(|fd| fd.as_fd()).collect();
                message::send(socket, b"-", &fds)?;
            }
            Some((&FAILED, why)) => {
                return Err(io::Error::other(String::from_utf8_lossy(why).escape_debug().to_string()));
            }
            Some(_) => return Err(io::Error::other("the survey says what is not legal")),
            None => return Err(io::Error::other("the survey ended before it had said everything")),
        }
    }
}
