//! Texts that must not be seen. Every role that is told secrets holds them like this.

use std::alloc::{Layout, handle_alloc_error};

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::{Zeroize as _, Zeroizing};

use crate::sys::locked::Locked;

/// A text that must never reach a log, an error or an argument list. Wiped when dropped. What is kept for longer than
/// the reading of the configuration becomes a [`Kept`].
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of the text; the caller must not keep a copy.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret for the life of the process: in pages of its own that are locked in memory, left out of dumps, and wiped.
pub struct Kept(Locked);

impl Kept {
    fn copy_of(text: &str) -> Self {
        match Locked::new(text.as_bytes()) {
            Ok(locked) => Self(locked),
            // No memory for a page: as for any other allocation.
            Err(_) => handle_alloc_error(Layout::new::<[u8; 4096]>()),
        }
    }

    /// The text itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        // It was made of a `str`.
        std::str::from_utf8(self.0.bytes()).unwrap_or_default()
    }

    /// Whether the kernel keeps it in RAM: `false` when `RLIMIT_MEMLOCK` did not allow it.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.0.is_locked()
    }
}

impl From<Secret> for Kept {
    fn from(secret: Secret) -> Self {
        Self::copy_of(secret.expose())
    }
}

impl Clone for Kept {
    fn clone(&self) -> Self {
        Self::copy_of(self.expose())
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Kept {}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kept(…)")
    }
}

impl Serialize for Kept {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text)
    }
}

/// Takes the text as it comes: borrowed from the message, or decoded, which is wiped.
struct Text;

impl Visitor<'_> for Text {
    type Value = Kept;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<Kept, E> {
        Ok(Kept::copy_of(text))
    }

    fn visit_string<E>(self, mut text: String) -> Result<Kept, E> {
        let kept = Kept::copy_of(&text);
        text.zeroize();
        Ok(kept)
    }
}
