//! Compares JSON-RPC ids as the values they are, from their raw text. Pure; worker only.
//!
//! A server may write an id back in another spelling (`"\u0061"` for `"a"`, `100.0` for `1e2`). Numbers are compared
//! as decimal fractions, digit by digit, never through a machine number, so 9007199254740993 stays itself.

use super::jsonrpc::unescape;

/// Whether two raw JSON texts are the same id. A string never equals a number.
#[must_use]
pub fn same_id(a: &str, b: &str) -> bool {
    let (a, b) = (a.trim_ascii(), b.trim_ascii());
    if a == b {
        return true;
    }
    match (a.starts_with('"'), b.starts_with('"')) {
        (true, true) => unescape(a).is_some_and(|a| unescape(b).is_some_and(|b| a == b)),
        (false, false) => Decimal::read(a).is_some_and(|a| Decimal::read(b).is_some_and(|b| a == b)),
        _ => false,
    }
}

/// The value of a raw JSON number that is a whole number from 0 to 2^64 - 1, however it is written.
#[must_use]
pub fn whole(raw: &str) -> Option<u64> {
    let raw = raw.trim_ascii();
    if let Ok(plain) = raw.parse::<u64>() {
        return (!raw.starts_with('+')).then_some(plain);
    }
    let number = Decimal::read(raw)?;
    let zeros = usize::try_from(number.exponent).ok().filter(|zeros| *zeros <= 20)?;
    if number.digits.is_empty() {
        return Some(0);
    }
    if number.negative { None } else { format!("{}{}", number.digits, "0".repeat(zeros)).parse().ok() }
}

/// A number as sign, significant digits and power of ten; zero has no digits. Equal values are equal structs.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    /// Without leading and trailing zeros.
    digits: String,
    /// Of the last digit.
    exponent: i64,
}

impl Decimal {
    /// `None` when it is not a JSON number, or one whose exponent nobody means seriously.
    fn read(raw: &str) -> Option<Self> {
        let (negative, rest) = match raw.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, raw),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = || whole.bytes().chain(fraction.bytes());
        if whole.is_empty() || !digits().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let all = format!("{whole}{fraction}");
        let significant = all.trim_end_matches('0');
        let dropped = all.len().checked_sub(significant.len())?;
        let significant = significant.trim_start_matches('0');
        if significant.is_empty() {
            return Some(Self { negative: false, digits: String::new(), exponent: 0 });
        }
        let exponent = exponent
            .checked_sub(i64::try_from(fraction.len()).ok()?)?
            .checked_add(i64::try_from(dropped).ok()?)?;
        Some(Self { negative, digits: significant.to_owned(), exponent })
    }
}

#[cfg(test)]
#[path = "ids_tests.rs"]
mod tests;
