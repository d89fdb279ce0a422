//! `policy`: `check` and `explain` say what a policy says, without a network and without running anything; `suggest` and
//! `diff` ask the MCP servers.
//!
//! Reads the file of an operator and nothing of a peer: who meets one is a confined process of its own. The answers come
//! from the engine that the worker uses.

pub(super) mod survey;

use argh::FromArgs;
use http::HeaderMap;

use super::{complain, complain_of, say};
use crate::config::{self, Flags, Host, call_policy, keys};
use crate::exit::Exit;
use crate::policy::{self, Call, Mode, Policy, State};
use crate::worker::survey::Task;

/// check a call policy, or ask it about a call
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "policy")]
pub struct PolicyCommand {
    #[argh(subcommand)]
    command: Sub,
}

#[derive(FromArgs, Debug)]
#[argh(subcommand)]
enum Sub {
    Check(Check),
    Explain(Explain),
    Suggest(Suggest),
    Diff(Diff),
}

/// ask the configured MCP servers, confined as run would, and print a policy: it allows the tools that call themselves
/// read-only, with what can be enforced of their own schemas, pins them, and has the rest as comments
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "suggest")]
struct Suggest {
    /// profile; without it the one that run would use
    #[argh(option)]
    config: Option<String>,
}

/// ask the configured MCP servers, confined as run would, and print which tools differ from the approved definitions; exit 0
/// when none does, 1 when one does
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "diff")]
struct Diff {
    /// profile; without it the one that run would use
    #[argh(option)]
    config: Option<String>,
}

/// check a policy file, or the section policy of a profile: all problems at once, each with its place; exit 0 when there
/// are none, else 78
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "check")]
struct Check {
    /// policy file or profile
    #[argh(positional)]
    file: std::path::PathBuf,
}

/// say what the policy decides about a call, by which rule and why; exit 0 when it is allowed, 1 when it is refused, 78 when
/// the policy is wrong
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "explain")]
struct Explain {
    /// policy file or profile; without it the profile that run would use
    #[argh(option)]
    config: Option<String>,
    /// channel, main when not given
    #[argh(option, default = "String::from(\"main\")")]
    channel: String,
    /// name of a tool to call
    #[argh(option)]
    tool: Option<String>,
    /// name of a prompt to get
    #[argh(option)]
    prompt: Option<String>,
    /// arguments of the tool or prompt, as JSON
    #[argh(option, default = "String::from(\"{}\")")]
    args: String,
    /// URI of a resource to read
    #[argh(option)]
    resource: Option<String>,
    /// any other JSON-RPC method
    #[argh(option)]
    method: Option<String>,
    /// print JSON (version 1 of its shape) instead of text
    #[argh(switch)]
    json: bool,
}

/// Does it.
pub fn run(command: &PolicyCommand, host: Host<'_>) -> Exit {
    match &command.command {
        Sub::Check(check) => match call_policy::any(&check.file, host).map(|text| load(&text)) {
            Ok(Some(policy)) => {
                say(&format!(
                    "ok: {} rules, {}, digest {}",
                    policy.rules.len(),
                    mode(&policy),
                    policy.digest
                ));
                Exit::Ok
            }
            Ok(None) => Exit::Software,
            Err(problems) => {
                complain_of(&problems);
                Exit::Config
            }
        },
        Sub::Explain(explain) => match chosen(explain, host) {
            Ok(policy) => answer(explain, &policy),
            Err(exit) => exit,
        },
        Sub::Suggest(suggest) => match ask(suggest.config.as_ref(), host, Task::Suggest) {
            Ok(text) => {
                say(&text);
                Exit::Ok
            }
            Err(exit) => exit,
        },
        Sub::Diff(diff) => match ask(diff.config.as_ref(), host, Task::Differences) {
            Ok(text) if text.is_empty() => Exit::Ok,
            Ok(text) => {
                say(&text);
                Exit::Refused
            }
            Err(exit) => exit,
        },
    }
}

/// What the MCP servers of a profile lead to.
fn ask(profile: Option<&String>, host: Host<'_>, task: Task) -> Result<String, Exit> {
    let config = super::load(&flags(profile), host)?;
    if task == Task::Differences && config.worker.policy.is_none() {
        complain("the profile has no policy to compare with");
        return Err(Exit::Usage);
    }
    let base = host.env.get("TMPDIR").map(String::as_str);
    survey::run(config, base, task).map(|said| said.text).map_err(|(exit, why)| {
        complain(&format!("the MCP servers could not be asked: {why}"));
        exit
    })
}

fn flags(profile: Option<&String>) -> Flags {
    let mut flags = Flags::default();
    if let Some(path) = profile {
        flags.add(keys::CONFIG.flag, path.clone());
    }
    flags
}

/// A text that was checked is a policy.
fn load(text: &str) -> Option<Policy> {
    policy::load(text, None).ok()
}

fn mode(policy: &Policy) -> &'static str {
    match policy.mode {
        Mode::Enforce => "enforce",
        Mode::Monitor => "monitor",
    }
}

fn chosen(explain: &Explain, host: Host<'_>) -> Result<Policy, Exit> {
    let text = call_policy::chosen(&flags(explain.config.as_ref()), host).map_err(|problems| {
        complain_of(&problems);
        config::exit_for(&problems)
    })?;
    match text {
        Some(text) => load(&text).ok_or(Exit::Software),
        None => {
            complain("there is no policy, so everything is allowed; name one with --config");
            Err(Exit::Usage)
        }
    }
}

fn answer(explain: &Explain, policy: &Policy) -> Exit {
    let Some(body) = message(explain) else {
        complain("needs one of --tool, --prompt, --resource and --method, and --args must be JSON");
        return Exit::Usage;
    };
    let headers = HeaderMap::new();
    let call = Call { channel: &explain.channel, body: body.as_bytes(), headers: &headers };
    let decision = policy.decide(&call);
    let (mut rule, mut why) = (decision.rule, decision.why.to_string());
    let mut allowed = decision.allowed;
    if allowed && let Err((by, because)) = State::default().admit(policy, &explain.channel, &decision, 0) {
        (allowed, rule, why) = (false, by, because.into());
    }
    let verdict = if allowed { "allowed" } else { "refused" };
    if explain.json {
        let shape = serde_json::json!({
            "version": 1, "verdict": verdict, "rule": rule, "why": why, "mode": mode(policy),
            "channel": explain.channel, "policy": policy.digest,
        });
        say(&shape.to_string());
    } else {
        let why = if allowed { String::from("the rule allows it") } else { why };
        let all_the_same = if !allowed && policy.mode == Mode::Monitor {
            "\nmode: monitor, so it would be forwarded all the same"
        } else {
            ""
        };
        say(&format!("{verdict}\nrule: {rule}\nwhy: {why}{all_the_same}"));
    }
    if allowed { Exit::Ok } else { Exit::Refused }
}

/// The call as a caller would send it.
fn message(explain: &Explain) -> Option<String> {
    let Explain { tool, prompt, resource, method, args, .. } = explain;
    let (method, key, name) = match (tool, prompt, resource, method) {
        (Some(name), None, None, None) => ("tools/call", "name", name.as_str()),
        (None, Some(name), None, None) => ("prompts/get", "name", name.as_str()),
        (None, None, Some(uri), None) => ("resources/read", "uri", uri.as_str()),
        (None, None, None, Some(method)) => (method.as_str(), "", ""),
        _ => return None,
    };
    // That it is one value, and not the end of the message.
    if matches!(policy::json::read(args.as_bytes(), usize::MAX), Err(policy::json::Unreadable::NotJson)) {
        return None;
    }
    let mut out = String::from("{\"jsonrpc\":\"2.0\",");
    if !method.starts_with("notifications/") {
        out.push_str("\"id\":1,");
    }
    out.push_str("\"method\":");
    policy::string(method, &mut out);
    out.push_str(",\"params\":{");
    if !key.is_empty() {
        policy::string(key, &mut out);
        out.push(':');
        policy::string(name, &mut out);
        out.push_str(",\"arguments\":");
        out.push_str(args);
    }
    out.push_str("}}");
    Some(out)
}
