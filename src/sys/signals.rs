//! Signals: the broker reads them as data, the worker leaves them to the broker, launch resets them for the program
//! it becomes.
#![expect(unsafe_code, reason = "signal sets, dispositions and signalfd have no safe counterpart")]

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr;

/// What the broker acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
    /// SIGCHLD.
    Child,
}

/// The broker's signals, blocked and readable.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// Blocks SIGTERM, SIGINT, SIGHUP and SIGCHLD for the calling thread and makes them readable. SIGCHLD gets its
    /// default disposition: a parent may have left it ignored, and then the kernel would keep no exit status.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn block() -> io::Result<Self> {
        set_disposition(libc::SIGCHLD, libc::SIG_DFL)?;
        let set = signal_set(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGCHLD])?;
        set_mask(&set)?;
        // SAFETY: `set` is initialised and outlives the call; -1 asks for a new descriptor.
        let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just returned by the kernel and nothing else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The next signal, if one is pending.
    ///
    /// # Errors
    /// When reading fails.
    pub fn next(&self) -> io::Result<Option<Signal>> {
        let mut info = [0; size_of::<libc::signalfd_siginfo>()];
        match super::fds::read(&self.0, &mut info) {
            Ok(n) if n == info.len() => {}
            Ok(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(e) => return Err(e),
        }
        // The signal number is the first member of the structure.
        let number = info.first_chunk::<4>().map(|b| i32::from_ne_bytes(*b));
        Ok(match number {
            Some(libc::SIGTERM | libc::SIGINT) => Some(Signal::Stop),
            Some(libc::SIGHUP) => Some(Signal::Reload),
            _ => Some(Signal::Child),
        })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// For the worker: nothing blocked; SIGTERM, SIGINT, SIGHUP and SIGPIPE ignored. A service manager that signals the
/// whole group means the broker, which tells the worker what to do.
///
/// # Errors
/// When the kernel refuses.
pub fn leave_to_broker() -> io::Result<()> {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGPIPE] {
        set_disposition(signal, libc::SIG_IGN)?;
    }
    set_mask(&signal_set(&[])?)
}

/// For launch: every signal unblocked and with its default disposition, as a program expects to be started.
///
/// # Errors
/// When the kernel refuses.
pub fn reset() -> io::Result<()> {
    for signal in 1..=libc::SIGRTMAX() {
        // Two cannot be changed, and a few numbers belong to libc; they are at their default anyway.
        let _ = set_disposition(signal, libc::SIG_DFL);
    }
    set_mask(&signal_set(&[])?)
}

fn set_disposition(signal: libc::c_int, disposition: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: only SIG_DFL and SIG_IGN are passed, so no handler of ours ever runs.
    if unsafe { libc::signal(signal, disposition) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn signal_set(signals: &[libc::c_int]) -> io::Result<libc::sigset_t> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set it is given.
    if unsafe { libc::sigemptyset(set.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: initialised by the successful sigemptyset above.
    let mut set = unsafe { set.assume_init() };
    for signal in signals {
        // SAFETY: `set` is initialised and exclusively borrowed; a bad number is reported, not acted on.
        if unsafe { libc::sigaddset(&raw mut set, *signal) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(set)
}

fn set_mask(set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: `set` is an initialised set; the old mask is not asked for.
    match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, set, ptr::null_mut()) } {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}
