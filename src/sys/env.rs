//! The environment, taken once.
//!
//! The first thing that happens is that the environment is copied out and its memory wiped: a key in a variable is
//! not left where a later flaw, or whoever may look into `/proc/<pid>/environ`, would find it. Nobody reads the
//! environment after that, and it is never written.
#![expect(unsafe_code, reason = "only the C library's array leads to the memory of the initial environment")]

use std::collections::BTreeMap;

use zeroize::Zeroize as _;

unsafe extern "C" {
    /// The C library's array of `NAME=value` strings, ended by a null pointer (environ(7)).
    static mut environ: *mut *mut libc::c_char;
}

/// The environment of the process, which has none afterwards. Bytes that are not UTF-8 become U+FFFD in names and
/// values, so that a damaged value fails its own check instead of passing as unset.
///
/// To be called first in `main`, while there is one thread.
#[must_use]
pub fn take() -> BTreeMap<String, String> {
    let taken = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect();
    // SAFETY: one thread, at the start of `main`: nobody else reads the variable.
    let mut entry = unsafe { environ };
    while !entry.is_null() {
        // SAFETY: `entry` points into the array, which ends with a null pointer; that end has not been passed.
        let text = unsafe { *entry };
        if text.is_null() {
            break;
        }
        // SAFETY: the strings are those that the kernel put on the initial stack: writable, zero-terminated, and
        // owned by nobody, since nothing has called setenv.
        let len = unsafe { libc::strlen(text) };
        // SAFETY: `len` bytes at `text` were measured a line above.
        unsafe { std::slice::from_raw_parts_mut(text.cast::<u8>(), len) }.zeroize();
        // SAFETY: the element is not the last, so the next one is still part of the array.
        entry = unsafe { entry.add(1) };
    }
    // SAFETY: one thread. A null array is an empty environment for the C library and for std.
    unsafe { environ = std::ptr::null_mut() };
    taken
}

/// Wipes the values that [`take`] returned.
pub fn wipe(mut environment: BTreeMap<String, String>) {
    environment.values_mut().for_each(|value| value.zeroize());
}
