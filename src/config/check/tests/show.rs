//! What `config show` shows, and what it never does.

use super::*;

const HIDDEN: &str = "hunter2";

/// A file with a secret in every place that can hold one.
const SECRETS: &str = r#"
http_proxy: http://u:hunter2@p.example:3128
control_plane:
  api_key: hunter2
  base_url: https://cp.example
  extra_headers: {X-A: hunter2, X-B: "env:KEY"}
  http_proxy: "http://hunter2@p.example"
mcp:
  http_proxy: env:PROXY
  extra_headers: {X-C: "hunter2, with more"}
  server_urls:
  - {channel: main, url: "https://h/mcp?key=hunter2", http_proxy: "http://a:hunter2@q"}
  commands:
  - channel: local
    command: "sh -c 'psql postgres://u:hunter2@db/x'"
    env: {TOKEN: hunter2, OTHER: "env:KEY"}
"#;

fn secrets() -> Try {
    BASE.iter()
        .fold(bare(), |t, (k, v)| t.env(k, v))
        .without("MCP_SERVER_URL")
        .without("CONTROL_PLANE_API_KEY")
        .env("KEY", "hunter2")
        .env("PROXY", "http://x:hunter2@p.example")
        .yaml(SECRETS)
}

#[test]
fn no_secret_is_shown_and_every_reference_is() {
    let attempt = secrets();
    attempt.good();
    let (text, problems) = attempt.shown();
    assert_eq!(problems, []);
    assert!(!text.contains(HIDDEN), "{text}");
    for line in [
        "http_proxy: \"http://<redacted>@p.example:3128\"  # p.yaml:2",
        "  api_key: \"<redacted>\"  # p.yaml:4",
        "  extra_headers:  # p.yaml:6",
        "    X-A: \"<redacted>\"",
        "    X-B: env:KEY",
        "  http_proxy: env:PROXY  # p.yaml:9",
        "    - channel: main",
        "      url: \"https://h/mcp?<redacted>\"",
        "      http_proxy: \"http://<redacted>@q\"",
        "      command: \"sh -c 'psql postgres://<redacted>@db/x'\"",
        "        TOKEN: \"<redacted>\"",
        "        OTHER: env:KEY",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\nis not in\n{text}");
    }
    let json = attempt.with(|flags, host, _| crate::config::show(flags, host, true).unwrap().0);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(!json.contains(HIDDEN));
    assert_eq!(value["version"], 1);
    assert_eq!(value["settings"]["control_plane.max_inflight_requests"]["value"], 20);
    assert_eq!(value["settings"]["control_plane.max_inflight_requests"]["origin"], "default");
    assert_eq!(value["settings"]["control_plane.extra_headers"]["value"]["X-A"], "<redacted>");
}

#[test]
fn secrets_in_flags_and_variables_are_not_shown_either() {
    let attempt = bare()
        .env("CONTROL_PLANE_TUNNEL_ID", ID)
        .env("OPENAI_API_KEY", HIDDEN)
        .env("MCP_EXTRA_HEADERS", "X-A: hunter2; X-B: env:KEY")
        .env("KEY", HIDDEN)
        .env("TUNNEL_CLIENT_HTTP_PROXY", "http://hunter2:hunter2@p")
        .flag("mcp.server-url", "channel=main,url=https://h/?hunter2,http-proxy=http://hunter2@p")
        .flag("control-plane.extra-headers", "X-C: hunter2");
    attempt.good();
    let (text, _) = attempt.shown();
    assert!(!text.contains(HIDDEN), "{text}");
    says(&text, "  api_key: env:OPENAI_API_KEY  # environment OPENAI_API_KEY");
    says(&text, "    X-B: env:KEY\n");
    // What is wrong may be a secret in the wrong place.
    let wrong =
        base().yaml("mcp: {server_urls: [{url: 'https://h', password: hunter2}]}").without("MCP_SERVER_URL");
    let (text, problems) = wrong.shown();
    assert!(!text.contains(HIDDEN), "{text}");
    assert_eq!(problems.len(), 1);
}

#[test]
fn what_is_shown_is_a_file_that_means_the_same() {
    let policy = "policy:\n  version: 1\n  channels: [main, \"1\"]\n  rules:\n  - {id: a, tools: [\"yes\", \"1.5\"], arguments: {type: object, properties: {n: {type: integer, minimum: 1}, t: {const: \"1\"}}}}\n";
    let attempts = [
        base().flag("control-plane.api-key", "env:CONTROL_PLANE_API_KEY"),
        base()
            .flag("mcp.command", "channel=\"odd\",command=sh -c 'echo \"a: b\" # c'")
            .without("MCP_COMMAND"),
        base().flag("mcp.command", "channel=1,command=sh -c 'echo \"a: b\" # c'").yaml(policy),
        base()
            .flag("control-plane.poll-channel", "main")
            .env("LOG_LEVEL", "debug")
            .env("CONTROL_PLANE_BASE_URL", "http://127.0.0.1:9"),
        base().env("MCP_EXTRA_HEADERS", "X-A: env:KEY; X-B: env:KEY").env("KEY", "v"),
        base().yaml("audit: {path: /var/log/tunnelward/audit}\nreload_interval: 0\nlog: {level: ERROR}"),
    ];
    let mut loaded = 0;
    for attempt in attempts {
        let (text, problems) = attempt.shown();
        if !problems.is_empty() {
            continue;
        }
        let mut env = bare();
        for name in ["CONTROL_PLANE_API_KEY", "KEY"] {
            if let Some(value) = attempt.env.get(name) {
                env = env.env(name, value);
            }
        }
        // The key's own variable goes before the file that refers to it.
        let again = env.yaml(&text);
        let (before, after) = (attempt.good(), again.good());
        assert_eq!(
            serde_json::to_string(&before.worker).unwrap(),
            serde_json::to_string(&after.worker).unwrap(),
            "{text}"
        );
        let argv = |config: &Config| config.commands.iter().map(|c| c.argv.clone()).collect::<Vec<_>>();
        assert_eq!(argv(&before), argv(&after), "{text}");
        let values = |text: &str| {
            let lines = text.lines().map(|l| l.split("  # ").next().unwrap_or_default().to_string());
            lines.collect::<Vec<_>>().join("\n")
        };
        assert_eq!(values(&text), values(&again.shown().0));
        loaded += 1;
    }
    assert_eq!(loaded, 5);
}

#[test]
fn a_broken_configuration_is_shown_with_its_problems() {
    let (text, problems) = base().yaml("log: {level: loud, levle: x}").shown();
    says(&text, "  level: loud  # p.yaml:1");
    assert_eq!(problems.len(), 2, "{problems:?}");
}
