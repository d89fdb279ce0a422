use std::sync::Arc;

use super::*;

fn target() -> Target<'static> {
    Target { file: Some(Path::new("/p.yaml")), uid: 7, owner: None }
}

fn problem(path: &str, expected: &str, hint: Option<&str>) -> Problem {
    let mut problem = crate::config::load_text(Path::new("/p.yaml"), "{", &Default::default(), host())
        .expect_err("it is broken")
        .remove(0);
    problem.place.path = path.into();
    problem.place.file =
        (path.contains('.') && !path.starts_with('-')).then(|| Arc::from(Path::new("/p.yaml")));
    problem.expected = expected.into();
    problem.hint = hint.map(Into::into);
    problem
}

fn host() -> crate::config::Host<'static> {
    static ENV: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
    static ACCOUNTS: std::sync::OnceLock<crate::config::Accounts> = std::sync::OnceLock::new();
    let accounts = ACCOUNTS.get_or_init(|| crate::config::Accounts::of(Path::new("/nonexistent")));
    crate::config::Host { env: &ENV, uid: 7, gid: 7, accounts }
}

#[test]
fn each_problem_belongs_to_the_most_specific_check() {
    for (path, expected, id) in [
        ("control_plane.tunnel_id", "tunnel ID is required", "tunnel_id"),
        ("--control-plane.tunnel-id", "invalid tunnel ID", "tunnel_id"),
        ("CONTROL_PLANE_API_KEY", "control plane API key is malformed", "control_plane_api_key"),
        ("OPENAI_API_KEY", "control plane API key is malformed", "control_plane_api_key"),
        ("control_plane.base_url", "https is required", "control_plane_base_url"),
        ("mcp", "main channel is required", "mcp_target"),
        ("mcp.server_urls[0].url", "is not a URL", "mcp_target"),
        ("mcp.commands[0].command", "program \"x\" was not found", "mcp_command_executable"),
        ("mcp.extra_headers", "invalid header", "config_validation"),
        ("--profile", "profile \"x\" was not found", "profile_load"),
        ("", "parse config file /p.yaml: no such file", "profile_load"),
        ("log.levle", "unknown key \"levle\"", "config_validation"),
    ] {
        assert_eq!(check_of(&problem(path, expected, None)), id, "{path}");
    }
}

#[test]
fn the_step_fits_the_place_that_a_value_came_from() {
    for (path, expected, hint, step) in [
        ("log.format", "must be json", None, "remove log.format from /p.yaml"),
        ("LOG_FORMAT", "must be json", None, "unset LOG_FORMAT"),
        ("--log.format", "must be json", None, "drop --log.format"),
        (
            "--control-plane.tunnel-id",
            "invalid tunnel ID",
            None,
            "set --control-plane.tunnel-id to <TUNNEL_ID>",
        ),
        (
            "CONTROL_PLANE_TUNNEL_ID",
            "invalid tunnel ID",
            None,
            "set the variable CONTROL_PLANE_TUNNEL_ID to <TUNNEL_ID>",
        ),
        ("log.levle", "unknown key", Some("did you mean level?"), "rename log.levle to level in /p.yaml"),
        ("a.b", "file /k referenced by a.b: cannot be read: Permission denied", None, "run: chown 7 /k"),
        ("a.b", "file /a b referenced by a.b can be changed by every user", None, "run: chmod 0400 '/a b'"),
        (
            "confinement.user",
            "there is no user \"x\"",
            Some("make one, as with: useradd x -- or another"),
            "run: useradd x",
        ),
        (
            "control_plane.api_key",
            "credential api-key referenced by control_plane.api_key is not available: CREDENTIALS_DIRECTORY is not set",
            None,
            "run: systemd-run --pipe --wait --property=LoadCredential=api-key:<FILE> tunnelward doctor --config /p.yaml",
        ),
    ] {
        let next = next(&problem(path, expected, hint), target());
        assert_eq!(next.lines().next(), Some(step), "{path}");
    }
}

#[test]
fn nobody_is_told_to_do_without_what_protects() {
    for path in [
        "policy.rules[0].tools",
        "control_plane.pins",
        "tls.min_version",
        "mcp.server_urls[0].allowed_ips[0]",
        "audit.rotation.size",
    ] {
        let next = next(&problem(path, "must be something else", None), target());
        assert!(next.starts_with(&format!("correct {path} in /p.yaml: ")), "{next}");
    }
}

#[test]
fn without_a_file_a_flag_says_it() {
    let bare = Target { file: None, ..target() };
    assert_eq!(bare.set("control_plane.tunnel_id", "x"), "set --control-plane.tunnel-id to x");
    assert_eq!(
        bare.add("{channel: main, url: <MCP_URL>}", "mcp.server_urls"),
        "set --mcp.server-url to <MCP_URL>"
    );
}
