//! Durations and truth values as Go writes them, because profiles and variables of `tunnel-client` do.
//!
//! Pure.

use std::time::Duration;

/// A duration of Go's `time.ParseDuration`, not negative: `30s`, `1m30s`, `1.5h`, `500us`, `0`. `None` when it is
/// none, or longer than the 2^63-1 nanoseconds that Go can hold.
pub fn parse(text: &str) -> Option<Duration> {
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if unsigned == "0" {
        return Some(Duration::ZERO);
    }
    if unsigned.is_empty() {
        return None;
    }
    let mut rest = unsigned;
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (nanos, after) = component(rest)?;
        total = total.checked_add(nanos)?;
        rest = after;
    }
    let nanos = u64::try_from(i64::try_from(total).ok()?).ok()?;
    Some(Duration::from_nanos(nanos))
}

/// A duration that Go accepts but that is below zero, which deserves another message.
pub fn is_negative(text: &str) -> bool {
    text.strip_prefix('-').and_then(parse).is_some_and(|d| !d.is_zero())
}

/// One `number unit` in nanoseconds, and what follows.
fn component(text: &str) -> Option<(u128, &str)> {
    let (whole, after) = digits(text);
    let (fraction, after) = match after.strip_prefix('.') {
        Some(after) => digits(after),
        None => ("", after),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
    let (unit, rest) = after.split_at_checked(end)?;
    let unit: u128 = match unit {
        "ns" => 1,
        // Both of Unicode's spellings of the micro sign.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()?.into() };
    // Digits below a nanosecond of an hour cannot matter.
    let kept = fraction.get(..fraction.len().min(15)).unwrap_or_default();
    let scale = 10u128.checked_pow(u32::try_from(kept.len()).ok()?)?;
    let part: u128 = if kept.is_empty() { 0 } else { kept.parse().ok()? };
    let nanos = whole.checked_mul(unit)?.checked_add(part.checked_mul(unit)?.checked_div(scale)?)?;
    Some((nanos, rest))
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// A truth value of Go's `strconv.ParseBool`.
pub fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
#[path = "duration_tests.rs"]
mod tests;
