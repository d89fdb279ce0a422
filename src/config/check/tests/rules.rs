//! Rules of single settings, and what is accepted without effect.

use super::*;

/// A file, a variable to set, and what the only problem says.
const RULES: &[(&str, &str, &str)] = &[
    ("control_plane: {max_inflight_requests: 0}", "", "control-plane.max-inflight must be greater than zero"),
    (
        "control_plane: {max_inflight_requests: -5}",
        "",
        "control-plane.max-inflight must be greater than zero",
    ),
    (
        "control_plane: {max_inflight_requests: 10001}",
        "",
        "control-plane.max-inflight must be less than or equal to 10000",
    ),
    (
        "",
        "CONTROL_PLANE_MAX_INFLIGHT_REQUESTS=0",
        "CONTROL_PLANE_MAX_INFLIGHT_REQUESTS must be greater than zero",
    ),
    ("", "CONTROL_PLANE_MAX_INFLIGHT_REQUESTS=", "CONTROL_PLANE_MAX_INFLIGHT_REQUESTS must be"),
    ("", "CONTROL_PLANE_MAX_INFLIGHT_REQUESTS=x", "must be an integer"),
    ("control_plane: {poll_timeout: 0}", "", "control-plane.poll-timeout must be greater than zero"),
    ("control_plane: {poll_timeout: -1s}", "", "control-plane.poll-timeout must be greater than zero"),
    ("control_plane: {poll_timeout: 30}", "", "must be a duration such as 30s"),
    (
        "control_plane: {poll_deadline_guardrail: 0s}",
        "",
        "control-plane.poll-deadline-guardrail must be greater than zero",
    ),
    (
        "control_plane: {poll_deadline_guardrail: 60s}",
        "",
        "control-plane.poll-deadline-guardrail must be less than 1m0s",
    ),
    (
        "control_plane: {organization_id: \"a\\nb\"}",
        "",
        "control-plane.organization-id cannot contain header line breaks",
    ),
    (
        "control_plane: {poll_channels: []}",
        "",
        "control-plane.poll-channel must contain at least one channel",
    ),
    (
        "control_plane: {poll_channels: [main, '']}",
        "",
        "control-plane.poll-channel contains an empty channel",
    ),
    ("", "CONTROL_PLANE_POLL_CHANNELS=main,", "control-plane.poll-channel contains an empty channel"),
    ("mcp: {connection_max_ttl: 0s}", "", "mcp.connection-max-ttl must be positive"),
    ("mcp: {startup_wait_timeout: -1s}", "", "mcp.startup-wait-timeout must not be negative"),
    ("mcp: {max_concurrent_requests: 0}", "", "mcp.max-concurrent-requests must be greater than zero"),
    ("harpoon: {max_response_bytes: 0}", "", "harpoon.max-response-bytes must be positive"),
    (
        "harpoon: {max_response_bytes: 102401}",
        "",
        "harpoon.max-response-bytes must be less than or equal to 102400",
    ),
    ("harpoon: {max_redirects: -1}", "", "harpoon.max-redirects must be non-negative"),
    ("harpoon: {max_redirects: 6}", "", "harpoon.max-redirects must be less than or equal to 5"),
    ("harpoon: {hosts_include_loopback: maybe}", "", "must be true or false"),
    ("harpoon: {targets: [{label: x, ulr: 'https://h'}]}", "", "unknown key"),
    ("harpoon: {targets: [x]}", "", "must be a map"),
    ("log: {http_raw_unsafe: true}", "", "log.http_raw_unsafe is refused"),
    ("log: {format: xml}", "", "must be struct-text, text or json"),
    ("proxy: {check_interval: 0s}", "", "proxy.check-interval must be greater than zero"),
    ("health: {listen_addr: nonsense}", "", "must be host:port"),
    ("config_version: 2", "", "config_version must be 1"),
    ("config_version: {a: b}", "", "must be a single value; found a map"),
    ("admin_ui: {allow_remote: true}", "", "runtime configuration rejects non-default admin_ui.allow_remote"),
    (
        "admin_ui: {log_buffer_events: 5}",
        "",
        "runtime configuration rejects non-default admin_ui.log_buffer_events",
    ),
    (
        "harpoon: {capture_payloads: true}",
        "",
        "runtime configuration rejects non-default harpoon.capture_payloads",
    ),
    (
        "",
        "OPEN_WEB_UI=true",
        "runtime configuration rejects non-default full-client-only environment variable OPEN_WEB_UI",
    ),
    (
        "",
        "CLOUDFLARED_TUNNEL_TOKEN=",
        "runtime configuration rejects cloudflared environment variable CLOUDFLARED_TUNNEL_TOKEN",
    ),
    ("cloudflared: {managed: false}", "", "runtime configuration rejects cloudflared settings"),
    ("drain_timeout: 2h", "", "must be between 1s and 3600s"),
    ("{drain_timeout: 5s, poll_grace: 6s}", "", "poll_grace must not exceed drain_timeout"),
    ("limits: {answer_bytes: 1}", "", "must be between 4096 and"),
    ("limits: {in_flight_bytes: 1048576}", "", "limits.in_flight_bytes must not be below"),
    ("restart: {times: 0}", "", "must be between 1 and 1000"),
    (
        "restart: {backoff_min: 2s, backoff_max: 1s}",
        "",
        "restart.backoff_min must not exceed restart.backoff_max",
    ),
];

#[test]
fn stable_texts_of_single_rules() {
    for (yaml, variable, phrase) in RULES {
        let mut attempt = base().yaml(yaml);
        if let Some((name, value)) = variable.split_once('=') {
            attempt = attempt.env(name, value);
        }
        let problem = attempt.bad();
        says(&problem, phrase);
        assert!(!problem.contains("pw"), "{problem}");
    }
}

#[test]
fn case_281_times_of_the_mcp_side() {
    says(&base().env("MCP_CONNECTION_MAX_TTL", "0").bad(), "mcp.connection-max-ttl must be positive");
    says(
        &base().env("MCP_STARTUP_WAIT_TIMEOUT", "-1s").bad(),
        "mcp.startup-wait-timeout must not be negative",
    );
    base().env("MCP_STARTUP_WAIT_TIMEOUT", "0s").good();
}

#[test]
fn case_282_every_level_is_accepted_since_lines_always_have_a_structure() {
    let log = base().flag("log.level", "DEBUG").good().log;
    assert_eq!((log.level, log.format), (crate::log::Level::Debug, crate::log::Format::Text));
    let log = base().flag("log.format", "json").flag("log.file", "~/a.log").env("HOME", "/h").good().log;
    assert_eq!((log.format, log.file), (crate::log::Format::Json, Some("/h/a.log".into())));
    assert_eq!(base().flag("log.format", "struct-text").good().log.format, crate::log::Format::Text);
    base().yaml("log: {http_raw_unsafe: false}").good();
}

#[test]
fn case_283_settings_of_the_full_client_load_at_their_default() {
    let yaml = "admin_ui: {open_browser: false, allow_remote: no, log_buffer_events: 2000}\nharpoon: {capture_payloads: false}\ncloudflared:\n";
    assert_eq!(base().yaml(yaml).env("OPEN_WEB_UI", "0").good().warnings, Vec::<String>::new());
    says(
        &base().yaml("admin_ui: {open_browser: true}").bad(),
        "runtime configuration rejects non-default admin_ui.open_browser",
    );
}

#[test]
fn case_287_a_ca_bundle_has_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    std::fs::write(&path, "no certificate").unwrap();
    let shown = path.display().to_string();
    let problem = base().flag("ca-bundle", &shown).bad();
    says(&problem, &format!("invalid ca-bundle \"{shown}\": PEM bundle contained no certificates"));
    let pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    std::fs::write(&path, pem).unwrap();
    for value in [shown.clone(), "env:CA".into(), format!("file:{shown}")] {
        let config = base().env("CA", &shown).flag("ca-bundle", &value).good();
        assert_eq!(config.worker.ca_pem.as_deref(), Some(pem), "{value}");
    }
    says(&base().flag("ca-bundle", "/nonexistent").bad(), "invalid ca-bundle \"/nonexistent\": no such file");
    says(
        &base().yaml("ca_bundle: env:NOPE").bad(),
        "environment variable NOPE referenced by ca-bundle is not set",
    );
}

#[test]
fn what_has_no_effect_yet_is_said_once_each() {
    let yaml = "health: {listen_addr: '127.0.0.1:8080', url_file: /run/u}\nprocess: {pid_file: /run/p}\nproxy: {check_interval: 30s}\nharpoon: {max_redirects: 5, max_response_bytes: 1024, hosts_include_suffix: [a]}\nmcp: {startup_wait_timeout: 5s, discovery_extra_headers: {X-A: b}}\n";
    let warnings = base().yaml(yaml).good().warnings;
    for name in ["harpoon.max_response_bytes", "harpoon.hosts_include_suffix", "mcp.discovery_extra_headers"]
    {
        let sentence = format!("{name} is accepted but has no effect in this version");
        assert_eq!(warnings.iter().filter(|w| **w == sentence).count(), 1, "{warnings:?}");
    }
    assert_eq!(warnings.len(), 3, "{warnings:?}");
}

#[test]
fn time_grows_with_the_number_of_names_not_with_its_square() {
    let time = |heading: &str, line: &dyn Fn(usize) -> String, n: usize| {
        let text: String = std::iter::once(heading.to_string()).chain((0..n).map(line)).collect();
        let once = || {
            let start = std::time::Instant::now();
            let _ = base().yaml(&text).run();
            start.elapsed()
        };
        (0..3).map(|_| once()).min().unwrap()
    };
    let grows = |heading: &str, line: &dyn Fn(usize) -> String| {
        let (few, many) = (time(heading, line, 2000), time(heading, line, 20_000));
        assert!(many < few * 40, "{heading}: {few:?} became {many:?}");
    };
    grows("mcp:\n commands:\n - command: /bin/true\n   env:\n", &|n| format!("    NAME_{n:06}: v\n"));
    grows("control_plane:\n poll_channels:\n", &|n| format!(" - channel_{n:06}\n"));
}
