use std::{cell::Cell, time::Duration};

use futures::stream;
use tokio::time::sleep;

use crate::hedge::race::*;

const STALL: Duration = Duration::from_secs(30);

/// A line on which everything comes at once.
fn line() -> LineMonitor {
    let line = LineMonitor::new(STALL);
    for kind in [WaitKind::Answer, WaitKind::Received] {
        (0..5).for_each(|_| line.on_movement(kind, Duration::from_millis(10)));
    }
    line
}

async fn after<T>(seconds: u64, result: T) -> T {
    sleep(Duration::from_secs(seconds)).await;
    result
}

/// The result, the outcome, and the seconds that it took.
async fn race(
    first: (u64, Result<&'static str, Kind>),
    second: (u64, Result<&'static str, Kind>),
) -> (Result<&'static str, Kind>, Option<HedgeOutcome>, u64) {
    let began = tokio::time::Instant::now();
    let (line, outcome) = (line(), Cell::new(None));
    let result = hedged(
        &line,
        WaitKind::Answer,
        after(first.0, first.1),
        || after(second.0, second.1),
        |won| outcome.set(Some(won)),
    );
    let result = result.await;
    (result, outcome.get(), began.elapsed().as_secs())
}

fn reset() -> Kind {
    Kind::Network("reset".into())
}

#[tokio::test(start_paused = true)]
async fn quick_answer_needs_no_hedge() {
    let (result, outcome, took) = race((1, Ok("first")), (0, Ok("second"))).await;
    assert_eq!((result.unwrap(), outcome, took), ("first", None, 1));
}

#[tokio::test(start_paused = true)]
async fn first_of_both_wins() {
    let (result, outcome, took) = race((100, Ok("first")), (1, Ok("second"))).await;
    let won = Some(HedgeOutcome::Won);
    assert_eq!((result.unwrap(), outcome, took), ("second", won, 3));
    let (result, outcome, took) = race((3, Ok("first")), (5, Ok("second"))).await;
    let lost = Some(HedgeOutcome::Lost);
    assert_eq!((result.unwrap(), outcome, took), ("first", lost, 3));
}

#[tokio::test(start_paused = true)]
async fn failure_of_one_leaves_the_other() {
    let (result, _, took) = race((9, Ok("first")), (1, Err(reset()))).await;
    assert_eq!((result.unwrap(), took), ("first", 9));
    let (result, _, took) = race((4, Err(reset())), (9, Ok("second"))).await;
    assert_eq!((result.unwrap(), took), ("second", 11));
}

#[tokio::test(start_paused = true)]
async fn two_silent_ends_stall() {
    let (result, outcome, took) = race((100, Ok("first")), (100, Ok("second"))).await;
    assert!(matches!(result, Err(Kind::Stalled(STALL))));
    assert_eq!((outcome, took), (Some(HedgeOutcome::Lost), 30));
}

/// A body that yields one frame and falls silent for so many seconds.
fn body(silence: u64, text: &'static str) -> Frames {
    let frames = stream::iter(text.chars());
    let frames = frames.enumerate().then(move |(at, letter)| async move {
        if at > 0 {
            sleep(Duration::from_secs(silence)).await;
        }
        Ok(Bytes::from(letter.to_string()))
    });
    frames.boxed()
}

async fn read(first: Frames, second: impl Fn(usize) -> Frames) -> String {
    let (line, mut frames, mut text) = (line(), first, String::new());
    loop {
        let received = text.len();
        let open = || async { Ok(second(received)) };
        match hedged_frame(&line, &mut frames, open, |_| {})
            .await
            .unwrap()
        {
            None => return text,
            Some(frame) => text.push_str(std::str::from_utf8(&frame).unwrap()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn silent_body_continues_on_second_connection() {
    let began = tokio::time::Instant::now();
    let text = read(body(100, "abc"), |received| body(0, &"abc"[received..])).await;
    assert_eq!(text, "abc");
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn bytes_of_a_loser_are_dropped() {
    // The second connection opens late: each frame comes from the first, once.
    let second = |_| {
        let late = async {
            sleep(Duration::from_secs(9)).await;
            Ok(Bytes::from_static(b"X"))
        };
        stream::once(late).boxed()
    };
    assert_eq!(read(body(3, "abc"), second).await, "abc");
}

#[tokio::test(start_paused = true)]
async fn dead_request_is_given_up() {
    let line = line();
    let others = async {
        loop {
            sleep(Duration::from_millis(200)).await;
            line.on_movement(WaitKind::Received, Duration::from_millis(200));
        }
    };
    let early = Cell::new(0);
    let (work, probe) = (after(100, Ok(())), || async { unreachable!("others move") });
    let work = given_up(&line, WaitKind::Answer, work, probe, || {
        early.set(early.get() + 1);
    });
    pin_mut!(work, others);
    let Either::Left((Err(Kind::Stalled(lasted)), _)) = select(work, others).await else {
        panic!("it fails");
    };
    assert!(lasted < Duration::from_secs(3), "{lasted:?}");
    assert_eq!(early.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn lonely_request_is_given_up_if_the_line_answers() {
    let began = tokio::time::Instant::now();
    let (line, work, early) = (line(), after(100, Ok(())), Cell::new(0));
    let probe = || after(1, true);
    let result = given_up(&line, WaitKind::Answer, work, probe, || early.set(1));
    assert!(matches!(result.await, Err(Kind::Stalled(lasted)) if lasted < STALL));
    assert_eq!((early.get(), began.elapsed().as_secs()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn request_over_a_dead_line_has_all_of_stall() {
    let (line, work) = (line(), after(20, Ok("late")));
    let probe = || after(5, false);
    let result = given_up(&line, WaitKind::Answer, work, probe, || {
        panic!("it is the line")
    });
    assert_eq!(result.await.unwrap(), "late");
}
