//! Broken set-ups: for each, the check that fails, and that the first advice mends it. Whoever follows the advice here does
//! it word for word.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::doctor::{Patient, at, mode};
use crate::forward_proxy::{ForwardProxy, Kind, Manner};
use crate::lab::{Fault, On, Options, Reply};
use crate::tls_peers::{free_port, nobody, pin};

/// What an advice asks for that is no step on this machine.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outside {
    Nothing,
    /// Somebody gives the permission, or some time passes.
    ClearFaults,
    /// The control plane is there again.
    PlaneBack,
    /// The MCP server is there again.
    StubBack,
}

/// One set-up: its name, the check that fails, what is broken, what else happens.
type Case = (&'static str, &'static str, fn(&mut Patient), Outside);

fn tls() -> Options {
    Options { tls: true, ..Options::default() }
}

/// Breaks it, has it examined, does what the first advice says, and has it examined again.
async fn mended(options: Options, case: &Case) {
    let (name, id, break_it, outside) = case;
    let mut patient = Patient::new(options).await;
    patient.write();
    break_it(&mut patient);
    let report = patient.examine().await;
    assert_eq!(report.code, 2, "{name}: {}", report.text);
    assert_eq!(report.failed().first(), Some(id), "{name}: {}", report.text);
    let check = report.check(id).clone();
    for part in ["summary", "why", "evidence", "next"] {
        assert!(check[part].as_str().is_some_and(|text| !text.is_empty()), "{name}: no {part}: {check}");
    }
    let next = check["next"].as_str().unwrap();
    let asked = patient.follow(next).await;
    match (asked, outside) {
        (None, Outside::Nothing) => {}
        (Some(_), Outside::ClearFaults) => patient.plane.clear_faults(),
        (Some(_), Outside::PlaneBack) => patient.plane.come_back().await,
        (Some(_), Outside::StubBack) => patient.stub.come_back().await,
        (asked, _) => panic!("{name}: {asked:?} of {next}"),
    }
    let report = patient.examine().await;
    assert_ne!(report.check(id)["status"], "FAIL", "{name}: {next}\n{}", report.text);
    assert_eq!((report.code, report.failed()), (0, vec![]), "{name}: {next}\n{}", report.text);
}

async fn all_mended(cases: &[Case]) {
    for case in cases {
        mended(tls(), case).await;
    }
}

/// Sets a setting.
macro_rules! set {
    ($key:expr, $value:tt) => {
        |p| *at(&mut p.profile, $key) = json!($value)
    };
}

fn without(p: &mut Patient, key: &str) {
    p.profile["control_plane"].as_object_mut().unwrap().remove(key);
}

const SETTINGS: &[Case] = &[
    ("no tunnel id", "tunnel_id", |p| without(p, "tunnel_id"), Outside::Nothing),
    ("malformed id", "tunnel_id", set!("control_plane.tunnel_id", "tunnel_1"), Outside::Nothing),
    ("no key", "control_plane_api_key", |p| without(p, "api_key"), Outside::Nothing),
    (
        "key in a variable that is not set",
        "control_plane_api_key",
        set!("control_plane.api_key", "env:NOT_THERE"),
        Outside::Nothing,
    ),
    ("key with a blank", "control_plane_api_key", set!("control_plane.api_key", "sk-a b"), Outside::Nothing),
    ("key misspelt", "config_validation", set!("log.levle", "info"), Outside::Nothing),
    ("key unknown", "config_validation", set!("control_plane.quantum_entanglement", 7), Outside::Nothing),
    ("no server", "mcp_target", set!("mcp", {}), Outside::Nothing),
    ("bad duration", "config_validation", set!("control_plane.poll_timeout", "3x"), Outside::Nothing),
    (
        "plain http",
        "control_plane_base_url",
        set!("control_plane.base_url", "http://cp.example"),
        Outside::Nothing,
    ),
    ("another version", "config_validation", set!("config_version", 2), Outside::Nothing),
    ("browser", "config_validation", set!("admin_ui.open_browser", true), Outside::Nothing),
    (
        "a channel twice",
        "mcp_target",
        |p| {
            let command = p.known["MCP_COMMAND"].clone();
            p.profile["mcp"]["commands"] = json!([{"channel": "main", "command": command}]);
        },
        Outside::Nothing,
    ),
    ("a kernel of the future", "kernel", set!("confinement.require", 10), Outside::Nothing),
    (
        "variable of another flavour",
        "config_validation",
        |p| drop(p.env.insert("CLOUDFLARED_MANAGED".into(), "1".into())),
        Outside::Nothing,
    ),
    ("two files", "profile_load", |p| p.args.push("--profile=other".into()), Outside::Nothing),
];

#[tokio::test]
async fn what_is_set_wrongly_is_mended_by_the_first_advice() {
    all_mended(SETTINGS).await;
}

const FILES: &[Case] = &[
    (
        "key file missing",
        "control_plane_api_key",
        |p| {
            std::fs::remove_file(p.path("key")).unwrap();
            let key = p.plane.api_key.clone();
            let good = p.file("good", &key);
            p.known.insert("FILE".into(), good);
        },
        Outside::Nothing,
    ),
    (
        "key file empty",
        "control_plane_api_key",
        |p| {
            p.file("key", "");
            let key = p.plane.api_key.clone();
            let good = p.file("good", &key);
            p.known.insert("FILE".into(), good);
        },
        Outside::Nothing,
    ),
    (
        "key file that all can change",
        "control_plane_api_key",
        |p| mode(p.path("key"), 0o666),
        Outside::Nothing,
    ),
    ("key file that all can read", "file_permissions", |p| mode(p.path("key"), 0o644), Outside::Nothing),
    ("profile that all can change", "file_permissions", |p| mode(p.profile_path(), 0o666), Outside::Nothing),
    (
        "bundle without certificates",
        "config_validation",
        |p| {
            p.file("ca.pem", "nothing");
            let pem = p.plane.ca_pem();
            let good = p.file("good", &pem);
            p.known.insert("FILE".into(), good);
        },
        Outside::Nothing,
    ),
    (
        "audit log that was not begun",
        "audit",
        |p| p.profile["audit"] = json!({"path": p.path("audit")}),
        Outside::Nothing,
    ),
    (
        "audit log that is damaged",
        "audit",
        |p| {
            std::fs::create_dir(p.path("audit")).unwrap();
            std::fs::write(p.path("audit/state"), "nonsense").unwrap();
            p.profile["audit"] = json!({"path": p.path("audit")});
        },
        Outside::Nothing,
    ),
    (
        "key of another certificate",
        "certificates",
        |p| {
            let other = p.plane.ca.client("another");
            p.profile["control_plane"]["client_cert"] = p.path("client.pem").into();
            p.profile["control_plane"]["client_key"] = p.file("other.key", &other.key_pem).into();
        },
        Outside::Nothing,
    ),
    (
        "certificate that has ended",
        "certificates",
        |p| {
            let ended = p.plane.ca.client_for("ended", -3600);
            p.profile["control_plane"]["client_cert"] = p.file("ended.pem", &ended.cert_pem).into();
            p.profile["control_plane"]["client_key"] = p.file("ended.key", &ended.key_pem).into();
        },
        Outside::Nothing,
    ),
    (
        "another fingerprint",
        "certificates",
        |p| {
            p.profile["control_plane"]["client_cert"] = p.path("client.pem").into();
            p.profile["control_plane"]["client_key"] = p.path("client.key").into();
            p.profile["control_plane"]["client_cert_fingerprint"] = nobody().into();
        },
        Outside::Nothing,
    ),
];

#[tokio::test]
async fn files_that_are_not_as_they_should_be_are_mended_by_the_first_advice() {
    all_mended(FILES).await;
}

/// A script for a server, which may be read and executed unless `mode` says otherwise.
fn script(p: &mut Patient, name: &str, text: &str, permissions: u32) -> String {
    let directory = p.dir.path().join("server");
    std::fs::create_dir_all(&directory).unwrap();
    mode(&directory, 0o755);
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    mode(&path, permissions);
    path.display().to_string()
}

const SERVERS: &[Case] = &[
    ("no such program", "mcp_command_executable", |p| p.by_command("no-such-program-here"), Outside::Nothing),
    (
        "program without permission",
        "mcp_command_executable",
        |p| {
            let text = format!("#!/bin/sh\nexec {}\n", p.known["MCP_COMMAND"]);
            let path = script(p, "server.sh", &text, 0o644);
            let lab = crate::lab::program().display().to_string();
            p.by_command(&path);
            *at(&mut p.profile, "mcp.commands[0].confinement") = json!({"execute": [lab]});
        },
        Outside::Nothing,
    ),
    (
        "no such script",
        "mcp_command_executable",
        |p| p.by_command("sh /nonexistent/server.sh"),
        Outside::Nothing,
    ),
    (
        "no such interpreter",
        "mcp_command_executable",
        |p| {
            let path = script(p, "server.py", "#!/usr/bin/no-such-python\n", 0o755);
            p.by_command(&path);
        },
        Outside::Nothing,
    ),
    (
        "path that is withheld",
        "stdio_preflight",
        |p| {
            std::fs::create_dir(p.path("shared")).unwrap();
            let command = format!("{} --banner {}", p.known["MCP_COMMAND"], p.path("shared"));
            // The banner is chatter that is no message.
            p.by_command(&command);
        },
        Outside::Nothing,
    ),
    ("a program that is no server", "mcp_era", |p| p.by_command("/bin/true"), Outside::Nothing),
    (
        "a program that downloads",
        "stdio_preflight",
        |p| {
            let npx = script(p, "npx", "#!/bin/sh\nexit 1\n", 0o755);
            p.by_command(&format!("{npx} some-server"));
        },
        Outside::Nothing,
    ),
    ("server that is down", "mcp_server_reachable", |p| p.stub.go_down(), Outside::StubBack),
    (
        "a path without a server",
        "mcp_era",
        |p| {
            p.stub.handler(|request| (!request.path.starts_with("/mcp")).then(|| Reply::status(404)));
            let url = p.stub.url().replace("/mcp", "/elsewhere");
            *at(&mut p.profile, "mcp.server_urls[0].url") = url.into();
        },
        Outside::Nothing,
    ),
    (
        "an address that is not allowed",
        "mcp_server_reachable",
        set!("mcp.server_urls[0].allowed_ips", ["10.0.0.0/8"]),
        Outside::Nothing,
    ),
    (
        "an address of a cloud's metadata",
        "mcp_server_reachable",
        set!("mcp.server_urls[0].url", "http://169.254.169.254/mcp"),
        Outside::Nothing,
    ),
];

#[tokio::test]
async fn servers_that_cannot_work_are_mended_by_the_first_advice() {
    all_mended(SERVERS).await;
}

const PLANE: &[Case] = &[
    (
        "key that is not known",
        "control_plane",
        |p| {
            let other = p.file("other", "sk-of-somebody-else");
            *at(&mut p.profile, "control_plane.api_key") = format!("file:{other}").into();
        },
        Outside::Nothing,
    ),
    (
        "another tunnel",
        "control_plane",
        |p| *at(&mut p.profile, "control_plane.tunnel_id") = format!("tunnel_{}", "9".repeat(32)).into(),
        Outside::Nothing,
    ),
    (
        "no permission",
        "control_plane",
        |p| p.plane.fault(Fault::status(On::Metadata, 403, 1000)),
        Outside::ClearFaults,
    ),
    (
        "too many requests",
        "control_plane",
        |p| p.plane.fault(Fault::status(On::Metadata, 429, 1000)),
        Outside::ClearFaults,
    ),
    (
        "a failure of its own",
        "control_plane",
        |p| p.plane.fault(Fault::status(On::Metadata, 503, 1000)),
        Outside::ClearFaults,
    ),
    ("it is down", "control_plane", |p| p.plane.go_down(), Outside::PlaneBack),
    (
        "its authority is unknown",
        "control_plane",
        |p| drop(p.profile.as_object_mut().unwrap().remove("ca_bundle")),
        Outside::Nothing,
    ),
    (
        "its name is unknown",
        "dns",
        set!("control_plane.base_url", "https://no_such_host:8443"),
        Outside::Nothing,
    ),
    (
        "what answers is an MCP server",
        "control_plane",
        |p| {
            let url = p.stub.url().replace("/mcp", "");
            *at(&mut p.profile, "control_plane.base_url") = url.into();
            p.stub.handler(|request| match request.path.as_str() {
                path if path.starts_with("/v1/") => Some(Reply::json(200, "{}")),
                path if path.starts_with("/.well-known/") => Some(Reply::status(404)),
                _ => None,
            });
        },
        Outside::Nothing,
    ),
];

#[tokio::test]
async fn a_control_plane_that_does_not_take_us_is_mended_by_the_first_advice() {
    all_mended(PLANE).await;
}

#[tokio::test]
async fn a_certificate_that_is_asked_for_is_named() {
    let options = Options { require_client_cert: true, ..tls() };
    let case: Case = (
        "no client certificate",
        "control_plane",
        |p| {
            without(p, "client_cert");
            without(p, "client_key");
        },
        Outside::Nothing,
    );
    mended(options, &case).await;
}

#[tokio::test]
async fn a_wrong_pin_is_told_apart_and_the_right_ones_are_where_it_says() {
    let mut patient = Patient::new(tls()).await;
    patient.profile["control_plane"]["pins"] = json!([nobody(), pin(b"nobody either")]);
    let report = patient.examine().await;
    assert_eq!(report.failed(), ["control_plane_pins"], "{}", report.text);
    let next = report.check("control_plane_pins")["next"].as_str().unwrap().to_owned();
    // The command that is named shows what to put in the place of the word.
    let command = next.lines().find_map(|line| line.strip_prefix("run: tunnelward ")).unwrap();
    let mut shown = tokio::process::Command::new(crate::place::agent());
    let shown = shown.args(command.split(' ')).env_clear().output().await.unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let pins: Vec<&str> =
        shown.lines().filter_map(|line| line.strip_prefix("  - ")?.split("  #").next()).collect();
    assert_eq!(pins.len(), 2, "{shown}");
    patient.known.insert("PINS".into(), format!("[{}]", pins.join(", ")));
    assert_eq!(patient.follow(&next).await, None);
    let report = patient.examine().await;
    assert_eq!(report.code, 0, "{}", report.text);
    assert_eq!(report.check("control_plane_pins")["status"], "PASS");
}

#[tokio::test]
async fn proxies_that_want_a_password_or_are_not_there_are_mended_by_the_first_advice() {
    let manner = Manner { user: Some(("user", "sesame")), ..Manner::default() };
    let proxy = ForwardProxy::start(Kind::Tinyproxy, manner).await;
    let mut patient = Patient::new(tls()).await;
    patient.known.insert("PROXY_URL".into(), proxy.url_with("user:sesame"));
    for wrong in [proxy.url(), proxy.url_with("user:wrong"), "http://127.0.0.1:9".into()] {
        patient.profile["control_plane"]["http_proxy"] = wrong.clone().into();
        let report = patient.examine().await;
        assert_eq!(report.failed(), ["proxy"], "{wrong}: {}", report.text);
        assert_eq!(report.check("control_plane")["status"], "SKIP");
        let next = report.check("proxy")["next"].as_str().unwrap().to_owned();
        assert_eq!(patient.follow(&next).await, None, "{next}");
        let report = patient.examine().await;
        assert_eq!(report.code, 0, "{wrong}: {next}\n{}", report.text);
        assert!(!report.text.contains("sesame"), "{}", report.text);
    }
}

#[tokio::test]
async fn an_address_that_somebody_else_holds_is_replaced_by_a_free_one_and_our_own_is_fine() {
    let mut patient = Patient::new(tls()).await;
    let address = patient.profile["health"]["listen_addr"].as_str().unwrap().to_owned();
    let holder = tokio::net::TcpListener::bind(&address).await.unwrap();
    let report = patient.examine().await;
    assert_eq!(report.failed(), ["health_listener"], "{}", report.text);
    let next = report.check("health_listener")["next"].as_str().unwrap().to_owned();
    let before = patient.profile.clone();
    assert_eq!(patient.follow(&next).await, None);
    assert_eq!(patient.examine().await.code, 0);
    patient.profile = before;
    drop(holder);
    // Our own service.
    let service = crate::lab::Stub::start(crate::lab::StubOptions::default()).await;
    service.handler(|request| {
        let body = r#"{"version":1,"agent_version":"0.1.0","ready":true}"#;
        (request.path == "/status").then(|| Reply::json(200, body))
    });
    patient.profile["health"]["listen_addr"] = format!("127.0.0.1:{}", service.port()).into();
    let report = patient.examine().await;
    assert_eq!(report.code, 0, "{}", report.text);
    assert!(
        report.check("health_listener")["summary"].as_str().unwrap().contains("held by the running service")
    );
    // Whoever answers otherwise is somebody else.
    service.handler(|_| Some(Reply::json(200, r#"{"schema_version":1,"flavor":"tunnelward"}"#)));
    assert_eq!(patient.examine().await.failed(), ["health_listener"]);
    patient.profile["health"]["enabled"] = false.into();
    let report = patient.examine().await;
    assert_eq!(report.code, 0, "{}", report.text);
    assert!(report.check("health_listener")["summary"].as_str().unwrap().contains("health.enabled"));
}

#[tokio::test]
async fn a_profile_that_is_not_there_is_made_by_the_first_advice() {
    let mut patient = Patient::new(tls()).await;
    patient.named = false;
    // Where no profile of the machine is in the way.
    let profiles = patient.path("profiles");
    patient.args = vec!["--profile=mine".into(), format!("--profile-dir={profiles}")];
    // All else comes from the environment, so that nobody is met but the lab.
    for (name, value) in [
        ("TUNNEL_CLIENT_PROFILE_DIR", profiles.clone()),
        ("CONTROL_PLANE_BASE_URL", patient.plane.url()),
        ("CA_BUNDLE", patient.path("ca.pem")),
        ("CONTROL_PLANE_API_KEY", patient.plane.api_key.clone()),
        ("HEALTH_LISTEN_ADDR", format!("127.0.0.1:{}", free_port())),
    ] {
        patient.env.insert(name.into(), value);
    }
    let report = patient.look().await;
    assert_eq!(report.failed().first(), Some(&"profile_load"), "{}", report.text);
    let next = report.check("profile_load")["next"].as_str().unwrap().to_owned();
    assert!(next.starts_with("run: tunnelward init --profile mine "), "{next}");
    let init = next.lines().next().unwrap().to_owned() + " --profile-dir " + &profiles;
    assert_eq!(patient.follow(&init).await, None);
    assert_eq!(patient.look().await.check("profile_load")["status"], "PASS");
    let made = std::path::Path::new(&profiles).join("mine.yaml");
    assert_eq!(made.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}
