use super::*;
use proptest::prelude::*;

fn split(max: usize, chunks: &[&[u8]]) -> Vec<Line> {
    let mut lines = Lines::new(max);
    let mut found = Vec::new();
    for chunk in chunks {
        lines.room().extend_from_slice(chunk);
        found.extend(std::iter::from_fn(|| lines.next()));
    }
    found.extend(lines.finish());
    found
}

fn text(line: &str) -> Line {
    Line::Text(Bytes::copy_from_slice(line.as_bytes()))
}

#[test]
fn case_206_blank_lines_and_crlf_are_tolerated() {
    assert_eq!(split(99, &[b"\n\r\n  \t\na\r\n\n b\n\r\n"]), [text("a"), text(" b")]);
}

#[test]
fn case_207_a_line_may_come_in_parts() {
    assert_eq!(
        split(99, &[b"{\"a\"", b":", b"1}\r", b"\n{\"b", b"\":2}\n"]),
        [text("{\"a\":1}"), text("{\"b\":2}")]
    );
}

#[test]
fn a_last_line_without_an_ending_counts() {
    assert_eq!(split(99, &[b"a\nb"]), [text("a"), text("b")]);
}

#[test]
fn a_line_at_the_bound_passes_and_one_beyond_is_skipped_to_its_end() {
    assert_eq!(split(3, &[b"abc\nabcd\nxyz\n"]).len(), 3);
    let found = split(3, &[b"abc\nab", b"cd", b"efgh", b"ij\nxyz\n"]);
    let (head, tail) = (Bytes::from_static(b"abcd"), Bytes::from_static(b"abcdefghij"));
    assert_eq!(found, [text("abc"), Line::TooLong { length: 10, head, tail }, text("xyz")]);
}

#[test]
fn of_a_long_line_the_ends_are_kept_and_nothing_is_hoarded() {
    let mut lines = Lines::new(1000);
    for _ in 0..1000 {
        lines.room().extend_from_slice(&[b'x'; 5000]);
        assert_eq!(lines.next(), None);
        assert!(lines.buffer.len() <= 1000 && lines.buffer.capacity() <= HOARD);
    }
    lines.room().extend_from_slice(b"end\nnext\n");
    let Some(Line::TooLong { length, head, tail }) = lines.next() else { panic!("no long line") };
    assert_eq!((length, head.len(), tail.len()), (5_000_003, KEPT, KEPT));
    assert!(tail.ends_with(b"xend"));
    assert_eq!(lines.next(), Some(text("next")));
}

#[test]
fn what_is_not_utf8_is_reported_alone() {
    assert_eq!(split(99, &[b"a\n\xff\xfe\nb\n"]), [text("a"), Line::NotUtf8(2), text("b")]);
}

proptest! {
    #[test]
    fn how_the_bytes_are_cut_changes_nothing(
        bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'a'), any::<u8>()], 0..300),
        cuts in prop::collection::vec(0_usize..300, 0..12),
        max in 0_usize..40,
    ) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
        let lengths = |found: Vec<Line>| -> Vec<(u8, usize)> {
            found.into_iter().map(|line| match line {
                Line::Text(t) => (0, t.len()),
                Line::NotUtf8(n) => (1, n),
                Line::TooLong { length, .. } => (2, length),
            }).collect()
        };
        prop_assert_eq!(lengths(split(max, &[&bytes])), lengths(split(max, &chunks)));
    }
}
