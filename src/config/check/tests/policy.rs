//! `policy`: from the file only, inline or in a file, with all its problems.

use super::*;

#[test]
fn a_policy_comes_inline_or_from_a_file_and_goes_to_the_worker_as_text() {
    let text = r#"{"version":1,"rules":[{"id":"x","channels":["main"],"tools":["a"]}]}"#;
    assert_eq!(base().good().worker.policy, None);
    let inline =
        base().yaml("policy:\n  version: 1\n  rules:\n  - {id: x, channels: [main], tools: [a]}\n").good();
    assert_eq!(inline.worker.policy.as_deref(), Some(text));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("policy.yaml");
    std::fs::write(&path, "version: 1\nrules: [{id: x, channels: [main], tools: [a]}]\n").unwrap();
    let named = base().yaml(&format!("policy: file:{}\n", path.display())).good();
    assert_eq!(named.worker.policy.as_deref(), Some(text));
    assert!(named.own_files.contains(&path.canonicalize().unwrap()), "no MCP server may reach it");
}

#[test]
fn a_policy_is_refused_with_the_line_of_what_is_wrong() {
    let wrong = "policy:\n  version: 1\n  rules:\n  - id: x\n    channels: [elsewhere]\n    tools: [a]\n";
    says(
        &base().yaml(wrong).bad(),
        "p.yaml:5: policy.rules[0].channels[0]: no MCP server is configured for this channel",
    );
    says(
        &base().yaml("policy: [a]\n").bad(),
        "p.yaml:1: policy: must be a map, or file: and a path; found a list",
    );
    says(
        &base().yaml("policy: allow\n").bad(),
        "p.yaml:1: policy: must be a map, or file: and the path of one",
    );
    says(&base().yaml("policy: file:/nowhere/p.yaml\n").bad(), "/nowhere/p.yaml: no such file");
    says(&base().yaml("policy: {version: 2, rules: []}\n").bad(), "a newer policy needs a newer tunnelward");
}

#[test]
fn no_variable_and_no_flag_sets_a_policy() {
    for name in ["POLICY", "TUNNELWARD_POLICY", "TUNNEL_CLIENT_POLICY"] {
        assert_eq!(base().env(name, "file:/nowhere").good().worker.policy, None);
    }
    assert!((keys::POLICY.flag, keys::POLICY.env) == ("", ""));
}
