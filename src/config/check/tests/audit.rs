//! `audit`: what can be said about the audit log, and that no MCP server reaches it.

use std::path::Path;

use super::*;
use crate::config::audit::{Durability, OnFailure};

#[test]
fn without_the_section_there_is_no_audit_log() {
    let config = base().yaml("audit:\n").good();
    assert!(config.audit.is_none() && !config.worker.audit && config.file_sha256.is_some());
    assert_eq!(base().good().file_sha256, None);
}

#[test]
fn a_path_is_enough_and_the_rest_has_the_documented_defaults() {
    let config = base().yaml("audit: {path: /var/log/x}").good();
    let audit = config.audit.unwrap();
    assert!(config.worker.audit && config.own_files.contains(&"/var/log/x".into()));
    assert_eq!(audit.path, Path::new("/var/log/x"));
    assert_eq!((audit.rotation_size, audit.rotation_files), (64 << 20, 90));
    assert_eq!(audit.rotation_age, Duration::from_secs(86_400));
    assert_eq!((audit.durability, audit.on_failure), (Durability::Batch, OnFailure::Refuse));
    assert_eq!(audit.checkpoints, Some(Duration::from_secs(300)));
    assert!(audit.key.is_none());
}

#[test]
fn everything_can_be_said() {
    let key = "0a".repeat(32);
    let yaml = "audit: {path: /a, durability: each, on_failure: stop, key: env:K, checkpoints: 0s, rotation: {size: 65536, age: 1h, files: 2}}";
    let audit = base().env("K", &key).yaml(yaml).good().audit.unwrap();
    assert_eq!((audit.durability, audit.on_failure), (Durability::Each, OnFailure::Stop));
    assert_eq!((audit.rotation_size, audit.rotation_files), (65_536, 2));
    assert_eq!(audit.rotation_age, Duration::from_secs(3600));
    assert_eq!((audit.key.unwrap().expose(), audit.checkpoints), (key.as_str(), None));
    let going_on = base().yaml("audit: {path: /a, on_failure: continue}").good();
    assert!(going_on.warnings.iter().any(|w| w.contains("cannot be recorded")), "{:?}", going_on.warnings);
}

#[test]
fn what_is_wrong_is_named() {
    for (members, phrase) in [
        ("durability: each", "audit.path: the audit log needs a directory"),
        ("path: relative", "audit.path: must be an absolute path"),
        ("path: /a, durability: always", "audit.durability: must be one of each, batch, os"),
        ("path: /a, on_failure: ignore", "audit.on_failure: must be one of stop, refuse, continue"),
        ("path: /a, key: 00ff", "audit.key: must be a reference"),
        ("path: /a, key: env:SHORT", "audit.key: the key must be 64 lower-case hex digits"),
        ("path: /a, key: env:ABSENT", "ABSENT"),
        ("path: /a, checkpoints: 25h", "audit.checkpoints: must be between"),
        ("path: /a, rotation: {size: 1}", "audit.rotation.size: must be between"),
        ("path: /a, rotation: {files: 1}", "audit.rotation.files: must be between"),
        ("path: /a, rotation: {age: 1s}", "audit.rotation.age: must be between"),
        ("path: /a, keys: x", "unknown key \"keys\""),
    ] {
        let problem = base().env("SHORT", "0a0a").yaml(&format!("audit: {{{members}}}")).bad();
        says(&problem, phrase);
        assert!(!problem.contains("0a0a"), "{problem}");
    }
}

#[test]
fn no_mcp_server_is_granted_it_or_what_it_lies_in() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    std::fs::create_dir(&log).unwrap();
    for granted in [dir.path(), &log] {
        for how in ["read", "write", "execute"] {
            let (log, granted) = (log.display(), granted.display());
            let yaml = format!(
                "audit: {{path: {log}}}\nmcp: {{commands: [{{channel: x, command: sh, confinement: {{{how}: [{granted}]}}}}]}}"
            );
            says(&base().yaml(&yaml).bad(), "would give the agent's own file");
        }
    }
}
