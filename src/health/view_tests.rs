use serde_json::json;

use super::*;

pub fn facts() -> Value {
    json!({
        "ready": false,
        "reasons": [{"code": "mcp_unreachable", "channel": "main", "text": "connection refused"}],
        "lifecycle": "running",
        "started_at": 1_700_000_000,
        "children": [{"channel": "files", "state": "running", "restarts": 3}],
        "certificates": [{"of": "control_plane.client_cert", "not_after": 1_900_000_000}],
    })
}

pub fn seen<'a>(figures: &'a Figures, facts: &'a Value) -> Seen<'a> {
    static TARGETS: std::sync::LazyLock<Vec<Target>> =
        std::sync::LazyLock::new(|| vec![Target::default(); 40]);
    Seen {
        since: Duration::from_secs(5),
        now: UNIX_EPOCH + Duration::from_secs(1_700_000_060),
        instance_id: "0123",
        control_plane: "https://api.example",
        figures,
        gauges: Gauges::default(),
        targets: &TARGETS,
        proxies: &[],
        facts,
    }
}

#[test]
fn details_are_shown_when_asked_for_and_every_component_says_how_it_is() {
    let (figures, facts) = (Figures::new(["main".to_string()]), facts());
    let seen = seen(&figures, &facts);
    let short = seen.health(false);
    assert_eq!((short["schema_version"].as_u64(), &short["ready"]), (Some(1), &json!(false)));
    assert_eq!(short["runtime"]["uptime_seconds"], 60);
    assert!(short.get("components").is_none());
    let long = seen.health(true);
    for name in COMPONENTS {
        let status = long["components"][name]["status"].as_str().unwrap();
        let due = match name {
            "mcp" => "degraded",
            "oauth" | "harpoon" | "cloudflared" | "proxy" => "disabled",
            _ => "ok",
        };
        assert_eq!(status, due, "{name}");
    }
    assert_eq!(long["certificates"][0]["not_after"], 1_900_000_000);
}

#[test]
fn status_has_a_row_for_each_channel_with_its_reason() {
    let (figures, facts) = (Figures::new(["main".to_string(), "files".to_string()]), facts());
    let status = seen(&figures, &facts).status();
    assert_eq!(status["version"], 1);
    assert_eq!(status["channels"][0]["reason"], "connection refused");
    assert_eq!(status["channels"][0]["reachable"], false);
    assert_eq!(status["channels"][1]["reachable"], true);
}

#[test]
fn what_grows_too_large_is_left_out() {
    let facts =
        json!({"reasons": [{"code": "mcp_unreachable", "channel": "main", "text": "x".repeat(30_000)}]});
    let figures = Figures::new(["main".to_string()]);
    assert_eq!(seen(&figures, &facts).component(0)["truncated"], true);
    assert!(seen(&figures, &facts).health(true).to_string().len() <= MAX_ALL);
}
