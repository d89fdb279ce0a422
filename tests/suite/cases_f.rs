//! MCP over HTTP, from poll to post: what the server sees of a command and what the control plane sees of an answer.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::agent::SOON;
use crate::calls::{plan, received, tool, tool_with};
use crate::lab::raw::{RawServer, http_answer};
use crate::lab::{Command, Part, Reply, Stub, StubOptions};
use crate::world::World;

fn failure(source: &str, kind: &str) -> (String, String) {
    (source.into(), kind.into())
}

async fn world() -> World {
    plan().start().await
}

#[tokio::test]
async fn case_125_126_127_what_the_server_sees_is_the_commands() {
    let world = plan().mcp("extra_headers: {X-Static: here, X-Both: static}").start().await;
    let plain = Command::call("r1", "1", "ping", "{}");
    world.call(plain).await;
    let full = Command::call("r2", "9007199254740993", "ping", r#"{"n":1e400, "z":1.0}"#)
        .header("Accept", "application/json")
        .header("Mcp-Session-Id", "s-1")
        .header("MCP-Protocol-Version", "2025-11-25")
        .header("X-Both", "command")
        .header("X-Many", "a")
        .header("X-Many", "b")
        .header("Authorization", "Bearer connector");
    let answer = world.call(full).await;
    assert_eq!(answer.resp_json.as_deref(), Some(r#"{"jsonrpc":"2.0","id":9007199254740993,"result":{}}"#));

    let seen = world.stub.requests();
    let first = |n: usize, name: &str| seen[n].headers.get(name).map(|v| v.to_str().unwrap().to_owned());
    assert_eq!(first(0, "accept").as_deref(), Some("application/json, text/event-stream"));
    assert_eq!(first(0, "content-type").as_deref(), Some("application/json"));
    for invented in ["mcp-session-id", "mcp-protocol-version", "authorization"] {
        assert_eq!(first(0, invented), None, "{invented}");
    }
    assert_eq!(first(0, "x-static").as_deref(), Some("here"));
    assert_eq!(
        seen[1].text(),
        r#"{"jsonrpc":"2.0","id":9007199254740993,"method":"ping","params":{"n":1e400, "z":1.0}}"#
    );
    let all =
        |name: &str| seen[1].headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(all("accept"), ["application/json"]);
    assert_eq!(all("mcp-session-id"), ["s-1"]);
    assert_eq!(all("mcp-protocol-version"), ["2025-11-25"]);
    assert_eq!(all("x-both"), ["command"]);
    assert_eq!(all("x-many"), ["a", "b"]);
    assert_eq!(all("authorization"), ["Bearer connector"]);
    world.end().await;
}

#[tokio::test]
async fn case_130_131_a_redirect_is_followed_nowhere() {
    let world = world().await;
    let other = Stub::start(StubOptions::default()).await;
    for status in [301, 303, 307] {
        world.stub.on_next(Reply::status(status).header("Location", &other.url()));
        let id = format!("r{status}");
        let command = tool(&id, "echo", "{}").header("Authorization", "Bearer connector");
        let answer = world.call(command).await;
        assert_eq!(answer.resp_code, status);
        assert_eq!(answer.failure_kind().0, "protocol");
    }
    assert_eq!((world.stub.request_count(), other.request_count()), (3, 0));
    world.end().await;
}

#[tokio::test]
async fn case_133_a_line_end_in_a_header_costs_only_its_command() {
    let world = world().await;
    let evil = tool("evil", "echo", "{}").header("X-A", "1\r\nX-Injected: 1");
    let neighbour = tool("good", "echo", r#"{"text":"here"}"#).header("X-A", "1");
    world.plane.enqueue(evil);
    assert_eq!(world.call(neighbour).await.resp_code, 200);
    let refused = world.plane.wait_for_response("evil", SOON).await;
    assert_eq!((refused.resp_code, refused.rpc()["id"].as_str()), (400, Some("evil")));
    assert_eq!((received(&world.stub, "evil"), received(&world.stub, "good")), (0, 1));
    world.end().await;
}

#[tokio::test]
async fn case_134_compression_is_never_the_commands_to_choose() {
    let world = world().await;
    world.call(tool("r1", "echo", "{}").header("Accept-Encoding", "br, zstd")).await;
    let offered = world.stub.requests()[0].headers.get("accept-encoding").cloned();
    assert!(offered.is_none_or(|v| !v.to_str().unwrap().contains("br")), "the command's own value passed");
    let body = r#"{"jsonrpc":"2.0","id":"r2","result":{"packed":true}}"#;
    let packed = crate::lab::faults::gzip(body.as_bytes());
    let reply =
        Reply::status(200).header("Content-Type", "application/json").header("Content-Encoding", "gzip");
    world.stub.on_next(reply.data(packed));
    let answer = world.call(tool("r2", "echo", "{}").header("Accept-Encoding", "gzip")).await;
    assert_eq!(answer.resp_json.as_deref(), Some(body));
    world.end().await;
}

#[tokio::test]
async fn case_135_137_138_142_143_147_149_150_154_155_157_answers_as_the_control_plane_sees_them() {
    let world = world().await;
    let call = async |id: &str, reply: Reply| {
        world.stub.on_next(reply);
        world.call(tool(id, "echo", "{}")).await
    };
    let ok = r#"{"jsonrpc":"2.0", "id":"r135","result":{"html":"<script>&"}}"#;
    let reply = Reply::status(200).header("Content-Type", "Application/JSON; charset=utf-8").data(ok);
    let answer = call("r135", reply.header("Mcp-Session-Id", "s-9").header("Set-Cookie", "a=b")).await;
    assert_eq!((answer.resp_code, answer.resp_type.as_str()), (200, "jsonrpc_response"));
    assert_eq!(answer.rpc()["result"]["html"], "<script>&");
    assert_eq!(answer.resp_header("Mcp-Session-Id"), Some("s-9"));
    assert!(answer.resp_header("Content-Type").unwrap().eq_ignore_ascii_case("application/json"));
    assert!(!answer.resp_headers.contains_key("Set-Cookie"));

    let html =
        |status| Reply::status(status).header("Content-Type", "text/html").data("<h1>secret host</h1>");
    let answer = call("r138", html(200)).await;
    assert_eq!(
        (answer.resp_code, answer.failure_kind()),
        (502, failure("protocol", "non_protocol_response"))
    );
    let answer = call("r142", Reply::json(200, "{\"jsonrpc\":")).await;
    assert_eq!((answer.resp_code, answer.failure_kind()), (502, failure("protocol", "malformed_json")));
    let answer = call("r143", Reply::json(200, format!("[{ok}]"))).await;
    assert_eq!((answer.resp_code, answer.failure_kind()), (502, failure("protocol", "malformed_json")));

    let challenge = "Bearer resource_metadata=\"https://m.test/x\"";
    let reply = Reply::status(401).header("WWW-Authenticate", challenge).header("WWW-Authenticate", "Basic");
    let answer = call("r147", reply).await;
    assert_eq!(
        (answer.resp_code, answer.failure_kind()),
        (401, failure("target_http", "response_body_missing"))
    );
    assert_eq!(answer.failure().unwrap()["upstream_status"], 401);
    assert_eq!(answer.resp_headers["Www-Authenticate"], [challenge, "Basic"]);

    let error =
        r#"{"jsonrpc":"2.0", "id":"r149","error":{"code":-32000,"message":"<no>","more":1},"x":[1.0]}"#;
    let answer = call("r149", Reply::json(400, error)).await;
    assert_eq!((answer.resp_code, answer.resp_json.as_deref()), (400, Some(error)));
    let answer = call("r150", Reply::json(400, error)).await;
    assert_eq!((answer.resp_code, answer.failure_kind()), (400, failure("target_http", "invalid_mcp_error")));
    let answer = call("r154", html(500)).await;
    assert_eq!((answer.resp_code, answer.failure_kind()), (500, failure("target_http", "malformed_json")));
    assert!(!String::from_utf8_lossy(&answer.raw).contains("secret host"));
    let answer = call("r155", Reply::json(502, format!("{{{}", " ".repeat(102_400)))).await;
    assert_eq!(
        (answer.resp_code, answer.failure_kind()),
        (502, failure("target_http", "response_body_too_large"))
    );
    let answer = call("r157", Reply::status(304)).await;
    assert_eq!((answer.resp_code, answer.failure_kind().0.as_str()), (304, "protocol"));
    assert!(world.stub.requests().iter().all(|r| r.method == "POST"), "a failed call ended a session");
    world.end().await;
}

#[tokio::test]
async fn case_141_158_a_notification_is_acknowledged_or_its_refusal_told() {
    let world = world().await;
    let note = |id: &str| Command::jsonrpc(id, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let ack = world.call(note("r1")).await;
    assert_eq!((ack.resp_type.as_str(), ack.resp_code, ack.resp_json), ("notify_ack", 202, None));
    world.stub.on_next(Reply::status(405));
    let refused = world.call(note("r2")).await;
    assert_eq!((refused.resp_type.as_str(), refused.resp_code), ("jsonrpc_response", 405));
    assert_eq!((refused.rpc().get("id"), refused.rpc()["error"]["code"].as_i64()), (None, Some(-32603)));
    world.end().await;
}

#[tokio::test]
async fn case_145_162_broken_connections_are_told_apart() {
    let server = RawServer::start(|request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let answer =
            http_answer("200 OK", "application/json", r#"{"jsonrpc":"2.0","id":"r145","result":{}}"#);
        match body.contains("r145") {
            true => vec![Part::Data(answer[..answer.len() - 9].to_vec().into()), Part::Cut],
            false => vec![Part::Cut],
        }
    })
    .await;
    let world = plan().bindings(format!("  server_urls: [{{url: {:?}}}]\n", server.url())).start().await;
    let cut = world.call(tool("r145", "echo", "{}")).await;
    assert_eq!((cut.resp_code, cut.failure_kind()), (502, failure("transport_closed", "unexpected_eof")));
    let none = world.call(tool("r162", "echo", "{}")).await;
    assert_eq!((none.resp_code, none.failure_kind()), (502, failure("transport_closed", "eof")));
    assert_eq!(server.requests().len(), 2, "what may have been received was sent again");
    world.end().await;
}

#[tokio::test]
async fn case_146_an_endless_answer_is_cut_at_the_configured_bound() {
    let world = plan().top("limits: {answer_bytes: 65536}").start().await;
    let reply = Reply::status(200).header("Content-Type", "application/json");
    world.stub.on_next(reply.then(Part::Repeat("x".repeat(4096).into(), usize::MAX)));
    let answer = world.call(tool("r1", "echo", "{}")).await;
    assert_eq!(
        (answer.resp_code, answer.failure_kind()),
        (502, failure("protocol", "response_body_too_large"))
    );
    assert_eq!(world.call(tool("r2", "echo", "{}")).await.resp_code, 200);
    world.end().await;
}

#[tokio::test]
async fn case_159_161_servers_that_cannot_be_reached_are_told_apart() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // No label may be that long, so no resolver need be asked.
    let name = format!("{}.invalid", "x".repeat(64));
    let strange = Stub::start(StubOptions { tls: true, ..StubOptions::default() }).await;
    let bindings = format!(
        "  server_urls:\n  - {{channel: main, url: \"http://{closed}/mcp\"}}\n  - {{channel: tls, url: {:?}}}\n  \
         - {{channel: dns, url: \"http://{name}/mcp\"}}\n",
        strange.url()
    );
    let world = plan().bindings(bindings).start().await;
    let expected = [("main", "connect", "connection_refused"), ("tls", "tls", "tls"), ("dns", "dns", "dns")];
    for (channel, ..) in expected {
        world.plane.enqueue(tool(channel, "echo", "{}").channel(channel));
    }
    for (channel, source, kind) in expected {
        let answer = world.plane.wait_for_response(channel, SOON).await;
        assert_eq!((answer.resp_code, answer.failure_kind()), (502, failure(source, kind)), "{channel}");
        assert_eq!(answer.failure().unwrap()["upstream_response_received"], false);
        let text = String::from_utf8_lossy(&answer.raw).into_owned();
        assert!(!text.contains("127.0.0.1") && !text.contains(".invalid"), "{text}");
    }
    assert_eq!(strange.request_count(), 0);
    world.end().await;
}

#[tokio::test]
async fn case_165_166_one_connection_carries_a_hundred_calls_with_their_query() {
    let stub = Stub::start(StubOptions { http2: false, ..StubOptions::default() }).await;
    let url = format!("{}?k=v&a=%20b", stub.url());
    let world = plan().bindings(format!("  server_urls: [{{url: {url:?}}}]\n")).start().await;
    for n in 0..100 {
        let id = format!("r{n}");
        assert_eq!(world.call(tool_with(&id, &n.to_string(), "echo", "{}")).await.rpc()["id"], json!(n));
    }
    let seen = stub.requests();
    assert!(seen.iter().all(|r| r.path == "/mcp?k=v&a=%20b"), "{}", seen[0].path);
    assert_eq!(seen.len(), 100);
    assert!(stub.server().accepted() <= 3, "{} connections", stub.server().accepted());
    world.end().await;
}

#[tokio::test]
async fn case_167_an_answer_before_the_request_is_read_is_passed_on() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    tokio::spawn(async move {
        // Answers after the first bytes and never reads the rest.
        // Before that come connections on which nothing is said, by which the agent looks whether there is anybody.
        let mut stream = loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            if stream.read(&mut [0; 1024]).await.unwrap() > 0 {
                break stream;
            }
        };
        let body = r#"{"jsonrpc":"2.0","id":"r1","error":{"code":-32600,"message":"too much"}}"#;
        stream.write_all(&http_answer("413 Content Too Large", "application/json", body)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(30)).await;
    });
    let world = plan().bindings(format!("  server_urls: [{{url: {url:?}}}]\n")).start().await;
    let answer = world.call(tool("r1", "echo", &format!("{{\"text\":\"{}\"}}", "x".repeat(8 << 20)))).await;
    assert_eq!((answer.resp_code, answer.rpc()["error"]["message"].as_str()), (413, Some("too much")));
    world.end().await;
}
