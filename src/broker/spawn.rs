//! Starting processes: the only place that does. Broker only.
//!
//! Every process is a fresh image of this binary in one of its hidden roles, so nothing of ours runs between fork
//! and exec. What it inherits is named here and closed on exec otherwise.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use crate::config::types;
use crate::ipc::handed;
use crate::ipc::order::Order;
use crate::sys::process::{self, Kill};
use crate::sys::{fds, pair, poll};

/// What is started.
#[derive(Clone, Debug)]
pub struct Images {
    /// The program.
    pub program: PathBuf,
    /// Its first arguments for the worker.
    pub worker: Vec<OsString>,
    /// Its first arguments for launch.
    pub launch: Vec<OsString>,
}

impl Default for Images {
    fn default() -> Self {
        // Not the path of the binary: a package upgrade may have replaced the file, and both must be of one version.
        let program = PathBuf::from("/proc/self/exe");
        Self { program, worker: vec!["worker".into()], launch: vec!["launch".into()] }
    }
}

/// A process that we started and have not waited for yet. Its number is its own until [`Process::reap`].
#[derive(Debug)]
pub struct Process {
    child: Child,
    exit: OwnedFd,
}

impl Process {
    fn start(command: &mut Command) -> io::Result<(Self, Option<OwnedFd>)> {
        // A group of its own: Ctrl-C in a terminal means the broker, and the whole group can be signalled.
        let mut child = command.arg0("tunnelward").process_group(0).spawn()?;
        let stderr = child.stderr.take().map(OwnedFd::from);
        let watched = process::exit_fd(child.id()).and_then(|exit| {
            stderr.as_ref().map_or(Ok(()), fds::set_nonblocking)?;
            Ok(exit)
        });
        match watched {
            Ok(exit) => Ok((Self { child, exit }, stderr)),
            Err(e) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(e)
            }
        }
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Readable when it has ended.
    #[must_use]
    pub fn exit_fd(&self) -> BorrowedFd<'_> {
        self.exit.as_fd()
    }

    /// Signals it and every process of its group.
    pub fn kill(&self, how: Kill) {
        // It may be gone; then there is nothing to do.
        let _ = process::kill_group(self.pid(), how);
    }

    /// Its status, if it has ended. What is left of its group is killed first.
    pub fn reap(&mut self) -> Option<ExitStatus> {
        if !poll::is_readable(&self.exit) {
            return None;
        }
        self.kill(Kill::Force);
        self.child.wait().ok()
    }
}

/// A worker and our end of the socket to it.
#[derive(Debug)]
pub struct Worker {
    /// The process.
    pub process: Process,
    /// The socket.
    pub socket: OwnedFd,
    /// What it writes to stderr; non-blocking.
    pub stderr: Option<OwnedFd>,
}

/// A launch process, which becomes an MCP server.
#[derive(Debug)]
pub struct Launched {
    /// The process.
    pub process: Process,
    /// Ends without a frame when the server was started, else says why not; non-blocking.
    pub status: OwnedFd,
    /// The end to write to.
    pub stdin: OwnedFd,
    /// The end to read from.
    pub stdout: OwnedFd,
    /// What it writes to stderr; non-blocking.
    pub stderr: Option<OwnedFd>,
}

impl Images {
    /// This program in the role that makes attempts: it is started as a worker is.
    #[must_use]
    pub fn probe() -> Self {
        Self { worker: vec!["probe".into()], ..Self::default() }
    }

    /// Starts a worker: the socket as descriptor 0, nothing on descriptor 1, an empty environment.
    ///
    /// # Errors
    /// When the kernel has no resources for it.
    pub fn worker(&self) -> io::Result<Worker> {
        let (ours, theirs) = pair::new()?;
        let mut command = self.command(&self.worker);
        command.env_clear().current_dir("/").stdin(theirs).stdout(Stdio::null()).stderr(Stdio::piped());
        let (process, stderr) = Process::start(&mut command)?;
        Ok(Worker { process, socket: ours, stderr })
    }

    /// Starts launch for a configured MCP server, with exactly its environment and working directory, and below the
    /// Landlock floor `require`.
    ///
    /// # Errors
    /// When the working directory cannot be entered or the kernel has no resources.
    pub fn launch(&self, server: &types::Command, require: u8) -> io::Result<Launched> {
        let (stdin_read, stdin) = fds::pipe()?;
        let (stdout, stdout_write) = fds::pipe()?;
        let (status, theirs) = pair::new()?;
        let inherited = fds::inheritable(theirs.as_fd())?;
        let order = Order { require, profile: server.profile.clone(), argv: server.argv.clone() };
        handed::hand(&status, &order)?;
        let mut command = self.command(&self.launch);
        command.arg("--fd").arg(inherited.as_raw_fd().to_string()).arg(server.channel.as_str());
        command.env_clear().envs(&server.env).current_dir(&server.cwd);
        command.stdin(stdin_read).stdout(stdout_write).stderr(Stdio::piped());
        let (process, stderr) = Process::start(&mut command)?;
        Ok(Launched { process, status, stdin, stdout, stderr })
    }

    /// Runs one of our own commands to its end, with exactly this environment, and returns what it wrote.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn output(&self, arguments: &[&str], env: &BTreeMap<String, String>) -> io::Result<Output> {
        let mut command = self.command(&[]);
        command.arg0("tunnelward").args(arguments).env_clear().envs(env).stdin(Stdio::null()).output()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that starts processes")]
    fn command(&self, first: &[OsString]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(first);
        command
    }
}
