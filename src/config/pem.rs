//! Taking the certificates out of a PEM bundle, or the one private key, and nothing else: a key that strayed into a
//! bundle stays behind.
//!
//! Pure. Whether what is inside can be used is for `tls` to say.

use std::fmt;

use zeroize::Zeroizing;

use super::types::Secret;

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

/// The labels of private keys that can be used: PKCS#8, SEC1, PKCS#1.
const KEYS: [&str; 3] = ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"];

/// Why there is no private key in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// None is there.
    Missing,
    /// It needs a passphrase.
    Encrypted,
    /// There are several, and none is meant more than the others.
    Several,
}

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "PEM file contained no private key (PKCS#8, SEC1 or PKCS#1)",
            Self::Encrypted => "the private key is encrypted, and nobody is there to ask for a passphrase",
            Self::Several => "PEM file contained more than one private key",
        })
    }
}

impl std::error::Error for NoKey {}

/// The private key of a text as PEM, without certificates and other blocks around it.
///
/// # Errors
/// When there is none, more than one, or one that is encrypted.
pub fn private_key(text: &str) -> Result<Secret, NoKey> {
    let mut found: Option<Secret> = None;
    // Room for all of it, so that no unwiped copy is left behind by a growing buffer.
    let mut block = Zeroizing::new(String::with_capacity(text.len().saturating_add(1)));
    let mut label = None;
    for line in text.lines().map(str::trim) {
        let bare = line.strip_prefix("-----").and_then(|l| l.strip_suffix("-----")).unwrap_or_default();
        if let Some(begun) = bare.strip_prefix("BEGIN ") {
            if begun == "ENCRYPTED PRIVATE KEY" {
                return Err(NoKey::Encrypted);
            }
            label = KEYS.iter().find(|known| **known == begun);
            block.clear();
        }
        let Some(label) = label else { continue };
        if line.starts_with("Proc-Type:") && line.contains("ENCRYPTED") {
            return Err(NoKey::Encrypted);
        }
        block.push_str(line);
        block.push('\n');
        if bare.strip_prefix("END ") == Some(label)
            && found.replace(Secret::new(block.as_str().to_string())).is_some()
        {
            return Err(NoKey::Several);
        }
    }
    found.ok_or(NoKey::Missing)
}

#[cfg(test)]
#[path = "pem_tests.rs"]
mod tests;
