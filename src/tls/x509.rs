//! What a certificate says of itself: whose it is, who signed it, from when until when. Pure; bytes in, facts out.
//!
//! For messages only. Nothing is believed because of what is read here: that is decided by rustls, which does not tell
//! these facts. Reads the parts of RFC 5280 section 4.1 that lead to them and checks no signature.

use std::fmt::Write as _;

/// The longest name that is shown, in characters.
const MAX_NAME: usize = 256;
/// The most parts of a name that are looked at.
const MAX_PARTS: usize = 32;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const OID: u8 = 0x06;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const BMP_STRING: u8 = 0x1e;

/// The bytes are no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("malformed certificate")
    }
}

impl std::error::Error for Malformed {}

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its owner, as `CN=…, O=…`; control characters are escaped.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Seconds since 1970; what began earlier begins at 0.
    pub not_before: u64,
    /// Seconds since 1970.
    pub not_after: u64,
}

/// Reads a certificate.
///
/// # Errors
/// When the bytes do not begin as a certificate does.
pub fn facts(certificate: &[u8]) -> Result<Facts, Malformed> {
    let mut signed = Reader(Reader(certificate).expect(SEQUENCE)?);
    let mut body = Reader(signed.expect(SEQUENCE)?);
    if body.0.first() == Some(&VERSION) {
        body.expect(VERSION)?;
    }
    body.expect(INTEGER)?;
    body.expect(SEQUENCE)?;
    let issuer = name(body.expect(SEQUENCE)?);
    let mut validity = Reader(body.expect(SEQUENCE)?);
    let (not_before, not_after) = (time(validity.any()?)?, time(validity.any()?)?);
    Ok(Facts { subject: name(body.expect(SEQUENCE)?), issuer, not_before, not_after })
}

/// The name inside a SEQUENCE, as trust anchors hold it.
#[must_use]
pub fn name(content: &[u8]) -> String {
    let mut text = String::new();
    let mut parts = Reader(content);
    for _ in 0..MAX_PARTS {
        let Ok(set) = parts.expect(SET) else { break };
        let mut attributes = Reader(set);
        while let Ok(attribute) = attributes.expect(SEQUENCE) {
            let mut attribute = Reader(attribute);
            let (Ok(kind), Ok(value)) = (attribute.expect(OID), attribute.any()) else { break };
            if !text.is_empty() {
                text.push_str(", ");
            }
            label(kind, &mut text);
            text.push('=');
            shown(value, &mut text);
        }
    }
    if let Some((end, _)) = text.char_indices().nth(MAX_NAME) {
        text.truncate(end);
        text.push('…');
    }
    text
}

fn label(kind: &[u8], text: &mut String) {
    let known = match kind {
        [0x55, 4, 3] => "CN",
        [0x55, 4, 5] => "serialNumber",
        [0x55, 4, 6] => "C",
        [0x55, 4, 7] => "L",
        [0x55, 4, 8] => "ST",
        [0x55, 4, 10] => "O",
        [0x55, 4, 11] => "OU",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25] => "DC",
        other => {
            text.push('#');
            for byte in other.iter().take(16) {
                // Writing to a String cannot fail.
                let _ = write!(text, "{byte:02x}");
            }
            return;
        }
    };
    text.push_str(known);
}

/// The text of an attribute. Comma and equals sign are escaped too: they would look like another part.
fn shown((tag, value): (u8, &[u8]), text: &mut String) {
    let decoded = if tag == BMP_STRING {
        let units: Vec<u16> =
            value.chunks_exact(2).map(|pair| pair.iter().fold(0, |n, b| n << 8 | u16::from(*b))).collect();
        String::from_utf16_lossy(&units)
    } else {
        String::from_utf8_lossy(value).into_owned()
    };
    for c in decoded.chars().take(MAX_NAME) {
        if c.is_control() || !is_plain(c) {
            text.extend(c.escape_unicode());
        } else {
            if matches!(c, ',' | '=' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
    }
}

/// Not one of the characters that turn the direction of a line or are not seen.
fn is_plain(c: char) -> bool {
    !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// UTCTime and GeneralizedTime in the one form that RFC 5280 section 4.1.2.5 allows: to the second, in UTC.
fn time((tag, value): (u8, &[u8])) -> Result<u64, Malformed> {
    let (century, digits) = match tag {
        UTC_TIME => (None, value),
        GENERALIZED_TIME => {
            let (century, rest) = value.split_at_checked(2).ok_or(Malformed)?;
            (Some(number(century)?), rest)
        }
        _ => return Err(Malformed),
    };
    let digits = digits.strip_suffix(b"Z").filter(|d| d.len() == 12).ok_or(Malformed)?;
    let mut fields = digits.chunks(2).map(number);
    let mut next = |range: std::ops::RangeInclusive<i64>| match fields.next() {
        Some(Ok(n)) if range.contains(&n) => Ok(n),
        _ => Err(Malformed),
    };
    let short = next(0..=99)?;
    let year = match century {
        Some(century) => century.saturating_mul(100).saturating_add(short),
        None if short >= 50 => short.saturating_add(1900),
        None => short.saturating_add(2000),
    };
    let (month, day) = (next(1..=12)?, next(1..=31)?);
    let (hour, minute, second) = (next(0..=23)?, next(0..=59)?, next(0..=60)?);
    let clock = hour.saturating_mul(3600).saturating_add(minute.saturating_mul(60)).saturating_add(second);
    let seconds = days(year, month, day).saturating_mul(86_400).saturating_add(clock);
    Ok(u64::try_from(seconds).unwrap_or(0))
}

fn number(digits: &[u8]) -> Result<i64, Malformed> {
    let decimal = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| decimal).ok_or(Malformed)?;
    text.parse().map_err(|_| Malformed)
}

/// Days from 1970 to a date of the years 0 to 9999, in years that begin in March, so that the leap day is the last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let early = month <= 2;
    let year = if early { year.saturating_sub(1) } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = if early { month.saturating_add(9) } else { month.saturating_sub(3) };
    let of_year = from_march.saturating_mul(153).saturating_add(2) / 5;
    let leaps = of_era / 4 - of_era / 100;
    [era.saturating_mul(146_097), of_era.saturating_mul(365), leaps, of_year, day, -719_469]
        .into_iter()
        .fold(0, i64::saturating_add)
}

/// DER: tag, definite length, value. Every step takes from the front, so that no length can lead outside or back.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn any(&mut self) -> Result<(u8, &'a [u8]), Malformed> {
        let (&tag, rest) = self.0.split_first().ok_or(Malformed)?;
        // Tags of more than one byte do not occur in what is read here.
        if tag & 0x1f == 0x1f {
            return Err(Malformed);
        }
        let (&first, rest) = rest.split_first().ok_or(Malformed)?;
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let count = usize::from(first & 0x7f);
            // One to three bytes: 16 MiB, far beyond any certificate.
            let (bytes, rest) =
                rest.split_at_checked(count).filter(|_| (1..=3).contains(&count)).ok_or(Malformed)?;
            (bytes.iter().fold(0, |n: usize, b| n << 8 | usize::from(*b)), rest)
        };
        let (value, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok((tag, value))
    }

    fn expect(&mut self, wanted: u8) -> Result<&'a [u8], Malformed> {
        let before = self.0;
        match self.any() {
            Ok((tag, value)) if tag == wanted => Ok(value),
            _ => {
                self.0 = before;
                Err(Malformed)
            }
        }
    }
}

#[cfg(test)]
#[path = "x509_tests.rs"]
mod tests;
