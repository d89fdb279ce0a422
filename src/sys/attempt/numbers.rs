//! The calls that need nothing but numbers.

use libc::c_long;

use super::{Call, NO_FD, NO_FLAG, NO_KEY, NO_SUCH, NOWHERE};

const AF_UNIX: c_long = 1;
const AF_INET: c_long = 2;
const AF_NETLINK: c_long = 16;
const AF_PACKET: c_long = 17;
const AF_ALG: c_long = 38;
const AF_VSOCK: c_long = 40;
const STREAM: c_long = 1;
const RAW: c_long = 3;
const SEQPACKET: c_long = 5;
const ICMP: c_long = 1;
const MPTCP: c_long = 262;

calls! {
    /// A program without a path.
    EXECVE: SYS_execve [0, 0, 0];
    /// The same from a descriptor.
    EXECVEAT: SYS_execveat [NO_FD, 0, 0, 0, NO_FLAG];
    /// A process in a user namespace of its own; together with shared directories that is refused by every kernel.
    CLONE_NAMESPACE: SYS_clone [0x1000_0000 | 0x200, 0, 0, 0, 0];
    /// The newer clone, without arguments.
    CLONE3: SYS_clone3 [0, 0];
    /// Being debugged by the parent.
    TRACEME: SYS_ptrace [0, 0, 0, 0];
    /// Reading another process.
    PROCESS_VM_READV: SYS_process_vm_readv [0, 0, 0, 0, 0, 1];
    /// Writing another process.
    PROCESS_VM_WRITEV: SYS_process_vm_writev [0, 0, 0, 0, 0, 1];
    /// Advice about another process's memory.
    PROCESS_MADVISE: SYS_process_madvise [NO_FD, 0, 0, 0, 1];
    /// A descriptor of another process.
    PIDFD_GETFD: SYS_pidfd_getfd [NO_FD, NO_FD, 1];
    /// A descriptor for a process.
    PIDFD_OPEN: SYS_pidfd_open [0, 0];
    /// A signal through it.
    PIDFD_SEND_SIGNAL: SYS_pidfd_send_signal [NO_FD, 0, 0, NO_FLAG];
    /// Comparing two processes.
    KCMP: SYS_kcmp [NO_FD, NO_FD, 0, 0, 0];
    /// Signal 0 to the own group.
    KILL: SYS_kill [0, 0];
    /// A signal to no thread.
    TGKILL: SYS_tgkill [NO_FD, NO_FD, 0];
    /// A signal with data from nowhere.
    SIGQUEUE: SYS_rt_sigqueueinfo [0, 0, NOWHERE];

    /// Mounting.
    MOUNT: SYS_mount [0, 0, 0, 0, 0];
    /// Unmounting.
    UMOUNT: SYS_umount2 [0, 0x7fff_0000];
    /// Exchanging the root.
    PIVOT_ROOT: SYS_pivot_root [0, 0];
    /// Changing the root.
    CHROOT: SYS_chroot [0];
    /// A copy of a mounted tree.
    OPEN_TREE: SYS_open_tree [NO_FD, 0, NO_FLAG];
    /// Moving a mount.
    MOVE_MOUNT: SYS_move_mount [NO_FD, 0, NO_FD, 0, NO_FLAG];
    /// A new file system.
    FSOPEN: SYS_fsopen [0, NO_FLAG];
    /// Attributes of a mount.
    MOUNT_SETATTR: SYS_mount_setattr [NO_FD, 0, NO_FLAG, 0, 0];
    /// New namespaces.
    UNSHARE: SYS_unshare [1];
    /// Entering namespaces.
    SETNS: SYS_setns [NO_FD, 0];

    /// A program in the kernel.
    BPF: SYS_bpf [NO_SUCH, 0, 1 << 20];
    /// Calls without calls.
    IO_URING_SETUP: SYS_io_uring_setup [0, 0];
    /// The kernel's keys.
    KEYCTL: SYS_keyctl [NO_SUCH, 0, 0, 0, 0];
    /// A key more.
    ADD_KEY: SYS_add_key [0, 0, 0, 1 << 21, 0];
    /// A key that somebody has.
    REQUEST_KEY: SYS_request_key [0, 0, 0, 0];
    /// A file in memory, which could be executed.
    MEMFD_CREATE: SYS_memfd_create [0, NO_FLAG];
    /// Page faults handled by a process.
    USERFAULTFD: SYS_userfaultfd [1 | NO_FLAG];
    /// Performance counters.
    PERF_EVENT_OPEN: SYS_perf_event_open [0, 0, NO_FD, NO_FD, NO_FLAG];
    /// A new kernel.
    KEXEC_LOAD: SYS_kexec_load [0, NO_SUCH, 0, NO_FLAG];
    /// A kernel module.
    INIT_MODULE: SYS_init_module [0, 0, 0];
    /// The same from a descriptor.
    FINIT_MODULE: SYS_finit_module [NO_FD, 0, NO_FLAG];
    /// One less.
    DELETE_MODULE: SYS_delete_module [0, NO_FLAG];
    /// The end of the machine, without the magic numbers.
    REBOOT: SYS_reboot [0, 0, 0, 0];
    /// Swapping to a file.
    SWAPON: SYS_swapon [0, NO_FLAG];
    /// Accounting to a file.
    ACCT: SYS_acct [NOWHERE];
    /// The time of day.
    SETTIMEOFDAY: SYS_settimeofday [NOWHERE, 0];
    /// A clock that does not exist.
    CLOCK_SETTIME: SYS_clock_settime [NO_SUCH, 0];
    /// Tuning the clock.
    ADJTIMEX: SYS_adjtimex [0];
    /// Quotas.
    QUOTACTL: SYS_quotactl [0xff, 0, 0, 0];
    /// The kernel's log.
    SYSLOG: SYS_syslog [99, 0, 0];
    /// The name of the machine.
    SETHOSTNAME: SYS_sethostname [0, NO_FD];
    /// Files by handle.
    NAME_TO_HANDLE: SYS_name_to_handle_at [NO_FD, 0, 0, 0, NO_FLAG];
    /// The other way.
    OPEN_BY_HANDLE: SYS_open_by_handle_at [NO_FD, NOWHERE, 0];
    /// Watching all files of a mount.
    FANOTIFY: SYS_fanotify_init [0x200 | NO_FLAG, 0];
    /// Watching a file.
    INOTIFY: SYS_inotify_init1 [NO_FLAG];
    /// Moving pages of a process.
    MOVE_PAGES: SYS_move_pages [0, 0, 0, 0, 0, NO_FLAG];
    /// Another execution domain.
    PERSONALITY: SYS_personality [0x0040_0000];
    /// Another filter.
    SECCOMP: SYS_seccomp [NO_SUCH, 0, 0];
    /// Another domain.
    LANDLOCK: SYS_landlock_create_ruleset [0, 0, NO_FLAG];
    /// Pages from a pipe.
    VMSPLICE: SYS_vmsplice [NO_FD, 0, 1, NO_FLAG];
    /// Bytes between descriptors.
    SPLICE: SYS_splice [NO_FD, 0, NO_FD, 0, 1, 0];
    /// The same.
    SENDFILE: SYS_sendfile [NO_FD, NO_FD, 0, 1];

    /// The user.
    SETUID: SYS_setuid [NO_FD];
    /// The group.
    SETGID: SYS_setgid [NO_FD];
    /// All three users.
    SETRESUID: SYS_setresuid [NO_FD, NO_FD, NO_FD];
    /// The supplementary groups.
    SETGROUPS: SYS_setgroups [70_000, 0];
    /// The capabilities.
    CAPSET: SYS_capset [0, 0];
    /// The processors of this process.
    SCHED_SETAFFINITY: SYS_sched_setaffinity [0, 0, 0];
    /// Its class of scheduling.
    SCHED_SETSCHEDULER: SYS_sched_setscheduler [0, -1, 0];
    /// A limit that does not exist.
    PRLIMIT: SYS_prlimit64 [0, 99, 0, 0];
    /// Being open to the user's other processes.
    SET_DUMPABLE: SYS_prctl [4, 1, 0, 0, 0];
    /// Living on after the parent.
    CLEAR_DEATH_SIGNAL: SYS_prctl [1, 0, 0, 0, 0];
    /// Handling the own system calls.
    SYSCALL_DISPATCH: SYS_prctl [59, NO_SUCH, 0, 0, 0];
    /// Typing into a terminal.
    TIOCSTI: SYS_ioctl [NO_FD, 0x5412, 0];
    /// Pasting into a console.
    TIOCLINUX: SYS_ioctl [NO_FD, 0x541c, 0];
    /// Who gets a descriptor's signals.
    SETOWN: SYS_fcntl [NO_FD, 8, 0];
    /// A timer.
    TIMER_CREATE: SYS_timer_create [NO_SUCH, 0, 0];
    /// Shared memory.
    SHMGET: SYS_shmget [NO_KEY, 0, 0];
    /// A message queue.
    MSGGET: SYS_msgget [NO_KEY, 0];
    /// Semaphores.
    SEMGET: SYS_semget [NO_KEY, NO_FD, 0];
    /// A POSIX message queue.
    MQ_OPEN: SYS_mq_open [0, 0, 0, 0];

    /// Making a file by the newer call.
    OPENAT2: SYS_openat2 [NO_FD, 0, 0, 0];
    /// Removing.
    UNLINKAT: SYS_unlinkat [NO_FD, 0, NO_FLAG];
    /// Renaming.
    RENAMEAT2: SYS_renameat2 [NO_FD, 0, NO_FD, 0, NO_FLAG];
    /// Making a directory.
    MKDIRAT: SYS_mkdirat [NO_FD, 0, 0];
    /// A second name.
    LINKAT: SYS_linkat [NO_FD, 0, NO_FD, 0, NO_FLAG];
    /// A symbolic link.
    SYMLINKAT: SYS_symlinkat [0, NO_FD, 0];
    /// A device: /dev/mem's kind.
    MKNODAT: SYS_mknodat [NO_FD, 0, 0x2000, 0];
    /// The mode of a file.
    FCHMODAT: SYS_fchmodat [NO_FD, 0, 0];
    /// The owner of a file.
    FCHOWNAT: SYS_fchownat [NO_FD, 0, 0, 0, NO_FLAG];
    /// An attribute of a file.
    SETXATTR: SYS_setxattr [0, 0, 0, 0, NO_FLAG];
    /// The length of a file.
    TRUNCATE: SYS_truncate [0, NO_FD];

    /// Writable and executable memory.
    MAP_WRITABLE_EXECUTABLE: SYS_mmap [0, 4096, 6, 0x22, NO_FD, 0];
    /// Executable memory.
    MAP_EXECUTABLE: SYS_mmap [0, 4096, 5, 0x22, NO_FD, 0];
    /// Memory protected by keys.
    PKEY_MPROTECT: SYS_pkey_mprotect [0, 0, 4, NO_FD];

    /// A Unix socket.
    SOCKET_UNIX: SYS_socket [AF_UNIX, STREAM, 0];
    /// A pair of them.
    SOCKETPAIR: SYS_socketpair [AF_UNIX, STREAM, 0, 0];
    /// Talking to the kernel's network.
    SOCKET_NETLINK: SYS_socket [AF_NETLINK, RAW, 0];
    /// Frames of a network card.
    SOCKET_PACKET: SYS_socket [AF_PACKET, RAW, 0];
    /// To and from a hypervisor.
    SOCKET_VSOCK: SYS_socket [AF_VSOCK, STREAM, 0];
    /// The kernel's ciphers.
    SOCKET_ALG: SYS_socket [AF_ALG, SEQPACKET, 0];
    /// Packets of one's own.
    SOCKET_RAW: SYS_socket [AF_INET, RAW, ICMP];
    /// Pings.
    /// TCP over several paths, which Landlock does not see.
    SOCKET_MPTCP: SYS_socket [AF_INET, STREAM, MPTCP];
    /// Listening on nothing.
    LISTEN: SYS_listen [NO_FD, 0];
    /// Accepting from nothing.
    ACCEPT: SYS_accept4 [NO_FD, 0, 0, 0];
}

#[cfg(target_arch = "x86_64")]
calls! {
    /// Removing, by the old call.
    UNLINK: SYS_unlink [0];
    /// Renaming, by the old call.
    RENAME: SYS_rename [0, 0];
    /// Changing a mode, by the old call.
    CHMOD: SYS_chmod [0, 0];
    /// Linking, by the old call.
    LINK: SYS_link [0, 0];
    /// Making a directory, by the old call.
    MKDIR: SYS_mkdir [0, 0];
    /// Ports of the machine.
    IOPL: SYS_iopl [4];
    /// The same.
    IOPERM: SYS_ioperm [1 << 20, 1, 1];
    /// Segments of memory.
    MODIFY_LDT: SYS_modify_ldt [NO_SUCH, 0, 0];
}
