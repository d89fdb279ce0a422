//! Where the log stands: what is overwritten with every commit, so that a key that was used is nowhere any more.
//!
//! Pure: bytes in, values out. It is one block of [`SIZE`] bytes, no more than a sector of any disk, so that it is
//! replaced as a whole. Broker and commands. Must never be copied to another file: it holds the key of what comes next.

use zeroize::Zeroizing;

use super::chain::{Chain, Key, hash, unhex};
use super::digest::put_hex;

/// The version of the state.
pub const VERSION: u64 = 1;
/// Its size in bytes.
pub const SIZE: usize = 512;
/// What stands before the SHA-256 of all that is before it.
const SUM: &str = "sum: ";

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
        // No more is ever in it, so it does not grow and leave a key behind.
        let mut block = Zeroizing::new(Vec::with_capacity(SIZE));
        let number = |name: &str, number: u64, block: &mut Vec<u8>| {
            block.extend_from_slice(name.as_bytes());
            block.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        };
        number("version: ", VERSION, &mut block);
        number("\nsequence: ", *sequence, &mut block);
        block.extend_from_slice(b"\nprevious: ");
        put_hex(previous, &mut block);
        block.extend_from_slice(b"\nkey: ");
        key.put_hex(&mut block);
        block.extend_from_slice(b"\ndigests: ");
        self.digests.put_hex(&mut block);
        number("\nfile: ", self.file, &mut block);
        number("\noffset: ", self.offset, &mut block);
        number("\nbegun: ", self.begun, &mut block);
        block.push(b'\n');
        let sum = hash(&block);
        block.extend_from_slice(SUM.as_bytes());
        put_hex(&sum, &mut block);
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
        let mut lines = text.lines();
        let mut next = |name: &str| {
            let value = lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value.ok_or(Damaged::Content)
        };
        let number = |text: &str| text.parse::<u64>().map_err(|_| Damaged::Content);
        let digest = |text: &str| unhex(text).ok_or(Damaged::Content);
        // A newer version may have other lines and another check, so this comes first.
        let version = number(next("version")?)?;
        if version > VERSION {
            return Err(Damaged::Newer(version));
        }
        let (content, sum) = text.rsplit_once(SUM).ok_or(Damaged::Content)?;
        if unhex(sum.trim_end()) != Some(hash(content.as_bytes())) {
            return Err(Damaged::Content);
        }
        let (sequence, previous) = (number(next("sequence")?)?, digest(next("previous")?)?);
        let (key, digests) = (Key::new(digest(next("key")?)?), Key::new(digest(next("digests")?)?));
        let (file, offset) = (number(next("file")?)?, number(next("offset")?)?);
        let begun = number(next("begun")?)?;
        Ok(Self { chain: Chain { sequence, previous, key }, digests, file, offset, begun })
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
