use super::*;
use crate::worker::link::overheard;

#[tokio::test(start_paused = true)]
async fn many_who_ask_at_once_are_one_question() {
    let (link, mut heard) = overheard();
    let facts = Facts::new(link);
    let asking: Vec<_> = (0..10)
        .map(|_| {
            tokio::spawn({
                let facts = facts.clone();
                async move { facts.get().await }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(heard.try_recv(), Ok(FromWorker::Facts {}));
    assert!(heard.try_recv().is_err());
    facts.answer(Value::Bool(true));
    for one in asking {
        assert_eq!(one.await.unwrap().as_deref(), Some(&Value::Bool(true)));
    }
    assert_eq!(facts.get().await.as_deref(), Some(&Value::Bool(true)), "still fresh");
    assert!(heard.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_does_not_answer_is_asked_once_and_not_waited_for_long() {
    let (link, mut heard) = overheard();
    let facts = Facts::new(link);
    let began = Instant::now();
    assert_eq!(facts.get().await, None);
    assert_eq!(facts.get().await, None);
    assert_eq!(began.elapsed(), PATIENCE * 2);
    assert!(heard.try_recv().is_ok() && heard.try_recv().is_err());
    facts.answer(Value::Null);
    assert!(facts.get().await.is_some());
}
