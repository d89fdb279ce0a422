//! What `doctor` prints: layout, order, exit codes, and what it never prints.

use serde_json::json;

use crate::doctor::Patient;
use crate::lab::{Fault, On, Options, Reply};

fn tls() -> Options {
    Options { tls: true, ..Options::default() }
}

/// The checks of `tunnel-client`, in its order.
const THEIRS: [&str; 14] = [
    "config_source",
    "profile_load",
    "tunnel_id",
    "control_plane_api_key",
    "tunnels_management_url",
    "runtime_api_keys_url",
    "admin_api_keys_url",
    "chatgpt_connector_settings_url",
    "mcp_target",
    "mcp_server_reachable",
    "oauth_metadata",
    "health_listener",
    "ui",
    "codex_plugin",
];

#[tokio::test]
async fn the_checks_of_tunnel_client_come_first_in_its_order_and_layout() {
    let patient = Patient::new(tls()).await;
    patient.write();
    let (code, text) = patient.run(&[]).await;
    assert_eq!(code, 0, "{text}");
    let ids: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("CHECK ")?.split(' ').next()).collect();
    assert_eq!(ids[..THEIRS.len()], THEIRS);
    let profile = patient.profile_path();
    assert!(
        text.starts_with(&format!("CHECK config_source            PASS {}\n", profile.display())),
        "{text}"
    );
    assert!(text.contains("\nCHECK ui                       SKIP "), "{text}");
    assert!(text.contains("\nCHECK oauth_metadata           PASS OAuth metadata not advertised"), "{text}");
    assert!(text.contains("\nCHECK control_plane_api_key    PASS file:/"), "{text}");
    assert!(text.contains("\nCHECK mcp_era                  PASS main: 2025-11-25\n"), "{text}");
    let end = format!("\n\nRESULT ok\nNEXT   tunnelward run --config {}\n", profile.display());
    assert!(text.ends_with(&end), "{text}");
    // It asked for the tunnel's record and did nothing else at the control plane.
    assert_eq!((patient.plane.metadata_requests().len(), patient.plane.poll_count()), (1, 0));
    patient.plane.assert_clean();
    let methods: Vec<String> = patient.stub.requests().iter().map(|r| r.method.to_string()).collect();
    assert_eq!(methods, ["GET", "GET", "GET", "POST", "POST", "DELETE"]);
}

#[tokio::test]
async fn explain_says_why_with_the_evidence_and_what_to_do_in_this_order() {
    let mut patient = Patient::new(tls()).await;
    patient.profile["log"] = json!({"levle": "info"});
    patient.write();
    let (code, short) = patient.run(&[]).await;
    assert_eq!(code, 2);
    assert!(!short.contains("Why:"), "{short}");
    assert!(short.ends_with("\n\nRESULT fail\nFAILED_CHECKS config_validation\nEXIT_CODE 2\n"), "{short}");
    let (code, text) = patient.run(&["--explain"]).await;
    assert_eq!(code, 2);
    let path = patient.profile_path();
    let block = text.split("CHECK config_validation        FAIL unknown key \"levle\"\n").nth(1).unwrap();
    let steps =
        ["  Why:\n    ", "  Evidence:\n    ", "  What to do next:\n    rename log.levle to level in "];
    let at: Vec<usize> =
        steps.iter().map(|step| block.find(step).unwrap_or_else(|| panic!("{step}: {block}"))).collect();
    assert!(at.is_sorted() && at[0] == 0, "{block}");
    assert!(block.contains(&format!("levle to level in {}\n", path.display())), "{block}");
}

#[tokio::test]
async fn the_json_has_the_documented_shape() {
    let patient = Patient::new(tls()).await;
    let report = patient.examine().await;
    assert!(
        report.text.starts_with("{\n  \"result\": \"ok\",\n  \"next\": \"tunnelward run --config "),
        "{}",
        report.text
    );
    let members: Vec<&String> = report.json.as_object().unwrap().keys().collect();
    assert_eq!(members, ["checks", "next", "result"]);
    patient.plane.go_down();
    let report = patient.examine().await;
    assert_eq!((report.code, report.failed()), (2, vec!["control_plane"]));
    assert_eq!(report.json["result"], "fail");
    assert!(report.json.get("next").is_none());
    for check in report.json["checks"].as_array().unwrap() {
        assert!(["PASS", "FAIL", "SKIP"].contains(&check["status"].as_str().unwrap()), "{check}");
        let known = ["id", "status", "summary", "why", "evidence", "next"];
        assert!(check.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())), "{check}");
    }
}

#[tokio::test]
async fn a_wrong_command_line_ends_with_1() {
    let patient = Patient::new(tls()).await;
    for flags in [&["--frobnicate"][..], &["extra"], &["--log.level"]] {
        let (code, text) = patient.run(flags).await;
        assert_eq!(code, 1, "{flags:?}: {text}");
    }
    assert_eq!(patient.run(&["--help"]).await.0, 0);
}

#[tokio::test]
async fn offline_meets_nobody() {
    let patient = Patient::new(tls()).await;
    patient.write();
    let (code, text) = patient.run(&["--offline", "--json"]).await;
    assert_eq!(code, 0, "{text}");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    for id in [
        "mcp_server_reachable",
        "oauth_metadata",
        "dns",
        "proxy",
        "control_plane",
        "control_plane_pins",
        "clock_skew",
        "mcp_era",
    ] {
        let check = json["checks"].as_array().unwrap().iter().find(|check| check["id"] == id).unwrap();
        assert_eq!(check["status"], "SKIP", "{check}");
    }
    assert_eq!((patient.plane.connections().len(), patient.stub.request_count()), (0, 0));
}

/// What peers repeat does not come out.
#[tokio::test]
async fn no_secret_is_printed_whatever_peers_say() {
    let mut patient = Patient::new(tls()).await;
    let key = patient.plane.api_key.clone();
    let hidden = patient.file("header", "header-sesame");
    patient.profile["mcp"]["extra_headers"] = json!({"X-Key": format!("file:{hidden}")});
    patient.profile["control_plane"]["extra_headers"] = json!({"X-Other": "other-sesame"});
    let body = format!(
        r#"{{"error":{{"code":"oops","message":"you sent {key} and other-sesame\u001b[2J\nCHECK x PASS"}}}}"#
    );
    patient.plane.fault(Fault::reply(On::Metadata, Reply::json(403, body.clone())));
    patient.plane.fault(Fault::reply(On::Metadata, Reply::json(403, body)));
    patient.write();
    for flags in [&["--explain"][..], &["--json"]] {
        let (code, text) = patient.run(flags).await;
        assert_eq!(code, 2, "{text}");
        assert!(text.contains("you sent [secret]"), "{text}");
        assert!(!text.contains(&key) && !text.contains("sesame"), "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains("\nCHECK x"), "{text}");
    }
}

#[tokio::test]
async fn a_server_behind_a_unix_socket_is_met_there() {
    let mut patient = Patient::new(tls()).await;
    let socket = patient.dir.path().join("mcp.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    crate::doctor::mode(&socket, 0o777);
    let port = patient.stub.port();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut far = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    patient.profile["mcp"]["server_urls"] =
        json!([{"channel": "main", "url": "http://tools/mcp", "unix_socket": socket}]);
    let report = patient.examine().await;
    assert_eq!(report.code, 0, "{}", report.text);
    assert_eq!(report.check("mcp_era")["summary"], "main: 2025-11-25");
}

#[tokio::test]
async fn a_server_that_is_started_by_command_is_started_and_asked() {
    let mut patient = Patient::new(tls()).await;
    let command = patient.known["MCP_COMMAND"].clone();
    patient.by_command(&command);
    let report = patient.examine().await;
    assert_eq!(report.code, 0, "{}", report.text);
    assert_eq!(report.check("mcp_command_executable")["status"], "PASS");
    assert_eq!(report.check("mcp_server_reachable")["status"], "SKIP");
    assert_eq!(report.check("oauth_metadata")["status"], "SKIP");
    assert_eq!(report.check("mcp_era")["summary"], "main: 2025-11-25");
    // What it says before it dies is evidence.
    patient.by_command("sh -c 'echo I cannot find my configuration >&2'");
    let report = patient.examine().await;
    assert_eq!(report.failed(), ["mcp_era"], "{}", report.text);
    let evidence = report.check("mcp_era")["evidence"].as_str().unwrap();
    assert!(evidence.contains("I cannot find my configuration"), "{evidence}");
}

/// Each failure has a reason of its own, and names what is missing.
#[tokio::test]
async fn what_the_control_plane_says_is_told_apart_with_what_is_missing() {
    let patient = Patient::new(tls()).await;
    patient.write();
    let mut reasons = std::collections::BTreeSet::new();
    for (status, named) in [
        (401, "does not know the API key"),
        (403, "permission Tunnels: Read and Use"),
        (404, "no such tunnel"),
        (429, "no more requests"),
        (500, "a failure of its own"),
    ] {
        patient.plane.fault(Fault::status(On::Metadata, status, 1));
        let report = patient.look().await;
        assert_eq!(report.failed(), ["control_plane"], "{}", report.text);
        let check = report.check("control_plane");
        let why = check["why"].as_str().unwrap().to_owned();
        assert!(why.contains(named), "{status}: {why}");
        assert!(check["evidence"].as_str().unwrap().contains(&format!(" {status} ")), "{check}");
        assert!(reasons.insert(why), "{status} has a reason of its own");
    }
}

#[tokio::test]
async fn certificates_that_are_not_believed_are_told_apart() {
    let mut patient = Patient::new(tls()).await;
    let ca = crate::lab::Ca::new();
    let own = patient.file("own.pem", &ca.pem());
    patient.profile["ca_bundle"] = own.into();
    for (identity, evidence, next) in [
        (ca.server_expired(), "has expired", "have the certificate of 127.0.0.1:"),
        (ca.server_between(2090, 2091), "is not valid yet", "set the clock of this machine"),
        (
            ca.server_for(&["elsewhere.example"]),
            "not valid for the name",
            "set control_plane.base_url to <URL> in ",
        ),
        (crate::lab::Ca::new().server(), "unknown issuer", "set ca_bundle to <CA_BUNDLE> in "),
    ] {
        let peer = crate::tls_peers::Recorder::start(identity.server_config(false, None)).await;
        patient.profile["control_plane"]["base_url"] = peer.url().into();
        let report = patient.examine().await;
        assert_eq!(report.failed(), ["control_plane"], "{}", report.text);
        let check = report.check("control_plane");
        assert!(check["evidence"].as_str().unwrap().contains(evidence), "{check}");
        assert!(check["next"].as_str().unwrap().starts_with(next), "{check}");
        peer.assert_heard_nothing();
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_seen_by_the_date_of_the_answer() {
    let patient = Patient::new(tls()).await;
    patient.write();
    let record = format!(r#"{{"id":"{}","name":"n"}}"#, patient.plane.tunnel_id);
    let reply = Reply::json(200, record).header("date", "Wed, 01 Jan 2020 00:00:00 GMT");
    patient.plane.fault(Fault::reply(On::Metadata, reply));
    let report = patient.look().await;
    assert_eq!(report.failed(), ["clock_skew"], "{}", report.text);
    assert!(report.check("clock_skew")["summary"].as_str().unwrap().contains("ahead of the control plane's"));
}
