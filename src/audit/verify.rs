//! Goes through a whole directory and says what is complete, what is authentic, and what is not and where. Commands only.
//!
//! With the first key every record is authenticated. Without it only the order is checked: hashes, numbers, and that
//! the state agrees with the end; whoever took the machine could have made all of that anew.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;

use super::chain::{Digest, Key, Members, NOTHING, Record, unhex};
use super::directory;
use super::lines::{Line, Lines};
use super::open::{OpenError, state_of};
use super::state::{Damaged, State};
use super::view;

/// Most records that may be missing in one place for the keys to be followed beyond it: each costs a computation, and
/// a forged number must not cost hours.
const MAX_GAP: u64 = 100_000_000;
/// Most problems that are told one by one.
const MAX_PROBLEMS: usize = 1000;

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// The files, in order.
    pub files: Vec<u64>,
    /// Lines that are records.
    pub records: u64,
    /// Records whose code was checked and is right.
    pub authentic: u64,
    /// The numbers of the first and last record.
    pub span: Option<(u64, u64)>,
    /// The times that they name.
    pub times: Option<(String, String)>,
    /// Calls that were permitted.
    pub permitted: u64,
    /// Calls of them that ended.
    pub finished: u64,
    /// Those without an end: the call, its request id, and the number of its decision.
    pub open: Vec<(String, String, u64)>,
    /// What is wrong.
    pub problems: Vec<String>,
    /// Problems beyond those that are told.
    pub more: u64,
    /// What is worth a word and not wrong.
    pub notes: Vec<String>,
}

struct Deletion {
    first: u64,
    last: u64,
    hash: Digest,
}

struct Walk<'a> {
    report: Report,
    /// The key of the record `key_at`; `None` without one, and once it cannot be followed any more.
    key: Option<Key>,
    key_at: u64,
    /// The number and hash of the last record so far.
    last: Option<(u64, Digest)>,
    first: Option<(u64, Digest)>,
    deletions: Vec<Deletion>,
    /// The decisions about calls without an end.
    calls: HashMap<String, Members>,
    checkpoints: &'a [(u64, Digest)],
    met: Vec<bool>,
    /// Where a record is that is not complete, and what there is of it.
    torn: Option<(String, usize)>,
}

/// Goes through a directory. `key` is the first key of the log; `checkpoints` are numbers and hashes that were kept
/// elsewhere.
///
/// # Errors
/// When a file cannot be read.
pub fn verify(directory: &Path, key: Option<Key>, checkpoints: &[(u64, Digest)]) -> io::Result<Report> {
    // Before the files: a log that is written to meanwhile is ahead of it, never behind.
    let state = state_of(directory);
    let met = vec![false; checkpoints.len()];
    let mut walk = Walk {
        report: Report { files: directory::files(directory)?, ..Report::default() },
        key,
        key_at: 0,
        last: None,
        first: None,
        deletions: Vec::new(),
        calls: HashMap::new(),
        checkpoints,
        met,
        torn: None,
    };
    for file in walk.report.files.clone() {
        walk.file(directory, file)?;
    }
    walk.beginning();
    walk.end(state);
    walk.elsewhere();
    for decided in view::in_order(std::mem::take(&mut walk.calls)) {
        let text = |name| decided.text(name).unwrap_or_default().to_string();
        let number = decided.number("seq").unwrap_or_default();
        walk.report.open.push((text("call"), text("request_id"), number));
    }
    Ok(walk.report)
}

impl Walk<'_> {
    fn problem(&mut self, text: String) {
        if self.report.problems.len() < MAX_PROBLEMS {
            self.report.problems.push(text);
        } else {
            self.report.more += 1;
        }
    }

    fn file(&mut self, directory: &Path, file: u64) -> io::Result<()> {
        let mut lines = Lines::new(File::open(directory::path(directory, file))?);
        let is_last = self.report.files.last() == Some(&file);
        let mut number = 0_u64;
        loop {
            number += 1;
            let place = format!("{}:{number}", directory::name(file));
            match lines.step()? {
                None => return Ok(()),
                Some(Line::Torn(bytes)) if is_last => self.torn = Some((place, bytes.len())),
                Some(Line::Torn(_)) => self.problem(format!("{place}: the line has no end")),
                Some(Line::Long) => self.problem(format!("{place}: the line is longer than a record can be")),
                Some(Line::Whole(line)) => match Record::read(line) {
                    Ok(record) => self.record(&place, &record),
                    Err(flaw) => self.problem(format!("{place}: the line {flaw}")),
                },
            }
        }
    }

    fn record(&mut self, place: &str, record: &Record<'_>) {
        let number = record.sequence;
        self.report.records += 1;
        let expected = self.last.map(|(last, _)| last.saturating_add(1));
        if let Some(expected) = expected {
            if number < expected {
                return self.problem(format!("{place}: record {number} appears again or out of its order"));
            }
            if number > expected {
                let last = number.saturating_sub(1);
                self.problem(format!("{place}: records {expected} to {last} are missing before this line"));
            } else if self.last.is_some_and(|(_, hash)| hash != record.previous) {
                self.problem(format!(
                    "{place}: record {number} does not follow the line before it; one of the two was changed"
                ));
            }
        } else {
            self.first = Some((number, record.previous));
        }
        self.authenticate(place, record);
        let hash = record.hash();
        self.last = Some((number, hash));
        for ((_, kept), met) in self.checkpoints.iter().zip(&mut self.met).filter(|((n, _), _)| *n == number)
        {
            *met = *kept == hash;
        }
        self.content(place, number, &record.members);
    }

    /// The key of this number, as far as it can be followed.
    fn key_of(&mut self, number: u64) -> Option<&Key> {
        if number.checked_sub(self.key_at)? > MAX_GAP && self.last.is_some() {
            return None;
        }
        let key = self.key.as_mut()?;
        while self.key_at < number {
            key.evolve();
            self.key_at += 1;
        }
        Some(key)
    }

    fn authenticate(&mut self, place: &str, record: &Record<'_>) {
        if self.key.is_none() {
            return;
        }
        let number = record.sequence;
        match self.key_of(number).map(|key| record.is_authentic(key)) {
            Some(true) => self.report.authentic += 1,
            Some(false) => self.problem(format!("{place}: record {number} is not authentic")),
            None => {
                self.problem(format!("{place}: record {number} is too far from the one before to be checked"))
            }
        }
    }

    fn content(&mut self, place: &str, number: u64, members: &Members) {
        let report = &mut self.report;
        report.span = Some((report.span.map_or(number, |s| s.0), number));
        let time = members.text("time").unwrap_or_default();
        match &mut report.times {
            Some((_, last)) => *last = time.into(),
            None => report.times = Some((time.into(), time.into())),
        }
        let call = members.text("call");
        match (members.text("event").unwrap_or_default(), call) {
            ("call_decided", Some(call)) => {
                report.permitted += 1;
                self.calls.insert(call.into(), members.clone());
            }
            ("call_finished", Some(call)) => {
                report.finished += 1;
                self.calls.remove(call);
            }
            ("deletion", _) => {
                let hash = members.text("hash").and_then(unhex);
                if let (Some(first), Some(last), Some(hash)) =
                    (members.number("first"), members.number("last"), hash)
                {
                    self.deletions.push(Deletion { first, last, hash });
                }
            }
            ("start", _) => {
                if let Some(missing) = members.number("missing") {
                    report
                        .notes
                        .push(format!("{place}: the agent found {missing} records lost when it started"));
                }
            }
            _ => {}
        }
    }

    /// Whether records that are not there any more were deleted as they should be.
    fn beginning(&mut self) {
        let Some((number, previous)) = self.first else { return };
        let before = number.saturating_sub(1);
        if number == 0 {
            if previous != NOTHING {
                self.problem("record 0 follows something; it is not the first of a log".into());
            }
            return;
        }
        match self.deletions.iter().find(|d| d.last == before).map(|d| d.hash == previous) {
            Some(true) => self
                .report
                .notes
                .push(format!("records 0 to {before} were deleted by retention, as recorded")),
            Some(false) => {
                self.problem(format!("record {number} does not follow the records that were deleted"))
            }
            None => self.problem(format!(
                "records 0 to {before} are missing, and no record says that they were deleted"
            )),
        }
        // They are in the order in which they were written, which is that of the files.
        let deleted: Vec<_> = self.deletions.iter().map(|d| (d.first, d.last)).collect();
        let gaps = deleted
            .iter()
            .zip(deleted.iter().skip(1))
            .filter(|((_, last), (first, _))| last.saturating_add(1) != *first);
        let gaps: Vec<_> =
            gaps.map(|((_, last), (first, _))| (last.saturating_add(1), first.saturating_sub(1))).collect();
        for (from, to) in gaps.into_iter().filter(|(from, to)| from <= to) {
            self.problem(format!("records {from} to {to} are missing between those that were deleted"));
        }
    }

    /// Whether the end is the end.
    fn end(&mut self, state: Result<State, OpenError>) {
        self.torn(state.as_ref().ok().map(|state| state.chain.sequence));
        let last = match self.last {
            Some((last, _)) => format!("the last one that is complete is record {last}"),
            None => "none is complete".into(),
        };
        let state = match state {
            Ok(state) => state,
            Err(OpenError::NoState) => {
                return self.problem(format!(
                    "the state is missing, so nobody can say where the records end; {last}"
                ));
            }
            Err(e @ OpenError::State(Damaged::Content)) => {
                return self.problem(format!("{e}, so nobody can say where the records end; {last}"));
            }
            Err(e) => return self.problem(e.to_string()),
        };
        let next = self.last.map_or(0, |(last, _)| last.saturating_add(1));
        let counted = state.chain.sequence;
        if counted > next {
            return self
                .problem(format!("records {next} to {} at the end are missing", counted.saturating_sub(1)));
        }
        if counted < next {
            self.report.notes.push(format!(
                "the state counts {counted} records and there are {next}: the agent is writing, or was killed between the two"
            ));
            return;
        }
        if self.last.map_or(NOTHING, |(_, hash)| hash) != state.chain.previous {
            let last = counted.saturating_sub(1);
            return self.problem(format!("record {last}, the last one, is not the one that the state names"));
        }
        if self.key.is_some() && self.key_of(counted).is_none_or(|key| *key != state.chain.key) {
            self.problem(
                "the key in the state is not the one that follows from the first: the state was replaced"
                    .into(),
            );
        }
    }

    /// What is said of a record that is not complete, when so many are counted.
    fn torn(&mut self, counted: Option<u64>) {
        let Some((place, bytes)) = self.torn.take() else { return };
        let next = self.last.map_or(0, |(last, _)| last.saturating_add(1));
        let standing = match counted {
            Some(counted) if counted > next => format!("record {next}, which is not complete"),
            Some(_) => "a record that is not complete; it was never counted as written".into(),
            None => "a record that is not complete".into(),
        };
        self.report.notes.push(format!("{place}: {bytes} bytes of {standing}"));
    }

    /// Whether the records agree with what was kept elsewhere.
    fn elsewhere(&mut self) {
        let first = self.first.map_or(0, |(number, _)| number);
        let wrong: Vec<u64> = self
            .checkpoints
            .iter()
            .zip(&self.met)
            .filter(|((number, _), met)| !**met && *number >= first)
            .map(|((number, _), _)| *number)
            .collect();
        for number in wrong {
            self.problem(format!("record {number} is not the one of the checkpoint, or is missing"));
        }
        let gone = self.checkpoints.iter().filter(|(number, _)| *number < first).count();
        if gone > 0 {
            self.report.notes.push(format!("{gone} checkpoints are of records that are not there any more"));
        }
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
