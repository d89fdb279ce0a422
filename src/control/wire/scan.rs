//! Finds the elements of the `commands` array in a poll body, without understanding them. Pure.
//!
//! Runs over the bytes once, without recursion, and treats an end of input at any place as "cut here": the elements
//! that are complete by then are returned. Whether an element is valid JSON is for its parser to say; here only
//! strings and brackets are told apart.

use std::ops::Range;

/// The most elements that are taken from one body; a poll asks for at most 25 commands.
pub const MAX_ELEMENTS: usize = 1024;
/// The deepest nesting that a payload may have. An element is one level around its payload.
pub const MAX_DEPTH: u32 = 128;

/// An element of the array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Where it is in the body, without surrounding white space.
    pub range: Range<usize>,
    /// It is nested deeper than [`MAX_DEPTH`] allows.
    pub deep: bool,
}

/// What a body contains.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Complete elements, in order.
    pub elements: Vec<Element>,
    /// Why the rest of the body, if there is any, could not be used.
    pub broken: Option<&'static str>,
}

/// Splits the elements of the top-level member `commands` (its name in any ASCII case).
#[must_use]
pub fn scan(body: &[u8]) -> Scan {
    let mut elements = Vec::new();
    let broken = Cursor { bytes: body, at: 0 }.document(&mut elements).err();
    Scan { elements, broken }
}

const ENDED: &str = "body ended early";
const NOT_JSON: &str = "body is not JSON";

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn document(&mut self, elements: &mut Vec<Element>) -> Result<(), &'static str> {
        match self.token() {
            Some(b'{') => self.at += 1,
            Some(_) => return Err("body is not an object"),
            None => return Err(ENDED),
        }
        let mut found = false;
        if self.token() == Some(b'}') {
            self.at += 1;
        } else {
            while self.member(&mut found, elements)? {}
        }
        if self.token().is_some() { Err("text follows the body's object") } else { Ok(()) }
    }

    /// Reads a member and the comma or brace behind it; `false` after the brace.
    fn member(&mut self, found: &mut bool, elements: &mut Vec<Element>) -> Result<bool, &'static str> {
        if self.token().ok_or(ENDED)? != b'"' {
            return Err(NOT_JSON);
        }
        let start = self.at;
        self.string()?;
        let is_commands = self.is_commands(start);
        if self.token().ok_or(ENDED)? != b':' {
            return Err(NOT_JSON);
        }
        self.at += 1;
        if is_commands {
            if std::mem::replace(found, true) {
                return Err("commands occurs twice");
            }
            self.commands(elements)?;
        } else {
            self.value()?;
        }
        let after = self.token().ok_or(ENDED)?;
        self.at += 1;
        match after {
            b',' => Ok(true),
            b'}' => Ok(false),
            _ => Err(NOT_JSON),
        }
    }

    fn is_commands(&self, start: usize) -> bool {
        let raw = self.bytes.get(start..self.at).unwrap_or_default();
        // A longer literal cannot be this name, even with every letter escaped.
        raw.len() <= 64
            && serde_json::from_slice::<String>(raw).is_ok_and(|key| key.eq_ignore_ascii_case("commands"))
    }

    fn commands(&mut self, elements: &mut Vec<Element>) -> Result<(), &'static str> {
        if self.token().ok_or(ENDED)? != b'[' {
            let start = self.at;
            self.value()?;
            let is_null = self.bytes.get(start..self.at) == Some(b"null".as_slice());
            return if is_null { Ok(()) } else { Err("commands is not an array") };
        }
        self.at += 1;
        if self.token() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let next = self.token().ok_or(ENDED)?;
            if elements.len() == MAX_ELEMENTS {
                return Err("more than 1024 commands; the rest was not read");
            }
            let start = self.at;
            // A missing element is one that is broken, not the end of the others.
            let deep = if matches!(next, b',' | b']') { false } else { self.value()? };
            elements.push(Element { range: start..self.at, deep });
            let after = self.token().ok_or(ENDED)?;
            self.at += 1;
            match after {
                b',' => {}
                b']' => return Ok(()),
                _ => return Err(NOT_JSON),
            }
        }
    }

    /// Moves behind one value; says whether it is nested too deeply.
    fn value(&mut self) -> Result<bool, &'static str> {
        match self.token().ok_or(ENDED)? {
            b'{' | b'[' => self.nested(),
            b'"' => self.string().map(|()| false),
            b',' | b':' | b'}' | b']' => Err(NOT_JSON),
            _ => {
                let delimits =
                    |b: &u8| matches!(b, b',' | b':' | b'"' | b'{' | b'}' | b'[' | b']') || white(*b);
                // Without a delimiter behind it, nobody knows whether a number has ended.
                self.at += self.rest().iter().position(delimits).ok_or(ENDED)?;
                Ok(false)
            }
        }
    }

    /// Moves behind an object or array. A closing bracket of the wrong kind closes what is open inside the nearest
    /// opening bracket of its own kind, so that an element whose brackets do not match still ends where it ends.
    fn nested(&mut self) -> Result<bool, &'static str> {
        let mut open = Nesting::default();
        loop {
            let interesting = |b: &u8| matches!(b, b'"' | b'{' | b'}' | b'[' | b']');
            self.at += self.rest().iter().position(interesting).ok_or(ENDED)?;
            match self.bytes.get(self.at).copied().ok_or(ENDED)? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' => open.push(false),
                b'[' => open.push(true),
                closing => {
                    if !open.close(closing == b']') {
                        // It belongs to the array around the element.
                        return Ok(open.deep);
                    }
                }
            }
            self.at += 1;
            if open.depth == 0 {
                return Ok(open.deep);
            }
        }
    }

    /// Moves behind the string literal that begins here.
    fn string(&mut self) -> Result<(), &'static str> {
        self.at += 1;
        loop {
            self.at += self.rest().iter().position(|b| matches!(b, b'"' | b'\\')).ok_or(ENDED)?;
            if self.bytes.get(self.at) == Some(&b'"') {
                self.at += 1;
                return Ok(());
            }
            self.at += 2;
        }
    }

    /// Skips white space and looks at the byte behind it.
    fn token(&mut self) -> Option<u8> {
        self.at += self.rest().iter().position(|b| !white(*b))?;
        self.bytes.get(self.at).copied()
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }
}

const fn white(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r')
}

/// The open brackets of one element. Their kinds are known for the outer 128 levels inside it; deeper ones are only
/// counted, which is enough for an element that is refused anyway.
#[derive(Default)]
struct Nesting {
    depth: u32,
    /// One bit a level, the innermost lowest: 1 is an array. The outermost of 129 levels is not among them.
    arrays: u128,
    outermost_is_array: bool,
    deep: bool,
}

impl Nesting {
    fn push(&mut self, array: bool) {
        self.depth = self.depth.saturating_add(1);
        if self.depth == 1 {
            self.outermost_is_array = array;
        } else if self.depth > MAX_DEPTH + 1 {
            self.deep = true;
        } else {
            self.arrays = self.arrays << 1 | u128::from(array);
        }
    }

    /// `false` when nothing of this kind is open; then everything is left as it is.
    fn close(&mut self, array: bool) -> bool {
        if self.depth > MAX_DEPTH + 1 {
            self.depth -= 1;
            return true;
        }
        let (mut depth, mut arrays) = (self.depth, self.arrays);
        while depth > 0 {
            let innermost = if depth == 1 { self.outermost_is_array } else { arrays & 1 == 1 };
            depth -= 1;
            arrays >>= 1;
            if innermost == array {
                (self.depth, self.arrays) = (depth, arrays);
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
