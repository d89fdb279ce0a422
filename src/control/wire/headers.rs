//! The connector's headers in a command: an object of string arrays, within bounds. Pure.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// The most header names and values in a command, counted together.
pub const MAX_HEADER_VALUES: usize = 256;
/// The most bytes of header names and values in a command.
pub const MAX_HEADER_BYTES: usize = 64 * 1024;

/// Names and their values, in the order of the text.
pub(super) type Pairs = Vec<(String, Vec<String>)>;

/// Reads the headers; the error is a sentence for whoever sent them.
pub(super) fn read(text: &str) -> Result<Pairs, &'static str> {
    let mut seed = Headers { pairs: Vec::new(), values: 0, bytes: 0 };
    match (&mut seed).deserialize(&mut serde_json::Deserializer::from_str(text)) {
        Ok(()) => Ok(seed.pairs),
        Err(_) if seed.values > MAX_HEADER_VALUES || seed.bytes > MAX_HEADER_BYTES => {
            Err("headers are too large")
        }
        Err(_) => Err("headers is not an object of string arrays"),
    }
}

/// Collects the headers and stops at the bounds.
struct Headers {
    pairs: Pairs,
    values: usize,
    bytes: usize,
}

impl Headers {
    fn take<E: serde::de::Error>(&mut self, text: &str, values: usize) -> Result<(), E> {
        self.values = self.values.saturating_add(values);
        self.bytes = self.bytes.saturating_add(text.len());
        if self.values > MAX_HEADER_VALUES || self.bytes > MAX_HEADER_BYTES {
            return Err(E::custom("too large"));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &mut Headers {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Headers {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of string arrays")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            // A name counts as a value too: empty arrays cost memory as well.
            self.take(&name, 1)?;
            self.pairs.push((name, Vec::new()));
            map.next_value_seed(Values(self))?;
        }
        Ok(())
    }
}

struct Values<'a>(&'a mut Headers);

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of strings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(value) = seq.next_element::<String>()? {
            self.0.take(&value, 1)?;
            let (_, values) = self.0.pairs.last_mut().ok_or_else(|| A::Error::custom("no name"))?;
            values.push(value);
        }
        Ok(())
    }
}
