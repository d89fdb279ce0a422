//! Writes JSON objects member by member. Pure.
//!
//! Records and exports are made of a few dozen members each; this is a tenth of the code that a derived writer of all of
//! them comes to.

use std::fmt::Write as _;

/// The members of an object, without its braces.
#[derive(Clone, Debug, Default)]
pub struct Object(String);

impl Object {
    /// Without a member, in the room of another text.
    #[must_use]
    pub fn within(mut room: String) -> Self {
        room.clear();
        Self(room)
    }

    /// A member whose value is JSON already.
    pub fn raw(&mut self, name: &str, json: &str) -> &mut Self {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
        self.0.push_str(json);
        self
    }

    /// A text.
    pub fn text(&mut self, name: &str, text: &str) -> &mut Self {
        self.raw(name, "\"");
        if text.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\') {
            self.0.push_str(text);
        } else {
            text.chars().for_each(|c| self.escaped(c));
        }
        self.0.push('"');
        self
    }

    fn escaped(&mut self, c: char) {
        match c {
            '"' | '\\' => self.0.extend(['\\', c]),
            // Those too that JSON would let pass, up to U+009F: a terminal may obey them.
            c if c.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(self.0, "\\u{:04x}", u32::from(c));
            }
            c => self.0.push(c),
        }
    }

    /// A number.
    pub fn number(&mut self, name: &str, number: u64) -> &mut Self {
        self.raw(name, itoa::Buffer::new().format(number))
    }

    /// A text of ours, in which nothing needs to be escaped.
    pub fn plain(&mut self, name: &str, text: &str) -> &mut Self {
        self.raw(name, "\"");
        self.0.push_str(text);
        self.0.push('"');
        self
    }

    /// A text, if there is one.
    pub fn maybe(&mut self, name: &str, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// A digest that was made here, if there is one.
    pub fn digest(&mut self, name: &str, digits: Option<&str>) -> &mut Self {
        match digits {
            Some(digits) => self.plain(name, digits),
            None => self,
        }
    }

    /// A number, if there is one.
    pub fn count(&mut self, name: &str, number: Option<u64>) -> &mut Self {
        match number {
            Some(number) => self.number(name, number),
            None => self,
        }
    }

    /// An object, unless it is empty.
    pub fn object(&mut self, name: &str, object: &Self) -> &mut Self {
        if object.0.is_empty() { self } else { self.raw(name, &object.json()) }
    }

    /// The members.
    #[must_use]
    pub fn into_members(self) -> String {
        self.0
    }

    /// The whole object.
    #[must_use]
    pub fn json(&self) -> String {
        format!("{{{}}}", self.0)
    }
}
