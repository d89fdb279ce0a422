use super::*;

#[test]
fn a_url_is_an_address_of_loopback_or_a_socket_unless_it_was_named() {
    for (url, host) in [
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://127.0.0.1:8080/\n", "127.0.0.1:8080"),
        ("http://[::1]:9", "[::1]:9"),
        ("http://[::1]", "[::1]"),
        ("http://localhost", "localhost"),
    ] {
        assert_eq!(parse(url, false).unwrap().host(), host, "{url}");
    }
    for url in ["http://10.0.0.7:8080", "http://[2001:db8::1]:1", "http://0.0.0.0:1"] {
        assert!(parse(url, false).unwrap_err().contains("--url"), "{url}");
        assert!(parse(url, true).is_ok(), "{url}");
    }
    for url in [
        "https://127.0.0.1:1",
        "http://evil.example:80",
        "http://127.0.0.1:80/path",
        "http://user@127.0.0.1:80",
        "http://127.0.0.1:65536",
        "http://127.0.0.1:1\r\nX: y",
        "http+unix://",
        "http+unix://!",
        "http+unix://cmVsYXRpdmU",
        "",
    ] {
        assert!(parse(url, true).is_err(), "{url}");
    }
    // base64url of /run/a?b, which base64 writes with a slash.
    let base = parse("http+unix://L3J1bi9hP2I", false).unwrap();
    assert_eq!((base.host().as_str(), base.at), ("localhost", At::Unix("/run/a?b".into())));
    assert_eq!(
        parse("http+unix://L_-_", false).unwrap().at,
        At::Unix(OsStr::from_bytes(b"/\xff\xbf").into())
    );
}
