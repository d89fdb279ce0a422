//! SIGKILL of the processes at both ends in the middle of calls: an MCP server over HTTP, and the control plane itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::agent::{SOON, Setup, eventually};
use crate::calls::{plan, received, text_of, tool};
use crate::kill::{all_failed, ids};
use crate::lab::{self, Stub, StubOptions};

/// A command of the lab as a process of its own, and what it printed.
struct Process {
    child: Child,
    said: Value,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(lab::program());
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, said: serde_json::from_str(&line).unwrap() }
    }

    fn text(&self, name: &str) -> String {
        self.said[name].as_str().unwrap().to_owned()
    }

    /// SIGKILL; it is gone when this returns.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `http://127.0.0.1:PORT/…` → `PORT`.
fn port(url: &str) -> String {
    let rest = url.rsplit_once("127.0.0.1:").unwrap().1;
    rest.split('/').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_server_killed_by_sigkill_fails_its_calls_and_is_found_again() {
    let mut server = Process::start(&["stub", "--stay"]);
    let url = server.text("stub");
    let world = plan().bindings(format!("  server_urls: [{{url: {url:?}}}]\n")).start().await;
    let held = ids("held");
    for id in &held {
        world.plane.enqueue(tool(id, "silent", "{}"));
    }
    // An answer behind them says that the calls before it are with the server: commands start in their order.
    assert_eq!(text_of(&world.call(tool("before", "echo", r#"{"text":"here"}"#)).await), "here");
    server.kill();
    all_failed(&world, &held, &["transport_closed"]).await;
    let _again = Process::start(&["stub", "--stay", "--port", &port(&url)]);
    assert_eq!(text_of(&world.call(tool("after", "echo", r#"{"text":"back"}"#)).await), "back");
    world.end().await;
}

/// A call through the hosted endpoint; nothing when the control plane dies over it.
fn hosted_call(port: &str, tunnel: &str, id: &str, name: &str, arguments: &str) -> Option<String> {
    let command = tool(id, name, arguments).text();
    let command: Value = serde_json::from_str(&command).unwrap();
    let body = command["jsonrpc"].to_string();
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).ok()?;
    stream.set_read_timeout(Some(SOON)).unwrap();
    let head = format!(
        "POST /v1/mcp/{tunnel} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 200").then_some(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_killed_by_sigkill_is_polled_again_and_nothing_is_forwarded_twice() {
    let dir = tempfile::tempdir().unwrap();
    let place = ["serve", "--stay", "--dir", dir.path().to_str().unwrap()];
    let mut plane = Process::start(&place);
    let (url, tunnel) = (plane.text("control_plane"), plane.text("tunnel_id"));
    let stub = Stub::start(StubOptions::default()).await;
    let setup = Setup::new("");
    let key = setup.file("key", &std::fs::read_to_string(plane.text("api_key_file")).unwrap());
    let agent = setup
        .yaml(format!(
            "control_plane: {{base_url: {url:?}, tunnel_id: {tunnel}, api_key: \"file:{}\"}}\npoll_grace: 50ms\n\
             mcp: {{server_urls: [{{url: {:?}}}]}}\n",
            key.display(),
            stub.url()
        ))
        .start();
    let port = port(&url);
    let callers: Vec<_> = ids("held")
        .into_iter()
        .map(|id| {
            let (port, tunnel) = (port.clone(), tunnel.clone());
            std::thread::spawn(move || hosted_call(&port, &tunnel, &id, "sleep", r#"{"ms":700}"#))
        })
        .collect();
    let there = || ids("held").iter().all(|id| received(&stub, id) == 1).then_some(());
    assert!(eventually(there).await.is_some(), "not all calls reached the server");
    plane.kill();
    assert!(callers.into_iter().all(|caller| caller.join().unwrap().is_none()), "answered by the dead");
    // Long enough for the answers to be there before the control plane is.
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let _again = Process::start(&[&place[..], &["--port", &port]].concat());
    let answer = hosted_call(&port, &tunnel, "after", "echo", r#"{"text":"back"}"#).expect("an answer");
    assert!(answer.contains("back"), "{answer}");
    agent.logged(&["poller recovered; polling operational"]).await;
    for id in ids("held").iter().chain([&"after".to_owned()]) {
        assert_eq!(received(&stub, id), 1, "{id}");
    }
    agent.stop().await;
}
