//! SHA-256 and its text, hexadecimal digits. Pure.
//!
//! Runs where the log is written and where it is verified. Must never keep what it is given.

use aws_lc_rs::digest::{self, SHA256};

/// SHA-256.
pub type Digest = [u8; 32];

/// SHA-256.
#[must_use]
pub fn hash(bytes: &[u8]) -> Digest {
    digest::digest(&SHA256, bytes).as_ref().try_into().unwrap_or_default()
}

/// Lower-case hex digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = Vec::with_capacity(bytes.len().saturating_mul(2));
    put_hex(bytes, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

/// Appends them.
pub fn put_hex(bytes: &[u8], out: &mut Vec<u8>) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble };
    let begin = out.len();
    out.resize(begin.saturating_add(bytes.len().saturating_mul(2)), b'0');
    let (pairs, _) = out.get_mut(begin..).unwrap_or_default().as_chunks_mut();
    for ([high, low], byte) in pairs.iter_mut().zip(bytes) {
        (*high, *low) = (digit(byte >> 4), digit(byte & 15));
    }
}

/// 32 bytes from 64 hex digits.
#[must_use]
pub fn unhex(text: &str) -> Option<Digest> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = *pair else { return None };
        let value = |digit: u8| char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok());
        // Capital letters would make two texts of one value.
        if high.is_ascii_uppercase() || low.is_ascii_uppercase() {
            return None;
        }
        *byte = value(high)? << 4 | value(low)?;
    }
    Some(bytes)
}
