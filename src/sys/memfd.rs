//! Sealed memory files: how something larger than a frame travels between broker and worker.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags};

/// A memory file with `bytes` that nobody can change, shrink or grow any more.
///
/// # Errors
/// When memory or descriptors are short.
pub fn sealed(bytes: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know NOEXEC_SEAL; later ones may insist on it.
    let fd = match rustix::fs::memfd_create("tunnelward", flags | MemfdFlags::NOEXEC_SEAL) {
        Err(rustix::io::Errno::INVAL) => rustix::fs::memfd_create("tunnelward", flags)?,
        other => other?,
    };
    let mut rest = bytes;
    while !rest.is_empty() {
        let n = super::fds::write(&fd, rest)?;
        rest = rest.get(n..).unwrap_or_default();
    }
    rustix::fs::fcntl_add_seals(&fd, required())?;
    Ok(fd)
}

/// The whole content of a memory file, after checking that it is sealed and exactly `size` bytes long.
///
/// # Errors
/// `InvalidData` when it is not; whatever reading gives.
pub fn read_sealed(fd: impl AsFd, size: u64) -> io::Result<Vec<u8>> {
    let invalid = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    // Anything but a memory file answers EINVAL here.
    if !rustix::fs::fcntl_get_seals(&fd)?.contains(required()) {
        return Err(invalid("the memory file is not sealed"));
    }
    if u64::try_from(rustix::fs::fstat(&fd)?.st_size) != Ok(size) {
        return Err(invalid("the memory file has another size than announced"));
    }
    // The size is that of a file that exists, so this allocates no more than somebody else already has.
    let mut content = vec![0; usize::try_from(size).map_err(|_| invalid("the memory file is too large"))?];
    let (mut done, mut offset) = (0, 0);
    while let Some(rest) = content.get_mut(done..).filter(|r| !r.is_empty()) {
        match rustix::io::retry_on_intr(|| rustix::io::pread(&fd, &mut *rest, offset))? {
            0 => return Err(invalid("the memory file ends early")),
            n => {
                done += n;
                offset += u64::try_from(n).unwrap_or(0);
            }
        }
    }
    Ok(content)
}

fn required() -> SealFlags {
    SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE
}

#[cfg(test)]
#[path = "memfd_tests.rs"]
mod tests;
