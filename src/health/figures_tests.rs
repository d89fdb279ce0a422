use super::*;

fn end(method: &str, channel: Option<usize>) -> End {
    End {
        labels: Labels { kind: "call", method: known_method(method), channel, status: "200" },
        took: [Duration::from_millis(1), Duration::from_millis(2)],
        failed: false,
        shown: shown(method),
        name: None,
        outcome: "answered",
    }
}

#[test]
fn no_method_that_a_peer_makes_up_becomes_a_label() {
    let mut figures = Figures::new(["main".to_string()]);
    for n in 0..1000 {
        figures.ended(end(&format!("made/up/{n}"), figures.place(&format!("c{n}"))), Duration::ZERO);
    }
    figures.ended(end("tools/call", figures.place("main")), Duration::ZERO);
    assert_eq!(figures.ends.len(), 2);
    assert_eq!(figures.recent.len(), 20);
    assert_eq!((figures.channels[0].calls, figures.per_minute(Duration::from_secs(1))), (1, 1001));
    assert_eq!(figures.per_minute(Duration::from_secs(61)), 0);
}

#[test]
fn the_sets_of_labels_have_an_end_even_where_every_label_is_legal() {
    let mut figures = Figures::new((0..31).map(|n| format!("c{n}")));
    for method in METHODS {
        (0..31).for_each(|channel| figures.ended(end(method, Some(channel)), Duration::ZERO));
    }
    assert!(figures.ends.len() <= MAX_SETS + 31, "{}", figures.ends.len());
}

#[test]
fn names_are_short_and_harmless() {
    assert_eq!(shown("a\u{1b}[2J\n"), "a\\u{1b}[2J\\n");
    assert_eq!(shown(&"x".repeat(100)).len(), 64);
}
