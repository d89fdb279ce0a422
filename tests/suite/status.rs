//! `tunnelward health`, `ready` and `status` against real agents, and against somebody else at the same address.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::agent::eventually;
use crate::asking::{self, plan, until};
use crate::calls::tool;
use crate::tls_peers::Ran;
use crate::world::World;

/// Runs a command on a thread of its own: the lab lives on this one.
async fn ask(words: &[&str]) -> Ran {
    let mut command = Command::new(crate::place::agent());
    command.args(words).env_clear().stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {} {}", ran.out, ran.err))
}

/// The option that names the agent's file.
fn url_file(world: &World) -> String {
    format!("--url-file={}", world.agent.dir.path().join("url").display())
}

async fn url(world: &World) -> String {
    format!("http://{}", asking::address(&world.agent).await)
}

#[tokio::test]
async fn a_service_that_is_ready_is_found_in_every_way_that_it_can_be_named() {
    let world = asking::world(plan("").top("process: {pid_file: '@DIR@/pid'}")).await;
    until(&world.agent, None).await;
    let (file, url) = (url_file(&world), url(&world).await);
    let port = url.rsplit(':').next().unwrap().to_string();
    let config = world.agent.dir.path().join("tunnelward.yaml").display().to_string();
    for named in [&["--url", &url][..], &[file.as_str()], &["--port", &port], &["--config", &config]] {
        let ran = ask(&[&["ready"], named].concat()).await;
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), "ready\n"), "{named:?}: {}", ran.err);
    }
    let pid_file = world.agent.dir.path().join("pid").display().to_string();
    let options = ["--json", "--require-control-plane-poll", "--pid-file", &pid_file];
    let ran = ask(&[&["health", &file], &options[..]].concat()).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    let found = json(&ran);
    assert_eq!(found["result"], "ok");
    assert_eq!(
        (&found["locator"]["kind"], &found["locator"]["url_file"]),
        (&"url_file".into(), &file[11..].into())
    );
    assert_eq!(
        (&found["base_url"], &found["locator"]["resolved_base_url"]),
        (&url.clone().into(), &url.clone().into())
    );
    assert_eq!(found["healthz"]["url"], format!("{url}/healthz"));
    assert_eq!((&found["healthz"]["body"], &found["healthz"]["status"]), (&"live".into(), &200.into()));
    assert_eq!((&found["readyz"]["ok"], &found["readyz"]["error"]), (&true.into(), &Value::Null));
    assert!(found["control_plane_poll"]["value"].as_f64() > Some(1.7e9), "{found}");
    assert_eq!(
        (&found["process"]["pid"], &found["process"]["running"]),
        (&world.agent.pid().into(), &true.into())
    );
    let text = ask(&["health", &file]).await.out;
    for line in [
        "Locator:             url_file\n",
        "Healthz:             ok 200 live\n",
        "Process:             not asked\n",
        "Result:              OK\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    // A process that has ended.
    let ran = ask(&["health", &file, "--pid", "4194303", "--json"]).await;
    assert_eq!((ran.code, &json(&ran)["process"]["running"]), (Some(2), &false.into()));
    world.end().await;
}

#[tokio::test]
async fn a_service_that_is_not_ready_says_why_and_is_live_all_the_same() {
    let mut world = asking::world(plan("")).await;
    until(&world.agent, None).await;
    world.plane.go_down();
    until(&world.agent, Some("control_plane_network")).await;
    let file = url_file(&world);
    let ran = ask(&["ready", &file]).await;
    assert_eq!(ran.code, Some(2), "{}", ran.out);
    assert!(ran.out.starts_with("poll failed: "), "{}", ran.out);
    let ran = ask(&["health", &file, "--json"]).await;
    let found = json(&ran);
    assert_eq!((ran.code, &found["result"]), (Some(2), &"fail".into()));
    assert_eq!((&found["healthz"]["ok"], &found["readyz"]["status"]), (&true.into(), &503.into()));
    // What a liveness probe asks.
    assert_eq!(ask(&["health", "--live", &file]).await.code, Some(0));
    let ran = ask(&["status", &file]).await;
    assert_eq!(ran.code, Some(2));
    assert!(ran.out.starts_with("NOT READY since ") && ran.out.contains("\n  ! "), "{}", ran.out);
    world.plane.come_back().await;
    until(&world.agent, None).await;
    assert_eq!(ask(&["status", &file]).await.code, Some(0));
    world.end().await;
}

#[tokio::test]
async fn status_shows_the_calls_that_were_made_to_a_person_and_to_a_program() {
    let world = asking::world(plan("")).await;
    until(&world.agent, None).await;
    for n in 0..3 {
        world.call(tool(&format!("c{n}"), "echo", r#"{"text":"precious-argument"}"#)).await;
    }
    world.call(tool("wrong", r"a\u001b[2Jb", "{}")).await;
    let file = url_file(&world);
    let ran = ask(&["status", &file]).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].starts_with("READY since ") && lines[0].contains("; tunnelward "), "{}", ran.out);
    for begin in [
        "control plane  https://127.0.0.1:",
        "calls          4 in the last minute; 4 in ",
        "CHANNEL        KIND  TARGET",
        "main           http  http://127.0.0.1:",
        "worker         restarted never; reloaded never, refused never",
        "audit          off: no call is recorded",
        "policy         none: everything may be called",
        "confinement    Landlock ",
        "LAST CALLS",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(begin)), "{begin} in {}", ran.out);
    }
    let calls: Vec<&&str> = lines.iter().filter(|line| line.contains("tools/call echo ")).collect();
    assert_eq!(calls.len(), 3, "{}", ran.out);
    assert!(calls.iter().all(|line| line.contains("answered") && line.ends_with("ms")), "{}", ran.out);
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{}", ran.out);
    assert!(!ran.out.contains('\u{1b}') && !ran.out.contains("precious"), "{}", ran.out);
    let ran = ask(&["status", "--json", &file]).await;
    let found = json(&ran);
    assert_eq!((ran.code, &found["version"], &found["totals"]["calls"]), (Some(0), &1.into(), &4.into()));
    assert_eq!(found["channels"][0]["name"], "main");
    world.end().await;
}

#[tokio::test]
async fn watching_goes_on_until_it_is_ended_or_nobody_reads() {
    let world = asking::world(plan("")).await;
    until(&world.agent, None).await;
    for (how, more) in [("INT", "--watch"), ("nobody reads", "--json")] {
        // What was started in the background ignores the signal, and hands that on.
        let mut child = Command::new("env")
            .arg("--default-signal=INT")
            .arg(crate::place::agent())
            .args(["status", "--watch", "1", more, &url_file(&world)])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
        let (begin, ended) = tokio::task::spawn_blocking(move || {
            let mut begin = String::new();
            while begin.matches("READY since").count() + begin.matches("\"version\":1").count() < 2 {
                assert!(std::io::BufRead::read_line(&mut out, &mut begin).unwrap() > 0, "{begin}");
            }
            if how == "INT" {
                crate::agent::kill(child.id(), "INT");
            }
            drop(out);
            (begin, child.wait().unwrap())
        })
        .await
        .unwrap();
        assert!(!begin.contains('\u{1b}'), "this is no terminal: {begin:?}");
        if how == "INT" {
            assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended), Some(2));
        } else {
            assert_eq!(ended.code(), Some(0));
        }
    }
    world.end().await;
}

#[tokio::test]
async fn a_unix_socket_is_found_by_the_configuration_and_by_the_url_file() {
    let world = plan(", unix_socket: '@DIR@/run/health.sock'").start_as(asking::own).await;
    let config = world.agent.dir.path().join("tunnelward.yaml").display().to_string();
    let ready = async || ask(&["ready", "--config", &config]).await;
    let end = Instant::now() + crate::agent::SOON;
    while ready().await.code != Some(0) {
        assert!(Instant::now() < end, "{}", ready().await.out);
    }
    assert_eq!(ask(&["status", &url_file(&world)]).await.code, Some(0));
    let found = json(&ask(&["health", "--json", "--require-control-plane-poll", &url_file(&world)]).await);
    assert_eq!(found["result"], "ok", "{found}");
    assert!(found["base_url"].as_str().unwrap().starts_with("http+unix://"), "{found}");
    world.end().await;
}

#[tokio::test]
async fn nobody_there_is_2_and_a_wrong_command_line_1() {
    let nowhere =
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    for command in ["health", "ready", "status"] {
        let ran = ask(&[command, "--port", &nowhere]).await;
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        assert!(ran.out.contains("Connection refused"), "{}", ran.out);
        for wrong in [
            &["--port", "1", "--url", "http://127.0.0.1:1"][..],
            &["--port", "x"],
            &["--port"],
            &["--nonsense"],
            &["extra", "words"],
        ] {
            let ran = ask(&[&[command], wrong].concat()).await;
            assert_eq!(ran.code, Some(1), "{command} {wrong:?}: {}{}", ran.out, ran.err);
            assert!(ran.out.is_empty() && !ran.err.is_empty());
        }
    }
    let ran = ask(&["status", "--json", "--port", &nowhere]).await;
    assert!(
        ran.code == Some(2) && ran.out.is_empty() && ran.err.contains("Connection refused"),
        "{}",
        ran.out
    );
    for wrong in
        [&["status", "--watch", "0"][..], &["status", "3"], &["health", "--pid", "1", "--pid-file", "/p"]]
    {
        assert_eq!(ask(wrong).await.code, Some(1), "{wrong:?}");
    }
    // What others can have is asked only when it is named.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("url");
    std::fs::write(&file, "http://192.0.2.1:8080").unwrap();
    let ran = ask(&["ready", "--url-file", &file.display().to_string()]).await;
    assert!(ran.code == Some(2) && ran.out.contains("not loopback"), "{}", ran.out);
    let ran = ask(&["ready", "--url", "http://example.com"]).await;
    assert!(ran.code == Some(2) && ran.out.contains("an address or localhost"), "{}", ran.out);
    let off = dir.path().join("off.yaml");
    std::fs::write(&off, "config_version: 1\nhealth: {enabled: false}\n").unwrap();
    let ran = ask(&["ready", "--config", &off.display().to_string()]).await;
    assert!(ran.code == Some(2) && ran.out.contains("health: {enabled: false}"), "{}", ran.out);
}

/// Somebody else at the address: says this to everybody, and then goes on as told.
async fn stranger(says: Vec<u8>, then: Then) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    tokio::spawn(async move {
        while let Ok((mut peer, _)) = listener.accept().await {
            let says = says.clone();
            tokio::spawn(async move {
                let _ = peer.read(&mut [0; 1024]).await;
                let _ = peer.write_all(&says).await;
                match then {
                    Then::Ends => {}
                    Then::Waits => tokio::time::sleep(Duration::from_secs(60)).await,
                    Then::Floods => while peer.write_all(&[b'x'; 65_536]).await.is_ok() {},
                }
            });
        }
    });
    port
}

#[derive(Clone, Copy, PartialEq)]
enum Then {
    Ends,
    Waits,
    Floods,
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_else_listens_there_is_not_believed_and_cannot_hold_or_mislead() {
    let page =
        |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes();
    let escapes =
        r#"{"ready":false,"reasons":[{"text":"\u001b]0;title\u0007\u009b2J\u202e"}],"instance_id":"\u007f"}"#;
    let deep = "[".repeat(40_000);
    for (says, then) in [
        (b"SSH-2.0-x\r\n".to_vec(), Then::Waits),
        (vec![0; 5000], Then::Ends),
        (Vec::new(), Then::Ends),
        (Vec::new(), Then::Waits),
        (Vec::new(), Then::Floods),
        (b"HTTP/1.1 200 OK\r\n".to_vec(), Then::Waits),
        (b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), Then::Floods),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nready".to_vec(), Then::Ends),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nready\r\n0\r\n\r\n".to_vec(),
            Then::Ends,
        ),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n".to_vec(), Then::Ends),
        (page("\u{1b}[2Jready\u{202e}"), Then::Ends),
        (page(escapes), Then::Ends),
        (page(&deep), Then::Ends),
        (page(&format!("{{\"ready\":true,\"n\":[{}1]}}", "1e9,".repeat(11_000))), Then::Ends),
    ] {
        let port = stranger(says.clone(), then).await;
        let shown = String::from_utf8_lossy(&says[..says.len().min(60)]).into_owned();
        for words in
            [&["status", "--json"][..], &["status"], &["health", "--require-control-plane-poll"], &["ready"]]
        {
            let began = Instant::now();
            let ran = ask(&[words, &["--port", &port]].concat()).await;
            assert!(began.elapsed() < Duration::from_secs(15), "{shown:?} {words:?}");
            // Nobody can tell that "ready" is said by somebody else.
            let believed = words == ["ready"] && says.starts_with(b"HTTP/1.1 200") && ran.code == Some(0);
            // A document that says so, likewise.
            let claimed = words == ["status"] && shown.contains("\"ready\":true") && ran.code == Some(0);
            assert!(
                ran.code == Some(2) || believed || claimed,
                "{shown:?} {words:?}: {:?} {}",
                ran.code,
                ran.out
            );
            let all = [ran.out.as_str(), &ran.err].concat();
            assert!(
                !all.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'),
                "{words:?}: {all:?}"
            );
            assert!(all.len() < 70_000, "{words:?}: {}", all.len());
        }
    }
}

#[tokio::test]
async fn what_listens_there_is_read_by_a_process_that_is_confined() {
    let port = stranger(Vec::new(), Then::Waits).await;
    let child = Command::new(crate::place::agent())
        .args(["ready", "--port", &port])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id();
    let confined = eventually(|| {
        crate::agent::children_of(pid).into_iter().find_map(|pid| {
            let status =
                std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).ok()?;
            let field = |name: &str| {
                let line = status.lines().find(|line| line.starts_with(name))?;
                line.split_whitespace().nth(1).map(str::to_string)
            };
            (field("Seccomp:")? == "2" && field("NoNewPrivs:")? == "1" && field("Uid:")? != "0").then_some(())
        })
    })
    .await;
    let ended = tokio::task::spawn_blocking(move || {
        let mut child = child;
        child.wait().unwrap()
    })
    .await
    .unwrap();
    assert!(confined.is_some(), "no confined process was seen");
    assert_eq!(ended.code(), Some(2));
}
