//! What each role must not be able to do: attempted in really confined processes by the command that shows it to
//! operators, next to a control run of the same attempts in ordinary processes.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tunnelward::commands::confinement::result::{Findings, Row, Verdict};
use tunnelward::confine::attempts::{self, Area, Outcome};

use crate::agent::SOMEBODY;
use crate::lab::attacker;
use crate::place::agent;

/// How the command ended, and what it printed.
fn confinement(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(agent())
        .arg("confinement")
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("TMPDIR", "/tmp")
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(errors, "");
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// The attempts without a configuration: made once, looked at by several tests.
fn probed() -> &'static Findings {
    static PROBED: OnceLock<Findings> = OnceLock::new();
    PROBED.get_or_init(|| {
        let (code, text) = confinement(&["--probe", "--json"]);
        let findings: Findings = serde_json::from_str(&text).unwrap();
        let wrong: Vec<&Row> = findings.rows.iter().filter(|r| r.verdict == Verdict::NotDenied).collect();
        assert_eq!(code, Some(0), "{wrong:#?}");
        findings
    })
}

fn unconfined() -> BTreeMap<String, Vec<Outcome>> {
    let output = Command::new(attacker())
        .arg("attempts")
        .arg("--agent")
        .arg(agent())
        .env("TMPDIR", "/tmp")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_denial_of_every_role_is_another_answer_than_an_ordinary_process_gets() {
    let control = unconfined();
    let root = rustix::process::geteuid().is_root();
    let mut same = Vec::new();
    for row in probed().rows.iter().filter(|row| row.verdict == Verdict::Denied) {
        let attempt = attempts::named(&row.attempt).unwrap();
        let unconfined = &control[&row.attempt];
        let differs =
            |o: &Outcome| row.observed != o.to_string() && !matches!(o, Outcome::Killed(_) | Outcome::Lost);
        // What the kernel refuses to an ordinary user in the same words is shown by root's run.
        if (root || !attempt.needs_root) && !unconfined.iter().any(differs) {
            same.push(format!("{}: {}: {} against {unconfined:?}", row.role, row.attempt, row.observed));
        }
    }
    assert!(same.is_empty(), "denied, but no otherwise than without confinement:\n{}", same.join("\n"));
}

#[test]
fn what_succeeds_in_an_ordinary_process_is_denied_to_each_role_in_every_area() {
    let control = unconfined();
    for role in ["broker", "worker", "child"] {
        let denied = |area: Area| {
            let of = move |r: &&Row| r.role == role && r.area == area && r.verdict == Verdict::Denied;
            probed().rows.iter().filter(of)
        };
        let works = |row: &&Row| control[&row.attempt].contains(&Outcome::Done);
        assert!(denied(Area::Files).filter(works).count() >= 10, "{role}");
        assert!(denied(Area::Processes).filter(works).count() >= 5, "{role}");
    }
}

#[test]
fn enough_is_attempted_and_denied() {
    let enough = |role: &str, area: Area, least: usize| {
        let of = |r: &&Row| r.role == role && r.area == area && r.verdict == Verdict::Denied;
        let denied: BTreeSet<&str> = probed().rows.iter().filter(of).map(|r| r.attempt.as_str()).collect();
        assert!(denied.len() >= least, "{role} {area:?}: {denied:?}");
    };
    for (role, calls, network) in [("broker", 40, 8), ("worker", 80, 15), ("child", 40, 8)] {
        enough(role, Area::Syscall, calls);
        enough(role, Area::Files, 10);
        enough(role, Area::Network, network);
        enough(role, Area::Processes, 5);
    }
}

#[test]
fn the_three_roles_report_what_is_in_force() {
    let findings = probed();
    let roles: Vec<&str> = findings.roles.iter().map(|r| r.report.role.as_str()).collect();
    assert_eq!(roles, ["broker", "worker", "child"]);
    assert_eq!((findings.version, findings.configured), (1, false));
    for role in &findings.roles {
        let report = &role.report;
        assert_eq!((report.seccomp.mode, report.no_new_privileges, report.dumpable), (2, true, false));
        let held = &report.capabilities;
        for set in [&held.effective, &held.permitted, &held.inheritable, &held.ambient] {
            assert_eq!(set, "0", "{}", report.role);
        }
        assert_eq!((report.threads, report.groups.len()), (1, 0), "{}", report.role);
        assert!(!report.uid.contains(&0) && !report.gid.contains(&0));
        assert!(report.landlock.abi >= report.landlock.floor);
        let core = report.limits.iter().find(|l| l.name == "Max core file size").unwrap();
        assert_eq!((core.soft, core.hard), (Some(0), Some(0)));
    }
}

#[test]
fn a_configuration_with_grants_is_shown_and_probed_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    std::fs::write(&key, "sk-secret-of-the-test").unwrap();
    let mut yaml = format!(
        "control_plane: {{tunnel_id: tunnel_0123456789abcdef0123456789abcdef, api_key: \"file:{}\", base_url: \
         \"https://cp.example:8443\"}}\nmcp: {{commands: [{{command: /bin/cat}}, {{channel: web, command: /bin/cat, \
         confinement: {{tcp_ports: [5432], unix_sockets: true}}}}]}}\n",
        key.display()
    );
    if rustix::process::geteuid().is_root() {
        yaml += &format!("confinement: {{user: \"{SOMEBODY}\"}}\n");
    }
    let path = dir.path().join("tunnelward.yaml");
    std::fs::write(&path, yaml).unwrap();
    let began = Instant::now();
    let (code, text) = confinement(&["--probe", "--json", "--config", path.to_str().unwrap()]);
    let took = began.elapsed();
    assert!(!text.contains("sk-secret-of-the-test"));
    let findings: Findings = serde_json::from_str(&text).unwrap();
    let wrong: Vec<&Row> = findings.rows.iter().filter(|r| r.verdict == Verdict::NotDenied).collect();
    assert_eq!(code, Some(0), "{wrong:#?}");
    assert!(took < Duration::from_secs(30), "{took:?}");
    let ports = |n: usize| findings.roles[n].report.landlock.tcp.iter().copied().collect::<Vec<_>>();
    assert_eq!(ports(0), [53, 5432, 8443]);
    assert_eq!(ports(1), [53, 8443]);
    assert_eq!((ports(2), ports(3)), (vec![], vec![5432]));
    let channels: Vec<_> = findings.roles.iter().map(|r| r.channel.as_deref()).collect();
    assert_eq!(channels, [None, None, Some("main"), Some("web")]);
    let verdict = |channel: &str, attempt: &str| {
        let of = |r: &&Row| r.channel.as_deref() == Some(channel) && r.attempt == attempt;
        findings.rows.iter().find(of).unwrap().verdict
    };
    assert_eq!(verdict("main", "socket-unix"), Verdict::Denied);
    assert_eq!(verdict("web", "socket-unix"), Verdict::Open);
    assert_eq!(verdict("web", "connect-tcp"), Verdict::Denied);
    assert_eq!(verdict("web", "send-fast-open"), Verdict::Denied);
}

#[test]
fn the_text_says_the_same_to_people() {
    let (code, text) = confinement(&[]);
    assert_eq!(code, Some(0));
    for part in
        ["no configuration was given", "\nbroker\n", "\nworker\n", "child, channel main", "worker_allow ("]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains("NOT DENIED"));
}

#[test]
fn nobody_becomes_a_process_of_the_probe_by_hand() {
    let output = Command::new(agent()).arg("probe").stdin(std::process::Stdio::null()).output().unwrap();
    assert_eq!((output.status.code(), output.stdout), (Some(64), vec![]));
}

#[test]
fn sandbox_is_another_name_for_it_and_wrong_flags_are_told() {
    let ran = |arguments: &[&str]| Command::new(agent()).args(arguments).env_clear().output().unwrap();
    let (text, same) = (ran(&["confinement"]).stdout, ran(&["sandbox"]).stdout);
    let lines = |text: &[u8]| String::from_utf8_lossy(text).lines().count();
    assert_eq!(lines(&text), lines(&same));
    assert_eq!(ran(&["confinement", "--frobnicate"]).status.code(), Some(64));
    assert_eq!(ran(&["confinement", "--config", "/nonexistent"]).status.code(), Some(78));
    let help = String::from_utf8(ran(&["confinement", "--help"]).stdout).unwrap();
    assert!(help.contains("--probe") && help.contains("--json") && help.contains("70"), "{help}");
}
