use super::*;

const TCP: Answers = Answers { details: false, unix: false, address: None };

fn ask(rules: &Answers, head: &str) -> Result<Page, u16> {
    let head = format!("{head}\r\n\r\n");
    read(head.as_bytes(), rules)
        .map(|request| request.expect("a whole head").page)
        .map_err(|(status, _)| status)
}

#[test]
fn the_routes_are_these_and_no_other() {
    for (target, page) in [
        ("/healthz", Ok(Page::Live)),
        ("/readyz?x", Ok(Page::Ready)),
        ("/metrics", Ok(Page::Metrics)),
        ("/status", Ok(Page::Status)),
        ("/health", Ok(Page::Health(None))),
        ("/health?details=true", Ok(Page::Health(Some(true)))),
        ("/health?details=false", Ok(Page::Health(Some(false)))),
        ("/health/mcp", Ok(Page::Component(0))),
        ("/health/proxy", Ok(Page::Component(8))),
        ("/health/../etc/passwd", Err(404)),
        ("/", Err(404)),
        ("http://localhost/healthz", Err(404)),
    ] {
        assert_eq!(ask(&TCP, &format!("GET {target} HTTP/1.1\r\nHost: localhost")), page, "{target}");
    }
}

#[test]
fn a_host_that_is_not_ours_is_refused() {
    let bound = Answers { address: Some("10.0.0.7".parse().unwrap()), ..TCP };
    for (rules, host, allowed) in [
        (&TCP, "localhost", true),
        (&TCP, "LOCALHOST:8080", true),
        (&TCP, "127.0.0.1:8080", true),
        (&TCP, "127.9.9.9", true),
        (&TCP, "[::1]:8080", true),
        (&TCP, "[::1]", true),
        (&TCP, "10.0.0.7", false),
        (&bound, "10.0.0.7:80", true),
        (&bound, "10.0.0.8", false),
        (&TCP, "evil.example", false),
        (&TCP, "localhost.evil.example", false),
        (&TCP, "127.0.0.1.evil.example", false),
        (&TCP, "localhost:80@evil", false),
        (&TCP, "[::1]x", false),
        (&TCP, "", false),
    ] {
        let answer = ask(rules, &format!("GET /healthz HTTP/1.1\r\nHost: {host}"));
        assert_eq!(answer, if allowed { Ok(Page::Live) } else { Err(421) }, "{host}");
    }
    assert_eq!(ask(&TCP, "GET /healthz HTTP/1.0"), Err(400));
    assert_eq!(ask(&TCP, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nhost: evil"), Err(400));
    // Whoever may open the socket is on this machine.
    let unix = Answers { unix: true, ..TCP };
    assert_eq!(ask(&unix, "GET /healthz HTTP/1.1\r\nHost: whatever"), Ok(Page::Live));
}

#[test]
fn an_origin_that_is_not_ours_is_refused() {
    for (origin, answer) in [
        ("http://localhost:8080", Ok(Page::Live)),
        ("http://localhost:9", Err(403)),
        ("https://localhost:8080", Err(403)),
        ("https://evil.example", Err(403)),
        ("null", Err(403)),
        ("", Err(403)),
    ] {
        let head = format!("GET /healthz HTTP/1.1\r\nHost: localhost:8080\r\nOrigin: {origin}");
        assert_eq!(ask(&TCP, &head), answer, "{origin}");
    }
}

#[test]
fn what_is_no_short_get_is_refused() {
    assert_eq!(ask(&TCP, "POST /healthz HTTP/1.1\r\nHost: localhost"), Err(405));
    assert_eq!(ask(&TCP, "\u{0}\u{1}"), Err(400));
    let many = "A: b\r\n".repeat(65);
    assert_eq!(ask(&TCP, &format!("GET /healthz HTTP/1.1\r\n{many}Host: localhost")), Err(431));
    assert_eq!(read(b"GET /healthz HTT", &TCP), Ok(None));
    assert_eq!(read(&[b'a'; MAX_HEAD], &TCP).unwrap_err().0, 431);
    let head = read(b"HEAD /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n", &TCP).unwrap().unwrap();
    assert!(head.head_only);
    let bytes = Answer::text(200, "live").bytes(true);
    assert!(
        bytes.ends_with(b"\r\n\r\n") && String::from_utf8(bytes).unwrap().contains("Content-Length: 4\r\n")
    );
}
