//! `doctor`: what of a configuration, this machine and the peers would keep `run` from working, why, and the step that mends
//! it.
//!
//! Everything that can be found out without a peer comes first. Then this process confines itself as the broker does and
//! has a process that is confined as the worker is meet the peers, by the ways of the configuration. Never polls, calls no
//! tool, changes nothing and prints no secret.

pub mod advice;
mod failures;
pub mod finding;
mod known;
mod listener;
mod local;
mod peers;
pub(super) mod settings;
mod system;

use std::path::Path;

use argh::FromArgs;

use super::policy::survey;
use super::say;
use crate::config::peek::Peek;
use crate::config::{self, Config, Flags, Host, keys};
use crate::exit::Exit;
use crate::tls::Trust;
use crate::worker::survey::Task;

use advice::Target;
use finding::Report;

/// check configuration, machine and peers as run would use them, and say what mends what is wrong; exit 0 when nothing is, 2
/// when a check failed, 1 when the command line is wrong; takes the flags of run too
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "doctor", usage = "[--explain] [--json] [--offline] [flags]")]
pub struct Command {
    /// say why, with the evidence and what to do, for each check that did not pass
    #[argh(switch)]
    explain: bool,
    /// print JSON instead of text
    #[argh(switch)]
    json: bool,
    /// leave out what needs a peer
    #[argh(switch)]
    offline: bool,
}

impl From<Command> for Wanted {
    fn from(Command { explain, json, offline }: Command) -> Self {
        Self { flags: Flags::default(), json, explain, offline }
    }
}

/// What the command line asks for.
#[derive(Debug)]
pub struct Wanted {
    /// The flags of `run`.
    pub flags: Flags,
    /// JSON instead of text.
    pub json: bool,
    /// Why, evidence and advice in the text.
    pub explain: bool,
    /// Nothing that needs a peer.
    pub offline: bool,
}

/// The checks of `tunnel-client` in their order, then our own.
const CHECKS: [&str; 31] = [
    "config_source",
    "profile_load",
    "config_validation",
    "tunnel_id",
    "control_plane_base_url",
    "control_plane_api_key",
    "tunnels_management_url",
    "runtime_api_keys_url",
    "admin_api_keys_url",
    "chatgpt_connector_settings_url",
    "mcp_target",
    "mcp_command_executable",
    "mcp_server_reachable",
    "oauth_metadata",
    "health_listener",
    "ui",
    "codex_plugin",
    "warnings",
    "kernel",
    "unit",
    "file_permissions",
    "certificates",
    "policy",
    "audit",
    "stdio_preflight",
    "dns",
    "proxy",
    "control_plane",
    "control_plane_pins",
    "clock_skew",
    "mcp_era",
];
/// Those that are left out unless they fail, or unless there is such a server.
const SOMETIMES: [&str; 3] = ["config_validation", "control_plane_base_url", "mcp_command_executable"];

/// The account that is meant when none is named.
const ACCOUNT: &str = "tunnelward";

/// What a check may ask.
pub(in crate::commands) struct Case<'a> {
    host: Host<'a>,
    peek: Peek<'a>,
    /// Where settings are changed.
    file: Option<&'a Path>,
    /// Whom the agent becomes, as it is spelled; `None` when it stays who it is.
    owner: Option<String>,
    report: Report,
}

impl Case<'_> {
    fn target(&self) -> Target<'_> {
        Target { file: self.file, uid: self.host.uid, owner: self.owner.as_deref() }
    }
}

/// Examines and tells.
pub fn run(wanted: &Wanted, host: Host<'_>) -> Exit {
    let selected = config::selected(&wanted.flags, host);
    let file = selected.as_ref().ok().cloned().flatten();
    let mut case = Case {
        host,
        peek: Peek::new(&wanted.flags, host),
        file: file.as_deref(),
        owner: None,
        report: Report::default(),
    };
    let user = case.peek.one(&keys::CONFINEMENT_USER).map(|said| said.text.expose().trim().to_owned());
    case.owner = host.is_root().then(|| user.unwrap_or_else(|| ACCOUNT.into()));
    let loaded = config::load(&wanted.flags, host);
    settings::source(&mut case, selected.is_ok());
    let config = match loaded {
        Ok(config) => Some(config),
        Err(problems) => {
            settings::problems(&mut case, &problems);
            None
        }
    };
    settings::all(&mut case, config.as_ref());
    listener::check(&mut case, &wanted.flags);
    system::all(&mut case, config.as_ref());
    if let Some(config) = config {
        for secret in config.worker.secrets() {
            case.report.hide(secret.expose());
        }
        local::all(&mut case, &config);
        meet(&mut case, config, wanted.offline);
    }
    for id in CHECKS {
        if !SOMETIMES.contains(&id) && !case.report.has(id) {
            case.report.skip(id, "the configuration cannot be used", "mend the checks that failed first");
        }
    }
    case.report.finish(&CHECKS);
    let next = format!("tunnelward run{}", given(&wanted.flags));
    let report = &case.report;
    say(&if wanted.json { report.json(&next) } else { report.text(wanted.explain, &next) });
    if report.failed().next().is_some() { Exit::Unwell } else { Exit::Ok }
}

/// Has the peers met, where nothing stands against it. This process is confined afterwards.
fn meet(case: &mut Case<'_>, config: Config, offline: bool) {
    let failed = |id: &str| case.report.failed().any(|failed| failed == id);
    let reason = if offline {
        Some(("left out: --offline", "run tunnelward doctor without --offline"))
    } else if failed("kernel") || failed("certificates") {
        Some((
            "no peer is met before kernel and certificates are in order",
            "mend the checks that failed first",
        ))
    } else {
        None
    };
    let known = known::Known::of(case, &config);
    let met = match reason {
        Some((why, next)) => {
            peers::skip(case, &known, why, next);
            return;
        }
        None => {
            let base = case.host.env.get("TMPDIR").map(String::as_str);
            survey::run(config, base, Task::Examine)
        }
    };
    match met {
        Ok(said) => peers::tell(case, &known, &said),
        Err((_, why)) => {
            let next = "run: tunnelward confinement";
            case.report.fail(
                "control_plane",
                "nobody could be met",
                ["the confined process that meets the peers did not do its work", &why, next],
            );
            peers::skip(case, &known, "nobody could be met", next);
        }
    }
}

/// The flags that name the configuration, as they were given.
fn given(flags: &Flags) -> String {
    let named = [keys::CONFIG, keys::PROFILE, keys::PROFILE_FILE, keys::PROFILE_DIR];
    let given = named.iter().filter_map(|key| Some((key.flag, flags.last(key.flag)?)));
    given.map(|(flag, value)| format!(" --{flag} {value}")).collect()
}

/// Whether the certificates of a configuration can be used, as every start asks.
fn trust(config: &Config) -> Result<Vec<String>, Vec<String>> {
    let bundle = |e| vec![format!("ca_bundle: {e}")];
    let trust = Trust::new(config.worker.ca_pem.as_deref(), config.worker.tls).map_err(bundle)?;
    trust.check(&config.worker, std::time::SystemTime::now())
}
