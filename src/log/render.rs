//! From an event to a line of text or JSON. Every role; pure but for the clock.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::value::{Format, Level, Value};

/// Longest value in a line, in bytes; longer ones are cut and marked, where they are written: a record that is too
/// long for the broker would arrive in pieces.
pub(super) const MAX_VALUE: usize = 2048;
/// The same for a value from below, which may bear the mark of having been cut there.
pub(super) const MAX_VALUE_BELOW: usize = MAX_VALUE + 32;
/// What every line begins with.
const HEAD: [&str; 4] = ["time", "level", "msg", "component"];
/// Most fields that a record from below may carry.
pub(super) const MAX_FIELDS: usize = 32;
/// Longest name of a field in a record from below.
const MAX_KEY: usize = 64;

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

/// Appends the line of `record`. `always` are the attributes of every line; no field may shadow them.
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
    let fields = own_fields(record, always);
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

/// The fields of a record that do not shadow what every line carries.
pub(super) fn own_fields<'a>(
    record: &'a Record<'_>,
    always: &'a [(&'static str, String)],
) -> impl Iterator<Item = (&'a str, Value<'a>)> {
    let taken = |key: &str| key == "role" || HEAD.contains(&key) || always.iter().any(|(k, _)| *k == key);
    record
        .fields
        .iter()
        .filter(move |(key, _)| !taken(key))
        .map(|(key, value)| (key.as_ref(), value.cut(MAX_VALUE_BELOW)))
}

/// Names of fields are written as they are, so they must not be able to end a line or to look like a value.
pub(super) fn is_key(key: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(plain)
}

pub(super) fn text_pair(n: usize, key: &str, value: &Value<'_>, out: &mut String) {
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

/// Milliseconds since 1970 of an RFC 3339 time; `None` when it is none, or before that.
pub fn epoch_ms(time: &str) -> Option<u64> {
    let number = |from: usize, to: usize| {
        let digits = time.get(from..to)?;
        if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse::<u64>().ok() } else { None }
    };
    let separators = [(4, "-"), (7, "-"), (10, "Tt "), (13, ":"), (16, ":")];
    if !separators.iter().all(|(at, any)| time.get(*at..at + 1).is_some_and(|found| any.contains(found))) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days before a date in years that begin in March, so that a leap day is the last of its year.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = (365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day).checked_sub(719_469)?;
    let local = (days * 86_400 + hour * 3600 + minute * 60 + second) * 1000;
    let rest = time.get(19..)?;
    let end = rest.find(['Z', 'z', '+', '-'])?;
    let (fraction, zone) = rest.split_at(end);
    let ms = match fraction.strip_prefix('.') {
        None if fraction.is_empty() => 0,
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{digits:0<3}").get(..3)?.parse().ok()?
        }
        _ => return None,
    };
    let at = 19 + end;
    let offset = match zone {
        "Z" | "z" => 0,
        _ if zone.len() == 6 && zone.get(3..4) == Some(":") => {
            (number(at + 1, at + 3)? * 60 + number(at + 4, at + 6)?) * 60_000
        }
        _ => return None,
    };
    if zone.starts_with('-') { Some(local + ms + offset) } else { (local + ms).checked_sub(offset) }
}

/// UTC with milliseconds, as RFC 3339 wants it.
pub fn rfc3339(now: SystemTime) -> String {
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
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let clock = [(11, 2, second / 3600), (14, 2, second / 60 % 60), (17, 2, second % 60)];
    let millis = (20, 3, u64::from(since.subsec_millis()));
    let date = [(0, 4, year), (5, 2, month), (8, 2, day)];
    for (at, digits, mut number) in date.into_iter().chain(clock).chain([millis]) {
        for place in text.iter_mut().skip(at).take(digits).rev() {
            *place = b'0' + u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}
