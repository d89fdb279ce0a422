use std::sync::Arc;

use super::super::inbox::Inbox;
use super::*;

fn message(text: &str) -> Message {
    jsonrpc::parse(&Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn table(requests: &[(&str, Option<&str>)]) -> Table {
    let mut table = Table::default();
    for (id, token) in requests {
        let number = table.issue();
        let inbox = Arc::new(Inbox::new(99));
        let entry = Entry { id: (*id).into(), token: token.map(str::to_owned), initialize: false, inbox };
        table.insert(number, entry);
    }
    table
}

fn note(method: &str, params: &str) -> Message {
    message(&format!(r#"{{"jsonrpc":"2.0","method":"notifications/{method}","params":{params}}}"#))
}

#[test]
fn a_request_becomes_one_line_with_our_number_as_id_and_token() {
    let text = "{\"jsonrpc\":\"2.0\",\n\"params\":{\"_meta\":{\"progressToken\":\"id\"},\"n\":1e400},\r\n\"id\":\"a\\nb\",\"method\":\"m\"}";
    let line = String::from_utf8(request(&message(text), 7)).unwrap();
    let expected = "{\"jsonrpc\":\"2.0\", \"params\":{\"_meta\":{\"progressToken\":7},\"n\":1e400},  \"id\":7,\"method\":\"m\"}\n";
    assert_eq!(line, expected);
}

#[test]
fn a_cancellation_is_translated_or_not_sent_at_all() {
    let cancel = note("cancelled", r#"{"requestId":"x","reason":"1"}"#);
    let line = cancelled(&cancel, &table(&[("1", None), ("\"x\"", None)])).unwrap();
    assert!(String::from_utf8(line).unwrap().contains(r#"{"requestId":2,"reason":"1"}"#));
    assert_eq!(cancelled(&cancel, &table(&[("\"x\"", None), ("\"x\"", None)])), None);
    assert_eq!(cancelled(&cancel, &table(&[("2", None)])), None);
    assert_eq!(
        cancelled(&note("cancelled", r#"{"requestId":1,"requestId":2}"#), &table(&[("1", None)])),
        None
    );
}

#[test]
fn progress_reaches_its_own_request_under_the_callers_token() {
    let table = table(&[("1", Some("\"t\"")), ("1", Some("\"t\"")), ("3", None)]);
    let progress = |token: &str| note("progress", &format!(r#"{{"progress":1,"progressToken":{token}}}"#));
    let (entry, body) = addressee(&progress("2"), &table).map(|(e, b)| (Arc::as_ptr(&e.inbox), b)).unwrap();
    assert_eq!(entry, Arc::as_ptr(&table.get(2).unwrap().inbox));
    assert!(String::from_utf8(body.to_vec()).unwrap().contains(r#""progressToken":"t""#));
    for stranger in ["3", "4", "\"t\"", "\"1\"", "null"] {
        assert!(addressee(&progress(stranger), &table).is_none(), "{stranger}");
    }
    assert!(addressee(&note("progress", "{}"), &table).is_none());
}

#[test]
fn a_subscriptions_messages_reach_its_listener() {
    let table = table(&[("\"a\"", None), ("\"b\"", None)]);
    let changed = |id: &str| {
        note(
            "tools/list_changed",
            &format!(r#"{{"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}"#),
        )
    };
    let (entry, body) = addressee(&changed("2"), &table).unwrap();
    assert_eq!(entry.id, "\"b\"");
    assert!(String::from_utf8(body.to_vec()).unwrap().contains(r#"subscriptionId":"b""#));
    assert!(addressee(&changed("9"), &table).is_none());
}

#[test]
fn what_names_no_request_is_never_guessed() {
    let log = note("message", r#"{"level":"info","data":"x"}"#);
    let changed = note("tools/list_changed", "{}");
    let (one, two) = (table(&[("1", None)]), table(&[("1", None), ("2", None)]));
    assert_eq!(addressee(&log, &one).unwrap().1, log.raw());
    assert!(addressee(&log, &two).is_none());
    assert_eq!(addressee(&changed, &two).unwrap().0.id, "1");
    assert!(addressee(&changed, &table(&[])).is_none());
    assert!(addressee(&note("cancelled", r#"{"requestId":1}"#), &one).is_none());
}

#[test]
fn case_201_nothing_is_attributed_while_a_retired_number_is_outstanding() {
    let mut table = table(&[("1", Some("1")), ("2", Some("2"))]);
    table.abandon(1, true);
    assert!(addressee(&note("message", "{}"), &table).is_none());
    assert!(addressee(&note("tools/list_changed", "{}"), &table).is_none());
    assert!(addressee(&note("progress", r#"{"progressToken":1}"#), &table).is_none());
    assert!(addressee(&note("progress", r#"{"progressToken":2}"#), &table).is_some());
    table.answered(1);
    assert!(addressee(&note("message", "{}"), &table).is_some());
}

#[test]
fn the_number_of_a_long_answer_is_read_where_sdks_write_it() {
    let find = |text: &str| number_in_long_line(text.as_bytes(), text.as_bytes());
    assert_eq!(find(r#"{"jsonrpc":"2.0","id":41,"result":{"id":5}}"#), Some(41));
    assert_eq!(find(r#" { "jsonrpc" : "2.0" , "id" : 41 , "result":{}}"#), Some(41));
    assert_eq!(find(r#"{"id":41,"jsonrpc":"2.0","result":{}}"#), Some(41));
    assert_eq!(find(r#"{"result":{"id":5},"jsonrpc":"2.0","id":41}"#), Some(41));
    assert_eq!(find(r#"{"result":{"id":5},"id":41,"jsonrpc":"2.0"}"#), Some(41));
    for nested in
        [r#"{"jsonrpc":"2.0","result":{"id":5}}"#, r#"{"result":"{\"id\":5}","x\",\"id":5}"#, "", "{", "}"]
    {
        assert_eq!(find(nested), None, "{nested}");
    }
}

proptest::proptest! {
    #[test]
    fn no_line_of_a_child_can_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80), tail in "[ {}\":,id0-9a]{0,20}") {
        let _ = number_in_long_line(&bytes, &bytes);
        let _ = number_in_long_line(tail.as_bytes(), tail.as_bytes());
    }
}
