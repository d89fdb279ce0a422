//! What the journal of systemd gets: fields, when it is what stderr leads to, and lines otherwise.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;

use crate::agent::{Setup, eventually};
use crate::calls::plan;
use crate::own_network::{inside, run};

/// Says that the journal reads stderr, as systemd does, and executes the agent.
const AS_SYSTEMD: &str = "export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2); exec \"$@\"";

fn by(script: &str) -> impl FnOnce(Setup) -> Setup {
    let command = ["sh", "-c", script, "sh"].map(str::to_owned);
    move |setup| setup.by(&command)
}

/// A socket where the journal has its own, for this test only.
fn journal() -> UnixDatagram {
    run("mount -t tmpfs tmpfs /run");
    std::fs::create_dir_all("/run/systemd/journal").unwrap();
    let socket = UnixDatagram::bind("/run/systemd/journal/socket").unwrap();
    std::fs::set_permissions("/run/systemd/journal/socket", std::fs::Permissions::from_mode(0o666)).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

fn entries(socket: &UnixDatagram) -> Vec<String> {
    let mut buffer = vec![0; 256 * 1024];
    let mut all = Vec::new();
    while let Ok(n) = socket.recv(&mut buffer) {
        all.push(String::from_utf8_lossy(&buffer[..n]).into_owned());
    }
    all
}

#[tokio::test]
async fn the_journal_gets_fields_from_all_processes_and_stderr_nothing() {
    if !inside("journal::the_journal_gets_fields_from_all_processes_and_stderr_nothing") {
        return;
    }
    let socket = journal();
    let world = plan().start_as(by(AS_SYSTEMD)).await;
    let mut heard = Vec::new();
    eventually(|| {
        heard.extend(entries(&socket));
        heard.iter().any(|entry| entry.contains("MESSAGE=poller started")).then_some(())
    })
    .await
    .expect("nothing of the worker in the journal");
    let of_worker = heard.iter().find(|entry| entry.contains("MESSAGE=poller started")).unwrap();
    for field in ["PRIORITY=6", "SYSLOG_IDENTIFIER=tunnelward", "TUNNELWARD_ROLE=worker"] {
        assert!(of_worker.lines().any(|line| line == field), "no {field} in {of_worker}");
    }
    let of_broker = heard.iter().find(|entry| entry.contains("MESSAGE=worker started")).unwrap();
    assert!(of_broker.lines().any(|line| line.starts_with("TUNNELWARD_PID=")), "{of_broker}");
    assert_eq!(world.end().await, [""; 0], "stderr was written to");
}

#[tokio::test]
async fn an_inherited_variable_does_not_send_the_log_elsewhere() {
    if !inside("journal::an_inherited_variable_does_not_send_the_log_elsewhere") {
        return;
    }
    let socket = journal();
    let world = plan().start_as(by("export JOURNAL_STREAM=8:4711; exec \"$@\"")).await;
    world.agent.logged(&["poller started"]).await;
    assert!(entries(&socket).is_empty());
    world.end().await;
}

#[tokio::test]
async fn a_journal_that_goes_away_leaves_lines_on_stderr() {
    if !inside("journal::a_journal_that_goes_away_leaves_lines_on_stderr") {
        return;
    }
    let socket = journal();
    let world = plan().start_as(by(AS_SYSTEMD)).await;
    drop(socket);
    world.agent.signal("HUP");
    world.agent.logged(&["<6>time=", "reload"]).await;
    world.end().await;
}
