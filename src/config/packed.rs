//! Long texts of the binary, which the build stores deflated: `policy/build.rs` names them.
//!
//! Pure. Only for what people ask for; nothing that decides anything is packed.

use flate2::{Decompress, FlushDecompress};

/// Most bytes of one text. The build refuses a longer one.
const MOST: usize = 64 * 1024;

/// The text that was packed.
#[must_use]
pub fn unpack(packed: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(MOST);
    let inflated = Decompress::new(false).decompress_vec(packed, &mut bytes, FlushDecompress::Finish);
    debug_assert!(inflated.is_ok(), "the build packs what this unpacks");
    String::from_utf8(bytes).unwrap_or_default()
}
