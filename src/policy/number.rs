//! Compares JSON numbers by what they say and by what a reader with doubles makes of them. Pure.

use std::cmp::Ordering;

/// Longest exponent that is understood, in digits. No double has one of more than three.
const MAX_EXPONENT: usize = 6;

/// A number, exactly: `0.digits` times ten to the `scale`.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    /// Without zeros at either end; none for zero.
    digits: Vec<u8>,
    scale: i64,
}

impl Decimal {
    fn read(raw: &str) -> Option<Self> {
        let (negative, raw) = raw.strip_prefix('-').map_or((false, raw), |rest| (true, rest));
        let (mantissa, exponent) = raw.split_once(['e', 'E']).unwrap_or((raw, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, exponent.strip_prefix('+').unwrap_or(exponent)),
        };
        let exponent = exponent.trim_start_matches('0');
        if exponent.len() > MAX_EXPONENT {
            return None;
        }
        let exponent: i64 = if exponent.is_empty() { 0 } else { exponent.parse().ok()? };
        let mut scale = i64::try_from(whole.len()).ok()?.checked_add(sign * exponent)?;
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let leading = digits.iter().take_while(|d| **d == b'0').count();
        scale = scale.checked_sub(i64::try_from(leading).ok()?)?;
        let end = digits.iter().rposition(|d| *d != b'0').map_or(0, |last| last + 1);
        let digits = digits.get(leading..end).unwrap_or_default().to_vec();
        if digits.is_empty() {
            return Some(Self { negative: false, digits, scale: 0 });
        }
        Some(Self { negative, digits, scale })
    }

    fn order(&self, other: &Self) -> Ordering {
        let sign = |d: &Self| match (d.digits.is_empty(), d.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let by_sign = sign(self).cmp(&sign(other));
        if by_sign != Ordering::Equal || self.digits.is_empty() {
            return by_sign;
        }
        let magnitude = self.scale.cmp(&other.scale).then_with(|| self.digits.cmp(&other.digits));
        if self.negative { magnitude.reverse() } else { magnitude }
    }
}

/// How two numbers compare, exactly and as doubles. They agree unless rounding brings the numbers together, then the
/// second is `Equal`. `None`: one of them is beyond what is understood.
#[must_use]
pub fn orders(a: &str, b: &str) -> Option<(Ordering, Ordering)> {
    let exact = Decimal::read(a)?.order(&Decimal::read(b)?);
    let doubles = a.parse::<f64>().ok()?.partial_cmp(&b.parse::<f64>().ok()?)?;
    Some((exact, doubles))
}

/// Whether two numbers are the same number.
#[must_use]
pub fn same(a: &str, b: &str) -> bool {
    matches!((Decimal::read(a), Decimal::read(b)), (Some(a), Some(b)) if a == b)
}

/// Whether it has no fraction: `1.0` and `10e-1` are integers, as in JSON Schema.
#[must_use]
pub fn is_integer(raw: &str) -> bool {
    Decimal::read(raw).is_some_and(|d| i64::try_from(d.digits.len()).is_ok_and(|n| n <= d.scale || n == 0))
}

/// Whether a reader with doubles reads it as a finite number.
#[must_use]
pub fn is_finite(raw: &str) -> bool {
    Decimal::read(raw).is_some() && raw.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
#[path = "number_tests.rs"]
mod tests;
