//! Reads one JSON text into a tree that keeps the bytes of every value. Pure.
//!
//! The one reader of this room: of calls, of lists, of tool definitions and of the policy itself. It accepts what RFC
//! 8259 accepts and refuses besides what two readers could understand differently: a key given twice in one object.
//! Numbers stay text. Must never recurse deeper than [`MAX_DEPTH`], nor build more values than its caller allows.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

/// The deepest nesting of arrays and objects, as everywhere in the agent.
pub const MAX_DEPTH: usize = 128;
/// Up to so many keys of one object are compared pair by pair, which is faster than a table of them.
const FEW_KEYS: usize = 12;

/// A value and its text, without the space around it.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// As it stands in the text.
    pub raw: &'a str,
    /// What it is.
    pub value: Value<'a>,
}

/// A member of an object.
pub type Member<'a> = (Cow<'a, str>, Node<'a>);

/// The kinds of values.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number; its text is [`Node::raw`].
    Number,
    /// A string, unescaped.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Node<'a>>),
    /// An object, in the order of the text; no key occurs twice.
    Map(Vec<Member<'a>>),
}

impl<'a> Node<'a> {
    /// The member of an object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Node<'a>> {
        self.members().iter().find(|(key, _)| key == name).map(|(_, node)| node)
    }

    /// The members of an object; of anything else, none.
    #[must_use]
    pub fn members(&self) -> &[Member<'a>] {
        match &self.value {
            Value::Map(members) => members,
            _ => &[],
        }
    }

    /// The text of a string.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is an object in which a key is named like one of `names` but for letter case. Some readers take it
    /// for the name itself.
    #[must_use]
    pub fn has_look_alike(&self, names: &[&str]) -> bool {
        let alike = |key: &str| names.iter().any(|name| key != *name && folds_to(key, name));
        self.members().iter().any(|(key, _)| alike(key))
    }

    /// For messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a truth value",
            Value::Number => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Whether `key` is `name` under simple Unicode case folding: besides the ASCII letters, U+017F folds to s and U+212A
/// to k.
#[must_use]
pub fn folds_to(key: &str, name: &str) -> bool {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    key.len() <= name.len().saturating_mul(3) && key.chars().map(fold).eq(name.chars().map(fold))
}

/// Where `part`, a value of the text `whole`, stands in it.
#[must_use]
pub fn span(whole: &str, part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some(start..end)
}

/// Why a text cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Not JSON, or not UTF-8.
    NotJson,
    /// An object has a key twice.
    Duplicate,
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// More values than the caller allows.
    TooMany,
}

/// Reads `bytes`, which must be one JSON value with nothing but space around it, of at most `most` values.
///
/// # Errors
/// See [`Unreadable`].
pub fn read(bytes: &[u8], most: usize) -> Result<Node<'_>, Unreadable> {
    let text = std::str::from_utf8(bytes).map_err(|_| Unreadable::NotJson)?;
    let mut reader = Reader { text, at: 0, left: most };
    let node = reader.value(0)?;
    reader.space();
    if reader.peek().is_some() { Err(Unreadable::NotJson) } else { Ok(node) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    left: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn since(&self, start: usize) -> Result<&'a str, Unreadable> {
        self.text.get(start..self.at).ok_or(Unreadable::NotJson)
    }

    fn value(&mut self, depth: usize) -> Result<Node<'a>, Unreadable> {
        self.space();
        self.left = self.left.checked_sub(1).ok_or(Unreadable::TooMany)?;
        let start = self.at;
        let value = match self.peek().ok_or(Unreadable::NotJson)? {
            b'{' | b'[' if depth >= MAX_DEPTH => return Err(Unreadable::TooDeep),
            b'{' => Value::Map(self.map(depth + 1)?),
            b'[' => Value::List(self.list(depth + 1)?),
            b'"' => Value::Text(self.string()?),
            b't' => self.word("true", Value::Bool(true))?,
            b'f' => self.word("false", Value::Bool(false))?,
            b'n' => self.word("null", Value::Null)?,
            _ => self.number()?,
        };
        Ok(Node { raw: self.since(start)?, value })
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, Unreadable> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(Unreadable::NotJson);
        }
        self.at += word.len();
        Ok(value)
    }

    fn digits(&mut self) -> Result<(), Unreadable> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(Unreadable::NotJson) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Value<'a>, Unreadable> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Value::Number)
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Unreadable> {
        let start = self.at;
        let mut escaped = false;
        self.at += 1;
        loop {
            // Most of a call is text, so this is where its time goes.
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            let ends = rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..=0x1f));
            self.at += ends.ok_or(Unreadable::NotJson)?;
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                }
                _ => return Err(Unreadable::NotJson),
            }
        }
        self.at += 1;
        let raw = self.since(start)?;
        if escaped {
            // Lone surrogates are errors there.
            return serde_json::from_str::<String>(raw).map(Cow::Owned).map_err(|_| Unreadable::NotJson);
        }
        let inner = raw.strip_prefix('"').and_then(|r| r.strip_suffix('"'));
        inner.map(Cow::Borrowed).ok_or(Unreadable::NotJson)
    }

    /// After an element: whether another follows. `close` ends the sequence.
    fn another(&mut self, close: u8) -> Result<bool, Unreadable> {
        self.space();
        let found = self.peek();
        self.at += 1;
        match found {
            Some(b',') => Ok(true),
            Some(byte) if byte == close => Ok(false),
            _ => Err(Unreadable::NotJson),
        }
    }

    /// Steps over the opening bracket; whether nothing follows it.
    fn is_empty(&mut self, close: u8) -> bool {
        self.at += 1;
        self.space();
        let empty = self.peek() == Some(close);
        if empty {
            self.at += 1;
        }
        empty
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node<'a>>, Unreadable> {
        let mut items = Vec::new();
        if self.is_empty(b']') {
            return Ok(items);
        }
        loop {
            items.push(self.value(depth)?);
            if !self.another(b']')? {
                return Ok(items);
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Member<'a>>, Unreadable> {
        let mut members = Vec::new();
        if self.is_empty(b'}') {
            return Ok(members);
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(Unreadable::NotJson);
            }
            let key = self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return Err(Unreadable::NotJson);
            }
            self.at += 1;
            members.push((key, self.value(depth)?));
            if !self.another(b'}')? {
                break;
            }
        }
        if has_duplicate(&members) { Err(Unreadable::Duplicate) } else { Ok(members) }
    }
}

fn has_duplicate(members: &[Member<'_>]) -> bool {
    if members.len() <= FEW_KEYS {
        let earlier = |n: usize, key: &str| members.iter().take(n).any(|(other, _)| other == key);
        return members.iter().enumerate().any(|(n, (key, _))| earlier(n, key));
    }
    let mut seen = HashSet::new();
    members.iter().any(|(key, _)| !seen.insert(key.to_string()))
}
