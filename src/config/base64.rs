//! Base64 with padding (RFC 4648 section 4), as headers and pins write it. Pure; what it writes may be a secret.

use zeroize::Zeroizing;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The text of these bytes.
pub fn encode(bytes: &[u8]) -> Zeroizing<String> {
    let letter = |bits: u32| {
        let index = usize::try_from(bits & 63).unwrap_or_default();
        ALPHABET.get(index).copied().map_or('=', char::from)
    };
    let mut text = Zeroizing::new(String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4)));
    for chunk in bytes.chunks(3) {
        let byte = |n: usize| chunk.get(n).copied().map_or(0, u32::from);
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (n, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            text.push(if n <= chunk.len() { letter(group >> shift) } else { '=' });
        }
    }
    text
}

/// So many bytes of a text, if it is one of so many; bits that are left over are not looked at.
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    bytes(text)?.try_into().ok()
}

/// The bytes of a text of any length.
pub fn bytes(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(text.len());
    let (mut held, mut bits) = (0u32, 0u32);
    for character in text.bytes() {
        let value = ALPHABET.iter().position(|c| *c == character)?;
        held = held << 6 | u32::try_from(value).ok()?;
        bits = bits.saturating_add(6);
        if bits >= 8 {
            bits = bits.saturating_sub(8);
            bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
        held &= (1 << bits) - 1;
    }
    Some(bytes)
}
