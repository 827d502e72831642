use crate::content::range_count::*;

/// The number that settles on a line of these bytes per second in all and for a connection.
async fn settled(total: f64, per_flow: f64, most: usize, limit: usize) -> usize {
    let began = Instant::now();
    let mut count = RangeCount::new(4, most, per_flow.min(total), began);
    let mut received = 0.0;
    for _ in 0..200 {
        tokio::time::advance(Duration::from_millis(100)).await;
        let flows = count.current().min(limit);
        received += (flows as f64 * per_flow).min(total) / 10.0;
        let is_full = flows == count.current();
        count.on_progress(received as u64, is_full, Instant::now());
    }
    count.current()
}

#[tokio::test(start_paused = true)]
async fn doubles_while_throughput_grows() {
    assert_eq!(settled(25e6, 2.5e6, 16, 16).await, 16);
    assert_eq!(settled(1e9, 2.5e6, 16, 16).await, 16);
    assert!([4, 5].contains(&settled(10e6, 2.5e6, 16, 16).await));
}

#[tokio::test(start_paused = true)]
async fn one_connection_is_enough_on_a_line_without_a_limit_of_flows() {
    assert_eq!(settled(10e6, 10e6, 16, 16).await, 1);
}

#[tokio::test(start_paused = true)]
async fn more_than_fit_are_not_tried() {
    assert_eq!(settled(1e9, 2.5e6, 16, 4).await, 8);
}

#[tokio::test(start_paused = true)]
async fn congestion_halves_the_number() {
    let mut count = RangeCount::new(12, 16, 1.0, Instant::now());
    count.on_congestion();
    assert_eq!(count.current(), 6);
    (0..9).for_each(|_| count.on_congestion());
    assert_eq!(count.current(), 1);
}

#[tokio::test(start_paused = true)]
async fn memory_skips_trials_that_brought_nothing() {
    let mut memory = RangeMemory::default();
    assert_eq!(memory.first(Instant::now()), Some(4));
    memory.learn(16, Instant::now());
    assert_eq!(memory.first(Instant::now()), Some(8));
    memory.learn(1, Instant::now());
    assert_eq!(memory.first(Instant::now()), None);
    tokio::time::advance(REST).await;
    assert_eq!(memory.first(Instant::now()), Some(4));
}

/// The rate that is metered while each frame of 1,000 bytes is waited for, and then read, for so long.
async fn metered(waited: u64, read: u64) -> Option<f64> {
    let mut meter = FlowMeter::default();
    for _ in 0..100 {
        let asked = Instant::now();
        tokio::time::advance(Duration::from_millis(waited)).await;
        if let Some(rate) = meter.on_frame(1000, asked) {
            return Some(rate);
        }
        tokio::time::advance(Duration::from_millis(read)).await;
    }
    None
}

#[tokio::test(start_paused = true)]
async fn meters_connections_that_are_slower_than_their_reader() {
    assert_eq!(metered(100, 0).await, Some(10_000.0));
    assert!(metered(100, 10).await.is_some());
    assert_eq!(metered(50, 50).await, None);
    assert_eq!(metered(0, 100).await, None);
}
