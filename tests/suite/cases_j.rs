//! Synthesised failures, as the control plane reads them.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::agent::SOON;
use crate::calls::{plan, tool, tool_with};
use crate::lab::Reply;
use crate::world::World;

async fn nobody_at_home(query: &str) -> World {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    plan().bindings(format!("  server_urls: [{{url: \"http://{closed}/mcp{query}\"}}]\n")).start().await
}

#[tokio::test]
async fn case_218_the_envelope_is_exact_and_every_id_comes_back_as_it_was() {
    let world = nobody_at_home("").await;
    for (n, id) in
        [r#""abc""#, r#""""#, "0", "-5", "9007199254740993", "1.5", "1e2", r#""\u00e9""#].iter().enumerate()
    {
        let answer = world.call(tool_with(&format!("r{n}"), id, "echo", "{}")).await;
        let text = answer.resp_json.clone().unwrap();
        assert!(text.contains(&format!("\"id\":{id},")), "{text}");
        assert_eq!((answer.resp_code, answer.resp_header("Content-Type")), (502, Some("application/json")));
        let mut rpc = answer.rpc();
        rpc.as_object_mut().unwrap().remove("id");
        let failure = json!({"version": 1, "source": "connect", "transport_error_kind": "connection_refused", "upstream_response_received": false});
        let error = json!({"code": -32603, "message": "Bad Gateway", "data": {"tunnel_failure": failure}});
        assert_eq!(rpc, json!({"jsonrpc": "2.0", "error": error}));
    }
    world.end().await;
}

#[tokio::test]
async fn case_219_the_message_is_the_reason_phrase_of_the_code() {
    let world = plan().start().await;
    for (status, message) in [(503, "Service Unavailable"), (404, "Not Found"), (599, "MCP transport error")]
    {
        world.stub.on_next(Reply::status(status));
        let answer = world.call(tool(&format!("r{status}"), "echo", "{}")).await;
        assert_eq!((answer.resp_code, answer.rpc()["error"]["message"].as_str()), (status, Some(message)));
        assert_eq!(answer.failure().unwrap()["upstream_status"], status);
    }
    world.end().await;
}

#[tokio::test]
async fn case_221_a_call_given_up_at_the_end_has_a_failure_without_a_kind() {
    let mut world = plan().top("drain_timeout: 1s").start().await;
    for id in ["r1", "r2"] {
        world.plane.enqueue(tool(id, "silent", "{}"));
    }
    world.stub.wait_for_requests(2, SOON).await;
    world.agent.signal("TERM");
    for id in ["r1", "r2"] {
        let answer = world.plane.wait_for_response(id, SOON).await;
        let failure = json!({"version": 1, "source": "client_internal", "upstream_response_received": false});
        assert_eq!((answer.resp_code, answer.failure()), (502, Some(failure)));
    }
    let status = world.agent.ended(Duration::from_secs(10)).await;
    assert_eq!(status.and_then(|s| s.code()), Some(0));
    world.agent.logged(&["unfinished=2"]).await;
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_222_neither_posts_nor_log_tell_where_the_server_is_or_what_was_said() {
    let world = nobody_at_home("?token=pssst").await;
    let command = tool("r1", "echo", r#"{"text":"hushhush"}"#).header("Authorization", "Bearer quietquiet");
    let answer = world.call(command.header("Mcp-Session-Id", "sess-whisper")).await;
    assert_eq!(answer.resp_code, 502);
    let key = world.plane.api_key.clone();
    let posts: Vec<_> =
        world.plane.responses().iter().map(|r| String::from_utf8_lossy(&r.raw).into_owned()).collect();
    let files = std::fs::read_dir(world.agent.dir.path()).unwrap().flatten();
    let mut files: Vec<_> = files.map(|f| f.file_name().into_string().unwrap()).collect();
    files.sort_unstable();
    assert_eq!(files, ["ca.pem", "key", "tunnelward.yaml"], "the agent wrote a file");
    let log = world.end().await;
    for secret in ["pssst", "hushhush", "quietquiet", "sess-whisper", key.as_str()] {
        assert!(!posts.iter().any(|p| p.contains(secret)), "{secret} in {posts:?}");
        assert!(!log.iter().any(|l| l.contains(secret)), "{secret} in {log:#?}");
    }
    assert!(posts.iter().all(|p| !p.contains("127.0.0.1")), "{posts:?}");
}

#[tokio::test]
async fn case_222_user_information_in_a_url_is_refused_without_being_repeated() {
    let mut world = plan()
        .bindings("  server_urls: [{url: \"http://joe:pssst@localhost/mcp\"}]\n")
        .start_without_waiting()
        .await;
    assert_eq!(world.agent.ended(SOON).await.and_then(|s| s.code()), Some(78));
    world.agent.logged(&["user"]).await;
    assert_eq!(world.agent.count("pssst"), 0);
}

#[tokio::test]
async fn a_server_of_another_protocol_is_told_as_such_whoever_speaks_first() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            // Every other time before the request can be there.
            if open.len() % 2 == 1 {
                stream.read_exact(&mut [0; 16]).await.unwrap();
            }
            stream.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n").await.unwrap();
            open.push(stream);
        }
    });
    let world = plan().bindings(format!("  server_urls: [{{url: {url:?}}}]\n")).start().await;
    for n in 0..8 {
        let answer = world.call(tool(&format!("r{n}"), "echo", "{}")).await;
        let expected = ("protocol".to_owned(), "non_protocol_response".to_owned());
        assert_eq!((answer.resp_code, answer.failure_kind()), (502, expected), "call {n}");
    }
    world.end().await;
}
