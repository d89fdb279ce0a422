//! `run`, and the hidden roles that it and `policy` start.

use std::collections::BTreeMap;
use std::path::Path;

use super::cli::Launch;
use super::complain;
use crate::broker::source::Source;
use crate::config::Config;
use crate::config::types;
use crate::confine::kernel::Kernel;
use crate::exit::Exit;
use crate::log::Log;
use crate::log::journal::{self, Journal};
use crate::{broker, launch, sys, worker};

/// Becomes the broker.
pub fn run(config: Config, source: Source, env: BTreeMap<String, String>) -> Exit {
    let kernel = Kernel::probe();
    let abi = match kernel.check(config.confinement.require) {
        Ok(abi) => abi,
        Err(missing) => {
            complain(&missing.to_string());
            return Exit::Unavailable;
        }
    };
    match open_log(&config.log, &env) {
        Ok(log) => broker::run((config, source), env, (kernel, abi), log),
        Err(text) => {
            complain(&text);
            Exit::CantCreate
        }
    }
}

/// Becomes the worker.
pub fn worker() -> Exit {
    worker::run()
}

/// Becomes the process that asks MCP servers for a policy.
pub fn survey() -> Exit {
    worker::survey::run()
}

/// Becomes a stdio MCP server.
pub fn launch(launch: Launch) -> Exit {
    launch::run(launch.fd)
}

fn open_log(wanted: &types::Log, env: &BTreeMap<String, String>) -> Result<Log, String> {
    let Some(path) = &wanted.file else {
        let is_journal = is_journal(env, sys::files::stderr_stream().ok().as_deref());
        // A journal that can only be reached by stderr is served with lines.
        let journal = is_journal.then(|| Journal::connect(Path::new(journal::SOCKET)).ok()).flatten();
        return Ok(match journal {
            Some(journal) => Log::journal(wanted.level, wanted.format, journal),
            None => Log::stderr(wanted.level, wanted.format, is_journal),
        });
    };
    let file = sys::files::append_private(path)
        .map_err(|e| format!("log.file: {} cannot be opened for appending: {e}", path.display()))?;
    Ok(Log::file(wanted.level, wanted.format, file))
}

/// Whether the journal reads `stderr` (device and inode), and so takes events. systemd.exec(5): the
/// variable is inherited by everything below a service, so only what it says about the stream counts, not that it is
/// there.
fn is_journal(env: &BTreeMap<String, String>, stderr: Option<&str>) -> bool {
    stderr.is_some() && env.get("JOURNAL_STREAM").map(String::as_str) == stderr
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
