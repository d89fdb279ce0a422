//! How a line looks: the values of its fields, and the text around them. Pure, but for the clock.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{Format, Level};

/// Longest value in a line, in bytes; longer ones are cut and marked, where they are written: a record that is too
/// long for the broker would arrive in pieces.
pub(super) const MAX_VALUE: usize = 2048;
/// The same for a value from below, which may bear the mark of having been cut there.
pub(super) const MAX_VALUE_BELOW: usize = MAX_VALUE + 32;
/// What every line begins with.
const HEAD: [&str; 4] = ["time", "level", "msg", "component"];
/// Longest name of a field in a record from below.
const MAX_KEY: usize = 64;

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

/// One event on its way from worker to broker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record<'a> {
    pub(super) level: Level,
    #[serde(borrow)]
    pub(super) component: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) msg: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) fields: Vec<(Cow<'a, str>, Value<'a>)>,
}

/// Renders an event as one line. `always` are the attributes of every line.
pub(super) fn render(
    format: Format,
    record: &Record<'_>,
    role: Option<&str>,
    always: &[(&'static str, String)],
    out: &mut String,
) {
    let time = rfc3339(SystemTime::now());
    let head: [(&str, &str); 4] = [
        ("time", &time),
        ("level", record.level.name()),
        ("msg", &record.msg),
        ("component", &record.component),
    ];
    let role = role.map(|r| ("role", r));
    let attributes = always.iter().map(|(k, v)| (*k, v.as_str()));
    let texts = head.into_iter().chain(role).chain(attributes).map(|(k, v)| (k, Value::from(v)));
    // A field must not shadow what every line carries.
    let taken = |key: &str| key == "role" || HEAD.contains(&key) || always.iter().any(|(k, _)| *k == key);
    let fields =
        record.fields.iter().filter(|(k, _)| !taken(k)).map(|(k, v)| (k.as_ref(), v.cut(MAX_VALUE_BELOW)));
    if format == Format::Json {
        out.push('{');
    }
    for (n, (key, value)) in texts.chain(fields).enumerate() {
        match format {
            Format::Text => text_pair(n, key, &value, out),
            Format::Json => json_pair(n, key, &value, out),
        }
    }
    if format == Format::Json {
        out.push('}');
    }
}

/// Names of fields are written as they are, so they must not be able to end a line or to look like a value.
pub(super) fn is_key(key: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(plain)
}

fn text_pair(n: usize, key: &str, value: &Value<'_>, out: &mut String) {
    if n > 0 {
        out.push(' ');
    }
    let _ = match value {
        Value::Bool(b) => write!(out, "{key}={b}"),
        Value::Int(i) => write!(out, "{key}={i}"),
        Value::Str(s) => {
            let plain = !s.is_empty() && s.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'=');
            if plain { write!(out, "{key}={s}") } else { write!(out, "{key}={s:?}") }
        }
    };
}

fn json_pair(n: usize, key: &str, value: &Value<'_>, out: &mut String) {
    if n > 0 {
        out.push(',');
    }
    let key = serde_json::to_string(key).unwrap_or_default();
    let value = serde_json::to_string(value).unwrap_or_default();
    let _ = write!(out, "{key}:{value}");
}

/// UTC with milliseconds, as RFC 3339 wants it.
fn rfc3339(now: SystemTime) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Days to civil date: eras of 400 years that begin in March (the usual proleptic Gregorian arithmetic).
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_civil_dates() {
        let at = |ms: u64| rfc3339(UNIX_EPOCH + Duration::from_millis(ms));
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(at(1_798_761_599_999), "2026-12-31T23:59:59.999Z");
    }
}
