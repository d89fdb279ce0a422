//! Inflating gzip (RFC 1952, deflate by RFC 1951) as it arrives. Worker only; pure.
//!
//! Output comes in chunks of bounded size, on demand: what a small input could blow up to is never held.

use bytes::{Buf, Bytes};
use flate2::{Crc, Decompress, FlushDecompress, Status};

/// The most that one step puts out.
const CHUNK: usize = 64 << 10;
/// Optional header fields (a file name, a comment) are skipped up to this length.
const MAX_HEADER: u32 = 64 << 10;

const FLAG_CRC: u8 = 1 << 1;
const FLAG_EXTRA: u8 = 1 << 2;
const FLAG_NAME: u8 = 1 << 3;
const FLAG_COMMENT: u8 = 1 << 4;
const FLAGS_RESERVED: u8 = 0b1110_0000;

/// The input is not gzip, or its checksum is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// What a step came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Some output; there may be more.
    Data(Bytes),
    /// All input is used up.
    Hungry,
}

/// Where in a member the next byte belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Before a member; the input may end here.
    Between,
    /// The ten fixed bytes; so many were seen.
    Fixed(u8),
    ExtraLength {
        low: Option<u8>,
    },
    Extra {
        left: u16,
    },
    Name,
    Comment,
    HeaderCrc {
        left: u8,
    },
    Deflate,
    /// Checksum and length, little-endian; so many bytes were seen.
    Trailer {
        seen: u8,
        value: u64,
    },
}

/// A gzip decoder. Takes several members in a row, as the format allows.
pub(super) struct Gunzip {
    stage: Stage,
    flags: u8,
    header: u32,
    inflate: Decompress,
    crc: Crc,
    /// Where output is written. Kept, because zeroing a fresh one costs more than a small member does.
    room: Vec<u8>,
}

impl Gunzip {
    pub(super) fn new() -> Self {
        Self {
            stage: Stage::Between,
            flags: 0,
            header: 0,
            inflate: Decompress::new(false),
            crc: Crc::new(),
            room: Vec::new(),
        }
    }

    /// Whether the input may end here: between members, or before the first.
    pub(super) fn may_end(&self) -> bool {
        self.stage == Stage::Between
    }

    /// Takes from `input` what it can use, until there is output or nothing is left.
    pub(super) fn step(&mut self, input: &mut Bytes) -> Result<Step, Broken> {
        loop {
            if self.stage == Stage::Deflate {
                // Before asking for input: the decoder may hold output that did not fit the last chunk.
                if let Some(data) = self.inflate(input)? {
                    return Ok(Step::Data(data));
                }
            }
            if !input.has_remaining() {
                return Ok(Step::Hungry);
            }
            if self.stage != Stage::Deflate {
                self.stage = self.byte(input.get_u8())?;
            }
        }
    }

    /// Inflates one chunk; `None` when there is no output without further input, or when the member has ended.
    fn inflate(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, Broken> {
        let wanted = CHUNK.min(input.len().saturating_mul(4).max(4096));
        if self.room.len() < wanted {
            self.room = vec![0; wanted];
        }
        let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
        let status =
            self.inflate.decompress(input, &mut self.room, FlushDecompress::None).map_err(|_| Broken)?;
        let advanced = |from: u64, to: u64| usize::try_from(to.saturating_sub(from)).map_err(|_| Broken);
        let consumed = advanced(before_in, self.inflate.total_in())?;
        let made = advanced(before_out, self.inflate.total_out())?;
        let chunk = self.take(made);
        input.advance(consumed.min(input.len()));
        self.crc.update(&chunk);
        if status == Status::StreamEnd {
            self.stage = Stage::Trailer { seen: 0, value: 0 };
        } else if chunk.is_empty() && consumed == 0 && input.has_remaining() {
            // There was input, there was room, and it does not go on: it never will.
            return Err(Broken);
        }
        Ok((!chunk.is_empty()).then_some(chunk))
    }

    /// The first bytes of the room: a little is copied, much takes the room with it.
    fn take(&mut self, made: usize) -> Bytes {
        if made <= self.room.len() / 2 {
            return Bytes::copy_from_slice(self.room.get(..made).unwrap_or_default());
        }
        let mut chunk = std::mem::take(&mut self.room);
        chunk.truncate(made);
        Bytes::from(chunk)
    }

    /// Takes one byte outside the compressed data and says where the next one belongs.
    fn byte(&mut self, byte: u8) -> Result<Stage, Broken> {
        let stage = match self.stage {
            Stage::Between => {
                self.inflate.reset(false);
                self.crc.reset();
                self.header = 0;
                self.fixed(0, byte)?
            }
            Stage::Fixed(seen) => self.fixed(seen, byte)?,
            Stage::ExtraLength { low: None } => Stage::ExtraLength { low: Some(byte) },
            Stage::ExtraLength { low: Some(low) } => match u16::from_le_bytes([low, byte]) {
                0 => self.after(FLAG_EXTRA),
                left => Stage::Extra { left },
            },
            Stage::Extra { left: 1 } => self.after(FLAG_EXTRA),
            Stage::Extra { left } => Stage::Extra { left: left.saturating_sub(1) },
            Stage::Name if byte == 0 => self.after(FLAG_NAME),
            Stage::Comment if byte == 0 => self.after(FLAG_COMMENT),
            Stage::HeaderCrc { left: 1 } => Stage::Deflate,
            Stage::HeaderCrc { left } => Stage::HeaderCrc { left: left.saturating_sub(1) },
            Stage::Trailer { seen, value } => {
                let value = value | u64::from(byte) << (u32::from(seen) * 8);
                match seen {
                    7.. => self.check(value)?,
                    _ => Stage::Trailer { seen: seen.saturating_add(1), value },
                }
            }
            same @ (Stage::Name | Stage::Comment | Stage::Deflate) => same,
        };
        self.header = self.header.saturating_add(1);
        if self.header > MAX_HEADER { Err(Broken) } else { Ok(stage) }
    }

    /// The ten bytes that every member begins with (RFC 1952 section 2.3).
    fn fixed(&mut self, seen: u8, byte: u8) -> Result<Stage, Broken> {
        let right = match seen {
            0 => byte == 0x1f,
            1 => byte == 0x8b,
            2 => byte == 8,
            3 => {
                self.flags = byte;
                byte & FLAGS_RESERVED == 0
            }
            9 => return Ok(self.after(0)),
            _ => true,
        };
        if right { Ok(Stage::Fixed(seen.saturating_add(1))) } else { Err(Broken) }
    }

    /// The first stage that the flags announce after the field `done`.
    fn after(&self, done: u8) -> Stage {
        let announced = |flag: u8| self.flags & flag != 0 && flag > done;
        if announced(FLAG_EXTRA) {
            Stage::ExtraLength { low: None }
        } else if announced(FLAG_NAME) {
            Stage::Name
        } else if announced(FLAG_COMMENT) {
            Stage::Comment
        } else if self.flags & FLAG_CRC != 0 {
            Stage::HeaderCrc { left: 2 }
        } else {
            Stage::Deflate
        }
    }

    fn check(&self, trailer: u64) -> Result<Stage, Broken> {
        let found = u64::from(self.crc.sum()) | u64::from(self.crc.amount()) << 32;
        if found == trailer { Ok(Stage::Between) } else { Err(Broken) }
    }
}

#[cfg(test)]
#[path = "gunzip_tests.rs"]
mod tests;
