//! Looks up members of a JSON object by name without reading the rest. Pure.
//!
//! Values are skipped by a loop, not by recursion, so that nesting costs no stack.

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What was found.
#[derive(Clone, Copy, Debug)]
pub struct Members<'a, const N: usize> {
    /// The raw JSON text of each name's value, without surrounding space, in the order of the names. Of a member
    /// given twice, the first.
    pub values: [Option<&'a str>; N],
    /// Whether one of the names was given twice.
    pub duplicate: bool,
    /// Whether one of the names appears in other letter case. Some readers take it for the name itself.
    pub misspelt: bool,
}

/// Reads `text`, which must be one JSON object with nothing but space around it, and returns the values of `names`.
/// `None`: it is not such an object.
#[must_use]
pub fn members<'a, const N: usize>(text: &'a str, names: [&'static str; N]) -> Option<Members<'a, N>> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let found = reader.deserialize_map(Reader(names)).ok()?;
    reader.end().ok()?;
    Some(found)
}

struct Reader<const N: usize>([&'static str; N]);

impl<'de, const N: usize> Visitor<'de> for Reader<N> {
    type Value = Members<'de, N>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Members { values: [None; N], duplicate: false, misspelt: false };
        while let Some(key) = map.next_key_seed(Key(&self.0))? {
            match key {
                Named::Known(name) => {
                    let value: &'de RawValue = map.next_value()?;
                    let slot = self.0.iter().zip(&mut found.values).find(|(n, _)| **n == name);
                    match slot {
                        Some((_, slot @ None)) => *slot = Some(value.get()),
                        _ => found.duplicate = true,
                    }
                }
                Named::Misspelt => {
                    found.misspelt = true;
                    map.next_value::<IgnoredAny>()?;
                }
                Named::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

enum Named {
    Known(&'static str),
    Misspelt,
    Other,
}

struct Key<'n>(&'n [&'static str]);

impl<'de> serde::de::DeserializeSeed<'de> for Key<'_> {
    type Value = Named;
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Named, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Named;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a member name")
    }

    fn visit_str<E>(self, key: &str) -> Result<Named, E> {
        if let Some(name) = self.0.iter().find(|name| **name == key) {
            return Ok(Named::Known(name));
        }
        Ok(if self.0.iter().any(|name| folds_to(key, name)) { Named::Misspelt } else { Named::Other })
    }
}

/// Whether `key` is `name` under simple Unicode case folding, as a lenient reader would match it: besides the ASCII
/// letters, U+017F folds to s and U+212A to k.
fn folds_to(key: &str, name: &str) -> bool {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    key.chars().map(fold).eq(name.chars().map(fold))
}

/// Whether arrays and objects are nested deeper than `max`. `text` must be valid JSON.
pub(super) fn deeper_than(text: &str, max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > max {
            return true;
        }
    }
    false
}
