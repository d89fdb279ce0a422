//! Whole configurations, from all layers to the result.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::config::{Accounts, Flags, Host, load};

mod again;
mod audit;
mod child;
mod control;
mod grants;
mod health;
mod identity;
mod mcp;
mod policy;
mod proxy;
mod rules;
mod show;
mod table;
mod tls;
mod typos;
mod withheld;

const ID: &str = "tunnel_0123456789abcdefghijklmnopqrstuv";
/// What every test has that is not about these: a tunnel id, a key and a main channel.
const BASE: [(&str, &str); 3] = [
    ("CONTROL_PLANE_TUNNEL_ID", ID),
    ("CONTROL_PLANE_API_KEY", "key-1"),
    ("MCP_SERVER_URL", "https://mcp.internal/mcp"),
];

/// Flags, variables and a file on the way to a result.
#[derive(Clone, Default)]
struct Try {
    flags: Vec<(&'static str, String)>,
    env: BTreeMap<String, String>,
    yaml: Option<String>,
    /// Root, with these as `/etc/passwd` and `/etc/group`.
    root: Option<(String, String)>,
}

fn bare() -> Try {
    Try::default().env("PATH", "/usr/bin:/bin")
}

fn base() -> Try {
    BASE.iter().fold(bare(), |t, (k, v)| t.env(k, v))
}

impl Try {
    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }
    fn without(mut self, name: &str) -> Self {
        self.env.remove(name);
        self
    }
    fn flag(mut self, name: &'static str, value: &str) -> Self {
        self.flags.push((name, value.into()));
        self
    }
    fn yaml(mut self, text: &str) -> Self {
        self.yaml = Some(text.into());
        self
    }
    fn root(mut self, passwd: &str, group: &str) -> Self {
        self.root = Some((passwd.into(), group.into()));
        self
    }
    fn run(&self) -> Result<Config, Vec<String>> {
        self.with(|flags, host, root| {
            load(flags, host)
                .map_err(|problems| problems.iter().map(|p| p.to_string().replace(root, "")).collect())
        })
    }
    /// What `config show` prints, with its problems.
    fn shown(&self) -> (String, Vec<Problem>) {
        self.with(|flags, host, root| {
            let (text, problems) = crate::config::show(flags, host, false).unwrap();
            (text.replace(root, ""), problems)
        })
    }
    fn with<T>(&self, what: impl FnOnce(&Flags, Host<'_>, &str) -> T) -> T {
        let dir = tempfile::tempdir().unwrap();
        let etc = tempfile::tempdir().unwrap();
        if let Some((passwd, group)) = &self.root {
            std::fs::write(etc.path().join("passwd"), passwd).unwrap();
            std::fs::write(etc.path().join("group"), group).unwrap();
        }
        let id = if self.root.is_some() { 0 } else { ordinary() };
        let mut flags = Flags::default();
        for (name, value) in &self.flags {
            flags.add(name, value.clone());
        }
        if let Some(text) = &self.yaml {
            let path = dir.path().join("p.yaml");
            std::fs::write(&path, text).unwrap();
            flags.add("config", path.to_str().unwrap().into());
        }
        let root = format!("{}/", dir.path().display());
        let accounts = Accounts::of(etc.path());
        what(&flags, Host { env: &self.env, uid: id, gid: id, accounts: &accounts }, &root)
    }
    #[track_caller]
    fn good(&self) -> Config {
        self.run().unwrap_or_else(|problems| panic!("{problems:#?}"))
    }
    /// The only problem.
    #[track_caller]
    fn bad(&self) -> String {
        let problems = self.run().unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        problems.into_iter().next().unwrap()
    }
}

/// An ordinary user to whom the files of the tests belong, unless root runs them.
fn ordinary() -> u32 {
    rustix::process::geteuid().as_raw().max(1000)
}

#[track_caller]
fn says(problem: &str, phrase: &str) {
    assert!(problem.contains(phrase), "{problem:?} lacks {phrase:?}");
}

#[test]
fn the_least_configuration_has_the_documented_defaults() {
    let config = base().good();
    let control = &config.worker.control;
    assert_eq!(control.origin.uri().to_string(), "https://api.openai.com/");
    assert_eq!((control.path_prefix.as_str(), control.tunnel_id.as_str()), ("", ID));
    assert_eq!(control.api_key.expose(), "key-1");
    assert_eq!(
        (control.poll_timeout, control.poll_guardrail),
        (Duration::from_secs(30), Duration::from_secs(5))
    );
    assert_eq!((control.max_inflight, control.poll_channels.as_ref()), (20, None));
    assert_eq!(config.worker.mcp.connection_max_ttl, Duration::from_secs(600));
    assert_eq!(config.worker.mcp.max_concurrent_requests, 10);
    assert!(!config.worker.mcp.stdio_send_initialized);
    assert_eq!(config.worker.limits, Default::default());
    assert_eq!(config.restart, Default::default());
    assert_eq!(config.stop.drain_timeout, Duration::from_secs(45));
    assert_eq!(config.stop.poll_grace, Duration::from_secs(5));
    assert_eq!((config.log.level, config.log.format), (crate::log::Level::Info, crate::log::Format::Text));
    assert_eq!((config.worker.bindings.len(), config.commands.len()), (1, 0));
    assert_eq!(config.worker.bindings[0].channel, Channel::main());
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn the_worker_gets_its_part_as_json_and_reads_the_same() {
    let yaml = "mcp:\n  server_urls:\n  - {url: 'https://h/a,b?c', stateless: true}\n  extra_headers: {X-A: b}\n  commands:\n  - {channel: x, command: sh -c true, serialize: yes}\n";
    let config = base().without("MCP_SERVER_URL").yaml(yaml).good();
    let text = serde_json::to_string(&config.worker).unwrap();
    let back: Worker = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), text);
    assert!(back.bindings[0].stateless);
    assert!(matches!(back.bindings[1].transport, Transport::Stdio { index: 0, serialize: true }));
    match &back.bindings[0].transport {
        Transport::Http { url, .. } => assert_eq!(url.uri().to_string(), "https://h/a,b?c"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_problems_are_reported_at_once_each_with_its_place() {
    let yaml = "control_plane:\n  base_url: http://h\n  api_key: 'a b'\n  poll_timeout: 0s\nlog: {level: loud, colour: x}\nmcp:\n  server_urls:\n  - {url: h}\n  - {channel: 'ä', url: 'https://u:pw@h'}\n";
    let problems = bare().yaml(yaml).run().unwrap_err();
    let starts = [
        "p.yaml:5: log.colour: unknown key \"colour\"; legal here: file, format, http_raw_unsafe, level",
        "p.yaml:3: control_plane.api_key: control plane API key is malformed",
        "p.yaml:8: mcp.server_urls[0].url: invalid mcp.server-url: must include scheme and host",
        "p.yaml:9: mcp.server_urls[1].channel: mcp config: mcp.server-url channel",
        "p.yaml:9: mcp.server_urls[1].url: invalid mcp.server-url: must not contain user information",
        "p.yaml:2: control_plane.base_url: invalid control-plane.base-url: https is required",
        "control_plane.tunnel_id: tunnel ID is required",
        "p.yaml:4: control_plane.poll_timeout: control-plane.poll-timeout must be greater than zero; found \"0s\"",
        "p.yaml:5: log.level: must be debug, info, warn or error; found \"loud\"",
    ];
    assert_eq!(problems.len(), starts.len(), "{problems:#?}");
    for (problem, start) in problems.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem}");
        assert!(!problem.contains("pw") && !problem.contains('\n'));
    }
}

#[test]
fn case_270_flag_goes_before_environment_before_file() {
    let file = base().yaml("control_plane: {poll_timeout: 1s}\nlog: {level: error}");
    let timeout = |t: &Try| t.good().worker.control.poll_timeout.as_secs();
    assert_eq!(timeout(&file), 1);
    let env = file.env("CONTROL_PLANE_POLL_TIMEOUT", "2s");
    assert_eq!(timeout(&env), 2);
    assert_eq!(timeout(&env.clone().flag("control-plane.poll-timeout", "3s")), 3);
    assert_eq!(timeout(&env.env("CONTROL_PLANE_POLL_TIMEOUT", "")), 1);
}

#[test]
fn case_271_wrong_kinds_and_versions_name_the_file() {
    for (yaml, phrase) in [
        ("mcp: {server_urls: x}", "p.yaml:1: mcp.server_urls: must be a list; found a single value"),
        (
            "control_plane: {tunnel_id: [x]}",
            "p.yaml:1: control_plane.tunnel_id: must be a single value; found a list",
        ),
        ("control_plane: {extra_headers: x}", "p.yaml:1: control_plane.extra_headers: must be a map"),
        ("config_version: 2", "p.yaml:1: config_version: config_version must be 1; found \"2\""),
        ("a: [", "parse config file p.yaml: line "),
        ("a: 1\n---\nb: 1", "more than one document"),
    ] {
        let mut attempt = base().yaml(yaml);
        for name in ["MCP_SERVER_URL", "CONTROL_PLANE_TUNNEL_ID"] {
            attempt = attempt.without(name);
        }
        let problems = attempt.run().unwrap_err().join("\n");
        says(&problems, phrase);
    }
    base().yaml("").good();
    base().yaml("config_version: 1").good();
    base().yaml("{\"log\": {\"level\": \"debug\"}}").good();
}
