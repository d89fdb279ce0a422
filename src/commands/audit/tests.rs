use super::export::{Call, cef, ecs, ocsf};
use super::table::table;
use super::*;

fn call() -> Call {
    let decided = r#"{"seq":4,"time":"2026-11-26T14:44:35.123Z","event":"call_decided","call":"c-1","decision":"permit",
        "request_id":"r=1|\n","channel":"main","method":"tools/call","name":"pay","request_bytes":90}"#;
    let finished = r#"{"seq":5,"time":"2026-11-26T14:44:35.623Z","event":"call_finished","outcome":"answered","status":200,
        "result_bytes":12,"ms":500}"#;
    Call { decided: Members::read(decided).unwrap(), finished: Members::read(finished) }
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_call_has_the_fields_of_each_form() {
    let ecs = json(&ecs(&call()));
    assert_eq!(ecs["event"]["type"], serde_json::json!(["access", "allowed"]));
    assert_eq!(ecs["event"]["duration"], 500_000_000);
    assert_eq!(ecs["http"]["response"]["status_code"], 200);
    assert!(ecs.get("trace").is_none(), "{ecs}");
    let ocsf = json(&ocsf(&call()));
    // `date -u -d 2026-11-26T14:44:35.623Z +%s%3N`
    assert_eq!(ocsf["time"], 1_795_704_275_623_u64);
    assert_eq!((&ocsf["class_uid"], &ocsf["status_id"]), (&6003.into(), &1.into()));
    let text = cef(&call());
    assert!(text.starts_with("CEF:0|tunnelward|tunnelward|"), "{text}");
    assert!(
        text.contains("|call_finished|tools/call|1|rt=1795704275623 act=permit outcome=success"),
        "{text}"
    );
    assert!(text.ends_with(r"cs3=r\=1|\n") && !text.contains('\n'), "{text}");
}

#[test]
fn calls_that_were_not_permitted_or_have_no_end_are_no_success() {
    let mut call = call();
    call.finished = None;
    assert_eq!(json(&ecs(&call))["event"]["outcome"], "unknown");
    assert_eq!(json(&ocsf(&call))["status_id"], 0);
    call.decided = Members::read(r#"{"decision":"duplicate"}"#).unwrap();
    assert_eq!(json(&ecs(&call))["event"]["outcome"], "failure");
    assert_eq!(json(&ecs(&call))["event"]["type"][1], "denied");
}

#[test]
fn times_are_beginnings_and_both_ends_belong() {
    let times = |since: &str, until: &str| Times::new(Some(&since.into()), Some(&until.into()));
    let day = times("2026-11-26", "2026-11-26").unwrap();
    let hold = |time: &str| day.hold(&Members::read(&format!("{{\"time\":\"{time}\"}}")).unwrap());
    assert!(hold("2026-11-26T00:00:00.000Z") && hold("2026-11-26T23:59:59.999Z"));
    assert!(!hold("2026-11-25T23:59:59.999Z") && !hold("2026-11-27T00:00:00.000Z"));
    assert!(times("yesterday", "2026-11-26").is_err());
}

#[test]
fn a_table_has_bars_and_obeys_no_name() {
    let row = |name: &str, n: u64| (vec![name.to_string(), n.to_string()], n);
    let text = table(&["name", "calls"], &[row("a", 40), row("\u{1b}[2J", 20), row("c", 0), row("d", 1)]);
    let expected = "name       calls\na             40  ████████████████████\n\\u{1b}[2J     20  ██████████\nc              0\nd              1  ▌\n";
    assert_eq!(text, expected);
}
