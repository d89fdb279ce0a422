use super::*;

fn origin_text(text: &str) -> String {
    let url = origin(text).unwrap();
    let uri = url.uri();
    assert_eq!(uri.path(), "/");
    assert_eq!(uri.query(), None);
    format!("{}://{}", uri.scheme_str().unwrap(), uri.authority().unwrap())
}

#[test]
fn case_001_the_path_of_the_base_url_is_dropped() {
    assert_eq!(origin_text("https://h/v1/tunnel"), "https://h");
    assert_eq!(origin_text("https://h:8443/v1/tunnel?x=y#z"), "https://h:8443");
}

#[test]
fn case_002_a_slash_at_the_end_of_the_base_url_is_dropped() {
    assert_eq!(origin_text("https://h/"), "https://h");
    assert_eq!(origin_text(" https://h "), "https://h");
}

#[test]
fn case_003_a_prefix_has_single_slashes_and_none_at_its_end() {
    for (text, prefix) in [
        ("/gw/", "/gw"),
        ("/gw", "/gw"),
        (" /a//b/ ", "/a/b"),
        ("/a/./b/../c", "/a/c"),
        ("/..", ""),
        ("/a%20b", "/a%20b"),
        ("/a:b", "/a:b"),
    ] {
        assert_eq!(path_prefix(text).unwrap(), prefix, "{text}");
    }
}

#[test]
fn case_005_a_prefix_that_is_more_than_a_path_is_refused() {
    for text in ["https://x/y", "//x/y", "/a?a=b", "/a#f", "?a=b", "#f", "mailto:x"] {
        assert_eq!(
            path_prefix(text).unwrap_err().why,
            "invalid control-plane.url-path: must be a URL path without scheme, host, query, or fragment",
            "{text}"
        );
    }
    assert_eq!(path_prefix("gw/x").unwrap_err().why, "invalid control-plane.url-path: must start with '/'");
    for text in ["/a b", "/é", "/a%2", "/a%zz"] {
        assert!(path_prefix(text).unwrap_err().why.contains("characters"), "{text}");
    }
}

#[test]
fn case_006_a_blank_prefix_or_a_lone_slash_is_none() {
    for text in ["", "  ", "/", " / ", "/."] {
        assert_eq!(path_prefix(text).unwrap(), "", "{text:?}");
    }
}

#[test]
fn case_025_plain_http_is_refused_unless_the_host_is_this_machine() {
    for text in [
        "http://h",
        "http://10.0.0.1:8080",
        "HTTP://localhost.example.com",
        "http://128.0.0.1",
        "http://[::2]/",
    ] {
        assert!(origin(text).unwrap_err().why.contains("https is required"), "{text}");
    }
    for text in [
        "http://localhost:1",
        "http://LOCALHOST",
        "http://127.0.0.1",
        "http://127.9.9.9:1",
        "http://[::1]:80",
    ] {
        origin(text).unwrap();
    }
}

#[test]
fn addresses_need_scheme_and_host() {
    for text in [
        "",
        "h",
        "h/p",
        "/p",
        "https:",
        "https://",
        "https:///p",
        "://h",
        "https://:8080/x",
        "mcp.internal:80",
    ] {
        assert_eq!(
            endpoint(text).unwrap_err().why,
            "invalid mcp.server-url: must include scheme and host",
            "{text}"
        );
        assert_eq!(
            origin(text).unwrap_err().why,
            "invalid control-plane.base-url: must include scheme and host"
        );
    }
    assert_eq!(
        endpoint("ftp://h/x").unwrap_err().why,
        "invalid mcp.server-url: scheme must be http or https"
    );
    assert_eq!(
        endpoint("https://h/x#f").unwrap_err().why,
        "invalid mcp.server-url: must not contain a fragment"
    );
    for text in [
        "https://h:99999/",
        "https://h:0/",
        "https://h:x/",
        "https://a b/",
        "https://h/a b",
        "https://h/é",
        "https://é/",
    ] {
        assert!(endpoint(text).is_err(), "{text}");
    }
    assert_eq!(endpoint("http://h:80/a,b?c=d").unwrap().uri().to_string(), "http://h:80/a,b?c=d");
}

#[test]
fn user_information_is_refused_and_not_repeated() {
    for text in ["https://user:hunter2@h/", "http://hunter2@h", "https://hunter2@h:1?x"] {
        for refused in [endpoint(text).unwrap_err(), origin(text).unwrap_err()] {
            assert!(refused.why.contains("user information"));
            assert!(!format!("{refused:?}").contains("hunter2"));
        }
    }
    endpoint("https://h/a@b").unwrap();
}

proptest::proptest! {
    #[test]
    fn an_accepted_prefix_is_clean_and_stays_as_it_is(text in "[/.a-z%0-9:]{0,20}") {
        if let Ok(prefix) = path_prefix(&text) {
            proptest::prop_assert!(!prefix.ends_with('/') && !prefix.contains("//") && !prefix.contains("/../"));
            proptest::prop_assert_eq!(path_prefix(&prefix).unwrap(), prefix);
        }
    }

    #[test]
    fn what_an_accepted_address_reaches_is_what_was_written(host in "[a-z@:#?/\\\\.]{0,20}", rest in "[a-z@:#?/\\\\]{0,10}") {
        let text = format!("https://{host}/{rest}");
        if let Ok(url) = endpoint(&text) {
            proptest::prop_assert!(url.uri().host().is_some_and(|h| !h.is_empty() && host.starts_with(h)));
            proptest::prop_assert!(!url.uri().authority().unwrap().as_str().contains('@'));
        }
    }
}
