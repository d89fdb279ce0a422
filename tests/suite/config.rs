//! The configuration as an operator meets it: the binary, its messages, its exit codes.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "the binary under test is started as an operator starts it, and helpers fail as loudly as the tests"
)]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

const ID: &str = "tunnel_0123456789abcdefghijklmnopqrstuv";

/// How a run of the binary ended.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// Runs the binary with these arguments and nothing but these variables.
fn run(arguments: &[&str], env: &[(&str, &str)]) -> Ran {
    let output = Command::new(crate::place::agent())
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .envs(env.iter().copied())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn file(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn all_problems_are_printed_at_once_and_end_with_78() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(
        dir.path(),
        "p.yaml",
        "control_plane:\n  base_url: http://cp.example\n  poll_timeout: 0s\nlog:\n  levle: info\nmcp:\n  commands:\n  - {command: no-such-program-here}\n",
    );
    let path = path.to_str().unwrap();
    for command in [&["config", "check"][..], &["run"]] {
        let ran = run(&[command, &["--config", path]].concat(), &[("CLOUDFLARED_MANAGED", "1")]);
        assert_eq!((ran.code, ran.out.as_str()), (78, ""), "{}", ran.err);
        for line in [
            format!("{path}:5: log.levle: unknown key \"levle\"; did you mean level?"),
            "CLOUDFLARED_MANAGED: runtime configuration rejects cloudflared environment variable".into(),
            "control_plane.api_key: control plane API key is required; set --control-plane.api-key".into(),
            format!("{path}:8: mcp.commands[0].command: program \"no-such-program-here\" was not found"),
            format!("{path}:2: control_plane.base_url: invalid control-plane.base-url: https is required"),
            "control_plane.tunnel_id: tunnel ID is required; set --control-plane.tunnel-id or".into(),
            format!(
                "{path}:3: control_plane.poll_timeout: control-plane.poll-timeout must be greater than zero"
            ),
        ] {
            let count = ran.err.lines().filter(|l| l.starts_with(&line)).count();
            assert_eq!(count, 1, "{line}\nin\n{}", ran.err);
        }
        assert_eq!(ran.err.lines().count(), 8);
        assert_eq!(ran.err.lines().last(), Some("7 problems in the configuration"));
    }
}

#[test]
fn case_270_a_flag_goes_before_a_variable_before_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("control_plane: {{tunnel_id: {ID}, api_key: k, poll_timeout: 3x}}\n");
    let path = file(dir.path(), "p.yaml", &text);
    let flags = ["config", "check", "--config", path.to_str().unwrap(), "--mcp.server-url=https://h"];
    let ran = run(&flags, &[]);
    assert_eq!(ran.code, 78);
    assert!(ran.err.contains("p.yaml:1: control_plane.poll_timeout: must be a duration"), "{}", ran.err);
    let ran = run(&flags, &[("CONTROL_PLANE_POLL_TIMEOUT", "3s")]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "ok\n", ""));
    let ran = run(
        &[&flags[..], &["--control-plane.poll-timeout", "4x"]].concat(),
        &[("CONTROL_PLANE_POLL_TIMEOUT", "3s")],
    );
    assert_eq!(ran.code, 78);
    assert!(ran.err.starts_with("--control-plane.poll-timeout: must be a duration"), "{}", ran.err);
}

#[test]
fn secrets_are_never_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let yaml = "control_plane:\n  tunnel_id: sk-hunter2\n  api_key: 'hunter2 '' x'\n  extra_headers: {X-A: \"hunter2\\u0007\"}\n  http_proxy: http://hunter2@p\nmcp:\n  server_urls: [{url: 'https://hunter2@h/'}]\n  hunter2: [\n";
    let broken = file(dir.path(), "broken.yaml", yaml);
    let whole = file(dir.path(), "whole.yaml", &yaml.replace("  hunter2: [\n", ""));
    let secret = file(dir.path(), "secret", "hunter2\nhunter2\n");
    let reference = format!("X-B: file:{}", secret.display());
    for path in [broken, whole] {
        let ran = run(
            &["run", "--config", path.to_str().unwrap(), "--mcp.extra-headers", &reference],
            &[("MCP_HTTP_PROXY", "http://hunter2@p"), ("MCP_DISCOVERY_EXTRA_HEADERS", "hunter2")],
        );
        assert_eq!(ran.code, 78);
        assert!(!ran.err.contains("hunter2") && !ran.out.contains("hunter2"), "{}", ran.err);
    }
    let ran = run(&["run", "--control-plane.api-key", "hunter2"], &[]);
    assert!(ran.err.contains("value must be prefixed with \"env:\" or \"file:\""), "{}", ran.err);
    assert!(!ran.err.contains("hunter2"));
}

#[test]
fn a_syntax_error_names_file_line_and_column() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "p.yaml", "log:\n  level: \"info\n");
    let ran = run(&["config", "check", "--config", path.to_str().unwrap()], &[]);
    assert_eq!(ran.code, 78);
    assert!(ran.err.starts_with(&format!("parse config file {}: line ", path.display())), "{}", ran.err);
    assert!(ran.err.contains(", column "), "{}", ran.err);
    assert_eq!(ran.err.lines().last(), Some("1 problem in the configuration"));
}

#[test]
fn a_profile_with_every_section_loads() {
    let dir = tempfile::tempdir().unwrap();
    let ca = file(dir.path(), "ca.pem", &certificate());
    let key = file(dir.path(), "k", "s3cret\n");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
    let yaml = format!(
        r#"config_version: 1
ca_bundle: env:CA_BUNDLE_PATH
control_plane: {{base_url: "https://api.openai.com", tunnel_id: "{ID}", api_key: "env:CONTROL_PLANE_API_KEY",
  poll_timeout: 30s, poll_deadline_guardrail: 5s, max_inflight_requests: 20, poll_channels: [main],
  extra_headers: {{X-Trace: "env:TRACE"}}}}
log: {{level: info, format: json, file: /var/log/agent.log, http_raw_unsafe: false}}
health: {{listen_addr: "127.0.0.1:8080", url_file: /run/agent.url}}
process: {{pid_file: /run/agent.pid}}
mcp:
  server_urls: [{{channel: main, url: "https://mcp.internal/mcp"}}]
  commands: [{{channel: local, command: "sh -m srv"}}]
  extra_headers: {{X-Api-Key: "file:{}"}}
  connection_max_ttl: 10m
  max_concurrent_requests: 10
harpoon: {{targets: []}}
"#,
        key.display()
    );
    file(dir.path(), "site.yaml", &yaml);
    let env = [
        ("CA_BUNDLE_PATH", ca.to_str().unwrap()),
        ("CONTROL_PLANE_API_KEY", "key-1"),
        ("TRACE", "t"),
        ("TUNNEL_CLIENT_PROFILE_DIR", dir.path().to_str().unwrap()),
        ("TUNNEL_CLIENT_PROFILE", "site"),
    ];
    let ran = run(&["config", "check"], &env);
    assert_eq!((ran.code, ran.out.as_str()), (0, "ok\n"), "{}", ran.err);
    let warned: Vec<&str> = ran.err.lines().collect();
    assert!(warned.is_empty(), "{warned:?}");
}

fn certificate() -> String {
    rcgen::generate_simple_self_signed(vec!["ca.example".into()]).unwrap().cert.pem()
}

#[test]
fn a_certificate_that_cannot_be_an_anchor_ends_with_78() {
    let dir = tempfile::tempdir().unwrap();
    let nonsense = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    let ca = file(dir.path(), "ca.pem", &(certificate() + nonsense));
    let env = [
        ("CA_BUNDLE", ca.to_str().unwrap()),
        ("CONTROL_PLANE_API_KEY", "key-1"),
        ("CONTROL_PLANE_TUNNEL_ID", ID),
        ("MCP_SERVER_URL", "https://mcp.internal/mcp"),
    ];
    for command in [&["config", "check"][..], &["run"]] {
        let ran = run(command, &env);
        assert_eq!(ran.code, 78, "{}", ran.err);
        assert!(ran.err.contains("certificate number 2 cannot be used as a trust anchor"), "{}", ran.err);
    }
}

#[test]
fn a_secret_that_exists_but_cannot_be_read_ends_with_77() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("loop");
    symlink(&path, &path).unwrap();
    let key = format!("--control-plane.api-key=file:{}", path.display());
    let arguments = ["config", "check", &key, "--control-plane-tunnel-id", ID, "--mcp-server-url=https://h"];
    let ran = run(&arguments, &[]);
    assert_eq!(ran.code, 77, "{}", ran.err);
    assert!(ran.err.contains("referenced by --control-plane.api-key: cannot be read"), "{}", ran.err);
}

#[test]
fn wrong_usage_ends_with_64() {
    for (arguments, text) in [
        (&["run", "--open-web-ui"][..], "unknown flag: --open-web-ui"),
        (&["run", "--cloudflared.token=x"], "unknown flag: --cloudflared.token"),
        (&["config", "check", "--config"], "flag needs an argument: --config"),
        (&["frobnicate"], "frobnicate"),
        (&["launch"], "--fd"),
    ] {
        let ran = run(arguments, &[]);
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{arguments:?}");
        assert!(ran.err.contains(text), "{}", ran.err);
    }
    let ran = run(&["--version"], &[]);
    assert_eq!((ran.code, ran.out), (0, format!("tunnelward {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn log_lines_carry_a_priority_only_where_the_journal_reads_them() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let dir = tempfile::tempdir().unwrap();
    let program = file(dir.path(), "half-a-server", "#!/no/such/interpreter\n");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let key = file(dir.path(), "key", "sk-x");
    let profile = format!(
        "control_plane: {{base_url: \"http://127.0.0.1:9\", tunnel_id: {ID}, api_key: \"file:{}\"}}\nmcp: \
         {{commands: [{{command: {program:?}}}]}}\n",
        key.display()
    );
    let path = file(dir.path(), "p.yaml", &profile);
    // Ends with an error at once; what it logs of that is all that is looked at.
    let logged = |stream: &dyn Fn(&std::fs::Metadata) -> String| {
        let log = dir.path().join("stderr");
        let stderr = std::fs::File::create(&log).unwrap();
        let stream = stream(&stderr.metadata().unwrap());
        let status = Command::new(crate::place::agent())
            .args(["run", "--config", path.to_str().unwrap()])
            .env_clear()
            .env("JOURNAL_STREAM", stream)
            .stderr(stderr)
            .status()
            .unwrap();
        let text = std::fs::read_to_string(log).unwrap();
        assert_eq!(status.code(), Some(69), "{text}");
        text
    };
    let here = logged(&|m| format!("{}:{}", m.dev(), m.ino()));
    assert!(here.lines().any(|l| l.starts_with("<3>time=") && l.contains("half-a-server")), "{here}");
    let elsewhere = logged(&|m| format!("{}:{}", m.dev(), m.ino() + 1));
    assert!(elsewhere.lines().all(|l| l.starts_with("time=")), "{elsewhere}");
}
