//! Reads records for people: one after the other. Commands only.
//!
//! Nothing is verified here; a line that is not a record is passed over.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;

use super::chain::{Members, Record};
use super::directory;
use super::lines::{Line, Lines};

/// Hands the members of every record of a directory to `each`, with its line.
///
/// # Errors
/// When a file cannot be read.
pub fn each(directory: &Path, each: &mut dyn FnMut(&Members, &str)) -> io::Result<()> {
    for file in directory::files(directory)? {
        let mut lines = Lines::new(File::open(directory::path(directory, file))?);
        while let Some(line) = lines.step()? {
            let Line::Whole(line) = line else { continue };
            if let (Ok(record), Ok(text)) = (Record::read(line), std::str::from_utf8(line)) {
                each(&record.members, text);
            }
        }
    }
    Ok(())
}

/// The decisions about calls that have no end, by their names, in the order in which they were made.
#[must_use]
pub fn in_order(open: HashMap<String, Members>) -> Vec<Members> {
    let mut decisions: Vec<Members> = open.into_values().collect();
    decisions.sort_unstable_by_key(|decided| decided.number("seq"));
    decisions
}
