//! The grammar of `response_timeout`: one non-negative integer and one unit, such as `30s` or `4500ms`. Pure.

use std::time::Duration;

/// Reads a timeout. `None` for anything that is not `^[0-9]+(ns|us|ms|s|m|h)$` or is more than 2^63-1 nanoseconds: the
/// protocol says that such a command has no deadline.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let scale: u64 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let nanos = number.parse::<u64>().ok()?.checked_mul(scale)?;
    i64::try_from(nanos).ok().map(|_| Duration::from_nanos(nanos))
}

#[cfg(test)]
#[path = "timeout_tests.rs"]
mod tests;
