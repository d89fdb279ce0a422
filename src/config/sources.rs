//! The layers of the configuration, flag over environment over file, and how one value is taken from them.
//!
//! Broker only. A variable that is set but empty counts as unset, unlike a flag that is given an empty value: that
//! one hides what lies below it. What cannot be understood becomes a problem here, and the caller goes on with the
//! default, so that all problems are found in one run.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::Host;
use super::duration;
use super::keys::Key;
use super::own::OwnFiles;
use super::problem::{Place, Problem, show};
use super::raw::{self, File};
use super::reads::ReadFiles;
use super::tree::{Node, Value};
use super::types::Secret;

/// What the command line gave, by the dotted name of the flag. Repeated flags keep their order.
#[derive(Clone, Default)]
pub struct Flags(BTreeMap<&'static str, Vec<String>>);

impl std::fmt::Debug for Flags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Flags {
    /// Adds one occurrence of a flag; the name is that of the table, without dashes.
    pub fn add(&mut self, name: &'static str, value: String) {
        self.0.entry(name).or_default().push(value);
    }

    /// All values, in order; `None` when the flag was not given.
    #[must_use]
    pub fn all(&self, name: &str) -> Option<&[String]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// The value of a flag that has one: the last wins.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<&str> {
        self.all(name)?.last().map(String::as_str)
    }
}

/// The layer a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The command line.
    Flag,
    /// The environment.
    Env,
    /// The file.
    File,
}

/// One value and where it came from.
#[derive(Clone, Debug)]
pub struct Given {
    /// For messages.
    pub place: Place,
    /// As given; may be secret.
    pub text: Secret,
    /// Which layer won.
    pub layer: Layer,
}

impl Given {
    /// The value without white space around it.
    pub fn trimmed(&self) -> &str {
        self.text.expose().trim()
    }
}

/// All layers, and what has been found wrong or worth a word so far.
pub struct Sources<'a> {
    flags: &'a Flags,
    /// The environment and who we are.
    pub host: Host<'a>,
    /// The file, when one was named.
    pub file: Option<File>,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What the log should say.
    pub warnings: Vec<String>,
    /// What no MCP server may reach.
    pub own: OwnFiles,
    /// What was read, and is read again at a reload.
    pub read: ReadFiles,
}

impl<'a> Sources<'a> {
    /// Before any check.
    pub fn new(flags: &'a Flags, host: Host<'a>, file: Option<File>, problems: Vec<Problem>) -> Self {
        let own = OwnFiles::of(file.as_ref(), host);
        let mut read = ReadFiles::default();
        if let Some(file) = &file {
            read.add(&file.path);
        }
        Self { flags, host, file, problems, warnings: Vec::new(), own, read }
    }

    /// The flag's last value.
    pub fn flag(&self, key: &Key) -> Option<Given> {
        let text = self.flags.last(key.flag).filter(|_| !key.flag.is_empty())?;
        let place = Place::named(format!("--{}", key.flag));
        Some(Given { place, text: Secret::new(text.to_string()), layer: Layer::Flag })
    }

    /// The variable, when it is set, also to nothing.
    pub fn env_even_empty(&self, key: &Key) -> Option<Given> {
        let text = self.host.env.get(key.env).filter(|_| !key.env.is_empty())?;
        Some(Given { place: Place::named(key.env), text: Secret::new(text.clone()), layer: Layer::Env })
    }

    /// The variable, when it is set to something.
    pub fn env(&self, key: &Key) -> Option<Given> {
        self.env_even_empty(key).filter(|g| !g.trimmed().is_empty())
    }

    /// The node of the file, with its place.
    pub fn node(&self, key: &Key) -> Option<(Place, Node)> {
        let file = self.file.as_ref()?;
        let node = file.values.get(key.yaml)?;
        Some((file.place(key.yaml, node), node.clone()))
    }

    /// The single value of the file.
    pub fn in_file(&mut self, key: &Key) -> Option<Given> {
        let (place, node) = self.node(key)?;
        self.single(place, node)
    }

    /// A node that must be a single value.
    pub fn single(&mut self, place: Place, node: Node) -> Option<Given> {
        match node.value {
            Value::Text(text) => Some(Given { place, text, layer: Layer::File }),
            other => {
                self.problems.push(Problem::new(&place, "must be a single value").found(other.kind()));
                None
            }
        }
    }

    /// The value of the highest layer that has one.
    pub fn one(&mut self, key: &Key) -> Option<Given> {
        self.flag(key).or_else(|| self.env(key)).or_else(|| self.in_file(key))
    }

    /// Like [`Self::one`], with empty values left out.
    pub fn one_filled(&mut self, key: &Key) -> Option<Given> {
        self.one(key).filter(|g| !g.trimmed().is_empty())
    }

    /// Many values: every occurrence of the flag, the pieces of the variable (trimmed, blank ones included), or the
    /// list of the file.
    pub fn many(&mut self, key: &Key, separators: &[char]) -> Option<Vec<Given>> {
        if let Some(values) = self.flags.all(key.flag).filter(|_| !key.flag.is_empty()) {
            let place = Place::named(format!("--{}", key.flag));
            let given =
                |v: &String| Given { place: place.clone(), text: Secret::new(v.clone()), layer: Layer::Flag };
            return Some(values.iter().map(given).collect());
        }
        if let Some(all) = self.env(key) {
            let pieces = all.text.expose().split(separators).map(str::trim);
            let given =
                |p: &str| Given { place: all.place.clone(), text: Secret::new(p.into()), layer: Layer::Env };
            return Some(pieces.map(given).collect());
        }
        let (place, node) = self.node(key)?;
        let items = self.list(&place, node)?;
        Some(items.into_iter().filter_map(|(place, node)| self.single(place, node)).collect())
    }

    /// A node that must be a list, as its items with their places (`path[0]`).
    pub fn list(&mut self, place: &Place, node: Node) -> Option<Vec<(Place, Node)>> {
        match node.value {
            Value::List(items) => {
                let at = |(i, node): (usize, Node)| {
                    let line = if node.line > 0 { Some(node.line) } else { place.line };
                    (Place { path: format!("{}[{i}]", place.path), line, ..place.clone() }, node)
                };
                Some(items.into_iter().enumerate().map(at).collect())
            }
            other => {
                self.problems.push(Problem::new(place, "must be a list").found(other.kind()));
                None
            }
        }
    }

    /// A node that must be a map, as its entries with their places (`path.key`). Repeated keys are problems, and
    /// so are keys that are not in `legal`, when there is such a list.
    pub fn map(
        &mut self,
        place: &Place,
        node: Node,
        legal: Option<&[&str]>,
    ) -> Option<Vec<(String, Place, Node)>> {
        let entries = match node.value {
            Value::Map(entries) => entries,
            other => {
                self.problems.push(Problem::new(place, "must be a map").found(other.kind()));
                return None;
            }
        };
        let mut kept: Vec<(String, Place, Node)> = Vec::new();
        let mut names = BTreeSet::new();
        for (name, node) in entries {
            let line = if node.line > 0 { Some(node.line) } else { place.line };
            let at = Place { path: format!("{}.{name}", place.path), line, ..place.clone() };
            if names.contains(&name) {
                self.problems.push(Problem::new(&at, "duplicate key").hint("keep one of them"));
            } else if let Some(legal) = legal.filter(|l| !l.contains(&name.as_str())) {
                self.problems.push(raw::unknown(&at, &name, legal));
            } else {
                names.insert(name.clone());
                kept.push((name, at, node));
            }
        }
        Some(kept)
    }

    /// A truth value. The file may also say `yes`, `no`, `on` and `off`, as YAML 1.1 does.
    pub fn truth(&mut self, key: &Key, default: bool) -> bool {
        let Some(given) = self.one(key) else { return default };
        self.truth_of(&given).unwrap_or(default)
    }

    /// The truth value of a text.
    pub fn truth_of(&mut self, given: &Given) -> Option<bool> {
        let text = given.trimmed();
        let yaml = || match text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "y" => Some(true),
            "no" | "off" | "n" => Some(false),
            _ => None,
        };
        let truth = duration::truth(text).or_else(|| if given.layer == Layer::File { yaml() } else { None });
        if truth.is_none() {
            self.problems.push(Problem::new(&given.place, "must be true or false").found(show(text)));
        }
        truth
    }

    /// A decimal integer.
    pub fn integer(&mut self, key: &Key) -> Option<(Given, i64)> {
        let given = self.one(key)?;
        match given.trimmed().parse() {
            Ok(number) => Some((given, number)),
            Err(_) => {
                self.problems
                    .push(Problem::new(&given.place, "must be an integer").found(show(given.trimmed())));
                None
            }
        }
    }

    /// A decimal integer of our own settings, within a range.
    pub fn within(&mut self, key: &Key, range: RangeInclusive<i64>, default: usize) -> usize {
        let Some((given, number)) = self.integer(key) else { return default };
        match usize::try_from(number) {
            Ok(legal) if range.contains(&number) => legal,
            _ => {
                let why = format!("must be between {} and {}", range.start(), range.end());
                self.problems.push(Problem::new(&given.place, why).found(number.to_string()));
                default
            }
        }
    }

    /// A duration, not negative; `negative` is what to say when it is.
    pub fn duration(&mut self, key: &Key, negative: &str) -> Option<(Given, Duration)> {
        let given = self.one(key)?;
        let text = given.trimmed();
        if let Some(duration) = duration::parse(text) {
            return Some((given, duration));
        }
        let problem = if duration::is_negative(text) {
            Problem::new(&given.place, negative)
        } else {
            Problem::new(&given.place, "must be a duration such as 30s, 1m30s or 500ms")
        };
        self.problems.push(problem.found(show(text)));
        None
    }

    /// Adds a problem.
    pub fn refuse(&mut self, problem: Problem) {
        self.problems.push(problem);
    }
}
