//! Watches the files that name resolution reads. Broker only; reads none of them.
//!
//! The worker's rule for such a file holds for the inode that was there when it started, and a sandbox is never
//! widened: when a file was replaced, so is the worker.

use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use crate::confine::RESOLVER_FILES;

/// How often it looks: a network that changes takes longer than this to settle.
const EVERY: Duration = Duration::from_secs(5);

/// Which file is there: its device and inode. A change in place needs nothing, the worker reads it anew.
type Stamp = Option<(u64, u64)>;

/// What was there at the last look.
#[derive(Debug)]
pub struct Resolver {
    seen: Vec<Stamp>,
    next: Instant,
}

impl Resolver {
    /// As the files are now.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { seen: look(), next: now + EVERY }
    }

    /// When to look again.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.next
    }

    /// Whether a file was replaced since the last look. Looks only when that is due.
    pub fn replaced(&mut self, now: Instant) -> bool {
        if now < self.next {
            return false;
        }
        self.next = now + EVERY;
        let found = look();
        std::mem::replace(&mut self.seen, found.clone()) != found
    }
}

fn look() -> Vec<Stamp> {
    let stamp = |path: &&str| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    RESOLVER_FILES.iter().map(stamp).collect()
}
