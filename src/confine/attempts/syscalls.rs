//! Attempts on system calls as such. The worker's filter knows a few dozen and kills for any other; the list of what is
//! denied to the broker, which everything below it inherits, answers `EPERM`.

use super::Rule::{Deny, Mdwe, Open};
use super::{Area, Attempt, EACCES, EPERM, KILLED, Outcome, Rule, Run, Target};
use crate::sys::attempt::{self as sys, Call};
use crate::sys::errno;

const fn attempt(name: &'static str, what: &'static str, broker: Rule, child: Rule, run: Run) -> Attempt {
    let (area, target) = (Area::Syscall, Target::Fixed);
    Attempt { name, area, what, broker, worker: Deny(KILLED), child, needs_root: false, target, run }
}

/// Denied to every role.
const fn all(name: &'static str, what: &'static str, call: Call) -> Attempt {
    attempt(name, what, Deny(EPERM), Deny(EPERM), Run::Call(call))
}

/// The same, and the kernel refuses it to all but root in the same words.
const fn root(name: &'static str, what: &'static str, call: Call) -> Attempt {
    Attempt { needs_root: true, ..all(name, what, call) }
}

/// Denied to the worker: MCP servers, and the broker below which they live, may need it.
const fn worker(name: &'static str, what: &'static str, call: Call) -> Attempt {
    attempt(name, what, Open, Open, Run::Call(call))
}

const fn memory(attempt: Attempt) -> Attempt {
    Attempt { area: Area::Memory, ..attempt }
}

pub(super) static TABLE: &[Attempt] = &[
    worker("execve", "start a program", sys::EXECVE),
    worker("execveat", "start a program from a descriptor", sys::EXECVEAT),
    #[cfg(target_arch = "x86_64")]
    worker("fork", "make a process", sys::FORK),
    worker("clone", "make a process by clone", sys::FORK_BY_CLONE),
    #[cfg(target_arch = "x86_64")]
    attempt("vfork", "make a process that borrows the memory", Open, Open, Run::With(|_| sys::vfork())),
    all("clone-namespace", "make a process in namespaces of its own", sys::CLONE_NAMESPACE),
    attempt(
        "clone3",
        "make a process by clone3, whose flags no filter sees",
        Deny(Outcome::Errno(errno::ENOSYS)),
        Deny(Outcome::Errno(errno::ENOSYS)),
        Run::Call(sys::CLONE3),
    ),
    all("ptrace", "be traced by the parent", sys::TRACEME),
    all("process-vm-readv", "read the memory of a process", sys::PROCESS_VM_READV),
    all("process-vm-writev", "write the memory of a process", sys::PROCESS_VM_WRITEV),
    all("process-madvise", "advise on the memory of a process", sys::PROCESS_MADVISE),
    all("pidfd-getfd", "take a descriptor of a process", sys::PIDFD_GETFD),
    worker("pidfd-open", "open a process", sys::PIDFD_OPEN),
    worker("pidfd-send-signal", "signal an opened process", sys::PIDFD_SEND_SIGNAL),
    all("kcmp", "compare two processes", sys::KCMP),
    worker("kill", "signal the own group", sys::KILL),
    worker("tgkill", "signal a thread", sys::TGKILL),
    worker("rt-sigqueueinfo", "signal with data", sys::SIGQUEUE),
    all("mount", "mount", sys::MOUNT),
    all("umount2", "unmount", sys::UMOUNT),
    root("pivot-root", "exchange the root", sys::PIVOT_ROOT),
    all("chroot", "change the root", sys::CHROOT),
    all("open-tree", "copy a mounted tree", sys::OPEN_TREE),
    root("move-mount", "move a mount", sys::MOVE_MOUNT),
    root("fsopen", "make a file system", sys::FSOPEN),
    all("mount-setattr", "change a mount", sys::MOUNT_SETATTR),
    all("unshare", "enter new namespaces", sys::UNSHARE),
    all("setns", "enter other namespaces", sys::SETNS),
    all("bpf", "load a program into the kernel", sys::BPF),
    all("io-uring-setup", "make calls that no filter sees", sys::IO_URING_SETUP),
    all("keyctl", "use the kernel's keys", sys::KEYCTL),
    all("add-key", "add a key", sys::ADD_KEY),
    all("request-key", "ask for a key", sys::REQUEST_KEY),
    worker("memfd-create", "make a file in memory", sys::MEMFD_CREATE),
    all("userfaultfd", "handle page faults", sys::USERFAULTFD),
    all("perf-event-open", "count events of the processor", sys::PERF_EVENT_OPEN),
    root("kexec-load", "load another kernel", sys::KEXEC_LOAD),
    root("init-module", "load a module", sys::INIT_MODULE),
    root("finit-module", "load a module from a descriptor", sys::FINIT_MODULE),
    root("delete-module", "remove a module", sys::DELETE_MODULE),
    root("reboot", "restart the machine", sys::REBOOT),
    all("swapon", "swap to a file", sys::SWAPON),
    root("acct", "keep accounts in a file", sys::ACCT),
    all("settimeofday", "set the time of day", sys::SETTIMEOFDAY),
    all("clock-settime", "set a clock", sys::CLOCK_SETTIME),
    all("adjtimex", "tune the clock", sys::ADJTIMEX),
    all("quotactl", "manage quotas", sys::QUOTACTL),
    root("syslog", "read the kernel's log", sys::SYSLOG),
    root("sethostname", "name the machine", sys::SETHOSTNAME),
    all("name-to-handle-at", "make a handle of a file", sys::NAME_TO_HANDLE),
    root("open-by-handle-at", "open a file by its handle, past every directory", sys::OPEN_BY_HANDLE),
    all("fanotify-init", "watch all files", sys::FANOTIFY),
    worker("inotify-init1", "watch a file", sys::INOTIFY),
    all("move-pages", "move the pages of a process", sys::MOVE_PAGES),
    all("personality", "change the execution domain", sys::PERSONALITY),
    worker("seccomp", "add a filter", sys::SECCOMP),
    worker("landlock-create-ruleset", "make a Landlock domain", sys::LANDLOCK),
    all("vmsplice", "give pages to a pipe", sys::VMSPLICE),
    worker("splice", "move bytes between descriptors", sys::SPLICE),
    worker("sendfile", "send a file", sys::SENDFILE),
    all("setuid", "change the user", sys::SETUID),
    all("setgid", "change the group", sys::SETGID),
    all("setresuid", "change all users", sys::SETRESUID),
    root("setgroups", "change the supplementary groups", sys::SETGROUPS),
    all("capset", "change the capabilities", sys::CAPSET),
    worker("sched-setaffinity", "choose processors", sys::SCHED_SETAFFINITY),
    worker("sched-setscheduler", "choose a scheduling class", sys::SCHED_SETSCHEDULER),
    worker("prlimit64", "change a limit", sys::PRLIMIT),
    worker("set-dumpable", "open the process to its neighbours", sys::SET_DUMPABLE),
    worker("clear-death-signal", "live on after the parent", sys::CLEAR_DEATH_SIGNAL),
    worker("syscall-user-dispatch", "redirect system calls", sys::SYSCALL_DISPATCH),
    all("tiocsti", "type into a terminal", sys::TIOCSTI),
    all("tioclinux", "paste into a console", sys::TIOCLINUX),
    worker("f-setown", "choose who gets a descriptor's signals", sys::SETOWN),
    worker("timer-create", "make a timer", sys::TIMER_CREATE),
    worker("shmget", "use shared memory", sys::SHMGET),
    worker("msgget", "use a message queue", sys::MSGGET),
    worker("semget", "use semaphores", sys::SEMGET),
    worker("mq-open", "use a POSIX message queue", sys::MQ_OPEN),
    worker("openat2", "open by the newest call", sys::OPENAT2),
    worker("unlinkat", "remove a file", sys::UNLINKAT),
    worker("renameat2", "rename a file", sys::RENAMEAT2),
    worker("mkdirat", "make a directory", sys::MKDIRAT),
    worker("linkat", "link a file", sys::LINKAT),
    worker("symlinkat", "make a symbolic link", sys::SYMLINKAT),
    root("mknodat", "make a device", sys::MKNODAT),
    worker("fchmodat", "change a mode", sys::FCHMODAT),
    worker("fchownat", "change an owner", sys::FCHOWNAT),
    worker("setxattr", "change an attribute", sys::SETXATTR),
    worker("truncate", "truncate a file", sys::TRUNCATE),
    #[cfg(target_arch = "x86_64")]
    worker("unlink", "remove a file by the old call", sys::UNLINK),
    #[cfg(target_arch = "x86_64")]
    worker("rename", "rename a file by the old call", sys::RENAME),
    #[cfg(target_arch = "x86_64")]
    worker("chmod", "change a mode by the old call", sys::CHMOD),
    #[cfg(target_arch = "x86_64")]
    worker("link", "link a file by the old call", sys::LINK),
    #[cfg(target_arch = "x86_64")]
    worker("mkdir", "make a directory by the old call", sys::MKDIR),
    #[cfg(target_arch = "x86_64")]
    all("iopl", "use the ports of the machine", sys::IOPL),
    #[cfg(target_arch = "x86_64")]
    all("ioperm", "use some ports of the machine", sys::IOPERM),
    #[cfg(target_arch = "x86_64")]
    all("modify-ldt", "change the segments of memory", sys::MODIFY_LDT),
    #[cfg(target_arch = "x86_64")]
    attempt("x32", "make a call by its x32 number", Deny(KILLED), Deny(KILLED), Run::Call(sys::X32)),
    memory(attempt(
        "map-writable-executable",
        "map memory that is writable and executable",
        Mdwe(EACCES),
        Open,
        Run::Call(sys::MAP_WRITABLE_EXECUTABLE),
    )),
    memory(worker("map-executable", "map memory that is executable", sys::MAP_EXECUTABLE)),
    memory(attempt(
        "make-executable",
        "make memory executable after writing it",
        Mdwe(EACCES),
        Open,
        Run::With(|_| sys::make_executable()),
    )),
    memory(worker("pkey-mprotect", "protect memory by keys", sys::PKEY_MPROTECT)),
];
