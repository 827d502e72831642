use futures::stream;

use super::*;
use crate::oci::Digest;

const FRAME: usize = 64 << 10;

fn frames(count: usize) -> Vec<Bytes> {
    (0..count)
        .map(|at| Bytes::from(vec![u8::try_from(at % 251).unwrap(); FRAME]))
        .collect()
}

fn download(frames: &[Bytes]) -> BlobStream {
    stream::iter(frames.to_vec()).map(Ok).boxed()
}

fn hasher() -> Hasher {
    Digest::of(b"").hasher()
}

async fn read(mut follower: Follower) -> Result<Vec<u8>, NextRead> {
    let mut read = Vec::new();
    loop {
        match follower.next().await {
            NextRead::Frame(bytes, _) => read.extend_from_slice(&bytes),
            NextRead::End => return Ok(read),
            other => return Err(other),
        }
    }
}

#[tokio::test]
async fn many_read_one_download() {
    let frames = frames(512);
    let all = frames.concat();
    let window = BlobWindow::new(0, UploadPace::At(0));
    let upload = tokio::spawn(read(window.upload()));
    let clients: Vec<_> = (0..5)
        .map(|_| tokio::spawn(read(window.follow(0))))
        .collect();
    window.fill(download(&frames), hasher()).await;
    assert!(upload.await.unwrap().unwrap() == all);
    for client in clients {
        match client.await.unwrap() {
            Ok(read) => assert!(read == all),
            // The upload sets the pace, and a client may be slower.
            Err(next) => assert!(matches!(next, NextRead::Behind), "{next:?}"),
        }
    }
}

#[tokio::test]
async fn slow_client_holds_nobody_up() {
    let frames = frames(512);
    let all = frames.concat();
    let window = BlobWindow::new(0, UploadPace::At(0));
    let mut slow = window.follow(0);
    let upload = tokio::spawn(read(window.upload()));
    window.fill(download(&frames), hasher()).await;
    assert!(upload.await.unwrap().unwrap() == all);
    assert!(matches!(slow.next().await, NextRead::Behind));
    assert!(
        window
            .lock()
            .frames
            .iter()
            .map(|f| f.bytes.len() as u64)
            .sum::<u64>()
            <= WINDOW
    );
}

#[tokio::test]
async fn hash_goes_on_where_a_client_fell_behind() {
    let frames = frames(3);
    let window = BlobWindow::new(0, UploadPace::None);
    let mut client = window.follow(0);
    window.fill(download(&frames), hasher()).await;
    let NextRead::Frame(first, hashed) = client.next().await else {
        panic!("the first frame is held")
    };
    assert_eq!(hashed.length(), first.len() as u64);
    assert_eq!(hashed.finish(), Digest::of(&first));
}

#[tokio::test]
async fn part_begins_inside_a_frame() {
    let frames = frames(3);
    let window = BlobWindow::new(0, UploadPace::None);
    let client = window.follow(FRAME as u64 + 5);
    window.fill(download(&frames), hasher()).await;
    assert!(read(client).await.unwrap() == frames.concat()[FRAME + 5..]);
}

#[tokio::test]
async fn failure_reaches_everybody() {
    let error = Error::new(
        Operation::PullBlob,
        "x",
        &nowhere(),
        Kind::Network("gone".into()),
    );
    let failing = stream::iter([Ok(Bytes::from_static(b"ab")), Err(error)]).boxed();
    let window = BlobWindow::new(0, UploadPace::None);
    let clients = [window.follow(0), window.follow(0)];
    window.fill(failing, hasher()).await;
    for client in clients {
        assert!(matches!(read(client).await, Err(NextRead::Failed(_))));
    }
}

#[tokio::test]
async fn download_ends_when_nobody_reads() {
    let window = BlobWindow::new(0, UploadPace::None);
    drop(window.follow(0));
    window.fill(download(&frames(1)), hasher()).await;
    assert!(matches!(window.ended(), Some(Err(_))));
}

#[tokio::test(start_paused = true)]
async fn stalled_upload_is_left_behind() {
    let frames = frames(512);
    let all = frames.concat();
    let window = BlobWindow::new(0, UploadPace::At(0));
    let mut upload = window.upload();
    let client = tokio::spawn(read(window.follow(0)));
    window.fill(download(&frames), hasher()).await;
    assert!(client.await.unwrap().unwrap() == all);
    assert!(matches!(upload.next().await, NextRead::Behind));
}

#[tokio::test]
async fn single_bytes_do_not_pile_up() {
    let bytes: Vec<Bytes> = (0..100_000_u32)
        .map(|at| Bytes::from(vec![u8::try_from(at % 251).unwrap()]))
        .collect();
    let all = bytes.concat();
    let window = BlobWindow::new(0, UploadPace::At(0));
    let (mut early, slow, upload) = (window.follow(0), window.follow(0), window.upload());
    let fill = window.fill(download(&bytes), hasher());
    let first = async { early.next().await };
    let (NextRead::Frame(first, _), ()) = futures::join!(first, fill) else {
        panic!("there is a frame");
    };
    assert!(window.lock().frames.len() <= FRAMES + 1);
    assert!(read(upload).await.unwrap() == all);
    assert!(read(slow).await.unwrap() == all);
    // One that read a part of what was joined since goes on in the middle of it.
    let mut rest = first.to_vec();
    while let NextRead::Frame(frame, hashed) = early.next().await {
        rest.extend_from_slice(&frame);
        assert_eq!(hashed.length(), early.position());
    }
    assert!(rest == all);
}
