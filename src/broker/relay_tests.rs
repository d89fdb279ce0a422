use super::*;

struct Source {
    write: OwnedFd,
    relay: Relay,
    log: Log,
    lines: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
    now: Instant,
}

impl Source {
    fn new(bounds: Bounds) -> Self {
        let (read, write) = fds::pipe().unwrap();
        fds::set_nonblocking(&read).unwrap();
        fds::set_nonblocking(&write).unwrap();
        let (log, lines) = Log::memory();
        let now = Instant::now();
        Self { write, relay: Relay::new(Some(read), "mcp main".into(), bounds, now), log, lines, now }
    }

    fn writes(&mut self, bytes: &[u8]) {
        fds::write(&self.write, bytes).unwrap();
        self.relay.turn(&self.log, self.now);
    }

    fn logged(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

#[test]
fn lines_carry_the_role_wherever_the_reads_cut_them() {
    let mut source = Source::new(Bounds::CHILD);
    source.writes(b"hel");
    assert!(source.logged().is_empty());
    source.writes(b"lo\n\n<3>sev");
    source.writes(b"ere\nlast");
    source.relay.close(&source.log, source.now);
    let logged = source.logged();
    assert_eq!(logged.len(), 3, "{logged:#?}");
    for (line, text) in logged.iter().zip(["line=hello", "line=<3>severe", "line=last"]) {
        assert!(
            line.contains(text) && line.contains("role=\"mcp main\"") && line.starts_with("time="),
            "{line}"
        );
    }
}

#[test]
fn a_record_is_taken_from_the_worker_and_is_text_from_an_mcp_server() {
    const RECORD: &[u8] =
        b"{\"level\":\"error\",\"component\":\"broker\",\"msg\":\"m\",\"fields\":[[\"k\",1]]}\n";
    let mut worker = Source::new(Bounds::WORKER);
    worker.writes(RECORD);
    let line = worker.logged().concat();
    assert!(line.contains("level=ERROR msg=m component=broker") && line.ends_with("k=1"), "{line}");
    let mut server = Source::new(Bounds::CHILD);
    server.writes(RECORD);
    let line = server.logged().concat();
    assert!(line.contains("level=INFO") && line.contains("component=stderr role=\"mcp main\""), "{line}");
    assert!(!line.ends_with("k=1"), "{line}");
}

#[test]
fn a_long_line_is_cut_marked_and_does_not_eat_the_next() {
    let mut source = Source::new(Bounds { line: 8, lines: 50, records: false });
    source.writes(b"0123456789abcdef");
    source.writes(b"ghi\nnext\n12345678\n");
    let logged = source.logged();
    assert!(logged[0].contains("\"01234567 [cut]\""), "{logged:#?}");
    assert!(logged[1].contains("line=next"), "{logged:#?}");
    assert!(logged[2].ends_with("line=12345678"), "{logged:#?}");
    assert!(source.relay.line.capacity() < 64);
}

#[test]
fn a_flood_is_thinned_and_counted() {
    let mut source = Source::new(Bounds { line: 64, lines: 10, records: false });
    source.writes("x\n".repeat(1000).as_bytes());
    assert_eq!(source.logged().len(), 10);
    source.now += Duration::from_millis(500);
    source.writes(b"y\n");
    let logged = source.logged();
    assert!(logged[10].contains("lines_dropped=990"), "{logged:#?}");
    assert!(logged[11].contains("line=y"));
}

#[test]
fn one_turn_takes_a_bounded_amount() {
    let mut source = Source::new(Bounds { line: 4096, lines: 1000, records: false });
    let line = [b"z".repeat(1023), b"\n".to_vec()].concat();
    for _ in 0..60 {
        fds::write(&source.write, &line).unwrap();
    }
    source.relay.turn(&source.log, source.now);
    assert_eq!(source.logged().len(), MAX_TURN / 1024);
    source.relay.turn(&source.log, source.now);
    assert_eq!(source.logged().len(), 60);
}

#[test]
fn the_end_of_the_source_is_seen() {
    let mut source = Source::new(Bounds::CHILD);
    fds::write(&source.write, b"panic").unwrap();
    let (_, unused) = fds::pipe().unwrap();
    drop(std::mem::replace(&mut source.write, unused));
    source.relay.turn(&source.log, source.now);
    assert!(source.relay.fd().is_none());
    assert_eq!(source.logged().len(), 1);
}
