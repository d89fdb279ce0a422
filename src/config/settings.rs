//! What each setting of the file is: its kind, its default and a word about it, read from `settings.txt`.
//!
//! Pure. `keys` says which settings there are; this says what a person wants to know of them, and members of entries have
//! rows here too. Nothing is checked by it: the rules are those of `check`.

use super::packed;

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The dotted path; `[]` stands for every entry of a list.
    pub path: &'a str,
    /// `text`, `word a,b`, `whole 1 10` and the like; `schema` knows them all.
    pub kind: &'a str,
    /// The default; empty when there is none.
    pub default: &'a str,
    /// What it does.
    pub about: &'a str,
}

/// The table.
pub struct Settings(String);

impl Settings {
    /// All rows; those of one section follow each other.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.0.lines().filter_map(|line| {
            let mut cells = line.splitn(4, '|').map(str::trim);
            Some(Row {
                path: cells.next()?,
                kind: cells.next()?,
                default: cells.next()?,
                about: cells.next()?,
            })
        })
    }

    /// The row of a path.
    pub fn row(&self, path: &str) -> Option<Row<'_>> {
        self.rows().find(|row| row.path == path)
    }
}

/// Unpacks the table.
#[must_use]
pub fn settings() -> Settings {
    Settings(packed::unpack(include_bytes!(concat!(env!("OUT_DIR"), "/settings.deflate"))))
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
