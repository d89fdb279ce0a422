//! Memory for secrets: pages of their own, locked in RAM, left out of dumps, wiped before they are given back.
#![expect(unsafe_code, reason = "locked pages have no safe counterpart")]

use std::io;
use std::ptr::NonNull;

use rustix::mm::{self, Advice, MapFlags, ProtFlags};
use zeroize::Zeroize as _;

/// Bytes in memory of their own. Reading is all that can be done with them.
pub struct Locked {
    start: NonNull<u8>,
    /// Of the mapping; a multiple of the page size.
    room: usize,
    len: usize,
    /// `false` when `RLIMIT_MEMLOCK` is used up: then the pages may be swapped out.
    locked: bool,
}

// SAFETY: the mapping belongs to this value alone, and nothing but `drop` writes to it after `new`.
unsafe impl Send for Locked {}
// SAFETY: as above: shared references only read.
unsafe impl Sync for Locked {}

impl Locked {
    /// A copy of `bytes`. The caller wipes its own.
    ///
    /// # Errors
    /// When no memory can be mapped.
    pub fn new(bytes: &[u8]) -> io::Result<Self> {
        let page = rustix::param::page_size();
        let room = bytes.len().max(1).checked_next_multiple_of(page).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: a null hint with neither FIXED nor a file: the kernel chooses fresh pages that nothing else uses.
        let mapped = unsafe {
            mm::mmap_anonymous(
                std::ptr::null_mut(),
                room,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }?;
        let start = NonNull::new(mapped.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: the mapping of `room` bytes was made a moment ago and stays until `drop`.
        let locked = unsafe { mm::mlock(mapped, room) }.is_ok();
        for advice in [Advice::LinuxDontDump, Advice::LinuxDontFork] {
            // SAFETY: as above; both advices leave the content as it is. Not to be heeded is no error: the process
            // has no dump and never forks without exec.
            let _ = unsafe { mm::madvise(mapped, room, advice) };
        }
        let mut new = Self { start, room, len: bytes.len(), locked };
        new.whole().get_mut(..bytes.len()).ok_or(io::ErrorKind::OutOfMemory)?.copy_from_slice(bytes);
        Ok(new)
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `len` bytes at `start` are mapped, initialised by the kernel (zero) or by `new`, and not written
        // to while this reference to `self` lives.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// Whether the kernel keeps them in RAM.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    fn whole(&mut self) -> &mut [u8] {
        // SAFETY: `room` bytes at `start` are mapped and initialised (zero at first), and `self` is borrowed
        // exclusively for as long as the slice lives.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.room) }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.whole().zeroize();
        // SAFETY: the mapping was made by `new` with this length and nothing refers to it any more. Unmapping
        // unlocks it. It cannot fail for a mapping that exists.
        let _ = unsafe { mm::munmap(self.start.as_ptr().cast(), self.room) };
    }
}

#[cfg(test)]
#[path = "locked_tests.rs"]
mod tests;
