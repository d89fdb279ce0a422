//! A YAML document as a tree of texts, lists and maps with their lines.
//!
//! Pure; broker only, and the one place that names the YAML reader. Scalars stay the text that the file has:
//! whether `1.10` is a version or a number is decided by the key it belongs to. The reader's own messages are not
//! passed on, since they quote the source; errors carry a position and a kind.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Error, Location, Options, Spanned};

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

/// Reads the one document of a text. An empty text is an empty map.
///
/// # Errors
/// When it is not YAML, has more than one document, or is nested or expanded beyond any honest profile.
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    match serde_saphyr::from_str_with_options::<Spanned<Any>>(text, options()) {
        Ok(root) => Ok(settle(root, text)),
        Err(error) => match error.without_snippet() {
            Error::Eof { .. } => Ok(Node { line: 1, plain: false, value: Value::Null }),
            error => Err(explain(error)),
        },
    }
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 100_000,
            max_aliases: 100,
            max_anchors: 100,
            max_recorded_anchor_events: 10_000,
            max_depth: 16,
            max_documents: 2,
            max_nodes: 50_000,
            max_merge_keys: 100,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Merge,
        leading_zero_numbers_as_strings: true,
        with_snippet: false,
    }
}

fn explain(error: &Error) -> SyntaxError {
    let why = match error {
        Error::MultipleDocuments { .. } => "more than one document; a profile is a single document",
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            "too large, too deeply nested or with too many aliases"
        }
        Error::UnknownAnchor { .. } => "an alias names an anchor that does not exist",
        Error::RecursiveReferencesRequireWeakTypes { .. } => "an anchor contains an alias of itself",
        Error::MergeValueNotMapOrSeqOfMaps { .. } => "a merge key needs a map or a list of maps",
        Error::Unexpected { .. } => "a key must be a single value",
        _ => "not valid YAML",
    };
    let at = error.location().unwrap_or(Location::UNKNOWN);
    SyntaxError { line: at.line(), column: at.column(), why }
}

/// What the reader made of a node before the spelling of plain scalars is restored.
enum Any {
    Null,
    /// A number or truth value; the text is what the reader understood, in case the source cannot be cut out.
    Plain(String),
    Text(String),
    List(Vec<Spanned<Any>>),
    Map(Vec<(String, Spanned<Any>)>),
}

fn settle(node: Spanned<Any>, source: &str) -> Node {
    let plain = matches!(node.value, Any::Plain(_));
    let value = match node.value {
        Any::Null => Value::Null,
        Any::Text(text) => Value::Text(Secret::new(text)),
        Any::Plain(understood) => {
            Value::Text(Secret::new(spelling(node.defined, source).map_or(understood, str::to_string)))
        }
        Any::List(items) => Value::List(items.into_iter().map(|n| settle(n, source)).collect()),
        Any::Map(items) => Value::Map(items.into_iter().map(|(k, n)| (k, settle(n, source))).collect()),
    };
    Node { line: node.referenced.line(), plain, value }
}

/// The source text of a plain scalar; `None` when a tag or a quote stands in the way.
fn spelling(at: Location, source: &str) -> Option<&str> {
    let start = usize::try_from(at.span().byte_offset()?).ok()?;
    let length = usize::try_from(at.span().byte_len()?).ok()?;
    let text = source.get(start..start.checked_add(length)?)?.trim();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.' | b'_');
    (!text.is_empty() && text.bytes().all(plain)).then_some(text)
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor)
    }
}

struct AnyVisitor;

macro_rules! plain {
    ($($method:ident: $t:ty),*) => {$(
        fn $method<E>(self, value: $t) -> Result<Any, E> {
            Ok(Any::Plain(value.to_string()))
        }
    )*};
}

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = Any;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value, a list or a map")
    }

    plain!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_i128: i128, visit_u128: u128, visit_f64: f64);

    fn visit_str<E>(self, text: &str) -> Result<Any, E> {
        Ok(Any::Text(text.to_string()))
    }

    fn visit_string<E>(self, text: String) -> Result<Any, E> {
        Ok(Any::Text(text))
    }

    fn visit_unit<E>(self) -> Result<Any, E> {
        Ok(Any::Null)
    }

    fn visit_none<E>(self) -> Result<Any, E> {
        Ok(Any::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Any, D::Error> {
        Any::deserialize(inner)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Any, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Any::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Any, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = map.next_entry()? {
            items.push(item);
        }
        Ok(Any::Map(items))
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
