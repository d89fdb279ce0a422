//! Taking the certificates out of a PEM bundle, and nothing else: a key that strayed into it stays behind.
//!
//! Pure.

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The certificate blocks of a bundle as PEM, without comments and other blocks. `None` when there is none.
pub fn certificates(bundle: &str) -> Option<String> {
    let mut kept = String::new();
    let mut block: Option<String> = None;
    for line in bundle.lines().map(str::trim) {
        if line == BEGIN {
            block = Some(String::new());
        }
        let Some(text) = &mut block else { continue };
        text.push_str(line);
        text.push('\n');
        if line == END {
            kept.push_str(text);
            block = None;
        }
    }
    (!kept.is_empty()).then_some(kept)
}

#[cfg(test)]
#[path = "pem_tests.rs"]
mod tests;
