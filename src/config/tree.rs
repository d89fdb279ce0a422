//! A YAML document as a tree of texts, lists and maps with their lines.
//!
//! Pure; broker only, and the one place that names the YAML reader. Scalars stay the text that the file has:
//! whether `1.10` is a version or a number is decided by the key it belongs to. The reader's own messages are not
//! passed on, since they quote the source; errors carry a position and a kind.

use std::collections::BTreeSet;

use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::types::Secret;

/// A node and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// Counted from 1; 0 when unknown.
    pub line: u64,
    /// Whether YAML takes the scalar for a number or a truth value, as it does without quotes.
    pub plain: bool,
    /// What it is.
    pub value: Value,
}

/// The kinds of nodes.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing, `~` or `null`: as if the key were absent.
    Null,
    /// A scalar, as written in the file.
    Text(Secret),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the file; a key may occur more than once, the caller reports that.
    Map(Vec<(String, Node)>),
}

impl Value {
    /// For messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Text(_) => "a single value",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// Why a text is not one YAML document.
#[derive(Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Counted from 1; 0 when unknown.
    pub line: u64,
    /// Counted from 1; 0 when unknown.
    pub column: u64,
    /// Without a word of the file.
    pub why: &'static str,
}

/// Lists and maps in one another. Aliases count as what they stand for.
const MAX_DEPTH: usize = 16;
/// Nodes that are read, kept for an alias, or put in for one: what a text can make of this process's memory.
const MAX_NODES: usize = 50_000;
/// Bytes of their texts.
const MAX_TEXT: usize = 64 << 20;
/// Anchors, aliases and merge keys, each.
const MAX_REFERENCES: usize = 100;

const TOO_LARGE: &str = "too large, too deeply nested or with too many aliases";
const NOT_YAML: &str = "not valid YAML";

/// Reads the one document of a text. An empty text is an empty map.
///
/// # Errors
/// When it is not YAML, has more than one document, or is nested or expanded beyond any honest profile.
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    let parser = Parser::new_from_str(text);
    let mut reader = Reader { parser, anchors: Vec::new(), nodes: 0, text: 0, aliases: 0, merges: 0 };
    let mut root = None;
    while let Some((event, span)) = reader.next()? {
        match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentStart(..) | Event::DocumentEnd => {}
            _ if root.is_some() => {
                return Err(error(span.start, "more than one document; a profile is a single document"));
            }
            event => root = Some(reader.node(event, span, 0)?),
        }
    }
    Ok(root.unwrap_or(Node { line: 1, plain: false, value: Value::Null }))
}

fn error(at: Marker, why: &'static str) -> SyntaxError {
    SyntaxError { line: count(at.line()), column: count(at.col()).saturating_add(1), why }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn explain(failed: &ScanError) -> SyntaxError {
    let unknown = matches!(failed.kind(), ErrorKind::UnknownAnchor);
    error(*failed.marker(), if unknown { "an alias names an anchor that does not exist" } else { NOT_YAML })
}

/// Makes nodes of events, within the bounds.
struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    /// The nodes that have an anchor, once they are complete.
    anchors: Vec<(usize, Node)>,
    nodes: usize,
    text: usize,
    aliases: usize,
    merges: usize,
}

type Read<T> = Result<T, SyntaxError>;

impl<'a> Reader<'a> {
    fn next(&mut self) -> Read<Option<(Event<'a>, Span)>> {
        self.parser.next_event().transpose().map_err(|failed| explain(&failed))
    }

    /// What comes next of a list or a map; `None` at its end.
    fn inner(&mut self) -> Read<Option<(Event<'a>, Span)>> {
        Ok(self.next()?.filter(|(event, _)| !matches!(event, Event::SequenceEnd | Event::MappingEnd)))
    }

    /// The node that begins with this event, `depth` lists and maps deep.
    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Read<Node> {
        let at = span.start;
        let inside = depth.saturating_add(1);
        let (value, plain, anchor) = match event {
            Event::Alias(id) => return self.alias(id, at, depth),
            Event::Scalar(text, style, anchor, tag) => {
                self.charge(at, text.len(), depth)?;
                let (value, plain) = scalar(&text, style, tag.as_deref()).ok_or(error(at, NOT_YAML))?;
                (value, plain, anchor)
            }
            Event::SequenceStart(_, anchor, tag) if fits(tag.as_deref(), "seq") => {
                self.charge(at, 0, inside)?;
                let mut items = Vec::new();
                while let Some((event, span)) = self.inner()? {
                    items.push(self.node(event, span, inside)?);
                }
                (Value::List(items), false, anchor)
            }
            Event::MappingStart(_, anchor, tag) if fits(tag.as_deref(), "map") => {
                self.charge(at, 0, inside)?;
                (Value::Map(self.entries(at, inside)?), false, anchor)
            }
            _ => return Err(error(at, NOT_YAML)),
        };
        let node = Node { line: count(at.line()), plain, value };
        if anchor != 0 {
            if self.anchors.len() >= MAX_REFERENCES {
                return Err(error(at, TOO_LARGE));
            }
            let kept = self.copy(&node, None, at, depth)?;
            self.anchors.push((anchor, kept));
        }
        Ok(node)
    }

    /// The entries of a map: its own in their order, then those that are merged into it under keys it does not have.
    fn entries(&mut self, start: Marker, depth: usize) -> Read<Vec<(String, Node)>> {
        let mut own = Vec::new();
        let mut merged = Vec::new();
        while let Some((event, span)) = self.inner()? {
            let at = span.start;
            let merge = is_merge_key(&event);
            let key = self.node(event, span, depth)?;
            let (event, span) = self.inner()?.ok_or(error(start, NOT_YAML))?;
            let value_at = span.start;
            let value = self.node(event, span, depth)?;
            if merge {
                self.merges = self.merges.saturating_add(1);
                if self.merges > MAX_REFERENCES {
                    return Err(error(at, TOO_LARGE));
                }
                merge_into(&mut merged, value)
                    .ok_or(error(value_at, "a merge key needs a map or a list of maps"))?;
            } else if let Value::Text(text) = key.value {
                own.push((text.expose().to_owned(), value));
            } else {
                return Err(error(at, "a key must be a single value"));
            }
        }
        if !merged.is_empty() {
            let mut seen = BTreeSet::new();
            seen.extend(own.iter().map(|(key, _)| key.clone()));
            own.extend(merged.into_iter().filter(|(key, _)| seen.insert(key.clone())));
        }
        Ok(own)
    }

    /// What an alias stands for; it stands where the alias is.
    fn alias(&mut self, id: usize, at: Marker, depth: usize) -> Read<Node> {
        self.aliases = self.aliases.saturating_add(1);
        if self.aliases > MAX_REFERENCES {
            return Err(error(at, TOO_LARGE));
        }
        let anchors = std::mem::take(&mut self.anchors);
        let copy = match anchors.iter().find(|(known, _)| *known == id) {
            Some((_, node)) => self.copy(node, Some(count(at.line())), at, depth),
            None => Err(error(at, "an anchor contains an alias of itself")),
        };
        self.anchors = anchors;
        copy
    }

    fn copy(&mut self, node: &Node, line: Option<u64>, at: Marker, depth: usize) -> Read<Node> {
        let inside = depth.saturating_add(1);
        let value = match &node.value {
            Value::Null => {
                self.charge(at, 0, depth)?;
                Value::Null
            }
            Value::Text(text) => {
                self.charge(at, text.expose().len(), depth)?;
                Value::Text(text.clone())
            }
            Value::List(items) => {
                self.charge(at, 0, inside)?;
                let mut copies = Vec::new();
                for item in items {
                    copies.push(self.copy(item, line, at, inside)?);
                }
                Value::List(copies)
            }
            Value::Map(entries) => {
                self.charge(at, 0, inside)?;
                let mut copies = Vec::new();
                for (key, node) in entries {
                    self.charge(at, key.len(), inside)?;
                    copies.push((key.clone(), self.copy(node, line, at, inside)?));
                }
                Value::Map(copies)
            }
        };
        Ok(Node { line: line.unwrap_or(node.line), plain: node.plain, value })
    }

    /// Counts a node.
    fn charge(&mut self, at: Marker, text: usize, depth: usize) -> Read<()> {
        self.nodes = self.nodes.saturating_add(1);
        self.text = self.text.saturating_add(text);
        if self.nodes > MAX_NODES || self.text > MAX_TEXT || depth > MAX_DEPTH {
            return Err(error(at, TOO_LARGE));
        }
        Ok(())
    }
}

/// `None` when it is neither a map nor a list of maps.
fn merge_into(merged: &mut Vec<(String, Node)>, value: Node) -> Option<()> {
    match value.value {
        Value::Null => {}
        Value::Text(_) => return None,
        Value::List(items) => items.into_iter().try_for_each(|item| merge_into(merged, item))?,
        Value::Map(entries) => merged.extend(entries),
    }
    Some(())
}

const OF_YAML: &str = "tag:yaml.org,2002:";

fn is_merge_key(event: &Event<'_>) -> bool {
    let Event::Scalar(text, style, _, tag) = event else { return false };
    text == "<<"
        && match tag {
            Some(tag) => tag.suffix_in_namespace(OF_YAML).is_some_and(|name| name == "merge"),
            None => *style == ScalarStyle::Plain,
        }
}

/// Whether a list or a map is what its tag says. Tags that are not YAML's own say nothing.
fn fits(tag: Option<&Tag>, kind: &str) -> bool {
    tag.and_then(Tag::core_suffix).is_none_or(|name| name == kind)
}

/// What a scalar is, and whether it is plain; `None` when it is not what its tag says.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Option<(Value, bool)> {
    let written = || Value::Text(Secret::new(text.to_owned()));
    if tag.is_some_and(|tag| tag.suffix_in_namespace("!").is_some_and(|name| name.is_empty())) {
        return Some((written(), false));
    }
    match tag.and_then(|tag| tag.suffix_in_namespace(OF_YAML)).as_deref() {
        Some("str") => Some((written(), false)),
        Some("null") => Some((Value::Null, false)),
        Some("bool") => is_truth(text).then(|| (written(), true)),
        Some("int") => is_integer(text).then(|| (written(), true)),
        Some("float") => is_decimal(text).then(|| (written(), true)),
        None | Some("merge" | "value") if style != ScalarStyle::Plain => Some((written(), false)),
        None | Some("merge" | "value") => match text {
            "" | "~" | "null" | "Null" | "NULL" => Some((Value::Null, false)),
            // No key takes them, and JSON, which a policy becomes, has no such numbers.
            _ if matches!(text.trim_start_matches(['+', '-']), ".inf" | ".Inf" | ".INF") => None,
            ".nan" | ".NaN" | ".NAN" => None,
            _ => Some((written(), is_truth(text) || is_integer(text) || is_decimal(text))),
        },
        Some(_) => None,
    }
}

fn is_truth(text: &str) -> bool {
    const WORDS: [&str; 8] = ["true", "yes", "y", "on", "false", "no", "n", "off"];
    WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['+', '-']).unwrap_or(text)
}

/// A whole number of 64 bits: decimal, or after `0x`, `0o` or `0b`. 007 is a name.
fn is_integer(text: &str) -> bool {
    let text = unsigned(text);
    let (digits, radix) = match text.get(..2) {
        Some("0x" | "0X") => (text.get(2..).unwrap_or_default(), 16),
        Some("0o" | "0O") => (text.get(2..).unwrap_or_default(), 8),
        Some("0b" | "0B") => (text.get(2..).unwrap_or_default(), 2),
        _ if text.len() > 1 && text.starts_with('0') => return false,
        _ => (text, 10),
    };
    digits.split('_').all(|part| !part.is_empty() && part.chars().all(|c| c.is_digit(radix)))
        && u64::from_str_radix(&digits.replace('_', ""), radix).is_ok()
}

/// A decimal number, with a fraction or an exponent or neither. 007 is a name.
fn is_decimal(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let text = unsigned(text);
    if text.len() > 1 && text.starts_with('0') && digits(text) {
        return false;
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent = unsigned(exponent);
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_there = !(exponent.is_empty() || whole.is_empty() && part.is_empty());
    is_there && digits(whole) && digits(part) && digits(exponent)
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
