//! From the text of a pattern to its structure. Pure. Refuses what it does not know, never guesses.

use std::iter::Peekable;
use std::str::Chars;

use super::Range;

/// Most groups within groups.
const MAX_GROUPS: usize = 32;
/// Most repetitions that a pattern may demand by number.
const MAX_REPEAT: u32 = 1000;
/// What `.` does not match.
const LINE_ENDS: [Range; 3] = [('\n', '\n'), ('\r', '\r'), ('\u{2028}', '\u{2029}')];
const DIGITS: [Range; 1] = [('0', '9')];
const WORD: [Range; 4] = [('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
const SPACE: [Range; 10] = [
    ('\t', '\r'),
    (' ', ' '),
    ('\u{a0}', '\u{a0}'),
    ('\u{1680}', '\u{1680}'),
    ('\u{2000}', '\u{200a}'),
    ('\u{2028}', '\u{2029}'),
    ('\u{202f}', '\u{202f}'),
    ('\u{205f}', '\u{205f}'),
    ('\u{3000}', '\u{3000}'),
    ('\u{feff}', '\u{feff}'),
];

/// A part of a pattern.
#[derive(Debug)]
pub(super) enum Re {
    /// One character in the ranges, or outside of them.
    Set(Vec<Range>, bool),
    /// One after the other.
    Sequence(Vec<Re>),
    /// One of them.
    Either(Vec<Re>),
    /// At least so often, and at most.
    Repeat(Box<Re>, u32, Option<u32>),
}

type Parsed<T> = Result<T, &'static str>;

/// Takes a pattern apart.
pub(super) fn parse(text: &str) -> Parsed<Re> {
    const ANCHORS: &str =
        "a pattern must begin with ^ and end with $, since without them anything may stand around it";
    let inner = text.strip_prefix('^').and_then(|t| t.strip_suffix('$')).ok_or(ANCHORS)?;
    let backslashes = inner.chars().rev().take_while(|c| *c == '\\').count();
    if backslashes % 2 == 1 {
        return Err(ANCHORS);
    }
    let mut parser = Parser { rest: inner.chars().peekable(), groups: 0 };
    let re = parser.sequence()?;
    match parser.rest.next() {
        None => Ok(re),
        Some('|') => Err("^ and $ belong to one branch each here; write ^(?:a|b)$"),
        Some(_) => Err("a ) without its ("),
    }
}

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    groups: usize,
}

impl Parser<'_> {
    fn takes(&mut self, c: char) -> bool {
        self.rest.next_if_eq(&c).is_some()
    }

    fn sequence(&mut self) -> Parsed<Re> {
        let mut parts = Vec::new();
        while let Some(c) = self.rest.next_if(|c| !matches!(c, '|' | ')')) {
            let atom = self.atom(c)?;
            parts.push(self.repeated(atom)?);
        }
        Ok(Re::Sequence(parts))
    }

    fn atom(&mut self, c: char) -> Parsed<Re> {
        Ok(match c {
            '.' => Re::Set(LINE_ENDS.to_vec(), false),
            '[' => self.class()?,
            '(' => self.group()?,
            '\\' => {
                let (ranges, wanted) = self.escape()?;
                Re::Set(ranges, wanted)
            }
            '^' | '$' => return Err("^ and $ can stand at the two ends only"),
            '*' | '+' | '?' => return Err("nothing stands before *, + or ?"),
            '{' | '}' | ']' => return Err("a {, } or ] that is meant itself needs a backslash"),
            c => Re::Set(vec![(c, c)], true),
        })
    }

    fn group(&mut self) -> Parsed<Re> {
        if self.takes('?') && !self.takes(':') {
            return Err("of the groups that begin with (? only (?: can be enforced");
        }
        self.groups += 1;
        if self.groups > MAX_GROUPS {
            return Err("too many groups within groups");
        }
        let mut branches = vec![self.sequence()?];
        while self.takes('|') {
            branches.push(self.sequence()?);
        }
        self.groups -= 1;
        if self.takes(')') { Ok(Re::Either(branches)) } else { Err("a ( without its )") }
    }

    fn repeated(&mut self, atom: Re) -> Parsed<Re> {
        let (least, most) = match self.rest.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => {
                self.rest.next();
                let least = self.count()?.ok_or("a number is missing after {")?;
                let most = if self.takes(',') { self.count()? } else { Some(least) };
                if self.rest.peek() != Some(&'}') || most.is_some_and(|most| most < least) {
                    return Err("a repetition is {n}, {n,} or {n,m}");
                }
                (least, most)
            }
            _ => return Ok(atom),
        };
        self.rest.next();
        // Which match is found first makes no difference to whether there is one.
        let _ = self.takes('?');
        if matches!(self.rest.peek(), Some('*' | '+' | '?' | '{')) {
            return Err("a repetition of a repetition needs a group");
        }
        Ok(Re::Repeat(Box::new(atom), least, most))
    }

    fn count(&mut self) -> Parsed<Option<u32>> {
        let mut count = None;
        while let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(10)) {
            self.rest.next();
            let next = count.unwrap_or(0_u32).saturating_mul(10).saturating_add(digit);
            if next > MAX_REPEAT {
                return Err("repetitions are limited to 1000");
            }
            count = Some(next);
        }
        Ok(count)
    }

    /// After a backslash.
    fn escape(&mut self) -> Parsed<(Vec<Range>, bool)> {
        let one = |c: char| Ok((vec![(c, c)], true));
        match self.rest.next().ok_or("a \\ at the end")? {
            'd' => Ok((DIGITS.to_vec(), true)),
            'D' => Ok((DIGITS.to_vec(), false)),
            'w' => Ok((WORD.to_vec(), true)),
            'W' => Ok((WORD.to_vec(), false)),
            's' => Ok((SPACE.to_vec(), true)),
            'S' => Ok((SPACE.to_vec(), false)),
            't' => one('\t'),
            'n' => one('\n'),
            'r' => one('\r'),
            'f' => one('\u{c}'),
            'v' => one('\u{b}'),
            'x' => one(self.hex(2)?),
            'u' => one(self.hex(4)?),
            c if c.is_ascii_punctuation() => one(c),
            _ => Err("an escape that cannot be enforced"),
        }
    }

    fn hex(&mut self, digits: usize) -> Parsed<char> {
        let mut code = 0;
        for _ in 0..digits {
            let digit =
                self.rest.next().and_then(|c| c.to_digit(16)).ok_or("\\x needs two, \\u four digits")?;
            code = code * 16 + digit;
        }
        char::from_u32(code).ok_or("\\u names no character")
    }

    /// After `[`.
    fn class(&mut self) -> Parsed<Re> {
        let wanted = !self.takes('^');
        let mut ranges = Vec::new();
        loop {
            let (mut found, plain) = match self.rest.next().ok_or("a [ without its ]")? {
                ']' => break,
                '\\' => self.escape()?,
                c => (vec![(c, c)], true),
            };
            if !plain {
                return Err("\\D, \\S and \\W within [ ] cannot be enforced");
            }
            let is_range = self.takes('-');
            if is_range && self.rest.peek() != Some(&']') {
                let (end, plain) = match self.rest.next().ok_or("a [ without its ]")? {
                    '\\' => self.escape()?,
                    c => (vec![(c, c)], true),
                };
                match (found.as_slice(), end.as_slice(), plain) {
                    ([(from, a)], [(b, to)], true) if from == a && b == to && from <= to => {
                        found = vec![(*from, *to)];
                    }
                    _ => return Err("a range goes from one character to a later one"),
                }
            } else if is_range {
                found.push(('-', '-'));
            }
            ranges.append(&mut found);
        }
        if ranges.is_empty() { Err("an empty [ ]") } else { Ok(Re::Set(ranges, wanted)) }
    }
}
