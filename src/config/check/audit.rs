//! `audit`: where the audit log is, how it is kept, what follows when it cannot be written.

use std::time::Duration;

use crate::config::audit::{Audit, Durability, OnFailure};
use crate::config::keys::{self, Key};
use crate::config::problem::{Place, Problem, show};
use crate::config::profile::expand;
use crate::config::reference::{Reference, Spelling};
use crate::config::sources::Sources;
use crate::config::types::Kept;

use super::rest::bounded;

/// Bounds of `audit.rotation.size`. Below the lower one a file would hold some dozens of records.
const SIZE: std::ops::RangeInclusive<i64> = 65_536..=1_099_511_627_776;
/// Of a file, when the configuration says nothing.
const DEFAULT_SIZE: usize = 64 << 20;
/// Bounds of `audit.rotation.files`. At least the current one and the one before it.
const FILES: std::ops::RangeInclusive<i64> = 2..=100_000;
/// Kept, when the configuration says nothing: with the other defaults a quarter of a year.
const DEFAULT_FILES: usize = 90;
const DAY: Duration = Duration::from_secs(86_400);
const DEFAULT_CHECKPOINTS: Duration = Duration::from_secs(300);

/// The section; `None` when the file has none.
pub fn audit(s: &mut Sources<'_>) -> Option<Audit> {
    if !s.file.as_ref().is_some_and(|file| file.values.keys().any(|key| key.starts_with("audit."))) {
        return None;
    }
    let path = s.one_filled(&keys::AUDIT_PATH).map(|given| {
        let path = expand(given.trimmed(), s.host);
        // A rule of the kernel is about the directory, not about a link to it.
        let real = if path.is_absolute() { path.canonicalize().ok() } else { None };
        (real.unwrap_or(path), given)
    });
    match &path {
        Some((path, _)) if path.is_absolute() => s.own.add(keys::AUDIT_PATH.yaml, path),
        Some((_, given)) => {
            s.refuse(Problem::new(&given.place, "must be an absolute path").found(show(given.trimmed())));
        }
        None => s.refuse(
            Problem::new(&Place::named(keys::AUDIT_PATH.yaml), "the audit log needs a directory")
                .hint("name one of its own, such as /var/log/tunnelward/audit, or remove the section"),
        ),
    }
    let size = s.within(&keys::AUDIT_ROTATION_SIZE, SIZE, DEFAULT_SIZE);
    let durability = one_of(
        s,
        &keys::AUDIT_DURABILITY,
        &[("each", Durability::Each), ("batch", Durability::Batch), ("os", Durability::Os)],
    );
    let on_failure = one_of(
        s,
        &keys::AUDIT_ON_FAILURE,
        &[("stop", OnFailure::Stop), ("refuse", OnFailure::Refuse), ("continue", OnFailure::Continue)],
    );
    if on_failure == OnFailure::Continue {
        s.warnings.push(
            "audit.on_failure is continue: calls are forwarded also when they cannot be recorded".into(),
        );
    }
    let checkpoints = bounded(s, &keys::AUDIT_CHECKPOINTS, Duration::ZERO, DAY, DEFAULT_CHECKPOINTS);
    Some(Audit {
        rotation_size: u64::try_from(size).unwrap_or(u64::MAX),
        rotation_age: bounded(s, &keys::AUDIT_ROTATION_AGE, Duration::from_secs(60), DAY * 366, DAY),
        rotation_files: s.within(&keys::AUDIT_ROTATION_FILES, FILES, DEFAULT_FILES),
        durability,
        on_failure,
        key: key(s),
        checkpoints: Some(checkpoints).filter(|every| !every.is_zero()),
        path: path?.0,
    })
}

fn one_of<T: Copy + Default>(s: &mut Sources<'_>, key: &Key, legal: &[(&str, T)]) -> T {
    let Some(given) = s.one_filled(key) else { return T::default() };
    if let Some((_, found)) = legal.iter().find(|(name, _)| *name == given.trimmed()) {
        return *found;
    }
    let names: Vec<&str> = legal.iter().map(|(name, _)| *name).collect();
    s.refuse(
        Problem::new(&given.place, format!("must be one of {}", names.join(", ")))
            .found(show(given.trimmed())),
    );
    T::default()
}

fn key(s: &mut Sources<'_>) -> Option<Kept> {
    let given = s.one_filled(&keys::AUDIT_KEY)?;
    let Some(reference) = Reference::parse(given.trimmed(), Spelling::AnyCase) else {
        s.refuse(Problem::new(&given.place, "must be a reference: env:NAME, file:/path or credential:NAME"));
        return None;
    };
    let secret =
        s.resolve(reference, &given.place, keys::AUDIT_KEY.yaml).map_err(|problem| s.refuse(problem)).ok()?;
    let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if secret.expose().len() != 64 || !secret.expose().bytes().all(digit) {
        let hint = "make one with `tunnelward audit init`, which needs no key in the configuration, or with: openssl rand -hex 32";
        s.refuse(Problem::new(&given.place, "the key must be 64 lower-case hex digits").hint(hint));
        return None;
    }
    Some(secret.into())
}
