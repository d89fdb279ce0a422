use super::*;
use crate::net::{Cause, Phase, ReadFailure};
use serde_json::{Value as Json, json};

fn body(failure: Failure) -> Json {
    serde_json::from_slice(&failure.body(Some("1"))).unwrap()
}

fn provenance(failure: Failure) -> Json {
    body(failure)["error"]["data"]["tunnel_failure"].clone()
}

fn net(phase: Phase, cause: Cause) -> Failure {
    Failure::of_exchange(phase, cause)
}

#[test]
fn case_218_the_envelope_is_exact_and_the_id_is_echoed_as_it_was() {
    let failure = Failure::of_status(503, Kind::MalformedJson);
    for id in ["9007199254740993", "1.50", "\"\"", "\"a\\u0062\"", "0"] {
        let expected = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":-32603,\"message\":\"Service Unavailable\",\"data\":\
             {{\"tunnel_failure\":{{\"version\":1,\"source\":\"target_http\",\"transport_error_kind\":\"malformed_json\",\
             \"upstream_response_received\":true,\"upstream_status\":503}}}}}}}}"
        );
        assert_eq!(failure.body(Some(id)), expected.as_bytes());
    }
    let idless: Json = serde_json::from_slice(&failure.body(None)).unwrap();
    assert!(idless.get("id").is_none());
}

#[test]
fn case_219_the_message_is_the_reason_phrase_of_the_code() {
    let message = |failure: Failure| body(failure)["error"]["message"].as_str().unwrap().to_string();
    assert_eq!(message(Failure::closed(Kind::Eof)), "Bad Gateway");
    assert_eq!(message(Failure::of_status(404, Kind::HttpStatus)), "Not Found");
    assert_eq!(message(Failure::of_status(599, Kind::HttpStatus)), "MCP transport error");
}

#[test]
fn case_221_a_failure_without_a_kind_leaves_the_member_out() {
    let canceled = Failure { source: Source::ClientInternal, kind: None, received: false, status: None };
    assert_eq!(
        provenance(canceled),
        json!({"version": 1, "source": "client_internal", "upstream_response_received": false})
    );
}

#[test]
fn case_157_a_status_outside_the_errors_is_a_protocol_failure_with_its_own_code() {
    let failure = Failure::of_status(304, Kind::ResponseBodyMissing);
    assert_eq!(failure.code(), 304);
    assert_eq!(
        provenance(failure),
        json!({"version": 1, "source": "protocol", "transport_error_kind": "response_body_missing",
               "upstream_response_received": true})
    );
}

#[test]
fn a_request_without_a_response_is_classified_by_what_happened() {
    let table = [
        (Phase::Dns, Cause::Dns, "dns", "dns"),
        (Phase::Tls, Cause::Tls, "tls", "tls"),
        (Phase::Tls, Cause::Pin, "tls", "tls"),
        (Phase::Exchange, Cause::Tls, "tls", "tls"),
        (Phase::Connect, Cause::Timeout, "timeout", "timeout"),
        (Phase::Connect, Cause::Refused, "connect", "connection_refused"),
        (Phase::Connect, Cause::NetworkUnreachable, "connect", "network_unreachable"),
        (Phase::Connect, Cause::HostUnreachable, "connect", "host_unreachable"),
        (Phase::Connect, Cause::Dial, "connect", "dial"),
        (Phase::Connect, Cause::Blocked, "connect", "dial"),
        (Phase::Connect, Cause::Other, "connect", "dial"),
        (Phase::Connect, Cause::NotAllowed, "connect", "dial"),
        (Phase::Proxy, Cause::ProxyAuth, "connect", "dial"),
        (Phase::Proxy, Cause::ProxyRefused, "connect", "dial"),
        (Phase::Proxy, Cause::Refused, "connect", "connection_refused"),
        (Phase::Proxy, Cause::Dns, "dns", "dns"),
        (Phase::Proxy, Cause::Tls, "tls", "tls"),
        (Phase::Proxy, Cause::Timeout, "timeout", "timeout"),
        (Phase::Proxy, Cause::Eof, "connect", "dial"),
        (Phase::Proxy, Cause::Protocol, "connect", "dial"),
        (Phase::Tls, Cause::Eof, "transport_closed", "eof"),
        (Phase::Exchange, Cause::Eof, "transport_closed", "eof"),
        (Phase::Exchange, Cause::UnexpectedEof, "transport_closed", "unexpected_eof"),
        (Phase::Exchange, Cause::Reset, "transport_closed", "connection_reset"),
        (Phase::Exchange, Cause::Aborted, "transport_closed", "connection_aborted"),
        (Phase::Exchange, Cause::ClosedPipe, "transport_closed", "closed_pipe"),
        (Phase::Exchange, Cause::ConnectionClosed, "transport_closed", "connection_closed"),
        (Phase::Exchange, Cause::Protocol, "protocol", "non_protocol_response"),
        (Phase::Exchange, Cause::Other, "client_internal", "unknown"),
    ];
    for (phase, cause, source, kind) in table {
        let failure = net(phase, cause);
        assert_eq!(failure.code(), 502);
        assert_eq!(
            provenance(failure),
            json!({"version": 1, "source": source, "transport_error_kind": kind, "upstream_response_received": false}),
            "{phase:?} {cause:?}"
        );
    }
}

#[test]
fn every_failure_keeps_to_the_published_schema() {
    let causes =
        [Cause::Reset, Cause::Eof, Cause::Tls, Cause::Timeout, Cause::Protocol, Cause::Other, Cause::Dns];
    let phases = [Phase::Dns, Phase::Connect, Phase::Proxy, Phase::Tls, Phase::Exchange];
    let mut all = vec![
        Failure::from_read(ReadFailure::TooLarge),
        Failure::from_read(ReadFailure::UnexpectedEof),
        Failure::from_read(ReadFailure::BadEncoding),
        Failure::timeout(true),
        Failure::timeout(false),
    ];
    all.extend(phases.iter().flat_map(|p| causes.iter().map(|c| net(*p, *c))));
    all.extend(causes.iter().map(|c| Failure::from_read(ReadFailure::Unreadable(*c))));
    all.extend(
        [204, 302, 304, 399, 400, 499, 500, 599, 600, 999].map(|s| Failure::of_status(s, Kind::Unknown)),
    );
    for failure in all {
        let p = provenance(failure);
        let status = p.get("upstream_status").map(|s| s.as_u64().unwrap());
        assert_eq!(status.is_some(), p["source"] == "target_http", "{failure:?}");
        assert!(status.is_none_or(|s| (400..=599).contains(&s)), "{failure:?}");
        if p["source"] == "target_http" {
            assert_eq!(p["upstream_response_received"], true, "{failure:?}");
        }
        if p["source"] == "transport_closed" {
            assert_eq!(p["upstream_response_received"], false, "{failure:?}");
        }
    }
}
