//! Processes for the tests of the broker: this test binary in the roles of ours, and servers of a few words of shell.

use std::collections::BTreeMap;

use super::domain::Domain;
use super::reload::Renewal;
use super::source::Source;
use super::spawn::Images;
use crate::config::confinement::Profile;
use crate::config::types::{Channel, Command};
use crate::config::{Accounts, Flags, Host};
use crate::confine::landlock::Grants;

/// This binary in the roles of ours.
pub fn images() -> Images {
    let role = |test: &str| [test, "--exact", "--nocapture", "--"].iter().map(Into::into).collect();
    Images {
        program: std::env::current_exe().unwrap(),
        worker: role("broker::service::tests::as_worker"),
        launch: role("launch::tests::as_launch"),
    }
}

/// A stdio server of a few words of shell.
pub fn shell(script: &str) -> Command {
    Command {
        channel: Channel::main(),
        argv: vec!["/bin/sh".into(), "-c".into(), script.into()],
        cwd: "/".into(),
        env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into()), ("ONLY".into(), "this".into())]),
        profile: Profile::default(),
        withheld: vec![],
    }
}

/// What a reload needs, where nothing can be read.
pub fn renewal() -> Renewal {
    let (env, accounts) = (BTreeMap::new(), Accounts::of(std::path::Path::new("/nonexistent")));
    let host = Host { env: &env, uid: 1000, gid: 1000, accounts: &accounts };
    let source = Source::new(|_, _| Err(vec!["nothing to read".into()]), &Flags::default(), host).unwrap();
    Renewal { source, domain: Domain::of(Grants::default(), 1), scratch: None }
}
