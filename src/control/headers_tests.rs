use super::*;
use crate::config::types::Secret;
use crate::control::testing::{http, stdio, worker};

fn text<'a>(map: &'a HeaderMap, name: &str) -> &'a str {
    map.get(name).unwrap_or_else(|| panic!("{name} is missing")).to_str().unwrap()
}

fn extra(name: &str, value: &str) -> (String, crate::config::types::Kept) {
    (name.to_owned(), Secret::new(value.to_owned()).into())
}

#[test]
fn case_013_every_request_says_who_asks() {
    let (map, skipped) = base(&worker("https://h"), &"0f".repeat(16)).unwrap();
    assert!(skipped.is_empty());
    assert_eq!(text(&map, "authorization"), "Bearer sk-secret");
    assert!(map["authorization"].is_sensitive());
    assert!(!format!("{map:?}").contains("sk-secret"));
    assert_eq!(text(&map, "accept"), "application/json");
    assert_eq!(text(&map, "accept-encoding"), "gzip");
    assert_eq!(text(&map, "user-agent"), concat!("tunnelward/", env!("CARGO_PKG_VERSION")));
    assert_eq!(text(&map, "x-tunnel-client-name"), "tunnelward");
    assert_eq!(text(&map, "x-tunnel-client-version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(text(&map, "x-tunnel-client-instance-id"), "0f".repeat(16));
    assert_eq!(text(&map, "x-tunnel-client-wire-protocol-version"), "2026-08-25");
    assert_eq!(text(&map, "x-tunnel-mcp-server-info"), r#"{"version":1,"channels":[{"name":"main"}]}"#);
    assert!(!map.contains_key("openai-organization"));
}

#[test]
fn case_015_the_organization_comes_last() {
    let mut config = worker("https://h");
    config.control.organization = Some("org-1".into());
    config.control.extra_headers = vec![extra("OpenAI-Organization", "org-2"), extra("X-A", "1")];
    let (map, _) = base(&config, "i").unwrap();
    assert_eq!(map.get_all("openai-organization").iter().collect::<Vec<_>>(), ["org-1"]);
    assert_eq!(text(&map, "x-a"), "1");
}

#[test]
fn case_018_an_extra_header_never_replaces_a_protected_one() {
    let mut config = worker("https://h");
    let names =
        ["Authorization", "ACCEPT", "User-Agent", "X-Tunnel-Client-Instance-Id", "Host", "Content-Length"];
    config.control.extra_headers = names.iter().map(|name| extra(name, "evil")).collect();
    let (map, skipped) = base(&config, "real").unwrap();
    assert_eq!(skipped, names);
    assert_eq!(text(&map, "x-tunnel-client-instance-id"), "real");
    assert!(map.values().all(|v| v != "evil"));
}

#[test]
fn what_is_not_legal_in_a_header_is_named_without_its_value() {
    let mut config = worker("https://h");
    config.control.extra_headers = vec![extra("X-A", "sec\r\nret")];
    let error = base(&config, "i").unwrap_err();
    assert_eq!(error, Error::Header("X-A".into()));
    assert!(!error.to_string().contains("ret\""));
    config.control.extra_headers = vec![extra("X A", "1")];
    assert!(base(&config, "i").is_err());
}

#[test]
fn case_027_the_declaration_is_exact() {
    let info = |bindings: &[Binding]| server_info(bindings, None).unwrap();
    assert_eq!(info(&[http("main")]), r#"{"version":1,"channels":[{"name":"main"}]}"#);
    assert_eq!(
        info(&[http("main"), stdio("files")]),
        r#"{"version":1,"channels":[{"name":"main"},{"name":"files","proc_affinity":true}]}"#
    );
    let stateless = Binding { stateless: true, ..stdio("main") };
    assert_eq!(
        info(&[stateless, http("b")]),
        r#"{"version":2,"channels":[{"name":"main","stateless":true,"proc_affinity":true},{"name":"b"}]}"#
    );
}

#[test]
fn case_030_channels_that_are_not_polled_for_are_not_declared() {
    let polled = [Channel::main()];
    let stateless = Binding { stateless: true, ..http("b") };
    let info = server_info(&[http("main"), stateless], Some(&polled)).unwrap();
    assert_eq!(info, r#"{"version":1,"channels":[{"name":"main"}]}"#);
    assert_eq!(server_info(&[http("b")], Some(&polled)), Err(Error::NoChannels));
}

#[test]
fn case_031_channels_and_bytes_are_bounded() {
    let named = |n: usize, width: usize| (0..n).map(|i| http(&format!("{i:0width$}"))).collect::<Vec<_>>();
    assert!(server_info(&named(32, 2), None).is_ok());
    assert_eq!(server_info(&named(33, 2), None), Err(Error::TooManyChannels(33)));
    // With the longest legal names, all channels fit; the bound on bytes is there for what may be added.
    let longest: Vec<Binding> = named(32, 64)
        .into_iter()
        .map(|b| Binding { stateless: true, transport: stdio("x").transport, ..b })
        .collect();
    assert!(server_info(&longest, None).unwrap().len() <= MAX_SERVER_INFO);
    assert_eq!(server_info(&[], None), Err(Error::NoChannels));
}

fn upstream(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static(value));
    }
    map
}

#[test]
fn only_known_headers_pass_in_their_own_spelling_and_order() {
    let map = upstream(&[
        ("www-authenticate", "Bearer"),
        ("Set-Cookie", "a=b"),
        ("SERVER", "x"),
        ("LAST-EVENT-ID", "7"),
        ("content-type", "application/json"),
        ("mcp-protocol-version", "2025-11-25"),
        ("access-control-expose-headers", "*"),
    ]);
    let names: Vec<&str> = sanitise(&map).iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            "Access-Control-Expose-Headers",
            "Content-Type",
            "Last-Event-Id",
            "Mcp-Protocol-Version",
            "Www-Authenticate"
        ]
    );
}

#[test]
fn case_117_several_values_pass() {
    let map = upstream(&[("WWW-Authenticate", "Bearer a"), ("www-authenticate", "Basic")]);
    assert_eq!(sanitise(&map), [("Www-Authenticate", vec!["Bearer a".into(), "Basic".into()])]);
}

#[test]
fn case_118_the_session_id_is_spelled_one_way() {
    let map = upstream(&[("mcp-SESSION-id", " s1 ")]);
    assert_eq!(sanitise(&map), [("Mcp-Session-Id", vec!["s1".into()])]);
}

#[test]
fn case_119_what_connection_nominates_does_not_pass() {
    let map = upstream(&[
        ("Connection", "close, mcp-SESSION-id"),
        ("connection", " Last-Event-Id "),
        ("Mcp-Session-Id", "s1"),
        ("Last-Event-Id", "3"),
        ("Content-Type", "text/event-stream"),
    ]);
    assert_eq!(sanitise(&map), [("Content-Type", vec!["text/event-stream".into()])]);
}

#[test]
fn case_121_empty_values_do_not_pass() {
    let map = upstream(&[
        ("Mcp-Session-Id", ""),
        ("Content-Type", "  "),
        ("Www-Authenticate", ""),
        ("Www-Authenticate", "B"),
    ]);
    assert_eq!(sanitise(&map), [("Www-Authenticate", vec!["B".into()])]);
}
