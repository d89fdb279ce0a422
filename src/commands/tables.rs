//! The commands and their options, as each tells them in its own help: what completions and the manual page are made of, so
//! that no command and no flag can be missing there. Pure.

use super::cli;
use super::flags;
use crate::config::keys::{ALL, Shape};

/// A name and what is said of it.
pub struct Entry {
    /// `--json`, `check`, `directory`.
    pub name: String,
    /// In one line.
    pub about: String,
}

/// One command.
pub struct Command {
    /// Without the name of the program.
    pub usage: String,
    /// What it does.
    pub about: String,
    /// Its own options.
    pub options: Vec<Entry>,
    /// The commands below it.
    pub commands: Vec<Entry>,
    /// Whether it takes the flags of `run` too.
    pub with_flags: bool,
}

impl Command {
    /// The command of these words; none are the program itself.
    pub fn of(words: &[&str]) -> Option<Self> {
        let help = cli::help_of(words)?;
        let (head, rest) = help.split_once('\n').unwrap_or((&help, ""));
        let usage = head.trim_start_matches("Usage: tunnelward").trim().to_string();
        let mut command = Self {
            about: rest.split_once(":\n").map_or(rest, |(about, _)| about).trim().to_string(),
            with_flags: usage.ends_with("[flags]"),
            usage,
            options: Vec::new(),
            commands: Vec::new(),
        };
        // The last line of this part is the title of the first list.
        command.about = command.about.rsplit_once("\n\n").map_or("", |(about, _)| about).replace('\n', " ");
        command.options = entries(rest, "Options:");
        command.options.retain(|option| option.name.starts_with("--") && option.name != "--help, help");
        command.commands = entries(rest, "Commands:");
        Some(command)
    }

    /// Whether an option is followed by its value.
    pub fn takes_value(&self, option: &str) -> bool {
        match self.usage.split_once(&format!("{option} <")) {
            Some(_) => true,
            None => flag(option).is_some_and(|shape| shape != Shape::Switch),
        }
    }
}

/// The shape of a flag of `run`, in either spelling.
fn flag(option: &str) -> Option<Shape> {
    crate::config::argv::find(option).map(|key| key.shape)
}

/// The flags of `run` by their dotted names, with help and variable.
pub fn flags() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    flags::HELP.iter().filter_map(|(flag, help)| {
        let key = ALL.iter().find(|key| key.flag == *flag)?;
        Some((*flag, help.trim(), key.env))
    })
}

/// The entries of a list: a name that is indented by two, and its text in a column further right.
fn entries(help: &str, title: &str) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    for line in help.lines().skip_while(|line| *line != title).skip(1).take_while(|line| !line.is_empty()) {
        let text = line.trim_start();
        let indented = line.len().saturating_sub(text.len());
        if indented > 2 {
            if let Some(last) = found.last_mut() {
                last.about = format!("{} {text}", last.about).trim().to_string();
            }
            continue;
        }
        let (name, about) = text.split_once("  ").unwrap_or((text, ""));
        found.push(Entry { name: name.trim().to_string(), about: about.trim().to_string() });
    }
    found
}

#[cfg(test)]
#[path = "tables_tests.rs"]
mod tests;
