use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::sleep;

use crate::{Kind, Operation, concurrency::memory_budget::MemoryBudget, content::ranges::*};

const RANGE: u64 = 64 << 10;

const END: u64 = 9 * RANGE + 1000;

fn refusal() -> Error {
    let (registry, kind) = (
        "r.example.com".parse().unwrap(),
        Kind::Protocol("no ranges".into()),
    );
    Error::new(Operation::PullBlob, "blob", &registry, kind)
}

/// A source of ranges: each takes a second and holds its own number, and some fail.
#[derive(Clone, Default)]
struct FakeSource {
    asked: Arc<Mutex<Vec<Range<u64>>>>,
    /// Ranges that take so many seconds longer, by their first byte.
    slow: BTreeMap<u64, u64>,
    refused: Option<u64>,
    /// Permits for connections; the first range needs none.
    permits: usize,
}

impl FakeSource {
    /// The ranges from the third to the half of the tenth, with memory for so many.
    fn ranges(&self, memory: u64, count: usize) -> Ranges {
        let memory = usize::try_from(memory * RANGE).unwrap();
        let (source, budget) = (self.clone(), MemoryBudget::new("ranges", memory));
        let fetch = move |range: Range<u64>, received: Arc<AtomicU64>| -> BoxFuture<'static, _> {
            source.asked.lock().push(range.clone());
            let is_refused = source.refused == Some(range.start);
            let late = source.slow.get(&range.start).copied().unwrap_or_default();
            Box::pin(async move {
                sleep(Duration::from_secs(1 + late)).await;
                received.fetch_add(range.end - range.start, Ordering::Relaxed);
                let byte = u8::try_from(range.start / RANGE).unwrap();
                let length = usize::try_from(range.end - range.start).unwrap();
                let frame = Bytes::from(vec![byte; length]);
                match is_refused {
                    true => Err(refusal()),
                    false => Ok([frame].into()),
                }
            })
        };
        let permits = self.permits;
        let admit = move |needs_permit: bool| {
            if needs_permit && permits == 0 {
                return None;
            }
            Some(RangeHold {
                permit: needs_permit.then(TransferPermit::default),
                memory: budget.try_reserve(usize::try_from(RANGE).unwrap())?,
            })
        };
        let source = RangeSource {
            fetch: Box::new(fetch),
            admit: Box::new(admit),
        };
        let count = RangeCount::new(count, 16, 1.0, Instant::now());
        let mut ranges = Ranges::new(source, 2 * RANGE..END, RANGE, count);
        ranges.close_first();
        ranges
    }
}

/// The number of each range, and how many bytes of it were handed on.
async fn read(ranges: &mut Ranges) -> Vec<(u8, u64)> {
    let mut read: Vec<(u8, u64)> = Vec::new();
    while let Some(frame) = ranges.next().await.unwrap() {
        read.push((frame[0], frame.len() as u64));
    }
    read
}

fn expected() -> Vec<(u8, u64)> {
    let whole = (2..9).map(|number| (number, RANGE));
    whole.chain([(9, 1000)]).collect()
}

#[tokio::test(start_paused = true)]
async fn ranges_are_handed_on_in_order() {
    let source = FakeSource {
        slow: [(2 * RANGE, 5), (4 * RANGE, 2)].into(),
        permits: 9,
        ..FakeSource::default()
    };
    let began = Instant::now();
    assert_eq!(read(&mut source.ranges(64, 4)).await, expected());
    assert_eq!(source.asked.lock().len(), 8);
    assert!(began.elapsed() < Duration::from_secs(9));
}

#[tokio::test(start_paused = true)]
async fn blob_has_a_permit_for_one() {
    let source = FakeSource::default();
    assert_eq!(read(&mut source.ranges(64, 4)).await, expected());
}

#[tokio::test(start_paused = true)]
async fn without_memory_the_rest_is_left_to_one_connection() {
    let source = FakeSource::default();
    assert_eq!(read(&mut source.ranges(0, 4)).await, [] as [(u8, u64); 0]);
}

#[tokio::test(start_paused = true)]
async fn refused_range_ends_them() {
    let source = FakeSource {
        refused: Some(4 * RANGE),
        permits: 9,
        ..FakeSource::default()
    };
    let mut ranges = source.ranges(64, 2);
    let mut read = 0;
    loop {
        match ranges.next().await {
            Ok(frame) => read += frame.unwrap().len(),
            Err(error) => {
                assert!(!error.is_transient());
                break;
            }
        }
    }
    assert!(
        read as u64 <= 2 * RANGE,
        "{read} bytes are beyond the refused range"
    );
}

#[tokio::test(start_paused = true)]
async fn memory_bounds_what_is_held() {
    let source = FakeSource {
        slow: [(2 * RANGE, 60)].into(),
        permits: 99,
        ..FakeSource::default()
    };
    let mut ranges = source.ranges(3, 16);
    let first = ranges.next();
    assert!(
        tokio::time::timeout(Duration::from_secs(30), first)
            .await
            .is_err()
    );
    assert_eq!(source.asked.lock().len(), 3);
    assert_eq!(read(&mut ranges).await, expected());
}
