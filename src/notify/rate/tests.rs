use std::sync::Arc;

use futures::future::join_all;

use crate::notify::rate::*;

fn queue(limits: &[(usize, Duration)]) -> SendQueue {
    let limits = limits.iter();
    let limits = limits.map(|&(messages, within)| Limit { messages, within });
    SendQueue::new(limits.collect())
}

/// When each of so many messages is sent, in seconds from now.
async fn sent(queue: &SendQueue, messages: usize) -> Vec<u64> {
    let begun = Instant::now();
    let turns = (0..messages).map(|_| async {
        queue.turn(Topic::Lag).await;
        begun.elapsed().as_secs()
    });
    join_all(turns).await
}

#[tokio::test(start_paused = true)]
async fn messages_above_the_limit_wait() {
    let queue = queue(&[(20, MINUTE)]);
    let sent = sent(&queue, 45).await;
    let minutes: Vec<usize> = [0, 60, 120]
        .map(|second| sent.iter().filter(|at| **at == second).count())
        .into();
    assert_eq!(minutes, [20, 20, 5]);
}

#[tokio::test(start_paused = true)]
async fn every_limit_holds() {
    let queue = queue(&[(1, SECOND), (20, MINUTE)]);
    let sent = sent(&queue, 22).await;
    assert_eq!(sent[19], 19);
    assert_eq!(sent[20..], [60, 61]);
}

#[tokio::test(start_paused = true)]
async fn urgent_messages_come_first() {
    let queue = Arc::new(queue(&[(1, SECOND)]));
    queue.turn(Topic::Test).await;
    let order = Mutex::new(Vec::new());
    let send = async |topic: Topic| {
        queue.turn(topic).await;
        order.lock().push(topic);
    };
    tokio::join!(
        send(Topic::Report),
        send(Topic::Recovered),
        send(Topic::Disk)
    );
    let order = order.into_inner();
    assert_eq!(order, [Topic::Disk, Topic::Recovered, Topic::Report]);
}

#[tokio::test(start_paused = true)]
async fn cancelled_message_leaves_the_queue() {
    let queue = queue(&[(1, SECOND)]);
    queue.turn(Topic::Lag).await;
    let impatient = tokio::time::timeout(SECOND / 2, queue.turn(Topic::Lag));
    assert!(impatient.await.is_err());
    let begun = Instant::now();
    queue.turn(Topic::Report).await;
    assert_eq!(begun.elapsed(), SECOND / 2);
}
