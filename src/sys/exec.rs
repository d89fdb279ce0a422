//! Becoming another program. Used by launch only.
#![expect(unsafe_code, reason = "execv takes an array of raw pointers; rustix has no stable counterpart")]

use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::ptr;

/// Replaces this process by the program `argv[0]`, a path that is not searched for, with the environment and the
/// working directory as they are. Returns only when that fails.
#[must_use]
pub fn exec(argv: Vec<OsString>) -> io::Error {
    let args: Result<Vec<CString>, _> = argv.into_iter().map(|a| CString::new(a.into_vec())).collect();
    let Ok(args) = args else {
        return io::Error::new(io::ErrorKind::InvalidInput, "an argument contains a zero byte");
    };
    let Some(program) = args.first() else {
        return io::Error::new(io::ErrorKind::InvalidInput, "no program given");
    };
    let pointers: Vec<*const libc::c_char> =
        args.iter().map(|a| a.as_ptr()).chain(std::iter::once(ptr::null())).collect();
    // SAFETY: `program` and every element of `pointers` but the last point to zero-terminated strings that `args`
    // owns until the end of this function; the array ends with a null pointer. execv writes to neither.
    unsafe { libc::execv(program.as_ptr(), pointers.as_ptr()) };
    io::Error::last_os_error()
}
