//! Where the log stands: what is overwritten with every commit, so that a key that was used is nowhere any more.
//!
//! Pure: bytes in, values out. It is one block of [`SIZE`] bytes, no more than a sector of any disk, so that it is
//! replaced as a whole. Broker and commands. Must never be copied to another file: it holds the key of what comes next.

use serde::Deserialize;
use zeroize::Zeroizing;

use super::chain::{Chain, Digest, Key, hash, hex, unhex};

/// The version of the state.
pub const VERSION: u64 = 1;
/// Its size in bytes.
pub const SIZE: usize = 512;

/// Everything that is needed to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The place of the next record in the chain.
    pub chain: Chain,
    /// The key of the digests in the current file; the next file has the next one.
    pub digests: Key,
    /// The number of the current file.
    pub file: u64,
    /// How many bytes of it are committed.
    pub offset: u64,
    /// When it was begun, in seconds since 1970.
    pub begun: u64,
}

/// Why a state is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damaged {
    /// A newer version wrote it.
    Newer(u64),
    /// It is not what was written.
    Content,
}

impl std::fmt::Display for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Newer(version) => write!(
                f,
                "the state of the audit log is of version {version}, and this tunnelward knows up to version {VERSION}; use a newer one"
            ),
            Self::Content => f.write_str("the state of the audit log is damaged"),
        }
    }
}

impl std::error::Error for Damaged {}

#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

/// Borrowed, so that no copy of a key is left behind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw<'a> {
    #[serde(rename = "version")]
    _version: u64,
    sequence: u64,
    #[serde(borrow)]
    previous: &'a str,
    key: &'a str,
    digests: &'a str,
    file: u64,
    offset: u64,
    begun: u64,
}

impl State {
    /// Before the first record of a log.
    #[must_use]
    pub fn begin(key: Key, now: u64) -> Self {
        let digests = key.of_digests();
        Self { chain: Chain::begin(key), digests, file: 1, offset: 0, begun: now }
    }

    /// The block.
    #[must_use]
    pub fn render(&self) -> Zeroizing<Vec<u8>> {
        let Chain { sequence, previous, key } = &self.chain;
        let (key, digests) = (key.to_hex(), self.digests.to_hex());
        let mut block = Zeroizing::new(Vec::with_capacity(SIZE));
        for part in [
            &format!(
                "{{\"version\":{VERSION},\"sequence\":{sequence},\"previous\":\"{}\",\"key\":\"",
                hex(previous)
            ),
            key.as_str(),
            "\",\"digests\":\"",
            digests.as_str(),
            &format!("\",\"file\":{},\"offset\":{},\"begun\":{}}}", self.file, self.offset, self.begun),
        ] {
            block.extend_from_slice(part.as_bytes());
        }
        let sum = hex(&hash(&block));
        block.push(b'\n');
        block.extend_from_slice(sum.as_bytes());
        block.resize(SIZE - 1, b' ');
        block.push(b'\n');
        block
    }

    /// Reads a block.
    ///
    /// # Errors
    /// When it is of a newer version, or not what [`State::render`] makes.
    pub fn read(block: &[u8]) -> Result<Self, Damaged> {
        let text = std::str::from_utf8(block).map_err(|_| Damaged::Content)?;
        let (json, rest) = text.split_once('\n').ok_or(Damaged::Content)?;
        // A newer version may have another check, so the version is looked at first.
        let version = serde_json::from_str::<Versioned>(json).map_err(|_| Damaged::Content)?.version;
        if version > VERSION {
            return Err(Damaged::Newer(version));
        }
        if unhex(rest.trim_end()) != Some(hash(json.as_bytes())) {
            return Err(Damaged::Content);
        }
        let raw: Raw<'_> = serde_json::from_str(json).map_err(|_| Damaged::Content)?;
        let previous: Digest = unhex(raw.previous).ok_or(Damaged::Content)?;
        let key = |text| Key::from_hex(text).ok_or(Damaged::Content);
        Ok(Self {
            chain: Chain { sequence: raw.sequence, previous, key: key(raw.key)? },
            digests: key(raw.digests)?,
            file: raw.file,
            offset: raw.offset,
            begun: raw.begun,
        })
    }

    /// Goes on to the next file.
    pub fn next_file(&mut self, now: u64) {
        self.file = self.file.saturating_add(1);
        self.offset = 0;
        self.begun = now;
        self.digests.evolve();
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
