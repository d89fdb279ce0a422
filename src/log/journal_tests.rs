use std::borrow::Cow;
use std::collections::BTreeMap;

use super::super::{Level, Log};
use super::*;

fn journal() -> (tempfile::TempDir, UnixDatagram, Journal) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixDatagram::bind(&path).unwrap();
    listener.set_nonblocking(true).unwrap();
    (dir, listener, Journal::connect(&path).unwrap())
}

/// What the journal makes of a datagram, by systemd's description of its protocol.
fn fields(mut datagram: &[u8]) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    while !datagram.is_empty() {
        let line = datagram.iter().position(|b| *b == b'\n').unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        if let Some(at) = datagram[..line].iter().position(|b| *b == b'=') {
            fields.push((text(&datagram[..at]), text(&datagram[at + 1..line])));
            datagram = &datagram[line + 1..];
        } else {
            let (len, rest) = datagram[line + 1..].split_first_chunk::<8>().unwrap();
            let len = usize::try_from(u64::from_le_bytes(*len)).unwrap();
            assert_eq!(rest[len], b'\n');
            fields.push((text(&datagram[..line]), text(&rest[..len])));
            datagram = &rest[len + 1..];
        }
    }
    fields
}

fn heard(listener: &UnixDatagram) -> Vec<BTreeMap<String, String>> {
    let mut buffer = vec![0; 256 * 1024];
    let mut all = Vec::new();
    while let Ok(n) = listener.recv(&mut buffer) {
        let fields = fields(&buffer[..n]);
        let map: BTreeMap<_, _> = fields.iter().cloned().collect();
        assert_eq!(map.len(), fields.len(), "a field comes twice: {fields:?}");
        all.push(map);
    }
    all
}

fn pairs<'a>(map: &'a BTreeMap<String, String>, names: &[&str]) -> Vec<&'a str> {
    names.iter().map(|name| map.get(*name).map_or("(none)", String::as_str)).collect()
}

#[test]
fn an_event_arrives_as_fields_with_a_line_for_people() {
    let (_dir, listener, journal) = journal();
    let log = Log::journal(Level::Info, Format::Text, journal).always(vec![("tunnel_id", "t1".into())]);
    log.warn("controlplane", "poll failed", &[("status", 503.into()), ("error", "a\nPRIORITY=0".into())]);
    log.debug("controlplane", "not at this level", &[]);
    let [event] = &heard(&listener)[..] else { panic!() };
    let expected = ["4", "tunnelward", "poll failed status=503 error=\"a\\nPRIORITY=0\""];
    assert_eq!(pairs(event, &["PRIORITY", "SYSLOG_IDENTIFIER", "MESSAGE"]), expected);
    let names = ["TUNNELWARD_STATUS", "TUNNELWARD_ERROR", "TUNNELWARD_COMPONENT", "TUNNELWARD_TUNNEL_ID"];
    assert_eq!(pairs(event, &names), ["503", "a\nPRIORITY=0", "controlplane", "t1"]);
    assert_eq!(event.len(), 8);
}

#[test]
fn a_process_below_cannot_choose_a_field_that_anybody_believes_in() {
    let (_dir, listener, journal) = journal();
    let log = Log::journal(Level::Info, Format::Text, journal).always(vec![("tunnel_id", "t1".into())]);
    let record = r#"{"level":"info","component":"c\nPRIORITY=0","msg":"m\nMESSAGE=x","fields":[["priority","0"],["_pid","1"],["role","broker"],["tunnel_id","t2"],["msg","y"]]}"#;
    log.record_from_below("worker", record.as_bytes());
    log.text_from_below("mcp main", b"<0>all is lost");
    let events = heard(&listener);
    let names = ["PRIORITY", "MESSAGE", "TUNNELWARD_ROLE", "TUNNELWARD_TUNNEL_ID", "TUNNELWARD_MSG", "_PID"];
    let message = events[0]["MESSAGE"].as_str();
    assert_eq!(message, "m\\nMESSAGE=x role=worker priority=0 _pid=1");
    let expected = ["6", message, "worker", "t1", "m\nMESSAGE=x", "(none)"];
    assert_eq!(pairs(&events[0], &names), expected);
    let line = "line from a process below role=\"mcp main\" line=\"<0>all is lost\"";
    assert_eq!(pairs(&events[1], &["PRIORITY", "MESSAGE"]), ["6", line]);
}

#[test]
fn the_line_is_json_where_json_is_configured_and_a_name_that_is_too_long_is_in_it_only() {
    let (_dir, listener, journal) = journal();
    let record = Record {
        level: Level::Error,
        component: "c".into(),
        msg: "m".into(),
        fields: vec![(Cow::Owned("n".repeat(60)), Value::Bool(true))],
    };
    journal.write(Format::Json, &record, None, &[]).unwrap();
    let [event] = &heard(&listener)[..] else { panic!() };
    let line: serde_json::Value = serde_json::from_str(&event["MESSAGE"]).unwrap();
    assert_eq!(line["n".repeat(60)], true);
    assert!(event.keys().all(|name| name.len() <= MAX_NAME), "{event:?}");
    assert_eq!(event["PRIORITY"], "3");
}

#[test]
fn a_journal_that_hangs_is_waited_for_once_and_learns_how_much_it_missed() {
    let (_dir, listener, journal) = journal();
    let record = Record { level: Level::Info, component: "c".into(), msg: "m".into(), fields: vec![] };
    let began = std::time::Instant::now();
    // More than a queue of datagrams holds anywhere.
    for _ in 0..5000 {
        journal.write(Format::Text, &record, None, &[]).unwrap();
    }
    assert!((PATIENCE..PATIENCE * 4).contains(&began.elapsed()), "{:?}", began.elapsed());
    let kept = heard(&listener).len();
    assert!(kept > 0 && kept < 5000, "{kept}");
    journal.write(Format::Text, &record, None, &[]).unwrap();
    journal.write(Format::Text, &record, None, &[]).unwrap();
    let events = heard(&listener);
    let missed = (5000 - kept).to_string();
    assert_eq!(pairs(&events[0], &["TUNNELWARD_JOURNAL_LINES_DROPPED"]), [missed.as_str()]);
    assert_eq!(pairs(&events[1], &["TUNNELWARD_JOURNAL_LINES_DROPPED"]), ["(none)"]);
}

#[test]
fn a_journal_that_is_gone_or_was_never_there_is_an_error() {
    let (dir, listener, journal) = journal();
    drop(listener);
    let record = Record { level: Level::Info, component: "c".into(), msg: "m".into(), fields: vec![] };
    journal.write(Format::Text, &record, None, &[]).unwrap_err();
    Journal::connect(&dir.path().join("nothing")).unwrap_err();
}
