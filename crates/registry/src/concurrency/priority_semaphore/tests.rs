use futures::{FutureExt as _, future::BoxFuture};

use crate::concurrency::priority_semaphore::*;

fn wish(
    semaphore: &PrioritySemaphore,
    size: u64,
    others: usize,
) -> BoxFuture<'static, Option<Permit>> {
    let (semaphore, waiters) = (semaphore.clone(), WaiterCount::default());
    (0..others).for_each(|_| waiters.increment());
    let mut wish = async move { semaphore.acquire(size, waiters).await }.boxed();
    if let Some(granted) = (&mut wish).now_or_never() {
        return async move { granted }.boxed();
    }
    wish
}

/// The sizes of wishes in the order in which they get the only flow.
fn order(wishes: &[(u64, usize)]) -> Vec<u64> {
    let semaphore = PrioritySemaphore::new(1);
    let mut held = wish(&semaphore, 0, 0).now_or_never().flatten();
    let mut waiting: Vec<_> = wishes
        .iter()
        .map(|(size, others)| wish(&semaphore, *size, *others))
        .collect();
    let mut order = Vec::new();
    while !waiting.is_empty() {
        drop(held.take());
        let ready = waiting.iter_mut().enumerate().find_map(|(place, wish)| {
            wish.now_or_never()
                .flatten()
                .map(|granted| (place, granted))
        });
        let (place, granted) = ready.expect("somebody gets the flow");
        drop(waiting.swap_remove(place));
        order.push(granted.size);
        held = Some(granted);
    }
    order
}

#[test]
fn what_many_wait_for_goes_first_and_then_what_is_large() {
    assert_eq!(order(&[(1, 0), (3, 0), (2, 0)]), [3, 2, 1]);
    assert_eq!(order(&[(3, 0), (1, 5), (2, 1)]), [1, 2, 3]);
}

#[test]
fn huge_blobs_leave_room_for_others() {
    let semaphore = PrioritySemaphore::new(4);
    let mut huge: Vec<_> = (0..4).map(|_| wish(&semaphore, HUGE, 0)).collect();
    let mut got: Vec<_> = huge
        .iter_mut()
        .map(|wish| wish.now_or_never().flatten())
        .collect();
    assert_eq!(got.iter().flatten().count(), 3);
    let small = wish(&semaphore, 1, 0).now_or_never().flatten();
    assert!(small.is_some());
    got.clear();
    assert!(huge.pop().unwrap().now_or_never().flatten().is_some());
}

#[test]
fn a_wish_that_is_given_up_keeps_no_flow() {
    let semaphore = PrioritySemaphore::new(1);
    let held = wish(&semaphore, 1, 0).now_or_never().flatten();
    drop(wish(&semaphore, 2, 0));
    let mut later = wish(&semaphore, 1, 0);
    assert!((&mut later).now_or_never().is_none());
    drop(held);
    assert!(later.now_or_never().flatten().is_some());
}
