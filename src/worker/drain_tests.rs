use super::*;

fn order(abort: Option<u64>, deadline: u64) -> Order {
    let now = Instant::now();
    Order {
        abort_poll: abort.map(|ms| now + Duration::from_millis(ms)),
        deadline: now + Duration::from_millis(deadline),
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_finishes_at_once() {
    let drain = Drain::new();
    drain.order(order(Some(0), 45_000));
    assert_eq!(drain.finish().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_job_is_waited_for() {
    let drain = Drain::new();
    let job = drain.job();
    drain.order(order(None, 45_000));
    let begun = Instant::now();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(7)).await;
        drop(job);
    });
    assert_eq!(drain.finish().await, 0);
    assert_eq!(begun.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn at_the_bound_jobs_are_told_to_give_up_and_counted() {
    let drain = Drain::new();
    let job = drain.job();
    drain.order(order(None, 1_000));
    let seen = drain.clone();
    tokio::spawn(async move {
        seen.given_up().await;
        drop(job);
    });
    assert_eq!(drain.finish().await, 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_delivered_by_the_bound_counts_as_unfinished() {
    let drain = Drain::new();
    let _delivering = drain.job();
    drain.order(order(None, 1_000));
    let begun = Instant::now();
    assert_eq!(drain.finish().await, 1);
    assert_eq!(begun.elapsed(), Duration::from_secs(1) + LAST_WORDS);
}

#[tokio::test(start_paused = true)]
async fn a_poll_is_aborted_only_when_ordered_and_then_on_time() {
    let drain = Drain::new();
    drain.order(order(None, 45_000));
    assert!(tokio::time::timeout(Duration::from_secs(60), drain.poll_aborted()).await.is_err());
    drain.order(order(Some(5_000), 45_000));
    let begun = Instant::now();
    drain.poll_aborted().await;
    assert_eq!(begun.elapsed().as_millis(), 5_000);
}
