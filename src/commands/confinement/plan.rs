//! Which processes there would be with a configuration, and what each of them is granted.

use std::path::{Path, PathBuf};

use crate::broker::domain;
use crate::config::confinement::Identity;
use crate::config::{self, Config, Flags, Host, Problem, types};
use crate::confine::landlock::Grants;
use crate::confine::seccomp::Role;
use crate::confine::{child_role, worker_grants};

use super::task::Post;

/// A program that every machine has: what is granted to it is what is granted to all.
const ANY_PROGRAM: &str = "/bin/sh";
/// The user and group of nobody, for a root who has neither a configuration nor the account.
const NOBODY: Identity = Identity { uid: 65_534, gid: 65_534 };

/// A process that there would be.
pub struct Member {
    /// Its role.
    pub role: Role,
    /// An MCP server's channel.
    pub channel: Option<String>,
    /// What is granted to it.
    pub grants: Grants,
    /// How it comes to be.
    pub post: Post,
}

/// All of them.
pub struct Plan {
    /// Whom root becomes.
    pub identity: Option<Identity>,
    /// The lowest Landlock ABI to accept.
    pub require: u8,
    /// Broker first, then worker, then the MCP servers.
    pub members: Vec<Member>,
    /// The agent's own files.
    pub own_files: Vec<PathBuf>,
    /// Whether a configuration said so, or none was given.
    pub configured: bool,
}

impl Plan {
    /// Of the configuration that flags and environment lead to; without one, of a control plane at port 443 and one MCP
    /// server.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn make(flags: &Flags, host: Host<'_>) -> Result<Self, Vec<Problem>> {
        let configured = config::is_given(flags, host);
        let config = if configured { config::load(flags, host)? } else { default(host)? };
        Ok(Self::of(config, configured))
    }

    fn of(config: Config, configured: bool) -> Self {
        let identity = config.confinement.identity;
        let grants = domain::grants(&config, None);
        let broker = Member {
            role: Role::Broker,
            channel: None,
            grants: grants.clone(),
            post: Post::Broker { identity, grants },
        };
        let mut members = vec![broker];
        for command in &config.commands {
            members.push(Member {
                role: child_role(&command.profile),
                channel: Some(command.channel.to_string()),
                grants: Grants::of_child(&command.profile),
                post: Post::Child(command.profile.clone()),
            });
        }
        let worker = Member {
            role: Role::Worker,
            channel: None,
            grants: worker_grants(&config.worker),
            post: Post::Worker(Box::new(without_secrets(config.worker))),
        };
        members.insert(1, worker);
        let require = config.confinement.require;
        Self { identity, require, members, own_files: config.own_files, configured }
    }
}

/// The probe needs the bounds and the ports, and must not hold what is not its own.
fn without_secrets(mut worker: types::Worker) -> types::Worker {
    worker.control.api_key = types::Secret::new("-".into()).into();
    worker.control.extra_headers.clear();
    worker.mcp.extra_headers.clear();
    worker.ca_pem = None;
    worker.policy = None;
    worker
}

fn default(host: Host<'_>) -> Result<Config, Vec<Problem>> {
    let mut flags = Flags::default();
    for (key, value) in [
        (config::keys::TUNNEL_ID, "tunnel_00000000000000000000000000000000"),
        (config::keys::API_KEY, "env:KEY"),
    ] {
        flags.add(key.flag, value.into());
    }
    // Where there is no shell there is no MCP server to speak of; the control plane alone will do.
    if Path::new(ANY_PROGRAM).exists() {
        flags.add(config::keys::MCP_COMMANDS.flag, ANY_PROGRAM.into());
    } else {
        flags.add(config::keys::MCP_SERVER_URLS.flag, "https://localhost/".into());
    }
    let env = [("KEY".to_string(), "-".to_string())].into();
    let host = Host { env: &env, ..host };
    match config::load(&flags, host) {
        Err(_) if host.is_root() => {
            // There is no account to become.
            let mut config = config::load(&flags, Host { uid: NOBODY.uid, gid: NOBODY.gid, ..host })?;
            config.confinement.identity = Some(NOBODY);
            Ok(config)
        }
        loaded => loaded,
    }
}
