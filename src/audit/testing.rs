//! A log in a directory of its own, for tests.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::chain::Key;
use super::directory;
use super::event::{Decided, Event, Finished};
use super::open::OpenError;
use super::settings::{Durability, Rotation, Settings};
use super::verify::{Report, verify};
use super::writer::{Found, Writer};

pub(super) fn key() -> Key {
    Key::new([7; 32])
}

pub(super) fn settings(directory: &Path) -> Settings {
    Settings {
        directory: directory.into(),
        rotation: Rotation { size: 1 << 30, age: Duration::from_secs(86_400), files: 3 },
        durability: Durability::Os,
        key: Some(key()),
        keeps_decisions: false,
    }
}

pub(super) fn decided(n: u64) -> Event {
    let call = Some(format!("c-{n}"));
    let request_id = format!("request-{n}");
    Event::CallDecided(Box::new(Decided { call, decision: "permit", request_id, ..Decided::default() }))
}

pub(super) fn finished(n: u64) -> Event {
    Event::CallFinished(Box::new(Finished {
        call: format!("c-{n}"),
        request_id: format!("request-{n}"),
        outcome: "answered",
        in_doubt: false,
        status: Some(200),
        result: None,
        result_bytes: Some(2),
        rule: None,
        ms: 1,
    }))
}

/// Opens it. Another test of this process may be starting a program, which holds a copy of every lock until it runs.
pub(super) fn open(settings: impl Fn() -> Settings) -> (Writer, Found) {
    try_open(settings).unwrap()
}

/// The same, and what is wrong.
pub(super) fn try_open(settings: impl Fn() -> Settings) -> Result<(Writer, Found), OpenError> {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        match Writer::open(settings()) {
            Err(OpenError::InUse) if Instant::now() < until => std::thread::sleep(Duration::from_millis(1)),
            result => return result,
        }
    }
}

/// Opens it, writes both records of as many calls, each in a commit of its own, and closes it.
pub(super) fn write(directory: &Path, calls: std::ops::Range<u64>) {
    let (mut writer, _) = open(|| settings(directory));
    for n in calls {
        for event in [decided(n), finished(n)] {
            writer.push(event);
            writer.commit(Instant::now()).unwrap();
            // An end may wait for what comes next, for so long.
            writer.commit(Instant::now() + Duration::from_secs(1)).unwrap();
        }
    }
}

pub(super) fn checked(directory: &Path) -> Report {
    verify(directory, Some(key()), &[]).unwrap()
}

pub(super) fn first_file(directory: &Path) -> PathBuf {
    directory::path(directory, 1)
}
