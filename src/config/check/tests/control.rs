//! The control plane's section and its secrets.

use std::time::Duration;

use super::*;
use crate::config::types::Kept;

#[test]
fn case_063_poll_timeout_and_guardrail_are_bounded_together() {
    let phrase = "control-plane.poll-timeout plus control-plane.poll-deadline-guardrail must be less than or equal to 10m0s";
    says(&base().flag("control-plane.poll-timeout", "9m58s").bad(), phrase);
    let config = base().flag("control-plane.poll-timeout", "9m55s").good();
    assert_eq!(config.worker.control.poll_timeout, Duration::from_secs(595));
}

#[test]
fn case_007_the_prefix_may_be_a_reference_in_the_file_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("prefix");
    std::fs::write(&path, "/gw/\n").unwrap();
    let from_file = base().yaml(&format!("control_plane: {{url_path: 'file:{}'}}", path.display()));
    assert_eq!(from_file.good().worker.control.path_prefix, "/gw");
    let from_env = base()
        .env("P", "/x")
        .yaml("control_plane: {url_path: 'env:P', base_url: 'env:B'}")
        .env("B", "https://b/p");
    let control = from_env.good().worker.control;
    assert_eq!(
        (control.path_prefix.as_str(), control.origin.uri().to_string().as_str()),
        ("/x", "https://b/")
    );
    says(
        &base().flag("control-plane.url-path", "env:P").env("P", "/x").bad(),
        "invalid control-plane.url-path",
    );
    let unset = base().yaml("control_plane: {url_path: 'env:NOPE'}").bad();
    says(&unset, "environment variable NOPE referenced by control_plane.url_path is not set");
}

#[test]
fn case_011_a_client_certificate_needs_its_key() {
    for name in ["control-plane.client-cert", "control-plane.client-key", "mcp.client-cert", "mcp.client-key"]
    {
        says(&base().flag(name, "/c.pem").bad(), "must be given together");
    }
    let stdio = base()
        .without("MCP_SERVER_URL")
        .env("MCP_COMMAND", "sh")
        .flag("mcp.client-cert", "/c")
        .run()
        .unwrap_err();
    says(
        &stdio.join("\n"),
        "mcp.client-cert and mcp.client-key require at least one http-streamable mcp.server-url binding",
    );
}

#[test]
fn case_015_an_organization_is_kept() {
    let config = base().env("CONTROL_PLANE_ORGANIZATION_ID", "org-1").good();
    assert_eq!(config.worker.control.organization.as_deref(), Some("org-1"));
}

#[test]
fn case_017_reserved_headers_are_refused_in_any_case_and_place() {
    let phrase = "cannot override control-plane authentication or client metadata headers";
    for name in ["Authorization", "authorization", "ACCEPT", "User-Agent", "X-Tunnel-MCP-Server-Info"] {
        let line = format!("{name}: hunter2");
        let source = "--control-plane.extra-headers";
        let problem = base().flag("control-plane.extra-headers", &line).bad();
        says(&problem, &format!("{source} \"{name}\" {phrase}"));
        assert!(!problem.contains("hunter2"));
        says(&base().env("CONTROL_PLANE_EXTRA_HEADERS", &line).bad(), phrase);
        says(&base().yaml(&format!("control_plane: {{extra_headers: {{{line}}}}}")).bad(), phrase);
    }
    base().flag("mcp.extra-headers", "Authorization: x").good();
}

#[test]
fn case_018_other_headers_of_the_agents_own_load_and_framing_does_not() {
    for name in ["X-Tunnel-Client-Instance-Id", "x-tunnel-client-wire-protocol-version"] {
        base().flag("control-plane.extra-headers", &format!("{name}: x")).good();
    }
    says(&base().flag("mcp.extra-headers", "Content-Length: 5").bad(), "belongs to the connection");
}

fn pairs(headers: &[(String, Kept)]) -> Vec<(&str, &str)> {
    headers.iter().map(|(n, v)| (n.as_str(), v.expose())).collect()
}

#[test]
fn case_019_spellings_of_a_header_collapse_or_conflict() {
    let same = base()
        .flag("control-plane.extra-headers", "X-A: 1")
        .flag("control-plane.extra-headers", "x-a: 1")
        .good();
    assert_eq!(pairs(&same.worker.control.extra_headers), [("X-A", "1")]);
    let other = base().yaml("control_plane: {extra_headers: {X-A: 1, x-a: 2}}").bad();
    says(&other, "contains conflicting values for case-insensitive HTTP header \"x-a\"");
}

#[test]
fn header_maps_come_from_all_layers_with_references() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("k");
    std::fs::write(&path, "s3cret\n").unwrap();
    let yaml = format!("mcp: {{extra_headers: {{X-K: 'file:{}', X-E: 'ENV:E', X-L: lit}}}}", path.display());
    let config = base().env("E", "v").yaml(&yaml).good();
    assert_eq!(pairs(&config.worker.mcp.extra_headers), [("X-K", "s3cret"), ("X-E", "v"), ("X-L", "lit")]);
    let env = base().yaml(&yaml).env("E", "v").env("MCP_EXTRA_HEADERS", "X-A: 1, X-B: env:E; X-C:2").good();
    assert_eq!(pairs(&env.worker.mcp.extra_headers), [("X-A", "1"), ("X-B", "v"), ("X-C", "2")]);
    std::fs::write(&path, "s3cret\nline").unwrap();
    let problem = base().env("E", "v").yaml(&yaml).bad();
    says(&problem, "resolved value cannot contain CR or LF");
    assert!(!problem.contains("s3cret"));
    let problem = base().flag("mcp.extra-headers", "s3cret").bad();
    says(&problem, "invalid header: expected 'Key: Value'");
    assert!(!problem.contains("s3cret"));
}

#[test]
fn case_021_a_header_from_an_unset_variable_names_the_variable() {
    let problem = base().flag("control-plane.extra-headers", "X-A: env:NOPE").bad();
    says(&problem, "environment variable NOPE referenced by --control-plane.extra-headers is not set");
}

#[test]
fn case_022_header_names_are_tokens_and_values_have_no_control_bytes() {
    let problem = base().yaml("control_plane: {extra_headers: {X A: 1}}").bad();
    says(&problem, "control_plane.extra_headers contains invalid HTTP header name \"X A\"");
    let problem = base().flag("mcp.extra-headers", "X-A: a\u{7}secret").bad();
    says(&problem, "contains invalid HTTP header value for \"X-A\"");
    assert!(!problem.contains("secret"));
}

#[test]
fn case_025_plain_http_to_another_machine_is_refused() {
    says(&base().flag("control-plane.base-url", "http://cp.example").bad(), "https is required");
    base().flag("control-plane.base-url", "http://127.0.0.1:9/").good();
}

#[test]
fn case_263_a_missing_tunnel_id_names_flag_and_variable() {
    says(
        &base().without("CONTROL_PLANE_TUNNEL_ID").bad(),
        "tunnel ID is required; set --control-plane.tunnel-id or CONTROL_PLANE_TUNNEL_ID",
    );
    let hidden =
        base().env("CONTROL_PLANE_TUNNEL_ID", "").yaml(&format!("control_plane: {{tunnel_id: {ID}}}"));
    says(&hidden.bad(), "tunnel ID is required");
    hidden.flag("control-plane.tunnel-id", ID).good();
}

#[test]
fn case_265_white_space_around_the_tunnel_id_is_dropped() {
    let config = base().env("CONTROL_PLANE_TUNNEL_ID", &format!(" {ID}\n")).good();
    assert_eq!(config.worker.control.tunnel_id, ID);
    for id in [
        "tunnel_x",
        "tunnel_0123456789ABCDEFGHIJKLMNOPQRSTUV",
        "x",
        "tunnel_0123456789abcdefghijklmnopqrstu/",
    ] {
        let problem = base().env("CONTROL_PLANE_TUNNEL_ID", id).bad();
        says(
            &problem,
            &format!("invalid tunnel ID \"{id}\": must match tunnel_<32 lowercase letters or digits>"),
        );
    }
    let pasted = base().env("CONTROL_PLANE_TUNNEL_ID", "sk-proj-123").bad();
    assert!(!pasted.contains("proj"), "{pasted}");
}

#[test]
fn case_266_a_literal_key_as_a_flag_is_refused_and_not_repeated() {
    for literal in ["hunter2", "Env:hunter2", ""] {
        let problem = base().flag("control-plane.api-key", literal).bad();
        says(&problem, "invalid control-plane.api-key: value must be prefixed with \"env:\" or \"file:\"");
        assert!(!problem.contains("hunter2"));
    }
    let config = base().flag("control-plane.api-key", "env:K").env("K", " other ").good();
    assert_eq!(config.worker.control.api_key.expose(), "other");
    let phrase = "environment variable K referenced by --control-plane.api-key is not set";
    says(&base().flag("control-plane.api-key", "env:K").bad(), phrase);
    let phrase = "environment variable K referenced by --control-plane.api-key is empty";
    says(&base().flag("control-plane.api-key", "env:K").env("K", "").bad(), phrase);
}

#[test]
fn a_key_file_must_have_something_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("k");
    std::fs::write(&path, "\n").unwrap();
    let flag = format!("file:{}", path.display());
    let problem = base().flag("control-plane.api-key", &flag).bad();
    says(&problem, &format!("file {} referenced by --control-plane.api-key is empty", path.display()));
    std::fs::write(&path, "abc\n").unwrap();
    assert_eq!(base().flag("control-plane.api-key", &flag).good().worker.control.api_key.expose(), "abc");
}

#[test]
fn case_267_a_malformed_key_is_not_repeated() {
    for key in ["hunter 2", "hunter\n2", "\"hunter2\"", "hunter/2"] {
        let problem = base().env("CONTROL_PLANE_API_KEY", key).bad();
        says(&problem, "control plane API key is malformed");
        assert!(!problem.contains("hunter"), "{problem}");
        let problem = base().without("CONTROL_PLANE_API_KEY").env("OPENAI_API_KEY", key).bad();
        says(&problem, "control plane API key is malformed");
    }
}

#[test]
fn case_269_an_empty_key_variable_is_an_error_and_the_others_have_their_rank() {
    let phrase = "control plane API key is required; set --control-plane.api-key (env:/file:) or CONTROL_PLANE_API_KEY or OPENAI_API_KEY";
    says(&base().env("CONTROL_PLANE_API_KEY", "").env("OPENAI_API_KEY", "o").bad(), phrase);
    says(&base().without("CONTROL_PLANE_API_KEY").bad(), phrase);
    let key = |t: Try| t.good().worker.control.api_key.expose().to_string();
    let none = base().without("CONTROL_PLANE_API_KEY").env("OPENAI_API_KEY", "o");
    assert_eq!(key(none.clone()), "o");
    assert_eq!(key(none.clone().yaml("control_plane: {api_key: lit}")), "lit");
    assert_eq!(key(none.clone().yaml("control_plane: {api_key: 12345}")), "12345");
    assert_eq!(key(none.yaml("control_plane: {api_key: 'Env:K'}").env("K", "k")), "k");
    assert_eq!(key(base().env("OPENAI_API_KEY", "o").yaml("control_plane: {api_key: lit}")), "key-1");
}
