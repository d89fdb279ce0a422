use super::*;
use crate::mcp::failure::Kind;

fn failure(source: Source, received: bool) -> Failure {
    Failure { source, kind: Some(Kind::ConnectionRefused), received, status: None }
}

#[tokio::test(start_paused = true)]
async fn a_call_says_how_the_server_is_and_only_changes_are_news() {
    let reach = Reach::default();
    assert!(reach.due(Instant::now()).is_some_and(|at| at <= Instant::now()), "nothing is known yet");
    reach.note(None);
    assert_eq!(reach.news(), Some(None));
    reach.note(None);
    assert_eq!(reach.news(), None);
    reach.note(Some(&failure(Source::Connect, false)));
    assert_eq!(reach.news(), Some(Some("connection refused".into())));
    assert_eq!(reach.due(Instant::now()), Some(Instant::now() + AGAIN));
    // A slow server is there, and so is one that answers with an error.
    reach.note(Some(&failure(Source::Timeout, false)));
    assert_eq!(reach.news(), None);
    reach.note(Some(&failure(Source::TargetHttp, true)));
    assert_eq!(reach.news(), Some(None));
    assert_eq!(reach.due(Instant::now()), Some(Instant::now() + QUIET));
    reach.note(Some(&failure(Source::TransportClosed, false)));
    assert!(reach.due(Instant::now()).is_some_and(|at| at <= Instant::now()), "it may be gone");
}

#[test]
fn a_reason_fits_and_has_no_control_characters() {
    assert_eq!(short("a\nb\u{7f}".into()), "a b ");
    assert!(short("é".repeat(500)).len() <= MAX_REACH);
}
