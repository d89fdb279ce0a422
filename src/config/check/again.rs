//! Reading again: how often files are looked at, where they may be read from then, and who may own those of secrets.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::child::is_broad;
use crate::config::confinement::Identity;
use crate::config::duration;
use crate::config::keys;
use crate::config::problem::{Problem, show};
use crate::config::sources::Sources;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);
const LEAST_INTERVAL: Duration = Duration::from_secs(1);
const MOST_INTERVAL: Duration = Duration::from_secs(86_400);
/// Permission of everybody to write, and to read.
const OTHERS_WRITE: u32 = 0o002;
const OTHERS_READ: u32 = 0o004;

/// `reload_interval`; `None` is never.
pub fn interval(s: &mut Sources<'_>) -> Option<Duration> {
    let why = format!("must be 0 or between {LEAST_INTERVAL:?} and {MOST_INTERVAL:?}");
    match s.in_file(&keys::RELOAD_INTERVAL) {
        None => Some(DEFAULT_INTERVAL),
        Some(given) => match duration::parse(given.trimmed()) {
            Some(Duration::ZERO) => None,
            Some(every) if (LEAST_INTERVAL..=MOST_INTERVAL).contains(&every) => Some(every),
            _ => {
                s.refuse(Problem::new(&given.place, why).found(show(given.trimmed())));
                None
            }
        },
    }
}

/// Refuses a secret that somebody else could have put there, and warns of one that everybody can read.
pub fn secrets(s: &mut Sources<'_>, identity: Option<Identity>) {
    for file in s.read.secrets().to_vec() {
        let shown = file.path.display();
        let (user, uid) = (&file.user, file.uid);
        let agent = identity.map_or(s.host.uid, |identity| identity.uid);
        let why = if ![0, s.host.uid, agent].contains(&uid) {
            format!(
                "file {shown} referenced by {user} belongs to user {uid}, who is neither root nor the agent's user {agent}"
            )
        } else if file.mode & OTHERS_WRITE != 0 {
            format!("file {shown} referenced by {user} can be changed by every user")
        } else {
            if file.mode & OTHERS_READ != 0 {
                s.warnings.push(format!(
                    "file {shown} referenced by {user} can be read by every user; chown it to the agent's user and chmod 0400 it"
                ));
            }
            continue;
        };
        s.refuse(
            Problem::new(&file.place, why)
                .hint("chown it to the agent's user and chmod 0400 it")
                .unreadable(),
        );
    }
}

/// What the confined broker must be able to read to read everything again: the directories of the files, since a rule
/// on a file would end with its replacement. Where a directory is too broad, the file alone.
pub fn places(s: &Sources<'_>) -> BTreeSet<PathBuf> {
    let home = s.host.env.get("HOME").map(Path::new).and_then(|home| home.canonicalize().ok());
    let mut places = BTreeSet::new();
    for path in s.read.paths() {
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        let spelled = path.parent().and_then(|parent| parent.canonicalize().ok());
        for directory in [spelled.as_deref(), real.parent()].into_iter().flatten() {
            let place = if is_broad(directory, home.as_deref()) { real.as_path() } else { directory };
            places.insert(place.to_path_buf());
        }
    }
    places
}
