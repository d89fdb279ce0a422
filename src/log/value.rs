//! What a log line is made of: levels, formats, values. Every role; pure.

use std::borrow::Cow;
use std::fmt::Display;

use serde::{Deserialize, Serialize};

/// How urgent a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// For whoever looks for a cause.
    Debug,
    /// Normal life.
    Info,
    /// Something to look at.
    Warn,
    /// Something is broken.
    Error,
}

impl Level {
    /// As `log.level` and JSON lines spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }

    /// The priority of `sd-daemon(3)`.
    pub(super) const fn priority(self) -> u8 {
        match self {
            Self::Debug => 7,
            Self::Info => 6,
            Self::Warn => 4,
            Self::Error => 3,
        }
    }
}

/// The shape of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `time=… level=… msg=… key=value`.
    Text,
    /// One JSON object with `time`, `level`, `msg` and the fields.
    Json,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value<'a> {
    /// A truth.
    Bool(bool),
    /// A number.
    Int(i64),
    /// A text.
    Str(Cow<'a, str>),
}

macro_rules! int_value {
    ($($t:ty),*) => {$(
        impl From<$t> for Value<'_> {
            fn from(n: $t) -> Self { Self::Int(i64::try_from(n).unwrap_or(i64::MAX)) }
        }
    )*};
}
int_value!(u8, u16, u32, u64, usize, i32, i64, u128);

impl From<bool> for Value<'_> {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}
impl<'a> From<&'a str> for Value<'a> {
    fn from(s: &'a str) -> Self {
        Self::Str(Cow::Borrowed(s))
    }
}
impl<'a> From<&'a String> for Value<'a> {
    fn from(s: &'a String) -> Self {
        Self::Str(Cow::Borrowed(s))
    }
}
impl From<String> for Value<'_> {
    fn from(s: String) -> Self {
        Self::Str(Cow::Owned(s))
    }
}

impl Value<'_> {
    /// Anything that can be displayed, as text.
    #[must_use]
    pub fn show(thing: &dyn Display) -> Value<'static> {
        Value::Str(Cow::Owned(thing.to_string()))
    }

    /// The value with at most `max` bytes of text, and a mark where more were.
    pub(super) fn cut(&self, max: usize) -> Value<'_> {
        match self {
            Self::Str(text) if text.len() > max => {
                let end = (0..=max).rev().find(|n| text.is_char_boundary(*n)).unwrap_or(0);
                let kept = text.get(..end).unwrap_or_default();
                Value::Str(Cow::Owned(format!("{kept}… ({} bytes)", text.len())))
            }
            other => other.clone(),
        }
    }
}
