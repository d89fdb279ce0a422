//! `init`: from nothing to a profile that works, and, by asking the MCP server, to a policy to start from.
//!
//! Asks on a terminal for what the flags leave out. Writes nothing before everything has been answered and the real parser has
//! found no fault with it, and removes what it wrote when something fails then. No secret is taken from the command line.

mod ask;
mod place;
mod suggest;
mod template;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::Path;

use argh::FromArgs;
use zeroize::Zeroizing;

use super::doctor::settings::{KEYS, TUNNELS};
use super::{complain, complain_of, say};
use crate::config::{self, Config, Flags, Host, keys, preflight};
use crate::exit::Exit;

use place::Place;
use template::{SAMPLES, Server};

/// make a profile; on a terminal it asks for what is missing. The API key is never given here: only where it is
#[derive(FromArgs, Debug, Default)]
#[argh(subcommand, name = "init")]
pub struct Init {
    /// name of the profile, sample_mcp_with_dcr when not given
    #[argh(option)]
    profile: Option<String>,
    /// sample_mcp_with_dcr, sample_mcp_stdio_local, sample_mcp_remote_no_auth or sample_mcp_enterprise_proxy
    #[argh(option)]
    sample: Option<String>,
    /// directory of profiles
    #[argh(option)]
    profile_dir: Option<String>,
    /// replace a profile of this name
    #[argh(switch)]
    force: bool,
    /// tunnel id
    #[argh(option)]
    tunnel_id: Option<String>,
    /// control plane URL
    #[argh(option)]
    control_plane_base_url: Option<String>,
    /// path in front of every control plane route
    #[argh(option)]
    control_plane_url_path: Option<String>,
    /// where the API key is: env:NAME, file:/path or credential:NAME
    #[argh(option)]
    control_plane_api_key_ref: Option<String>,
    /// URL of the MCP server
    #[argh(option)]
    mcp_server_url: Option<String>,
    /// command that starts the MCP server
    #[argh(option)]
    mcp_command: Option<String>,
    /// address of the health listener, 127.0.0.1:8080 when not given
    #[argh(option)]
    health_listen_addr: Option<String>,
    /// accepted and ignored: there is no user interface
    #[argh(switch)]
    open_web_ui: bool,
    /// profile of tunnel-client to take over as it is
    #[argh(option)]
    from: Option<String>,
}

/// Where the key is when nothing is said.
const KEY_REFERENCE: &str = "env:CONTROL_PLANE_API_KEY";
/// What stands for a secret that is not there yet, while everything else is checked.
const STAND_IN: &str = "placeholder";

/// What is written down.
struct Answers {
    sample: &'static str,
    tunnel_id: String,
    server: Server,
    /// `env:`, `file:` or `credential:`.
    key: String,
    /// A key that was pasted, for a file of its own.
    pasted: Option<Zeroizing<String>>,
}

/// Why nothing was made: the exit code, and what to say.
type Failed = (Exit, String);

fn usage(text: impl Into<String>) -> Failed {
    (Exit::Usage, text.into())
}

/// Makes it.
pub fn run(init: &Init, host: Host<'_>) -> Exit {
    if init.open_web_ui {
        complain("note: --open-web-ui is ignored: there is no user interface");
    }
    let made = match &init.from {
        Some(path) => import(init, &config::expand(path, host), host),
        None => fresh(init, host),
    };
    match made {
        Ok(()) => Exit::Ok,
        Err((exit, text)) => {
            complain(&text);
            exit
        }
    }
}

/// A profile from answers.
fn fresh(init: &Init, host: Host<'_>) -> Result<(), Failed> {
    let mut place = Place::of(init, host)?;
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let bare = init.tunnel_id.is_none() && init.mcp_server_url.is_none() && init.mcp_command.is_none();
    if let Some(theirs) = place.of_tunnel_client(init, host).filter(|_| bare) {
        if !terminal {
            return Err(usage(format!(
                "--tunnel-id is missing; to take over the profile of tunnel-client, give --from {}",
                theirs.display()
            )));
        }
        if ask::yes(&format!("{} is a profile of tunnel-client. Take it over as it is?", theirs.display()))? {
            return import(init, &theirs, host);
        }
    }
    let answers = ask::answers(init, terminal)?;
    let key = place.sibling("key");
    let reference = answers.pasted.as_ref().map(|_| format!("file:{}", key.display()));
    let answers = Answers { key: reference.unwrap_or(answers.key), ..answers };
    let env = stand_ins(&answers, host);
    let user = template::user(host);
    let policy = place.sibling("policy.yaml");
    let text = |complete| template::render(init, &answers, &policy, user, (complete, &env));
    if let Some(pasted) = &answers.pasted {
        place.write(&key, pasted.as_bytes(), init.force)?;
    }
    let host_then = Host { env: &env, ..host };
    let path = place.profile();
    let checked = config::load_text(&path, &text(false), &Flags::default(), host_then);
    let config = checked.map_err(|problems| {
        complain_of(&problems);
        (config::exit_for(&problems), "nothing was written".to_owned())
    })?;
    executable(&config)?;
    place.owner(config.confinement.identity);
    place.write(&path, text(true).as_bytes(), init.force)?;
    place.give(&key)?;
    place.keep();
    let mut told = vec![("Created", path.display().to_string()), ("Sample", answers.sample.into())];
    told.extend(place.noted(&answers, user, host));
    told.push(suggest::policy(&mut place, (&path, &policy), init.force, &env));
    tell(told, init, &path);
    Ok(())
}

/// The same bytes as another profile.
fn import(init: &Init, from: &Path, host: Host<'_>) -> Result<(), Failed> {
    let stem = from.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
    let named = Init {
        profile: init.profile.clone().or(stem),
        profile_dir: init.profile_dir.clone(),
        ..Init::default()
    };
    let mut place = Place::of(&named, host)?;
    let mut flags = Flags::default();
    flags.add(keys::CONFIG.flag, from.display().to_string());
    let config = config::load(&flags, host).map_err(|problems| {
        complain_of(&problems);
        (
            config::exit_for(&problems),
            "nothing was written; tunnelward doctor says what to do about it".to_owned(),
        )
    })?;
    executable(&config)?;
    let bytes = config::file(from).map_err(|e| (Exit::NoPerm, format!("{}: {e}", from.display())))?;
    place.owner(config.confinement.identity);
    let path = place.profile();
    place.write(&path, &bytes, init.force)?;
    place.keep();
    tell(vec![("Created", path.display().to_string()), ("From", from.display().to_string())], &named, &path);
    Ok(())
}

/// Whether the programs can do their work.
fn executable(config: &Config) -> Result<(), Failed> {
    match config.commands.iter().find_map(preflight) {
        Some((why, fix)) => Err((Exit::Config, format!("{why}; {fix}; nothing was written"))),
        None => Ok(()),
    }
}

/// The environment with something for each secret that will only be there later.
fn stand_ins(answers: &Answers, host: Host<'_>) -> BTreeMap<String, String> {
    let mut env = host.env.clone();
    match answers.key.split_once(':') {
        Some(("env", name)) => drop(env.entry(name.to_owned()).or_insert_with(|| STAND_IN.into())),
        Some(("credential", _)) if !env.contains_key("CREDENTIALS_DIRECTORY") => {
            env.insert(keys::API_KEY.env.into(), STAND_IN.into());
        }
        _ => {}
    }
    env
}

/// What was made, and how it goes on.
fn tell(mut told: Vec<(&'static str, String)>, init: &Init, path: &Path) {
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let dir = init.profile_dir.as_ref().map(|dir| format!(" --profile-dir {dir}")).unwrap_or_default();
    told.push(("Next", format!("tunnelward doctor --profile {name}{dir}")));
    told.push(("", format!("tunnelward run --profile {name}{dir}")));
    told.push(("Tunnels", TUNNELS.into()));
    told.push(("Keys", KEYS.into()));
    told.push((
        "Note",
        "the key needs the permission Tunnels: Read and Use; keep it out of command lines and tickets".into(),
    ));
    let lines: Vec<String> = told.iter().map(|(name, text)| format!("{name:<8} {text}")).collect();
    say(&lines.join("\n"));
}

/// The sample that is meant.
fn sample(init: &Init) -> Result<Option<&'static str>, Failed> {
    let Some(name) = &init.sample else { return Ok(None) };
    let known = SAMPLES.iter().find(|(sample, _)| sample == name).map(|(sample, _)| *sample);
    let all: Vec<&str> = SAMPLES.iter().map(|(sample, _)| *sample).collect();
    known.map(Some).ok_or_else(|| usage(format!("--sample: there are {}", all.join(", "))))
}
