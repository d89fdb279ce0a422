use std::time::UNIX_EPOCH;

use super::render::{MAX_VALUE_BELOW, epoch_ms, rfc3339};
use super::*;

fn lines(lines: &Arc<Mutex<Vec<String>>>) -> Vec<String> {
    lines.lock().unwrap().clone()
}

#[test]
fn times_are_civil_dates() {
    let at = |s: u64| rfc3339(UNIX_EPOCH + Duration::from_millis(s));
    assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
    assert_eq!(at(951_782_400_000), "2000-02-29T00:00:00.000Z");
    assert_eq!(at(1_798_761_599_999), "2026-12-31T23:59:59.999Z");
}

#[test]
fn times_are_read_as_they_are_written_and_as_others_write_them() {
    for ms in [0, 951_782_400_000, 951_868_799_999, 1_798_761_599_999] {
        assert_eq!(epoch_ms(&rfc3339(UNIX_EPOCH + Duration::from_millis(ms))), Some(ms));
    }
    for (text, ms) in [
        ("2000-02-29T00:00:00Z", Some(951_782_400_000)),
        ("2000-02-29t01:30:00.5+01:30", Some(951_782_400_500)),
        ("2000-02-28 22:00:00.123456-02:00", Some(951_782_400_123)),
        ("yesterday", None),
        ("", None),
        ("2000-02-29T00:00:00", None),
        ("2000-02-29T00:00:00.Z", None),
        ("2000-13-29T00:00:00Z", None),
        ("2000-02-29T24:00:00Z", None),
        ("2000-02-29T00:00:00+1:00", None),
        ("+000-02-29T00:00:00Z", None),
        ("2000-02-29T00:00:00\u{e9}", None),
        ("1969-12-31T23:59:59Z", None),
    ] {
        assert_eq!(epoch_ms(text), ms, "{text}");
    }
}

#[test]
fn a_class_is_limited_and_says_how_many_lines_it_lost() {
    let (log, kept) = Log::memory();
    for _ in 0..BURST + 7 {
        log.warn("x", "same", &[]);
    }
    log.warn("x", "other", &[]);
    assert_eq!(lines(&kept).len(), usize::try_from(BURST).unwrap() + 1);
    std::thread::sleep(REFILL + Duration::from_millis(50));
    log.warn("x", "same", &[]);
    assert!(lines(&kept).last().unwrap().ends_with("lines_dropped=7"));
}

#[test]
fn a_line_from_below_cannot_forge_a_line() {
    let (log, kept) = Log::memory();
    log.text_from_below("child main", b"<0>evil\x1b[2J time=x level=ERROR");
    let line = lines(&kept).pop().unwrap();
    assert!(line.contains(r#"role="child main""#), "{line}");
    assert!(line.contains("level=INFO") && !line.contains('\x1b'), "{line}");
}

#[test]
fn the_name_of_a_field_cannot_forge_a_line() {
    let (log, kept) = Log::memory();
    let forged = br#"{"level":"info","component":"c","msg":"m","fields":[["a\n<3>time=x level",true]]}"#;
    log.record_from_below("worker", forged);
    let line = lines(&kept).pop().unwrap();
    assert!(!line.contains('\n') && line.contains("line from a process below"), "{line:?}");
}

#[test]
fn a_long_value_is_cut_before_it_is_sent_up_and_keeps_its_length() {
    let (log, kept) = Log::memory();
    let long = "ä".repeat(MAX_VALUE);
    log.info("c", "m", &[("v", (&long).into())]);
    let line = lines(&kept).pop().unwrap();
    assert!(line.contains("… (4096 bytes)"), "{line}");
    let value = Value::from(&long);
    let sent = value.cut(MAX_VALUE);
    assert_eq!(sent.cut(MAX_VALUE_BELOW), sent, "cut twice, and the length lost");
}

#[test]
fn a_record_survives_the_way_up() {
    let (log, kept) = Log::memory();
    let record = Record {
        level: Level::Warn,
        component: "controlplane".into(),
        msg: "poll failed; backing off".into(),
        fields: vec![("retry_in_ms".into(), Value::Int(20)), ("ok".into(), Value::Bool(false))],
    };
    log.record_from_below("worker", serde_json::to_string(&record).unwrap().as_bytes());
    let line = lines(&kept).pop().unwrap();
    assert!(
        line.contains("level=WARN msg=\"poll failed; backing off\" component=controlplane role=worker"),
        "{line}"
    );
    assert!(line.ends_with("retry_in_ms=20 ok=false"), "{line}");
}

#[test]
fn json_lines_are_objects() {
    let mut out = String::new();
    let record = Record {
        level: Level::Info,
        component: "c".into(),
        msg: "m\n".into(),
        fields: vec![("k".into(), Value::from("v\u{7}"))],
    };
    render(Format::Json, &record, None, &[], &mut out);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["msg"], "m\n");
    assert_eq!(value["k"], "v\u{7}");
}
