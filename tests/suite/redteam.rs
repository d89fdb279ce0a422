//! A worker whose code is subverted and a stdio server that means harm: nothing works, and the broker stays.
//!
//! `tests/redteam` is the attacker. Each attack by the worker is a life of its own under a genuine broker.

use std::net::TcpListener;
use std::time::Duration;

use crate::agent::{Agent, SOON, Setup, alive, eventually};
use crate::audit::Log;
use crate::lab::attacker;
use crate::place::{repository, servers_dir};

const TUNNEL: &str = "tunnel_0123456789abcdef0123456789abcdef";

/// An agent whose worker makes this attack, and its audit log. The control plane is a port where nobody answers.
fn attacked_by(attack: &str) -> (Agent, Log) {
    let audit = Log::begin();
    let setup = Setup::new("").program(attacker());
    let key = setup.file("key", "sk-secret");
    let log = setup.dir.path().join("agent.log");
    let attack = attack.replace("KEY", &key.display().to_string()).replace("LOG", &log.display().to_string());
    let attack = attack.replace("AUDIT", &audit.path().join("state").display().to_string());
    let yaml = format!(
        "control_plane: {{base_url: \"http://127.0.0.1:9\", tunnel_id: {TUNNEL}, api_key: \"file:{}\", \
         organization_id: '{attack}'}}\nlog: {{format: struct-text, file: {log:?}}}\n\
         mcp: {{commands: [{{command: /bin/cat}}]}}\naudit: {{path: {:?}}}\n",
        key.display(),
        audit.path().display().to_string(),
    );
    (setup.yaml(yaml).log_file(log).start(), audit)
}

/// What the broker saw is in the audit log.
#[track_caller]
fn is_recorded(audit: &Log, words: &str) {
    audit.is_good();
    let records = audit.records();
    let told = |record: &serde_json::Value| {
        record["event"] == "violation" && record["what"].as_str().is_some_and(|what| what.contains(words))
    };
    assert!(records.iter().any(told), "{records:#?}");
}

async fn killed_by_its_filter(attack: &str) {
    let (mut agent, audit) = attacked_by(attack);
    agent.logged(&["worker died", "signal=31"]).await;
    let status = agent.ended(SOON).await.unwrap();
    assert_eq!(status.code(), Some(100), "{attack}");
    agent.logged(&["component=confinement", "killed by its own filter"]).await;
    assert!(!agent.log().iter().any(|l| l.contains("it worked")), "{attack}");
    is_recorded(&audit, "killed by its own filter");
}

async fn refused(attack: &str, text: &str) {
    let (agent, _audit) = attacked_by(attack);
    let line = agent.logged(&["attack:", "refused"]).await;
    assert!(line.contains(text), "{attack}: {line}");
    assert!(alive(agent.pid()));
    agent.stop().await;
}

#[tokio::test]
async fn a_subverted_worker_reads_no_file_and_no_process() {
    for file in [
        "KEY",
        "LOG",
        "AUDIT",
        "/etc/passwd",
        "/proc/BROKER/mem",
        "/proc/BROKER/environ",
        "/proc/self/status",
    ] {
        refused(&format!("read {file}"), "Permission denied").await;
    }
}

#[tokio::test]
async fn a_subverted_worker_reaches_no_other_port_and_no_metadata() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    refused(&format!("connect {}", listener.local_addr().unwrap()), "Permission denied").await;
    refused("connect 169.254.169.254:80", "Permission denied").await;
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody came");
}

#[tokio::test]
async fn a_subverted_worker_starts_no_program_and_signals_nobody() {
    killed_by_its_filter("exec /bin/sh").await;
    killed_by_its_filter("kill").await;
    refused("abort", "Operation not permitted").await;
    refused("abort-all", "nobody was signalled").await;
}

#[tokio::test]
async fn a_subverted_worker_that_says_what_is_not_legal_is_killed_and_replaced() {
    let frames = [
        r#"send [{"exec":{"path":"/bin/sh"}}]"#,
        r#"send [{"ready":{"landlock":7,"filters":2}}]"#,
        r#"send [{"done":{"call":1,"outcome":"answered"}}]"#,
        r#"send [{"spawn":{"index":9,"era":"session","seen":0}}]"#,
        r#"send [{"child_lost":{"index":0,"generation":7}}]"#,
        r#"send [{"drained":{"unfinished":0}}]"#,
        "send [",
        "send []",
        "send garbage",
        "send-long",
        "send-descriptor",
    ];
    for frame in frames {
        let (agent, audit) = attacked_by(frame);
        agent.logged(&["worker broke the protocol"]).await;
        agent.logged(&["worker died", "signal=9"]).await;
        agent.logged(&["the worker will be replaced"]).await;
        assert!(alive(agent.pid()), "{frame}");
        agent.stop().await;
        is_recorded(&audit, "");
    }
}

#[tokio::test]
async fn a_worker_that_cannot_go_on_ends_by_its_own_signal_and_not_by_its_filter() {
    // Of the main thread's stack std does not know the end with musl, so the kernel says the word.
    let ends = [
        ("end-abort", "signal=6", ""),
        ("end-memory", "signal=6", "memory allocation"),
        ("end-overflow", "signal=11", ""),
    ];
    for (end, signal, words) in ends {
        let (agent, _audit) = attacked_by(end);
        agent.logged(&["worker died", signal]).await;
        agent.logged(&["the worker will be replaced"]).await;
        agent.logged(&["role=worker", words]).await;
        assert!(!agent.log().iter().any(|l| l.contains("signal=31")), "{end}");
        agent.stop().await;
    }
}

/// An agent with this program as its only server.
fn serving(arguments: &str, more: &str) -> Agent {
    let setup = Setup::new("");
    let key = setup.file("key", "sk-secret");
    let command =
        format!("{} child {}", attacker().display(), arguments.replace("KEY", &key.display().to_string()));
    let yaml = format!(
        "control_plane: {{base_url: \"http://127.0.0.1:9\", tunnel_id: {TUNNEL}, api_key: \"file:{}\"}}\n\
         log: {{format: struct-text}}\nmcp: {{commands: [{{command: {command:?}{more}}}]}}\n",
        key.display()
    );
    setup.yaml(yaml).start()
}

#[tokio::test]
async fn a_malicious_server_reaches_nothing_that_is_not_granted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let _service = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode;
    std::fs::set_permissions(dir.path(), open(0o755)).unwrap();
    std::fs::set_permissions(&socket, open(0o777)).unwrap();
    let readme = repository().join("README.md");
    let agent = serving(
        &format!(
            "--read KEY --read /proc/1/status --read {} --create /tmp/redteam-was-here --connect {address} --unix {} \
             --broker",
            readme.display(),
            socket.display()
        ),
        "",
    );
    agent.logged(&["attempt a user namespace"]).await;
    let log = agent.log();
    let said: Vec<_> = log.iter().filter(|l| l.contains("attempt ")).collect();
    assert!(said.len() >= 15, "{said:#?}");
    for line in said {
        assert!(line.contains("refused: "), "{line}");
    }
    assert!(!std::path::Path::new("/tmp/redteam-was-here").exists());
    assert!(alive(agent.pid()) && alive(agent.worker_pid()));
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody came");
    agent.stop().await;
}

#[tokio::test]
async fn a_server_that_is_granted_something_gets_that() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let dir = servers_dir();
    let grant = format!(
        ", confinement: {{read: [/proc/1/status], write: [{:?}], tcp_ports: [{}]}}",
        dir.path().display().to_string(),
        address.port()
    );
    let file = dir.path().join("file");
    let agent =
        serving(&format!("--read /proc/1/status --create {} --connect {address}", file.display()), &grant);
    agent.logged(&["attempt read /proc/1/status: it worked"]).await;
    agent.logged(&["attempt create", "it worked"]).await;
    agent.logged(&[&format!("attempt connect {address}: it worked")]).await;
    agent.stop().await;
}

#[tokio::test]
async fn what_a_server_leaves_behind_in_another_session_ends_with_the_service() {
    let agent = serving("--escape", "");
    let line = agent.logged(&["attempt escaped: pid"]).await;
    let pid: u32 = line.split("pid ").last().unwrap().trim_matches('"').parse().unwrap();
    assert!(alive(pid));
    agent.stop().await;
    assert!(eventually(|| (!alive(pid)).then_some(())).await.is_some(), "{pid} outlived the agent");
}

#[tokio::test]
async fn a_server_starts_no_more_processes_than_its_number() {
    let agent = serving("--fork", ", confinement: {max_processes: 40}");
    let line = agent.logged(&["attempt fork:"]).await;
    let count: usize = line.split("fork: ").last().unwrap().split(' ').next().unwrap().parse().unwrap();
    // The kernel counts what the user has already, and the limit allows for all that the machine has.
    assert!(count < 2000 && line.contains("Resource temporarily unavailable"), "{line}");
    assert!(alive(agent.worker_pid()));
    let log = agent.stop().await;
    assert!(log.iter().any(|l| l.contains("stopped")));
}

#[tokio::test]
async fn a_server_that_floods_both_streams_costs_nobody_else_anything() {
    let agent = serving("--flood 64", "");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(alive(agent.pid()) && alive(agent.worker_pid()));
    agent.logged(&["wrote too many lines", "lines_dropped"]).await;
    agent.stop().await;
}
