//! Names of users and groups, from `/etc/passwd` and `/etc/group` and nowhere else.
//!
//! Broker only. The binary is static and has no name service; accounts of a directory (LDAP, SSSD) are given by their
//! numbers. Lines that are not understood are skipped, as everybody else does who reads these files.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::read;

/// Largest file that is read: 100 000 accounts of an ordinary length.
const MAX_ACCOUNTS: u64 = 8 * 1024 * 1024;

/// What the two files said when they were first asked for. A file that cannot be read has no accounts.
#[derive(Clone, Debug)]
pub struct Accounts {
    etc: PathBuf,
    read: OnceLock<Files>,
}

#[derive(Clone, Debug)]
struct Files {
    passwd: String,
    group: String,
}

impl Accounts {
    /// Those of `passwd` and `group` in a directory. Neither is read yet.
    #[must_use]
    pub fn of(etc: &Path) -> Self {
        Self { etc: etc.to_path_buf(), read: OnceLock::new() }
    }

    fn files(&self) -> &Files {
        let text = |name: &str| {
            let bytes = read::bytes(&self.etc.join(name), MAX_ACCOUNTS).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        self.read.get_or_init(|| Files { passwd: text("passwd"), group: text("group") })
    }

    /// Number and primary group of a user, by name.
    pub fn user(&self, name: &str) -> Option<(u32, u32)> {
        users(&self.files().passwd).find(|(found, ..)| *found == name).map(|(_, uid, gid)| (uid, gid))
    }

    /// The primary group of a user, by number.
    pub fn primary_group(&self, uid: u32) -> Option<u32> {
        users(&self.files().passwd).find(|(_, found, _)| *found == uid).map(|(.., gid)| gid)
    }

    /// The number of a group.
    pub fn group(&self, name: &str) -> Option<u32> {
        let mut fields = self.files().group.lines().map(|line| line.split(':'));
        fields.find_map(|mut line| {
            let (found, _password, gid) = (line.next()?, line.next()?, line.next()?);
            (found == name).then(|| number(gid)).flatten()
        })
    }
}

fn users(passwd: &str) -> impl Iterator<Item = (&str, u32, u32)> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _password) = (fields.next()?, fields.next()?);
        let (uid, gid) = (number(fields.next()?)?, number(fields.next()?)?);
        // The other three make it a line of this file.
        (!name.is_empty() && fields.count() == 3).then_some((name, uid, gid))
    })
}

/// A number in digits alone. The highest stands for "unchanged" in system calls and is nobody's.
pub fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|n| digits && *n != u32::MAX)
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
