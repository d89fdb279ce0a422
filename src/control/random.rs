//! Random numbers for jitter, from the operating system by way of the TLS provider.

use aws_lc_rs::rand;

/// A number from 0 to `bound`, both included, each as likely as the others (to 2^-64). Without a source of
/// randomness it is `bound`, the most patient choice.
#[must_use]
pub fn up_to(bound: u64) -> u64 {
    let mut bytes = [0; 8];
    if rand::fill(&mut bytes).is_err() {
        return bound;
    }
    let product = u128::from(u64::from_le_bytes(bytes)) * (u128::from(bound) + 1);
    u64::try_from(product >> 64).unwrap_or(bound)
}
