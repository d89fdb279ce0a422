use super::*;

#[test]
fn a_head_is_read_when_it_is_whole_and_refused_when_it_is_none() {
    let head_of = |text: &str| head(text.as_bytes());
    assert_eq!(head_of("HTTP/1.1 200 OK\r\nContent-Le"), Ok(None));
    let whole = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(head_of(whole), Ok(Some(Head { status: 503, body: whole.len() - 3, length: Some(3) })));
    assert_eq!(head_of("HTTP/1.0 200 OK\r\n\r\n").unwrap().unwrap().length, None);
    for wrong in [
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "\u{0}\u{1}\u{2}",
    ] {
        assert!(head_of(wrong).is_err(), "{wrong:?}");
    }
    let long = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(MAX_HEAD));
    assert!(head_of(&long).is_err());
    assert!(head_of(&format!("HTTP/1.1 200 OK\r\n{}", "A: b\r\n".repeat(65))).is_err());
}

#[test]
fn the_time_of_the_last_poll_is_found_with_labels_and_without() {
    for (text, value) in [
        ("# HELP x\ncommands_poll_last_successful_timestamp_seconds 12\n", Some(12.0)),
        ("commands_poll_last_successful_timestamp_seconds{otel_scope_name=\"a\"} 1.7e+09\n", Some(1.7e9)),
        // Not the whole line has come.
        ("commands_poll_last_successful_timestamp_seconds 1", None),
        ("commands_poll_last_successful_timestamp_seconds_total 1\n", None),
        ("commands_poll_last_successful_timestamp_seconds NaN\n", None),
        ("", None),
    ] {
        assert_eq!(polled(text), value, "{text}");
    }
}
