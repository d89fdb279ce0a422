use super::*;
use crate::worker::link;

#[tokio::test(start_paused = true)]
async fn a_beat_says_how_late_the_poll_loop_is_and_waiting_for_others_is_never_late() {
    let pulse = Pulse::default();
    let (link, mut told) = link::overheard();
    tokio::spawn(pulse.clone().beat(link));
    let mut late = async || match told.recv().await {
        Some(FromWorker::Beat { late_ms }) => late_ms,
        other => panic!("{other:?}"),
    };
    let began = Instant::now();
    assert_eq!(late().await, 0);
    pulse.moves_within(Duration::from_secs(7));
    assert_eq!((late().await, began.elapsed()), (0, BEAT_EVERY));
    assert_eq!(late().await, 3000);
    assert_eq!(late().await, 8000);
    pulse.rest();
    assert_eq!(late().await, 0);
    pulse.moves_within(Duration::MAX);
    assert_eq!(late().await, 0);
}
