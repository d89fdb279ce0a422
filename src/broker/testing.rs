//! Processes for the tests of the broker: this test binary in the roles of ours, and servers of a few words of shell.

use std::collections::BTreeMap;

use super::spawn::Images;
use crate::config::confinement::Profile;
use crate::config::types::{Channel, Command};

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
