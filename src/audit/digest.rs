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
    match bytes.try_into() {
        Ok(digest) => put_hex(digest, &mut text),
        Err(_) => text.extend(bytes.iter().flat_map(|byte| digits([*byte, 0, 0, 0]).into_iter().take(2))),
    }
    String::from_utf8(text).unwrap_or_default()
}

/// Appends those of a digest, or of a key: they are nowhere else.
pub fn put_hex(digest: &Digest, out: &mut Vec<u8>) {
    let begin = out.len();
    out.resize(begin.saturating_add(64), 0);
    let (eights, (fours, _)) =
        (out.get_mut(begin..).unwrap_or_default().as_chunks_mut().0, digest.as_chunks());
    eights.iter_mut().zip(fours).for_each(|(eight, four)| *eight = digits(*four));
}

/// The digits of four bytes, made side by side in one word: a record has some three hundred of them.
fn digits(bytes: [u8; 4]) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let word = u64::from(u32::from_be_bytes(bytes));
    let word = (word | (word << 16)) & 0x0000_ffff_0000_ffff;
    let word = (word | (word << 8)) & 0x00ff_00ff_00ff_00ff;
    let word = (word | (word << 4)) & (15 * EACH);
    // 6 more than 9 carries into the upper half of the byte, and those are letters.
    let letters = ((word + 6 * EACH) >> 4) & EACH;
    (word + 0x30 * EACH + 39 * letters).to_be_bytes()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_two_digits_in_a_digest_and_elsewhere() {
        let bytes: Vec<u8> = (0..=255).collect();
        let expected: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        for len in [0, 1, 2, 31, 32, 33, 256] {
            assert_eq!(hex(&bytes[..len]), expected[..2 * len]);
        }
        for (digest, text) in bytes.as_chunks().0.iter().zip(expected.as_bytes().chunks(64)) {
            let mut out = b"before".to_vec();
            put_hex(digest, &mut out);
            assert_eq!(out, [b"before", text].concat());
            assert_eq!(unhex(std::str::from_utf8(text).unwrap()), Some(*digest));
        }
    }
}
