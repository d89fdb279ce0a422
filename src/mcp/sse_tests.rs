use super::*;
use proptest::prelude::*;

/// Everything that a stream yields when it comes in the given pieces.
fn events(pieces: &[&[u8]]) -> (Vec<String>, Parser) {
    let mut parser = Parser::new(1 << 20, None);
    let mut out = Vec::new();
    for piece in pieces {
        parser.push(Bytes::copy_from_slice(piece));
        while let Some(data) = parser.event().unwrap() {
            out.push(String::from_utf8(data.to_vec()).unwrap());
        }
    }
    (out, parser)
}

fn whole(text: &str) -> Vec<String> {
    events(&[text.as_bytes()]).0
}

#[test]
fn an_event_ends_with_a_blank_line() {
    assert_eq!(whole("data: a\n\ndata:b\n\ndata: c\n"), ["a", "b"]);
}

#[test]
fn several_data_lines_are_joined_by_a_line_feed() {
    assert_eq!(whole("data: {\ndata:  \"a\":1\ndata: }\n\n"), ["{\n \"a\":1\n}"]);
}

#[test]
fn case_170_comments_and_other_event_names_are_ignored() {
    assert_eq!(
        whole(": ping\n\nevent: ping\ndata: {}\n\nevent: message\ndata: m\n\nevent:\ndata: e\n\n"),
        ["m", "e"]
    );
    // The name belongs to its event alone.
    assert_eq!(whole("event: ping\n\ndata: m\n\n"), ["m"]);
}

#[test]
fn case_171_every_line_end_of_the_standard_is_known() {
    for text in [
        "data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n",
        "data: a\rdata: b\r\rdata: c\r\r",
        "data: a\ndata: b\r\n\rdata: c\n\r\n",
    ] {
        assert_eq!(whole(text), ["a\nb", "c"], "{text:?}");
    }
}

#[test]
fn case_173_an_event_without_data_only_leaves_its_id() {
    let (out, parser) = events(&[b"id: 7\ndata:\n\nid: 8\n\n"]);
    assert!(out.is_empty());
    assert_eq!(parser.last_id().unwrap().as_ref(), b"8");
}

#[test]
fn the_id_counts_from_the_end_of_its_event() {
    let (_, parser) = events(&[b"id: 1\ndata: a\n\nid: 2\ndata: b\n"]);
    assert_eq!(parser.last_id().unwrap().as_ref(), b"1");
}

#[test]
fn an_id_stays_until_it_is_replaced_or_cleared() {
    let (_, parser) = events(&[b"id: 1\ndata: a\n\ndata: b\n\n"]);
    assert_eq!(parser.last_id().unwrap().as_ref(), b"1");
    let (_, parser) = events(&[b"id: 1\ndata: a\n\nid\n\n"]);
    assert!(parser.last_id().is_none());
}

#[test]
fn an_id_with_a_nul_or_beyond_measure_is_ignored() {
    let (_, parser) = events(&[b"id: 1\n\nid: a\0b\n\n"]);
    assert_eq!(parser.last_id().unwrap().as_ref(), b"1");
    let long = format!("id: 1\n\nid: {}\n\n", "x".repeat(MAX_ID + 1));
    let (_, parser) = events(&[long.as_bytes()]);
    assert_eq!(parser.last_id().unwrap().as_ref(), b"1");
}

#[test]
fn retry_takes_digits_only() {
    assert_eq!(events(&[b"retry: 250\n\n"]).1.retry(), Some(Duration::from_millis(250)));
    for text in ["retry: -1\n", "retry: 1s\n", "retry:\n", "retry: 99999999999999999999999\n"] {
        assert_eq!(events(&[text.as_bytes()]).1.retry(), None, "{text}");
    }
}

#[test]
fn case_174_chunks_may_break_anywhere() {
    let text = "\u{feff}: c\r\nid: 4\r\ndata: \u{1F600}é\r\ndata: x\r\n\r\ndata: y\r\n\r\n";
    let bytes = text.as_bytes();
    let expected = whole(text);
    assert_eq!(expected, ["\u{1F600}é\nx", "y"]);
    for cut in 0..=bytes.len() {
        let (a, b) = bytes.split_at(cut);
        assert_eq!(events(&[a, b]).0, expected, "cut at {cut}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(events(&single).0, expected);
}

#[test]
fn case_175_a_line_without_a_colon_is_a_field_with_an_empty_value() {
    assert_eq!(whole("nonsense\ndata: a\ndata\n\n"), ["a\n"]);
}

#[test]
fn a_byte_order_mark_is_skipped_at_the_start_only() {
    assert_eq!(whole("\u{feff}data: a\n\n\u{feff}data: b\n\n"), ["a"]);
}

#[test]
fn case_185_a_line_or_event_beyond_the_bound_is_refused_without_being_held() {
    for endless in ["data: 0123456789\n", "0123456789012345", ": 012345678901234"] {
        let mut parser = Parser::new(1000, None);
        let mut pushed = 0;
        let refused = loop {
            parser.push(Bytes::copy_from_slice(endless.as_bytes()));
            pushed += endless.len();
            match parser.event() {
                Ok(None) => assert!(pushed < 4000, "not refused: {endless}"),
                Ok(Some(_)) => panic!("no event is complete"),
                Err(TooLarge) => break pushed,
            }
        };
        // A short comment line ends and is forgotten, hence the one without an end.
        assert!(refused < 2000, "{endless}: refused after {refused}");
    }
    // Many small events are no large event.
    let mut parser = Parser::new(100, None);
    for _ in 0..1000 {
        parser.push(Bytes::from_static(b": comment\ndata: 0123456789\n\n"));
        assert_eq!(parser.event().unwrap().unwrap().as_ref(), b"0123456789");
        assert_eq!(parser.event().unwrap(), None);
    }
}

#[test]
fn a_single_data_line_is_not_copied() {
    let chunk = Bytes::from_static(b"data: {\"a\":1}\n\n");
    let mut parser = Parser::new(100, None);
    parser.push(chunk.clone());
    let data = parser.event().unwrap().unwrap();
    assert!(chunk.as_ptr_range().contains(&data.as_ptr()));
}

#[test]
fn the_end_of_the_stream_yields_what_has_no_blank_line_yet() {
    for text in ["id: 9\ndata: a", "id: 9\ndata: a\n"] {
        let (out, mut parser) = events(&[text.as_bytes()]);
        assert!(out.is_empty());
        assert_eq!(parser.finish().unwrap().as_ref(), b"a");
        assert!(parser.last_id().is_none(), "an event that may be cut off must be resumable");
    }
    assert!(events(&[b"data: a\n\n"]).1.finish().is_none());
    assert!(events(&[b"event: ping\ndata: a"]).1.finish().is_none());
}

proptest! {
    #[test]
    fn cutting_a_stream_never_changes_its_events(
        bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b'd'), any::<u8>()], 0..200),
        cut in 0usize..200,
    ) {
        let read = |pieces: &[&[u8]]| {
            let mut parser = Parser::new(1 << 20, None);
            let mut out = Vec::new();
            for piece in pieces {
                parser.push(Bytes::copy_from_slice(piece));
                while let Ok(Some(data)) = parser.event() { out.push(data); }
            }
            (out, parser.finish(), parser.last_id().cloned(), parser.retry())
        };
        let (a, b) = bytes.split_at(cut.min(bytes.len()));
        prop_assert_eq!(read(&[&bytes]), read(&[a, b]));
    }
}
