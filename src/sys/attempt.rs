//! The forbidden calls, made to show that they are refused. Used in processes that are about to end, and by redteam.
//!
//! The only place that makes them. Each is harmless where it is *not* refused: its arguments are fixed, pointers among
//! them are null or point to no memory, descriptors are invalid, flags do not exist. What could succeed changes nothing
//! but the calling process. Arguments are such that the kernel's own answer to an ordinary user is not `EPERM` or
//! `EACCES`, or else the table in `confine::attempts` says that the control run needs root.
#![expect(unsafe_code, reason = "these are calls that no library makes")]

use std::io;

use libc::c_long;

/// One system call with its arguments. Those that exist are the constants of this module.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    number: c_long,
    arguments: [c_long; 6],
    /// A new process would return from it as well.
    forks: bool,
}

/// An address at which nothing can be mapped (`vm.mmap_min_addr`), where the kernel would take null for an absence.
const NOWHERE: c_long = 8;
/// No such descriptor.
const NO_FD: c_long = -1;
/// No call knows this flag.
const NO_FLAG: c_long = 0x4000_0000;
/// No call knows this command, clock or operation.
const NO_SUCH: c_long = 9999;
/// A System V key that nobody uses.
const NO_KEY: c_long = 0x7e57_7e57;

impl Call {
    const fn new<const N: usize>(number: c_long, given: [c_long; N]) -> Self {
        let mut arguments = [0; 6];
        let mut n = 0;
        while n < N {
            #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks it")]
            {
                arguments[n] = given[n];
            }
            n += 1;
        }
        Self { number, arguments, forks: false }
    }

    /// Makes the call.
    ///
    /// # Errors
    /// What the kernel or a filter answers.
    pub fn make(&self) -> io::Result<()> {
        let [a, b, c, d, e, f] = self.arguments;
        // SAFETY: number and arguments are constants of this module. They pass no address of memory that exists, so
        // nothing of this program is read or written by the call, and no descriptor that anything owns.
        let answer = unsafe { libc::syscall(self.number, a, b, c, d, e, f) };
        if answer == 0 && self.forks {
            // SAFETY: this is the new process, a copy with one thread. It ends at once and runs nothing else.
            unsafe { libc::_exit(0) };
        }
        if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

macro_rules! calls {
    ($($(#[$attribute:meta])* $name:ident: $number:ident [$($argument:expr),*];)*) => {
        $($(#[$attribute])* pub const $name: Call = Call::new(libc::$number, [$($argument),*]);)*
    };
}

mod numbers;
pub use numbers::*;

/// `fork` by the call that the C library uses for it.
pub const FORK_BY_CLONE: Call = Call { forks: true, ..Call::new(libc::SYS_clone, [SIGCHLD]) };
/// The old call.
#[cfg(target_arch = "x86_64")]
pub const FORK: Call = Call { forks: true, ..Call::new(libc::SYS_fork, []) };
const SIGCHLD: c_long = 17;

/// A call of the x32 interface: `getpid`.
#[cfg(target_arch = "x86_64")]
pub const X32: Call = Call::new(0x4000_0000 | libc::SYS_getpid, []);

/// `vfork`, whose new process uses the memory of this one until it ends: at once, without returning from here.
///
/// # Errors
/// What the kernel or a filter answers.
#[cfg(target_arch = "x86_64")]
pub fn vfork() -> io::Result<()> {
    let answer: c_long;
    // SAFETY: the new process, in which the call answers 0, runs the three instructions after it and ends; they touch
    // neither memory nor stack. The old one is stopped until then and goes on behind them. The kernel changes rax, rcx
    // and r11 and no other register; the flags are not preserved.
    unsafe {
        std::arch::asm!(
            "syscall", "test rax, rax", "jnz 2f", "mov eax, 231", "xor edi, edi", "syscall", "2:",
            inlateout("rax") libc::SYS_vfork => answer,
            out("rcx") _, out("r11") _, out("rdi") _,
        );
    }
    if answer < 0 {
        let errno = answer.checked_neg().and_then(|n| i32::try_from(n).ok()).unwrap_or(libc::EINVAL);
        return Err(io::Error::from_raw_os_error(errno));
    }
    Ok(())
}

/// Attaches to a process as a debugger, without stopping it; detached when this process ends.
///
/// # Errors
/// What the kernel or a filter answers.
pub fn seize(pid: u32) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    let nothing: c_long = 0;
    // SAFETY: PTRACE_SEIZE takes no address and changes nothing in this process.
    let answer = unsafe { libc::ptrace(PTRACE_SEIZE, pid, nothing, nothing) };
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

// glibc's constants have another type.
#[expect(clippy::as_conversions, reason = "the type of the first argument differs between C libraries")]
const PTRACE_SEIZE: libc::c_int = libc::PTRACE_SEIZE as libc::c_int;

/// A page that becomes executable after it was writable.
///
/// # Errors
/// What the kernel or a filter answers.
pub fn make_executable() -> io::Result<()> {
    use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
    let size = rustix::param::page_size();
    let (hint, prot) = (std::ptr::null_mut(), ProtFlags::READ | ProtFlags::WRITE);
    // SAFETY: a null hint without FIXED: the kernel chooses fresh pages that nothing else uses.
    let page = unsafe { rustix::mm::mmap_anonymous(hint, size, prot, MapFlags::PRIVATE) }?;
    // SAFETY: the page was mapped a line above and nothing refers to it. It is never run, and stays mapped.
    Ok(unsafe { rustix::mm::mprotect(page, size, MprotectFlags::READ | MprotectFlags::EXEC) }?)
}

/// Starts a TCP connection with data in its first packet (`MSG_FASTOPEN`), to a port of loopback.
///
/// # Errors
/// What the kernel or a filter answers.
pub fn send_fast_open(socket: &std::os::fd::OwnedFd, port: u16) -> io::Result<()> {
    let to = std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, port);
    let flags = rustix::net::SendFlags::from_bits_retain(MSG_FASTOPEN) | rustix::net::SendFlags::NOSIGNAL;
    Ok(rustix::net::sendto(socket, b"x", flags, &to).map(drop)?)
}

/// From tcp(7).
const MSG_FASTOPEN: u32 = 0x2000_0000;

/// Asks for the same by an option (`TCP_FASTOPEN_CONNECT`), after which `connect` sends nothing.
///
/// # Errors
/// What the kernel or a filter answers.
pub fn set_fast_open(socket: &std::os::fd::OwnedFd) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let on: libc::c_int = 1;
    let len = libc::socklen_t::try_from(size_of::<libc::c_int>()).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open for as long as `socket` is borrowed; the kernel reads `len` bytes at `on`.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            TCP_FASTOPEN_CONNECT,
            (&raw const on).cast(),
            len,
        )
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

const TCP_FASTOPEN_CONNECT: libc::c_int = 30;

/// Lets every process of the same user look into this one, as an ordinary process of theirs would: what the attempts
/// on a neighbour need to be refused by confinement and not by chance.
///
/// # Errors
/// When the kernel refuses.
pub fn be_open_to_neighbours() -> io::Result<()> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable)?;
    let (any, none): (libc::c_ulong, libc::c_ulong) = (libc::c_ulong::MAX, 0);
    // SAFETY: integers go in, no memory is touched. A kernel without Yama does not know it and needs it not.
    let _ = unsafe { libc::prctl(libc::PR_SET_PTRACER, any, none, none, none) };
    Ok(())
}

/// Cuts a file to nothing by its path. For a file that was made for this.
///
/// # Errors
/// What the kernel or a filter answers.
pub fn truncate(path: &std::path::Path) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: a zero-terminated string that lives until the end of the call.
    let answer = unsafe { libc::truncate(path.as_ptr(), 0) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
