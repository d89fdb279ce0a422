//! The chain: members of a record in, one authenticated line out, and the check of such a line. Pure.
//!
//! Record `n` carries the hash of the line before it and an HMAC under key `n`. Key `n + 1` follows from key `n` by a
//! one-way step, and key `n` is overwritten. Whoever holds key `n` can continue the log, and cannot write anything
//! that came before it again. Runs in the broker (which writes) and in the commands (which verify). Must never see
//! more of a record than its bytes.

use std::io::Write as _;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{self, SHA256};
use serde_json::{Map, Value};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The version of the records.
pub const VERSION: u64 = 1;
/// Longest line of a record, in bytes. Every text in a record has a bound of its own; together they stay below this.
pub const MAX_LINE: usize = 16 * 1024;
/// What stands before the authentication code, which is the last member.
const MAC: &str = ",\"mac\":\"";
/// What a key is turned into the next one by. Records begin with a brace, so none can be this text.
const NEXT: &[u8] = b"tunnelward audit: the next key";
/// What the first key of the digests is made of the first key of the records by.
const DIGESTS: &[u8] = b"tunnelward audit: the key of the digests";

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// SHA-256.
pub type Digest = [u8; 32];
/// What the first record follows.
pub const NOTHING: Digest = [0; 32];

/// A key that only goes forward. Wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// From random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// From 64 hex digits; `None` when the text is anything else.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        unhex(text).map(Self)
    }

    /// As 64 hex digits.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex(&self.0))
    }

    /// Becomes the next key. The one before cannot be computed from it.
    pub fn evolve(&mut self) {
        let mut next = self.code(&[NEXT]);
        self.0.copy_from_slice(&next);
        next.zeroize();
    }

    /// The first key of the digests, when this is the first key of the records.
    #[must_use]
    pub fn of_digests(&self) -> Self {
        Self(self.code(&[DIGESTS]))
    }

    /// The keyed digest of something that must not be guessed from its record.
    #[must_use]
    pub fn digest(&self, what: &str, bytes: &[u8]) -> String {
        hex(&self.code(&[what.as_bytes(), b":", bytes]))
    }

    /// HMAC-SHA256 (RFC 2104) of pieces that follow each other. Every record takes two codes of a key that is used for
    /// nothing else, and the contexts of the library's HMAC, made and wiped each time, cost more than the hashing.
    fn code(&self, pieces: &[&[u8]]) -> Digest {
        let length = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        let padded = |pad: u8, pieces: &[&[u8]]| {
            let mut text = Vec::with_capacity(BLOCK + length.max(NOTHING.len()));
            text.resize(BLOCK, pad);
            text.iter_mut().zip(&self.0).for_each(|(byte, key)| *byte ^= key);
            pieces.iter().for_each(|piece| text.extend_from_slice(piece));
            let hash = hash(&text);
            // Only the first block is secret.
            text.iter_mut().take(BLOCK).for_each(Zeroize::zeroize);
            hash
        };
        padded(0x5c, &[&padded(0x36, pieces)])
    }

    fn is_code_of(&self, bytes: &[u8], code: &Digest) -> bool {
        verify_slices_are_equal(&self.code(&[bytes]), code).is_ok()
    }
}

/// What every record begins with, besides its place in the chain.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// UTC, RFC 3339.
    pub time: &'a str,
    /// The monotonic clock in microseconds; comparable within one boot.
    pub mono_us: u64,
    /// The boot that the monotonic clock belongs to.
    pub boot: &'a str,
}

/// Where the next record goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The number of the next record.
    pub sequence: u64,
    /// The hash of the line before it.
    pub previous: Digest,
    /// The key that authenticates it.
    pub key: Key,
}

impl Chain {
    /// Before the first record.
    #[must_use]
    pub const fn begin(key: Key) -> Self {
        Self { sequence: 0, previous: NOTHING, key }
    }

    /// Appends the line of the next record, with its end, and goes on. `members` are those of a JSON object without
    /// its braces. Times and boot ids are texts of ours that need no escaping.
    pub fn seal(&mut self, head: Head<'_>, members: &str, out: &mut Vec<u8>) {
        let begin = out.len();
        let Head { time, mono_us, boot } = head;
        let (sequence, previous) = (self.sequence, hex(&self.previous));
        // Writing to a Vec cannot fail.
        let _ = write!(
            out,
            "{{\"v\":{VERSION},\"seq\":{sequence},\"time\":\"{time}\",\"mono_us\":{mono_us},\"boot\":\"{boot}\",\"prev\":\"{previous}\",{members}"
        );
        let code = self.key.code(&[out.get(begin..).unwrap_or_default()]);
        out.extend_from_slice(MAC.as_bytes());
        out.extend_from_slice(hex(&code).as_bytes());
        out.extend_from_slice(b"\"}");
        self.previous = hash(out.get(begin..).unwrap_or_default());
        out.push(b'\n');
        self.step();
    }

    /// Takes a line (without its end) as the next record.
    ///
    /// # Errors
    /// The first thing that keeps it from being that; the chain has not moved then.
    pub fn accept(&mut self, line: &[u8]) -> Result<(), Flaw> {
        let record = Record::read(line)?;
        if record.sequence != self.sequence {
            return Err(Flaw::Sequence { found: record.sequence });
        }
        if record.previous != self.previous {
            return Err(Flaw::Previous);
        }
        if !record.is_authentic(&self.key) {
            return Err(Flaw::Code);
        }
        self.previous = record.hash();
        self.step();
        Ok(())
    }

    fn step(&mut self) {
        self.sequence = self.sequence.saturating_add(1);
        self.key.evolve();
    }
}

/// Why a line is not the record that belongs there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It has not the shape of a record.
    Shape,
    /// It was written by a version that this one does not know.
    Newer(u64),
    /// It has another number.
    Sequence {
        /// Which.
        found: u64,
    },
    /// It does not name the hash of the line before it.
    Previous,
    /// Its authentication code is not that of its key.
    Code,
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shape => f.write_str("is not a record"),
            Self::Newer(version) => write!(
                f,
                "is of version {version}, and this tunnelward reads up to version {VERSION}; use a newer one"
            ),
            Self::Sequence { found } => write!(f, "is record {found}, out of its order"),
            Self::Previous => f.write_str("does not follow the line before it"),
            Self::Code => f.write_str("is not authentic"),
        }
    }
}

impl std::error::Error for Flaw {}

/// The members of a record.
#[derive(Clone, Debug, Default)]
pub struct Members(Map<String, Value>);

impl Members {
    /// Of a line.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok().map(Self)
    }

    /// A text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.as_u64()
    }

    /// All of them, by their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// A line that has the shape of a record.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// Its number.
    pub sequence: u64,
    /// The hash of the line before it.
    pub previous: Digest,
    /// What it says.
    pub members: Members,
    line: &'a [u8],
    authenticated: &'a [u8],
    code: Digest,
}

impl<'a> Record<'a> {
    /// Reads the shape of a line without its end.
    ///
    /// # Errors
    /// When it has another shape, or is of a newer version.
    pub fn read(line: &'a [u8]) -> Result<Self, Flaw> {
        let text = std::str::from_utf8(line).map_err(|_| Flaw::Shape)?;
        let members = Members::read(text).ok_or(Flaw::Shape)?;
        match members.number("v") {
            Some(version) if version > VERSION => return Err(Flaw::Newer(version)),
            Some(_) => {}
            None => return Err(Flaw::Shape),
        }
        let (authenticated, code) = text.rsplit_once(MAC).ok_or(Flaw::Shape)?;
        let code = code.strip_suffix("\"}").and_then(unhex).ok_or(Flaw::Shape)?;
        let previous = members.text("prev").and_then(unhex).ok_or(Flaw::Shape)?;
        let sequence = members.number("seq").ok_or(Flaw::Shape)?;
        Ok(Self { sequence, previous, members, line, authenticated: authenticated.as_bytes(), code })
    }

    /// Whether the key of its number made its code.
    #[must_use]
    pub fn is_authentic(&self, key: &Key) -> bool {
        key.is_code_of(self.authenticated, &self.code)
    }

    /// What the next record names as the hash of this one.
    #[must_use]
    pub fn hash(&self) -> Digest {
        hash(self.line)
    }
}

/// SHA-256.
#[must_use]
pub fn hash(bytes: &[u8]) -> Digest {
    digest_of(digest::digest(&SHA256, bytes).as_ref())
}

/// Lower-case hex digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble };
    let mut text = vec![b'0'; 2 * bytes.len()];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    String::from_utf8(text).unwrap_or_default()
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

/// The 32 bytes of a SHA-256 that a library hands out as a slice.
fn digest_of(bytes: &[u8]) -> Digest {
    let mut digest = NOTHING;
    for (to, from) in digest.iter_mut().zip(bytes) {
        *to = *from;
    }
    digest
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
