//! The names of error numbers, for reports that people compare with manual pages.

/// "Operation not permitted": seccomp's deny lists; Landlock's answer to signals and abstract sockets.
pub const EPERM: i32 = libc::EPERM;
/// "Permission denied": Landlock's answer to files and ports; the filters of sockets.
pub const EACCES: i32 = libc::EACCES;
/// "Function not implemented".
pub const ENOSYS: i32 = libc::ENOSYS;
/// "Protocol not available".
pub const ENOPROTOOPT: i32 = libc::ENOPROTOOPT;
/// The signal that ends a process whose filter forbids a call.
pub const SIGSYS: i32 = libc::SIGSYS;

macro_rules! names {
    ($($name:ident)*) => {
        const NAMES: &[(i32, &str)] = &[$((libc::$name, stringify!($name)),)*];
    };
}

names! {
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST
    EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE ERANGE
    ENAMETOOLONG ENOSYS ENOTEMPTY ELOOP ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EAFNOSUPPORT
    EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ECONNREFUSED EHOSTUNREACH ENOTCONN ETIMEDOUT EINPROGRESS
    EOVERFLOW ENOTSOCK EPROTOTYPE EDESTADDRREQ ENODATA EKEYREVOKED ENOKEY
}

/// The symbol of an error number, or `errno N` for one that is not expected here.
#[must_use]
pub fn name(number: i32) -> String {
    let known = NAMES.iter().find(|(n, _)| *n == number).map(|(_, name)| (*name).to_string());
    known.unwrap_or_else(|| format!("errno {number}"))
}
