//! The writer: events are queued, and all of them are committed at once. Broker only.
//!
//! A commit appends the records, then overwrites the state with the next key. It returns when the records are as
//! durable as was asked for; only then may a call that is among them be forwarded. A commit that fails leaves no trace:
//! what was written is cut off again.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{FlockOperation, flock};

use super::chain::{Digest, Head, hex};
use super::clock::{Clock, seconds};
use super::directory;
use super::event::{Event, members};
use super::open::{OpenError, read_state};
pub use super::recover::Found;
use super::recover::recover;
use super::settings::{Durability, Settings};
use super::state::State;
use crate::log::rfc3339;

/// With `durability: batch`, how long the disk may lag behind the kernel.
const BATCH: Duration = Duration::from_secs(1);
/// How long the ends of calls may wait for something else to be written. They have been answered, and nobody waits for the
/// record; a decision is never held up by them.
const ENDS: Duration = Duration::from_millis(20);
/// While records cannot be written, how often it is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Bytes that most records fit into.
const ROOM: usize = 768;
/// Events that are kept while they cannot be written.
const MAX_BACKLOG: usize = 4096;

#[derive(Debug)]
struct Outage {
    since: String,
    refused: u64,
    lost: u64,
    retry: Instant,
}

/// The open log.
#[derive(Debug)]
pub struct Writer {
    settings: Settings,
    /// Locked for as long as it is open.
    state_file: File,
    file: File,
    state: State,
    boot: String,
    clock: Clock,
    queue: Vec<Event>,
    /// When the disk should have what the kernel has.
    sync_at: Option<Instant>,
    /// When the ends of calls that are queued have waited long enough.
    ends_at: Option<Instant>,
    outage: Option<Outage>,
    trouble: Option<io::Error>,
}

impl Writer {
    /// Opens the log, and begins it when there is none and the settings have a key.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub fn open(mut settings: Settings) -> Result<(Self, Found), OpenError> {
        let at = directory::state(&settings.directory);
        let open = || OpenOptions::new().read(true).write(true).open(&at);
        let key = settings.key.take();
        let state_file = match open() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let files = directory::files(&settings.directory).map_err(OpenError::Io)?;
                if !files.is_empty() {
                    return Err(OpenError::NoState);
                }
                let key = key.ok_or(OpenError::NotBegun)?;
                directory::begin(&settings.directory, key, seconds(), None)
                    .and_then(|()| open())
                    .map_err(OpenError::Io)?
            }
            other => other.map_err(OpenError::Io)?,
        };
        flock(&state_file, FlockOperation::NonBlockingLockExclusive).map_err(|e| match e {
            rustix::io::Errno::WOULDBLOCK => OpenError::InUse,
            e => OpenError::Io(e.into()),
        })?;
        let mut state = read_state(&state_file)?;
        let (file, found) = recover(&settings.directory, &mut state, seconds()).map_err(OpenError::Files)?;
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let boot = boot.chars().filter(char::is_ascii_hexdigit).collect();
        let mut writer = Self {
            settings,
            state_file,
            file,
            state,
            boot,
            clock: Clock::new(),
            queue: Vec::new(),
            sync_at: None,
            ends_at: None,
            outage: None,
            trouble: None,
        };
        // What was taken over counts from here on, and the key that could make it again is gone.
        writer.sync().and_then(|()| writer.keep(&writer.state)).map_err(OpenError::Io)?;
        writer.sync().and_then(|()| directory::sync(&writer.settings.directory)).map_err(OpenError::Io)?;
        if writer.state.offset == 0 && writer.state.file > 1 {
            writer.queue.push(Event::Rotation { file: writer.state.file });
        }
        Ok((writer, found))
    }

    /// Queues an event for the next commit.
    pub fn push(&mut self, event: Event) {
        self.queue.push(event);
    }

    /// The keyed digest of something, under the key of the current file.
    #[must_use]
    pub fn digest(&self, what: &str, bytes: &[u8]) -> String {
        self.state.digests.digest(what, bytes)
    }

    /// Whether the last commit failed.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.outage.is_some()
    }

    /// The number of the next record.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.state.chain.sequence
    }

    /// Writes what is queued.
    ///
    /// # Errors
    /// When a record cannot be made as durable as was asked for; none of the group is written then. Events stay queued,
    /// up to a bound; decisions about calls only if the settings say so.
    pub fn commit(&mut self, now: Instant) -> io::Result<()> {
        // An outage is recorded when it is over, also when nothing else has happened.
        if self.queue.is_empty() && self.outage.as_ref().is_none_or(|o| o.retry > now) {
            return Ok(());
        }
        if self.may_wait(now) {
            return Ok(());
        }
        self.ends_at = None;
        let mut events = std::mem::take(&mut self.queue);
        let outage = self.outage.as_ref().map(|o| Event::Outage {
            since: o.since.clone(),
            refused: o.refused,
            lost: o.lost,
        });
        if let Some(outage) = outage {
            events.insert(0, outage);
        }
        if let Err(e) = self.write(&events, now) {
            if self.outage.is_some() {
                events.remove(0);
            }
            self.failed(events, now);
            return Err(e);
        }
        self.outage = None;
        if self.is_full() {
            self.trouble = self.rotate(now).err();
        }
        Ok(())
    }

    /// Whether there are only ends of calls to be written, and that may be done together with what comes next. With
    /// `durability: each` every record is as old as what it tells.
    fn may_wait(&mut self, now: Instant) -> bool {
        let only_ends = self.queue.iter().all(|event| matches!(event, Event::CallFinished(_)));
        let lax = self.settings.durability != Durability::Each && self.outage.is_none();
        lax && only_ends && *self.ends_at.get_or_insert(now + ENDS) > now
    }

    /// A record whose number and hash are to be kept elsewhere as well.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn checkpoint(&mut self, now: Instant) -> io::Result<(u64, Digest)> {
        self.commit(now)?;
        self.write(&[Event::Checkpoint {}], now)?;
        Ok((self.state.chain.sequence.saturating_sub(1), self.state.chain.previous))
    }

    /// Does what is due: the disk, the next file, another attempt.
    ///
    /// # Errors
    /// As [`Writer::commit`].
    pub fn tick(&mut self, now: Instant) -> io::Result<()> {
        if self.sync_at.is_some_and(|at| at <= now) {
            self.sync_at = None;
            self.sync()?;
        }
        if self.outage.as_ref().is_some_and(|o| o.retry <= now) {
            return self.commit(now);
        }
        if self.outage.is_none() && self.state.offset > 0 && self.is_old() {
            self.trouble = self.rotate(now).err();
        }
        Ok(())
    }

    /// When [`Writer::tick`] has something to do.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let begun = Duration::from_secs(seconds().saturating_sub(self.state.begun));
        let old = (self.outage.is_none() && self.state.offset > 0)
            .then(|| now + self.settings.rotation.age.saturating_sub(begun).max(RETRY));
        let retry = self.outage.as_ref().map(|o| o.retry);
        [self.sync_at, self.ends_at, old, retry].into_iter().flatten().min()
    }

    /// What went wrong beside the records: with the next file, or with the deletion of one.
    pub fn trouble(&mut self) -> Option<io::Error> {
        self.trouble.take()
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()?;
        self.state_file.sync_data()
    }

    fn write(&mut self, events: &[Event], now: Instant) -> io::Result<()> {
        let (mut next, mut bytes) = (self.state.clone(), Vec::with_capacity(ROOM * events.len()));
        let (time, mono_us) = (rfc3339(SystemTime::now()), self.clock.mono_us(now));
        let mut room = String::with_capacity(ROOM);
        for event in events {
            let head = Head { time: &time, mono_us, boot: &self.boot };
            room = members(event, room);
            next.chain.seal(head, &room, &mut bytes);
        }
        next.offset += u64::try_from(bytes.len()).map_err(io::Error::other)?;
        if let Err(e) = self.put(&bytes, &next) {
            // What is left behind would be taken over as written by the next start.
            let cut = self.file.set_len(self.state.offset).and_then(|()| self.keep(&self.state));
            return Err(cut.err().unwrap_or(e));
        }
        self.state = next;
        if self.settings.durability == Durability::Batch {
            self.sync_at = self.sync_at.or(Some(now + BATCH));
        }
        Ok(())
    }

    fn put(&self, bytes: &[u8], next: &State) -> io::Result<()> {
        let each = self.settings.durability == Durability::Each;
        self.file.write_all_at(bytes, self.state.offset)?;
        if each {
            self.file.sync_data()?;
        }
        self.keep(next)?;
        if each { self.state_file.sync_data() } else { Ok(()) }
    }

    /// Overwrites the state.
    fn keep(&self, state: &State) -> io::Result<()> {
        self.state_file.write_all_at(&state.render(), 0)
    }

    fn failed(&mut self, mut events: Vec<Event>, now: Instant) {
        let permits = |e: &Event| matches!(e, Event::CallDecided(d) if d.call.is_some());
        let refused =
            if self.settings.keeps_decisions { 0 } else { events.iter().filter(|e| permits(e)).count() };
        if refused > 0 {
            events.retain(|e| !permits(e));
        }
        let lost = events.len().saturating_sub(MAX_BACKLOG);
        // The oldest stay: they say how it began.
        events.truncate(MAX_BACKLOG);
        self.queue = events;
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let since = || rfc3339(SystemTime::now());
        let outage =
            self.outage.get_or_insert_with(|| Outage { since: since(), refused: 0, lost: 0, retry: now });
        outage.refused = outage.refused.saturating_add(count(refused));
        outage.lost = outage.lost.saturating_add(count(lost));
        outage.retry = now + RETRY;
    }

    fn is_full(&self) -> bool {
        self.state.offset >= self.settings.rotation.size || self.is_old()
    }

    fn is_old(&self) -> bool {
        seconds().saturating_sub(self.state.begun) >= self.settings.rotation.age.as_secs()
    }

    /// Begins the next file, and deletes what is too many.
    fn rotate(&mut self, now: Instant) -> io::Result<()> {
        self.sync()?;
        let number = self.state.file.saturating_add(1);
        let path = directory::path(&self.settings.directory, number);
        let new =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        if new.metadata()?.len() > 0 {
            return Err(io::Error::other(format!("{} is already there", path.display())));
        }
        directory::sync(&self.settings.directory)?;
        let before = (std::mem::replace(&mut self.file, new), self.state.clone());
        self.state.next_file(seconds());
        if let Err(e) = self.write(&[Event::Rotation { file: number }], now) {
            (self.file, self.state) = before;
            // The state that was before is still valid: nothing was appended.
            return self.keep(&self.state).and_then(|()| std::fs::remove_file(&path)).and(Err(e));
        }
        self.retain(now)
    }

    fn retain(&mut self, now: Instant) -> io::Result<()> {
        let files = directory::files(&self.settings.directory)?;
        let many = files.len().saturating_sub(self.settings.rotation.files);
        let current = self.state.file;
        for file in files.into_iter().take(many).filter(|n| *n < current) {
            let span = directory::span(&self.settings.directory, file)?.ok_or_else(|| {
                io::Error::other(format!("{} holds no record; it is kept", directory::name(file)))
            })?;
            let directory::Span { first, last, hash, bytes } = span;
            self.write(&[Event::Deletion { file, first, last, hash: hex(&hash), bytes }], now)?;
            self.sync()?;
            std::fs::remove_file(directory::path(&self.settings.directory, file))?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
