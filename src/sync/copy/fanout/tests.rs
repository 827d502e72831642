use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::{registry::TransferPermit, sync::copy::fanout::*};

fn name(text: &str) -> RegistryName {
    text.parse().unwrap()
}

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn frames(count: usize) -> BlobStream {
    stream::iter((0..count).map(|n| Ok(Bytes::from(vec![n as u8; 10])))).boxed()
}

fn blob(size: u64) -> Descriptor {
    serde_json::from_value(serde_json::json!({ "digest": digest("blob"), "size": size })).unwrap()
}

fn error() -> Error {
    fell_behind(&name("x.example"), "blob".into())
}

async fn gather(fanout: &Fanout, target: &RegistryName) -> Part {
    let (image, blob) = (digest("image"), digest("blob"));
    let at_once = std::future::ready(());
    fanout.gather(&image, &blob, target, at_once).await.0
}

fn two_targets() -> (Fanout, RegistryName, RegistryName) {
    let (a, b) = (name("a.example"), name("b.example"));
    let fanout = Fanout::default();
    fanout.expect(&digest("image"), &a);
    fanout.expect(&digest("image"), &b);
    (fanout, a, b)
}

#[tokio::test]
async fn one_target_pulls_for_all_that_gather() {
    let (fanout, a, b) = two_targets();
    let lead = async {
        match gather(&fanout, &a).await {
            Part::Leader(seats) => {
                assert_eq!(seats.len(), 1);
                split(
                    frames(50),
                    TransferPermit::default(),
                    &blob(500),
                    seats,
                    &error(),
                )
            }
            Part::Follow(branch) => branch,
            Part::Alone => panic!("it has no company"),
        }
    };
    let follow = async {
        match gather(&fanout, &b).await {
            Part::Leader(seats) => split(
                frames(50),
                TransferPermit::default(),
                &blob(500),
                seats,
                &error(),
            ),
            Part::Follow(branch) => branch,
            Part::Alone => panic!("it has no company"),
        }
    };
    let read = |branch: Branch| branch.map_ok(|frame| frame.len()).try_collect::<Vec<_>>();
    let (one, other) = futures::join!(async { read(lead.await).await.unwrap().len() }, async {
        read(follow.await).await.unwrap().len()
    },);
    assert_eq!((one, other), (50, 50));
}

#[tokio::test]
async fn a_target_that_has_the_blob_is_not_waited_for() {
    let (fanout, a, b) = two_targets();
    fanout.pass(&digest("image"), &digest("blob"), &b);
    let part = gather(&fanout, &a).await;
    assert!(matches!(part, Part::Leader(seats) if seats.is_empty()));
}

#[tokio::test]
async fn a_target_that_is_done_with_the_image_is_not_waited_for() {
    let (fanout, a, b) = two_targets();
    let image = digest("image");
    drop(fanout.copy(&image, &b));
    let part = gather(&fanout, &a).await;
    assert!(matches!(part, Part::Leader(seats) if seats.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever_and_who_comes_late_pulls_alone() {
    let (fanout, a, b) = two_targets();
    assert!(matches!(gather(&fanout, &a).await, Part::Leader(_)));
    assert!(matches!(gather(&fanout, &b).await, Part::Alone));
}

#[tokio::test(start_paused = true)]
async fn who_has_a_flow_first_pulls_and_waits_for_nobody_elses() {
    let (fanout, a, b) = two_targets();
    let (image, wanted) = (digest("image"), digest("blob"));
    let (grant, granted) = oneshot::channel::<()>();
    // The one without a flow comes last.
    let healthy = async {
        let Part::Leader(seats) = gather(&fanout, &a).await else {
            panic!("it waited for the other")
        };
        assert_eq!(seats.len(), 1);
        let branch = split(
            frames(200),
            TransferPermit::default(),
            &blob(2000),
            seats,
            &error(),
        );
        let read: Vec<_> = branch.collect().await;
        // The clock stands still but for this.
        tokio::time::sleep(PATIENCE).await;
        grant.send(()).unwrap();
        read.iter().filter(|frame| frame.is_ok()).count()
    };
    let slow = async {
        let (part, flow) = fanout.gather(&image, &wanted, &b, granted).await;
        flow.unwrap();
        matches!(part, Part::Alone)
    };
    let both = async { futures::join!(healthy, slow) };
    let both = timeout(Duration::from_secs(60), both).await;
    assert_eq!(
        both,
        Ok((200, true)),
        "the one pulls, the other copies by itself"
    );
}

#[tokio::test]
async fn finished_image_leaves_no_memory() {
    let (fanout, a, b) = two_targets();
    let (image, base) = (digest("image"), digest("base"));
    let other = digest("other");
    let _sharing = fanout.share();
    // For two tags; and with a blob that another image has, too.
    fanout.expect(&image, &a);
    fanout.expect(&other, &b);
    fanout.pass(&image, &base, &a);
    fanout.pass(&other, &base, &b);
    let part = gather(&fanout, &a);
    let others = async {
        drop(fanout.copy(&image, &a));
        drop(fanout.copy(&image, &b));
    };
    assert!(matches!(futures::join!(part, others).0, Part::Leader(_)));
    drop(fanout.copy(&image, &a));
    let kept = || {
        let state = fanout.lock();
        (state.images.len(), state.blobs.len())
    };
    assert_eq!(kept(), (1, 1), "the base of the other image");
    drop(fanout.copy(&other, &b));
    assert_eq!(kept(), (0, 0));
    fanout.pass(&image, &base, &a);
    assert!(matches!(gather(&fanout, &a).await, Part::Alone));
    assert_eq!(kept(), (0, 0), "nobody copies it any more");
}

#[tokio::test(start_paused = true)]
async fn a_slow_target_is_left_behind_and_the_others_go_on() {
    let (seat, slow) = oneshot::channel();
    let fast = split(
        frames(200),
        TransferPermit::default(),
        &blob(2000),
        vec![seat],
        &error(),
    );
    let slow = slow.await.unwrap();
    let read: Vec<_> = fast.collect().await;
    assert_eq!(read.len(), 200);
    assert!(read.iter().all(Result::is_ok));
    let read: Vec<_> = slow.collect().await;
    assert!(read.last().unwrap().is_err());
    assert!(read.len() < 200);
}

#[tokio::test]
async fn a_target_that_breaks_off_does_not_end_the_pull() {
    let (seat, other) = oneshot::channel();
    let first = split(
        frames(50),
        TransferPermit::default(),
        &blob(500),
        vec![seat],
        &error(),
    );
    drop(first);
    let read: Vec<_> = other.await.unwrap().collect().await;
    assert_eq!(read.iter().filter(|frame| frame.is_ok()).count(), 50);
}

#[tokio::test]
async fn an_error_of_the_source_reaches_every_target_once() {
    let broken = stream::iter([Ok(Bytes::from_static(b"ab")), Err(error())]).boxed();
    let (seat, other) = oneshot::channel();
    let first = split(
        broken,
        TransferPermit::default(),
        &blob(500),
        vec![seat],
        &error(),
    );
    let (first, other) = futures::join!(
        first.collect::<Vec<_>>(),
        other.await.unwrap().collect::<Vec<_>>()
    );
    for read in [first, other] {
        assert_eq!(read.len(), 2);
        assert!(read[1].is_err());
    }
}
