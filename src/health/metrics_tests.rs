use serde_json::json;

use super::*;
use crate::health::figures::{End, Labels};
use crate::health::view::tests::{facts, seen};

#[test]
fn every_sample_belongs_to_a_family_that_is_described_once() {
    let mut figures = Figures::new(["main".to_string()]);
    let labels = Labels { kind: "call", method: "tools/call", channel: Some(0), status: "200" };
    let took = [std::time::Duration::from_millis(3); 2];
    let end = End { labels, took, failed: false, shown: String::new(), name: None, outcome: "answered" };
    figures.ended(end, std::time::Duration::ZERO);
    figures.last_poll = Some(SystemTime::now());
    let proxies = [Proxy {
        id: "http://p\"\\:1".into(),
        failures: vec![("connect", "refused".into(), 2)],
        ..Proxy::default()
    }];
    let facts = facts();
    let text = render(&Seen { proxies: &proxies, ..seen(&figures, &facts) });
    let mut families = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(families.insert(rest.split(' ').next().unwrap()), "{line} twice");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let base =
                ["_bucket", "_sum", "_count"].iter().find_map(|s| name.strip_suffix(s)).unwrap_or(name);
            assert!(families.contains(name) || families.contains(base), "{line}");
        }
    }
    for line in [
        "command_end_to_end_latency_milliseconds_count{request_kind=\"call\",request_method=\"tools/call\",channel=\"main\",tunnel_service_status=\"200\",latency_type=\"poll_to_response\"} 1",
        "proxy_check_failures_total{proxy_id=\"http://p\\\"\\\\:1\",phase=\"connect\",reason=\"refused\"} 2",
        "readiness 0",
        "tunnelward_not_ready_reason{code=\"mcp_unreachable\"} 1",
        "tunnelward_not_ready_reason{code=\"audit_failing\"} 0",
        "tunnelward_certificate_expiry_timestamp_seconds{certificate=\"control_plane.client_cert\"} 1900000000",
        "tunnelward_child_restarts_total{channel=\"files\"} 3",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
    }
}

#[test]
fn facts_that_are_missing_are_zero_and_not_ready() {
    let figures = Figures::new([]);
    let nothing = json!(null);
    let text = render(&seen(&figures, &nothing));
    assert!(text.contains("readiness 0\n") && text.contains("tunnelward_worker_restarts_total 0\n"));
}
