//! The chain: members of a record in, one authenticated line out, and the check of such a line. Pure.
//!
//! Record `n` carries the hash of the line before it and an HMAC under key `n`. Key `n + 1` follows from key `n` by a
//! one-way step, and key `n` is overwritten. Whoever holds key `n` can continue the log, and cannot write anything
//! that came before it again. Runs in the broker (which writes) and in the commands (which verify). Must never see
//! more of a record than its bytes.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde_json::{Map, Value};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::digest::put_hex;
pub use super::digest::{Digest, hash, hex, unhex};

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
/// Up to so many bytes are hashed where they need no memory of their own: all but the records.
const SHORT: usize = 192;

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

    /// Appends the 64 hex digits to what is wiped by its owner.
    pub fn put_hex(&self, out: &mut Vec<u8>) {
        put_hex(&self.0, out);
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
        let length = pieces.iter().fold(BLOCK, |length, piece| length.saturating_add(piece.len()));
        let (mut short, mut long) = ([0; SHORT], Vec::new());
        let room = match short.get_mut(..length) {
            Some(room) => room,
            None => {
                long.resize(length, 0);
                long.as_mut_slice()
            }
        };
        let (_, mut rest) = room.split_at_mut(BLOCK);
        for piece in pieces {
            let (here, after) = rest.split_at_mut(piece.len());
            here.copy_from_slice(piece);
            rest = after;
        }
        self.code_behind(room)
    }

    /// The same of what follows the first block of `room`, which is used and wiped.
    fn code_behind(&self, room: &mut [u8]) -> Digest {
        let mut outer = [0; BLOCK + 32];
        let inner = self.hash_behind(0x36, room);
        outer.iter_mut().skip(BLOCK).zip(inner).for_each(|(byte, inner)| *byte = inner);
        self.hash_behind(0x5c, &mut outer)
    }

    /// The hash of the padded key and what follows it in `room`.
    fn hash_behind(&self, pad: u8, room: &mut [u8]) -> Digest {
        room.iter_mut().take(BLOCK).for_each(|byte| *byte = pad);
        room.iter_mut().zip(&self.0).for_each(|(byte, key)| *byte ^= key);
        let hash = hash(room);
        // Where the key is in it; the rest of the block is the pad alone.
        room.iter_mut().take(self.0.len()).for_each(Zeroize::zeroize);
        hash
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
        // A block in front of the line, for the key of its code; the line takes that place in the end.
        let begin = out.len();
        let text = begin.saturating_add(BLOCK);
        out.resize(text, 0);
        let Head { time, mono_us, boot } = head;
        let [mut version, mut sequence, mut mono] = [itoa::Buffer::new(); 3];
        let (version, sequence) = (version.format(VERSION), sequence.format(self.sequence));
        let mono = mono.format(mono_us);
        for piece in ["{\"v\":", version, ",\"seq\":", sequence, ",\"time\":\"", time, "\",\"mono_us\":"] {
            out.extend_from_slice(piece.as_bytes());
        }
        for piece in [mono, ",\"boot\":\"", boot, "\",\"prev\":\""] {
            out.extend_from_slice(piece.as_bytes());
        }
        put_hex(&self.previous, out);
        out.extend_from_slice(b"\",");
        out.extend_from_slice(members.as_bytes());
        let code = self.key.code_behind(out.get_mut(begin..).unwrap_or_default());
        out.extend_from_slice(MAC.as_bytes());
        put_hex(&code, out);
        out.extend_from_slice(b"\"}");
        self.previous = hash(out.get(text..).unwrap_or_default());
        out.push(b'\n');
        out.copy_within(text.., begin);
        out.truncate(out.len().saturating_sub(BLOCK));
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

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
