//! `audit init`: the first key and the state that is made of it.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use aws_lc_rs::rand;
use zeroize::Zeroizing;

use super::Init;
use crate::audit::chain::Key;
use crate::audit::clock::seconds;
use crate::audit::directory;
use crate::commands::{complain, say};
use crate::config::Host;
use crate::config::accounts::number;
use crate::exit::Exit;

/// The account that is meant when root names none.
const ACCOUNT: &str = "tunnelward";

pub(super) fn run(init: &Init, host: Host<'_>) -> Exit {
    let owner = match owner(init.owner.as_deref(), host) {
        Ok(owner) => owner,
        Err(why) => {
            complain(&why);
            return Exit::Usage;
        }
    };
    let mut bytes = Zeroizing::new([0; 32]);
    if rand::fill(&mut *bytes).is_err() {
        complain("no random numbers");
        return Exit::Os;
    }
    let key = Key::new(*bytes);
    // The copy comes first: a log whose key is nowhere else can never be verified.
    if let Some(file) = &init.export
        && let Err(e) = export(Path::new(file), &key)
    {
        complain(&format!("{file}: {e}"));
        return Exit::CantCreate;
    }
    if let Err(e) = directory::begin(Path::new(&init.directory), key.clone(), seconds(), owner) {
        if let Some(file) = &init.export {
            drop(std::fs::remove_file(file));
        }
        let why = if e.kind() == io::ErrorKind::AlreadyExists {
            "there is an audit log already".into()
        } else {
            e.to_string()
        };
        complain(&format!("{}: {why}", init.directory));
        return Exit::CantCreate;
    }
    complain(&format!("{}: an audit log begins here", init.directory));
    if init.export.is_none() {
        complain(
            "Keep this key on another machine; it is not shown again, and `tunnelward audit verify --key FILE` needs it:",
        );
        say(&key.to_hex());
    }
    Exit::Ok
}

fn export(file: &Path, key: &Key) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    let mut line = key.to_hex();
    line.push('\n');
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

/// Whose the log becomes; nobody else's than ours when we are not root.
fn owner(wanted: Option<&str>, host: Host<'_>) -> Result<Option<(u32, u32)>, String> {
    if !host.is_root() {
        return match wanted {
            Some(_) => Err("--owner: only root can give files away".into()),
            None => Ok(None),
        };
    }
    let accounts = host.accounts;
    let name = wanted.unwrap_or(ACCOUNT);
    let (user, group) = name.split_once(':').map_or((name, None), |(user, group)| (user, Some(group)));
    let found = match number(user) {
        Some(uid) => Some((uid, accounts.primary_group(uid).unwrap_or(uid))),
        None => accounts.user(user),
    };
    let (uid, gid) = found.ok_or_else(|| {
        format!("there is no user {user:?} in /etc/passwd; name the one that the agent runs as with --owner")
    })?;
    let gid = match group {
        None => gid,
        Some(group) => number(group)
            .or_else(|| accounts.group(group))
            .ok_or_else(|| format!("there is no group {group:?} in /etc/group"))?,
    };
    Ok(Some((uid, gid)))
}
