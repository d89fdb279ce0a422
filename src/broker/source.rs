//! Where the configuration comes from, kept to read it again. Broker only.
//!
//! Flags and environment are those of the start: neither can change. The environment may hold secrets, so it is kept as
//! one, and unpacked only while the configuration is read.

use std::collections::BTreeMap;

use crate::config::types::{Config, Kept, Secret};
use crate::config::{Accounts, Flags, Host};
use crate::sys;

/// Reads and checks everything; the error is what is wrong, as lines for the log.
pub type Read = fn(&Flags, Host<'_>) -> Result<Config, Vec<String>>;

/// Everything but the files.
#[derive(Debug)]
pub struct Source {
    read: Read,
    flags: Flags,
    env: Kept,
    accounts: Accounts,
    uid: u32,
    gid: u32,
}

impl Source {
    /// As `host` is now. Accounts that were looked at are not read again.
    ///
    /// # Errors
    /// When the environment cannot be packed.
    pub fn new(read: Read, flags: &Flags, host: Host<'_>) -> Result<Self, serde_json::Error> {
        Ok(Self {
            read,
            flags: flags.clone(),
            env: Secret::new(serde_json::to_string(host.env)?).into(),
            accounts: host.accounts.clone(),
            uid: host.uid,
            gid: host.gid,
        })
    }

    /// The configuration as the files have it now.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&self) -> Result<Config, Vec<String>> {
        // It was made by us.
        let env: BTreeMap<String, String> = serde_json::from_str(self.env.expose()).unwrap_or_default();
        let host = Host { env: &env, uid: self.uid, gid: self.gid, accounts: &self.accounts };
        let config = (self.read)(&self.flags, host);
        sys::env::wipe(env);
        config
    }
}
