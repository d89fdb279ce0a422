//! The schema against the reader of the file, by the validator of call policies, which takes this part of JSON Schema.

use std::collections::BTreeSet;
use std::path::Path;

use http::HeaderMap;
use serde_json::Value as Json;

use super::*;
use crate::config::keys::{ALL, Standing};
use crate::config::{call_policy, check, raw, tree};
use crate::policy::{Call, Policy, load};

/// A policy that allows what the schema takes.
fn validator() -> Policy {
    let rule = format!(r#"{{"id":"file","tools":["file"],"arguments":{}}}"#, schema());
    load(&format!(r#"{{"version":1,"rules":[{rule}]}}"#), None).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

fn takes(policy: &Policy, yaml: &str) -> bool {
    let node = tree::parse(yaml).unwrap();
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"file","arguments":{}}}}}"#,
        call_policy::json(&node)
    );
    policy.decide(&Call { channel: "main", body: body.as_bytes(), headers: &HeaderMap::new() }).allowed
}

/// The paths of the settings below a schema.
fn walk(schema: &Json, path: &str, found: &mut BTreeSet<String>) {
    let alternatives = schema["anyOf"].as_array().into_iter().flatten();
    for schema in alternatives.chain([schema]) {
        for (name, below) in schema["properties"].as_object().into_iter().flatten() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let section = ["type", "additionalProperties", "properties"];
            if below.as_object().unwrap().keys().any(|key| !section.contains(&key.as_str())) || known(&path) {
                found.insert(path.clone());
            }
            walk(below, &path, found);
        }
        if schema["items"].is_object() {
            walk(&schema["items"], &format!("{path}[]"), found);
        }
    }
}

fn known(path: &str) -> bool {
    ALL.iter().any(|key| key.yaml == path) || check::members().iter().any(|member| member == path)
}

#[test]
fn the_schema_has_every_key_that_the_reader_takes_and_no_other() {
    let schema: Json = serde_json::from_str(&schema()).unwrap();
    let mut found = BTreeSet::new();
    walk(&schema, "", &mut found);
    found.retain(|path| !path.starts_with("harpoon.targets[]"));
    let expected: BTreeSet<String> = ALL
        .iter()
        // What the reader refuses in any form, an editor need not offer.
        .filter(|key| !key.yaml.is_empty() && key.standing != Standing::Cloudflared)
        .map(|key| key.yaml.to_string())
        .chain(check::members())
        .collect();
    assert_eq!(found, expected);
}

/// The YAML of README and of the examples that operators of `tunnel-client` have.
fn samples() -> Vec<String> {
    let readme = include_str!("../../README.md");
    let blocks = readme.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_string());
    let mut samples: Vec<String> = blocks.collect();
    assert!(samples.len() >= 4, "{}", samples.len());
    samples.push(
        r#"config_version: 1
ca_bundle: env:CA_BUNDLE_PATH
http_proxy: env:HTTPS_PROXY
control_plane: {base_url: "https://api.openai.com", tunnel_id: "tunnel_0123456789abcdefghijklmnopqrstuv", api_key: "env:CONTROL_PLANE_API_KEY",
  poll_timeout: 30s, poll_deadline_guardrail: 5s, max_inflight_requests: 20, poll_channels: [main],
  extra_headers: {X-Trace: "env:TRACE"}}
log: {level: info, format: json, file: /var/log/agent.log, http_raw_unsafe: false}
health: {listen_addr: "127.0.0.1:8080", url_file: /run/agent.url}
process: {pid_file: /run/agent.pid}
mcp:
  server_urls: [{channel: main, url: "https://mcp.internal/mcp", client_cert: /c.pem, client_key: /k.pem}]
  commands: [{channel: local, command: "python3 -m srv"}]
  extra_headers: {X-Api-Key: "file:/run/secrets/k"}
  connection_max_ttl: 10m
  max_concurrent_requests: 10
harpoon:
  targets: [{label: idp-token, url: "https://idp.internal/oauth/token", description: "token endpoint"}]
"#
        .into(),
    );
    samples
}

#[test]
fn the_samples_are_taken_by_the_schema_and_by_the_reader() {
    let policy = validator();
    for sample in samples() {
        assert!(takes(&policy, &sample), "{sample}");
        let (_, problems) = raw::parse(Path::new("/sample.yaml"), &sample).unwrap();
        assert!(problems.is_empty(), "{problems:?}");
    }
    assert!(takes(&policy, "log:\nhealth: {}\npolicy: file:/p.yaml\nreload_interval: 0\n"));
}

#[test]
fn wrong_files_are_refused_by_both() {
    let policy = validator();
    let dir = tempfile::tempdir().unwrap();
    let good = "control_plane: {tunnel_id: tunnel_0123456789abcdefghijklmnopqrstuv, api_key: k}\nmcp: {server_urls: [{url: 'https://h'}]}\n";
    assert!(takes(&policy, good) && reads(dir.path(), good));
    for wrong in [
        "config_version: 2",
        "config_versoin: 1",
        "[a]",
        "log: {level: loud}",
        "log: {levle: info}",
        "log: [info]",
        "control_plane: {poll_timeout: soon}",
        "control_plane: {poll_timeout: 30}",
        "control_plane: {tunnel_id: tunnel_x}",
        "control_plane: {max_inflight_requests: 0}",
        "control_plane: {max_inflight_requests: many}",
        "control_plane: {pins: {a: b}}",
        "control_plane: {poll_channels: main}",
        "mcp: {server_urls: 'https://h'}",
        "mcp: {server_urls: [{url: 'https://h', password: x}]}",
        "mcp: {commands: [{command: sh, confinement: {tcp_ports: [0]}}]}",
        "mcp: {commands: [{command: sh, confinement: {raed: [/]}}]}",
        "mcp: {extra_headers: [a]}",
        "confinement: {require: 11}",
        "audit: {path: /a, durability: never}",
        "policy: {version: 1, rules: [{id: a, toolz: [x]}]}",
        "policy: 7",
        "harpoon: {max_redirects: 6}",
        "admin_ui: {log_buffer_events: 5}",
    ] {
        let whole = format!("{good}{wrong}\n");
        let section = wrong.split(':').next().unwrap();
        // In the place of the section of the same name, where there is one.
        let text =
            if good.contains(&format!("{section}:")) || wrong.starts_with('[') { wrong } else { &whole };
        assert!(!takes(&policy, text), "the schema takes {text}");
        assert!(!reads(dir.path(), text), "the reader takes {text}");
    }
}

/// Whether the file is without problems, those apart that are about what is missing.
fn reads(dir: &Path, text: &str) -> bool {
    let path = dir.join("p.yaml");
    std::fs::write(&path, text).unwrap();
    let mut flags = crate::config::Flags::default();
    flags.add("config", path.display().to_string());
    let env = std::collections::BTreeMap::from([("PATH".to_string(), "/usr/bin:/bin".to_string())]);
    let accounts = crate::config::Accounts::of(dir);
    let host = crate::config::Host { env: &env, uid: 1000, gid: 1000, accounts: &accounts };
    match crate::config::load(&flags, host) {
        Ok(_) => true,
        Err(problems) => !problems.iter().any(|problem| problem.place.file.is_some()),
    }
}
