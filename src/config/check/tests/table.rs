//! Every row of the published table of settings: each of its three names is accepted, the nearest layer counts, and without
//! any the default does.

use super::*;
use crate::config::argv;
use crate::config::keys::{ALL, Key, Standing};

/// Flag, variable, path in the file; a value for flag and variable, the same for the file, and the default (`-`: none).
#[rustfmt::skip]
const ROWS: &[[&str; 6]] = &[
    ["control-plane.base-url", "CONTROL_PLANE_BASE_URL", "control_plane.base_url", "https://cp.example", "https://cp.example", "https://api.openai.com"],
    ["control-plane.url-path", "CONTROL_PLANE_URL_PATH", "control_plane.url_path", "/p", "/p", "-"],
    ["control-plane.tunnel-id", "CONTROL_PLANE_TUNNEL_ID", "control_plane.tunnel_id", ID, ID, "-"],
    ["control-plane.organization-id", "CONTROL_PLANE_ORGANIZATION_ID", "control_plane.organization_id", "org-1", "org-1", "-"],
    ["control-plane.api-key", "CONTROL_PLANE_API_KEY", "control_plane.api_key", "env:KEY", "env:KEY", "-"],
    ["control-plane.client-cert", "CONTROL_PLANE_CLIENT_CERT", "control_plane.client_cert", "/CERT", "/CERT", "-"],
    ["control-plane.client-key", "CONTROL_PLANE_CLIENT_KEY", "control_plane.client_key", "/KEY", "/KEY", "-"],
    ["control-plane.http-proxy", "CONTROL_PLANE_HTTP_PROXY", "control_plane.http_proxy", "http://p:1", "http://p:1", "-"],
    ["control-plane.max-inflight", "CONTROL_PLANE_MAX_INFLIGHT_REQUESTS", "control_plane.max_inflight_requests", "7", "7", "20"],
    ["control-plane.poll-timeout", "CONTROL_PLANE_POLL_TIMEOUT", "control_plane.poll_timeout", "7s", "7s", "30s"],
    ["control-plane.poll-deadline-guardrail", "CONTROL_PLANE_POLL_DEADLINE_GUARDRAIL", "control_plane.poll_deadline_guardrail", "7s", "7s", "5s"],
    ["control-plane.poll-channel", "CONTROL_PLANE_POLL_CHANNELS", "control_plane.poll_channels", "main", "[main]", "-"],
    ["control-plane.extra-headers", "CONTROL_PLANE_EXTRA_HEADERS", "control_plane.extra_headers", "X-A: env:KEY", "{X-A: env:KEY}", "-"],
    ["ca-bundle", "CA_BUNDLE", "ca_bundle", "/CERT", "/CERT", "-"],
    ["http-proxy", "TUNNEL_CLIENT_HTTP_PROXY", "http_proxy", "http://p:1", "http://p:1", "-"],
    ["log.level", "LOG_LEVEL", "log.level", "warn", "warn", "info"],
    ["log.format", "LOG_FORMAT", "log.format", "json", "json", "struct-text"],
    ["log.file", "LOG_FILE", "log.file", "/l", "/l", "-"],
    ["log.http-raw-unsafe", "LOG_HTTP_RAW_UNSAFE", "log.http_raw_unsafe", "false", "false", "false"],
    ["health.listen-addr", "HEALTH_LISTEN_ADDR", "health.listen_addr", "127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:8080"],
    ["health.unix-socket", "HEALTH_UNIX_SOCKET", "health.unix_socket", "/s", "/s", "-"],
    ["health.url-file", "HEALTH_URL_FILE", "health.url_file", "/u", "/u", "-"],
    ["health.show-details", "HEALTH_SHOW_DETAILS", "health.show_details", "true", "true", "false"],
    ["pid.file", "PID_FILE", "process.pid_file", "/p", "/p", "-"],
    ["mcp.server-url", "MCP_SERVER_URL", "mcp.server_urls", "channel=b,url=https://h/b", "[{channel: b, url: 'https://h/b'}]", "-"],
    ["mcp.command", "MCP_COMMAND", "mcp.commands", "channel=b,command=sh -c true", "[{channel: b, command: sh -c true}]", "-"],
    ["mcp.http-proxy", "MCP_HTTP_PROXY", "mcp.http_proxy", "http://p:1", "http://p:1", "-"],
    ["mcp.client-cert", "MCP_CLIENT_CERT", "mcp.client_cert", "/CERT", "/CERT", "-"],
    ["mcp.client-key", "MCP_CLIENT_KEY", "mcp.client_key", "/KEY", "/KEY", "-"],
    ["mcp.extra-headers", "MCP_EXTRA_HEADERS", "mcp.extra_headers", "X-A: env:KEY", "{X-A: env:KEY}", "-"],
    ["mcp.discovery-extra-headers", "MCP_DISCOVERY_EXTRA_HEADERS", "mcp.discovery_extra_headers", "X-A: env:KEY", "{X-A: env:KEY}", "-"],
    ["mcp.startup-wait-timeout", "MCP_STARTUP_WAIT_TIMEOUT", "mcp.startup_wait_timeout", "7s", "7s", "0s"],
    ["mcp.connection-max-ttl", "MCP_CONNECTION_MAX_TTL", "mcp.connection_max_ttl", "7s", "7s", "10m"],
    ["mcp.max-concurrent-requests", "MCP_MAX_CONCURRENT_REQUESTS", "mcp.max_concurrent_requests", "7", "7", "10"],
    ["mcp.stdio-send-initialized-notification", "MCP_STDIO_SEND_INITIALIZED_NOTIFICATION", "mcp.stdio_send_initialized_notification", "true", "true", "false"],
    ["proxy.check-interval", "PROXY_CHECK_INTERVAL", "proxy.check_interval", "7s", "7s", "60s"],
    ["harpoon.allow-plaintext-http", "HARPOON_ALLOW_PLAINTEXT_HTTP", "harpoon.allow_plaintext_http", "true", "true", "*"],
    ["harpoon.max-response-bytes", "HARPOON_MAX_RESPONSE_BYTES", "harpoon.max_response_bytes", "7", "7", "*"],
    ["harpoon.max-redirects", "HARPOON_MAX_REDIRECTS", "harpoon.max_redirects", "1", "1", "*"],
    ["harpoon.hosts-include-suffix", "HARPOON_HOSTS_INCLUDE_SUFFIX", "harpoon.hosts_include_suffix", "a", "[a]", "-"],
    ["harpoon.hosts-include-regex", "HARPOON_HOSTS_INCLUDE_REGEX", "harpoon.hosts_include_regex", "a", "[a]", "-"],
    ["harpoon.hosts-include-loopback", "HARPOON_HOSTS_INCLUDE_LOOPBACK", "harpoon.hosts_include_loopback", "false", "false", "*"],
    ["harpoon.hosts-include-private", "HARPOON_HOSTS_INCLUDE_PRIVATE", "harpoon.hosts_include_private", "false", "false", "*"],
];
/// Rows of what this version does not serve: accepted in every layer, and said.
#[rustfmt::skip]
const UNSERVED: &[[&str; 5]] = &[
    ["harpoon.target", "HARPOON_TARGETS", "harpoon.targets", "label=a,url=https://h", "[{label: a, url: 'https://h'}]"],
    ["harpoon.http-proxy", "HARPOON_HTTP_PROXY", "harpoon.http_proxy", "http://p:1", "http://p:1"],
    ["harpoon.additional-transport", "HARPOON_ADDITIONAL_TRANSPORTS", "harpoon.additional_transports", "http-streamable", "[http-streamable]"],
];
/// Rows of the full client, at a default and at another value; and those of cloudflared.
const FULL: &[[&str; 4]] = &[
    ["HARPOON_CAPTURE_PAYLOADS", "harpoon.capture_payloads", "false", "true"],
    ["ALLOW_REMOTE_UI", "admin_ui.allow_remote", "false", "true"],
    ["OPEN_WEB_UI", "admin_ui.open_browser", "false", "true"],
    ["ADMIN_UI_LOG_BUFFER_EVENTS", "admin_ui.log_buffer_events", "2000", "1"],
];
const CLOUDFLARED: &[[&str; 2]] = &[
    ["CLOUDFLARED_TUNNEL_TOKEN", "cloudflared.token"],
    ["CLOUDFLARED_MANAGED", "cloudflared.managed"],
    ["CLOUDFLARED_PATH", "cloudflared.path"],
    ["CLOUDFLARED_READY_TIMEOUT", "cloudflared.ready_timeout"],
];

/// A row in a directory with a certificate and its key, for those that name files.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["a".into()]).unwrap();
        std::fs::write(dir.path().join("CERT"), made.cert.pem()).unwrap();
        std::fs::write(dir.path().join("KEY"), made.signing_key.serialize_pem()).unwrap();
        Self { dir }
    }
    fn value(&self, value: &str) -> String {
        match value {
            "/CERT" | "/KEY" => format!("{}{value}", self.dir.path().display()),
            other => other.into(),
        }
    }
    /// What the row needs besides, from a layer that it does not use.
    fn around(&self, flag: &str) -> Try {
        let mut around = base().env("KEY", "key-1");
        let other = match flag {
            "control-plane.client-cert" => Some(("CONTROL_PLANE_CLIENT_KEY", "/KEY")),
            "control-plane.client-key" => Some(("CONTROL_PLANE_CLIENT_CERT", "/CERT")),
            "mcp.client-cert" => Some(("MCP_CLIENT_KEY", "/KEY")),
            "mcp.client-key" => Some(("MCP_CLIENT_CERT", "/CERT")),
            _ => None,
        };
        if let Some((name, value)) = other {
            around = around.env(name, &self.value(value));
        }
        if flag == "mcp.server-url" {
            around = around.without("MCP_SERVER_URL").flag("mcp.command", "sh -c true");
        }
        around
    }
}

fn key(flag: &str) -> &'static Key {
    ALL.iter()
        .find(|key| key.flag == flag)
        .unwrap_or_else(|| panic!("{flag} is not in the table of settings"))
}

fn in_file(path: &str, value: &str) -> String {
    let mut text = String::new();
    let parts: Vec<&str> = path.split('.').collect();
    for (depth, part) in parts.iter().enumerate() {
        text += &format!("{}{part}:", "  ".repeat(depth));
        text += if depth + 1 == parts.len() { " " } else { "\n" };
    }
    text + value + "\n"
}

/// The origin of a setting in what `config show` prints, and what is shown.
fn origin(attempt: &Try, path: &str) -> Option<(String, String)> {
    let (text, problems) = attempt.shown();
    assert_eq!(problems, [], "{path}\n{text}");
    let name = path.rsplit('.').next().unwrap();
    let (section, rest) = match path.split_once('.') {
        Some((section, _)) => (section, text.split_once(&format!("{section}:\n"))?.1),
        None => ("", text.as_str()),
    };
    let depth = path.matches('.').count() * 2;
    let inside = |line: &&str| section.is_empty() || line.starts_with(' ');
    let line = rest.lines().take_while(inside).find_map(|line| {
        line.strip_prefix(&" ".repeat(depth)).and_then(|l| l.strip_prefix(&format!("{name}:")))
    })?;
    let (value, origin) = line.split_once("  # ").unwrap_or((line, ""));
    Some((value.trim().trim_matches('"').to_string(), origin.to_string()))
}

#[test]
fn every_row_is_taken_from_flag_environment_and_file_in_this_order() {
    let bench = Bench::new();
    for [flag, env, yaml, value, filed, default] in ROWS {
        let key = key(flag);
        assert_eq!((key.env, key.yaml), (*env, *yaml), "{flag}");
        // Dots or hyphens.
        for name in [format!("--{flag}"), format!("--{}", flag.replace('.', "-"))] {
            assert_eq!(argv::find(&name), Some(key), "{name}");
        }
        let file = in_file(yaml, &bench.value(filed));
        let around = bench.around(flag);
        // Some rows are what every test has by a variable.
        let free = around.clone().without(env);
        let by_file = free.clone().yaml(&file);
        // The variable of the key holds the key itself.
        let in_env = if *flag == "control-plane.api-key" { "key-2".into() } else { bench.value(value) };
        let by_env = by_file.clone().env(env, &in_env);
        let by_flag = by_env.clone().flag(flag, &bench.value(value));
        for (attempt, start) in [
            (by_flag, format!("flag --{flag}")),
            (by_env, format!("environment {env}")),
            (by_file, "p.yaml:".into()),
        ] {
            attempt.good();
            let (_, origin) =
                origin(&attempt, yaml).unwrap_or_else(|| panic!("{yaml}\n{}", attempt.shown().0));
            assert!(origin.starts_with(&start), "{yaml} by {origin}, not {start}");
        }
        // Without, the default.
        match (*default, origin(&base(), yaml)) {
            ("*", _) => {}
            ("-", found) => assert!(found.is_none_or(|(_, o)| o != "default"), "{yaml}"),
            (default, found) => {
                assert_eq!(found, Some((default.to_string(), "default".to_string())), "{yaml}")
            }
        }
    }
}

#[test]
fn no_row_is_left_out() {
    let rows: std::collections::BTreeSet<&str> =
        ROWS.iter().map(|row| row[0]).chain(UNSERVED.iter().map(|row| row[0])).collect();
    let selectors = ["config", "profile", "profile-file", "profile-dir"];
    for key in ALL.iter().filter(|key| !key.flag.is_empty()) {
        let known = rows.contains(key.flag) || selectors.contains(&key.flag);
        assert!(known, "{} has no row", key.flag);
    }
    let env =
        |standing: fn(&Standing) -> bool| ALL.iter().filter(move |k| standing(&k.standing)).map(|k| k.env);
    assert!(env(|s| matches!(s, Standing::FullClient(_))).eq(FULL.iter().map(|row| row[0])));
    assert!(env(|s| matches!(s, Standing::Cloudflared)).eq(CLOUDFLARED.iter().map(|row| row[0])));
}

#[test]
fn what_this_version_does_not_serve_is_accepted_and_said_in_every_layer() {
    for [flag, env, yaml, value, filed] in UNSERVED {
        for (setup, name) in [
            (base().flag(flag, value), format!("--{flag}")),
            (base().env(env, value), env.to_string()),
            (base().yaml(&in_file(yaml, filed)), yaml.to_string()),
        ] {
            let warnings = setup.good().warnings;
            let said = |w: &String| w.contains(&name) && w.contains("does not serve the channel harpoon");
            assert_eq!(warnings.iter().filter(|w| said(w)).count(), 1, "{name}: {warnings:?}");
        }
    }
}

#[test]
fn settings_of_other_flavours_are_refused_as_the_narrow_runtime_does() {
    for [env, yaml, default, other] in FULL {
        base().env(env, default).yaml(&in_file(yaml, default)).good();
        says(
            &base().env(env, other).bad(),
            &format!("runtime configuration rejects non-default full-client-only environment variable {env}"),
        );
        says(
            &base().yaml(&in_file(yaml, other)).bad(),
            &format!("runtime configuration rejects non-default {yaml}"),
        );
    }
    for [env, yaml] in CLOUDFLARED {
        for value in ["", "false", "x"] {
            says(
                &base().env(env, value).bad(),
                &format!("runtime configuration rejects cloudflared environment variable {env}"),
            );
        }
        says(&base().yaml(&in_file(yaml, "x")).bad(), "runtime configuration rejects cloudflared settings");
    }
    for flag in [
        "harpoon.capture-payloads",
        "allow-remote-ui",
        "open-web-ui",
        "admin-ui.log-buffer-events",
        "embedded-mcp-stub",
        "cloudflared.token",
        "cloudflared.managed",
        "cloudflared.path",
        "cloudflared.ready-timeout",
    ] {
        let error = argv::normalise(&[format!("--{flag}=x")]).unwrap_err().to_string();
        assert_eq!(error.split(';').next(), Some(format!("unknown flag: --{flag}").as_str()));
    }
}
