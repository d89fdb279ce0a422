use super::*;

fn filter(lines: &[(&str, &[&str])]) -> Result<HeaderMap, HeaderProblem> {
    let raw: Vec<_> = lines
        .iter()
        .map(|(name, values)| ((*name).to_string(), values.iter().map(|v| (*v).to_string()).collect()))
        .collect();
    forwardable(&raw)
}

fn names(lines: &[(&str, &[&str])]) -> Vec<String> {
    let mut names: Vec<String> = filter(lines).unwrap().keys().map(ToString::to_string).collect();
    names.sort();
    names
}

#[test]
fn a_connectors_own_headers_pass() {
    let lines: &[(&str, &[&str])] = &[
        ("Authorization", &["Bearer t"]),
        ("Mcp-Session-Id", &["s"]),
        ("MCP-Protocol-Version", &["2025-06-18"]),
        ("Mcp-Param-City", &["=?base64?WsO8cmljaA==?="]),
        ("X-Custom", &["1"]),
        ("Accept", &["application/json"]),
        ("User-Agent", &["agent"]),
    ];
    let kept = filter(lines).unwrap();
    assert_eq!(kept.len(), lines.len());
    for (name, values) in lines {
        assert_eq!(kept.get(*name).unwrap().to_str().unwrap(), values[0], "{name}");
    }
}

#[test]
fn case_127_every_value_of_a_repeated_header_is_kept_in_order() {
    let kept = filter(&[("X-Many", &["1", "2"]), ("x-MANY", &["3"])]).unwrap();
    let values: Vec<_> = kept.get_all("x-many").iter().map(|v| v.to_str().unwrap()).collect();
    assert_eq!(values, ["1", "2", "3"]);
}

#[test]
fn framing_hop_and_position_headers_are_dropped_in_any_spelling() {
    let dropped = [
        "Connection",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "Content-Length",
        "Host",
        "COOKIE",
        "Accept-Encoding",
        "Forwarded",
        "X-Forwarded-For",
        "x-forwarded-anything",
        "X_Forwarded_For",
        "Content_Length",
        "Proxy-Authorization",
        "proxy-connection",
    ];
    for name in dropped {
        assert_eq!(names(&[(name, &["v"]), ("X-Kept", &["1"])]), ["x-kept"], "{name}");
    }
}

#[test]
fn what_connection_nominates_is_dropped_wherever_it_stands() {
    assert_eq!(
        names(&[
            ("X-Hop", &["1"]),
            ("connection", &["close, X-HOP ,", "x-other"]),
            ("X-Other", &["2"]),
            ("X-Kept", &["3"])
        ]),
        ["x-kept"]
    );
}

#[test]
fn case_133_a_line_end_in_a_value_or_name_refuses_the_command() {
    for value in ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b", "a\x7f"] {
        assert_eq!(
            filter(&[("X-A", &["good", value])]),
            Err(HeaderProblem::Value(HeaderName::from_static("x-a"))),
            "{value:?}"
        );
    }
    for name in ["X-A\r\nX-Evil", "", "a b", "a:b", ":path", "\u{e9}"] {
        assert_eq!(filter(&[(name, &["v"])]), Err(HeaderProblem::Name), "{name:?}");
    }
    // A name without values is sent nowhere, and still must be one.
    assert_eq!(filter(&[("a b", &[])]), Err(HeaderProblem::Name));
}

#[test]
fn the_refusal_names_the_header_but_not_its_value() {
    let problem = filter(&[("X-Token", &["secret\r\n"])]).unwrap_err();
    let body = String::from_utf8(problem.body(Some("1.50")).to_vec()).unwrap();
    assert!(body.contains("\"id\":1.50") && body.contains("-32600") && body.contains("x-token"), "{body}");
    assert!(!body.contains("secret"));
}

#[test]
fn number_and_size_of_headers_are_bounded() {
    let values = vec!["v"; MAX_LINES];
    assert_eq!(filter(&[("X-A", &values)]).unwrap().len(), MAX_LINES);
    let values = vec!["v"; MAX_LINES + 1];
    assert_eq!(filter(&[("X-A", &values)]), Err(HeaderProblem::TooMany));
    let long = "v".repeat(MAX_BYTES - 3);
    assert!(filter(&[("X-A", &[&long])]).is_ok());
    let long = "v".repeat(MAX_BYTES - 2);
    assert_eq!(filter(&[("X-A", &[&long])]), Err(HeaderProblem::TooLarge));
}

#[test]
fn spaces_around_a_value_do_not_travel() {
    assert_eq!(filter(&[("X-A", &[" \tv w "])]).unwrap().get("x-a").unwrap(), "v w");
}

#[test]
fn credentials_do_not_show_in_debug_output() {
    let kept =
        filter(&[("Authorization", &["Bearer secret"]), ("Mcp-Session-Id", &["secret"]), ("X-A", &["1"])]);
    let shown = format!("{kept:?}");
    assert!(!shown.contains("secret") && shown.contains("x-a"), "{shown}");
}

#[test]
fn many_nominations_do_not_cost_more_with_many_lines() {
    let nominations = ",x-a".repeat(8000);
    let connection = [nominations.as_str()];
    let time = |lines: usize| {
        let others: Vec<String> = (0..lines).map(|n| format!("x-{n}")).collect();
        let mut all: Vec<(&str, &[&str])> = vec![("Connection", &connection), ("X-A", &["hop"])];
        all.extend(others.iter().map(|name| (name.as_str(), ["v"].as_slice())));
        let once = || {
            let start = std::time::Instant::now();
            assert_eq!(filter(&all).unwrap().len(), lines);
            start.elapsed()
        };
        (0..3).map(|_| once()).min().unwrap()
    };
    let (few, many) = (time(1), time(120));
    assert!(many < few * 8, "{few:?} became {many:?}");
}
