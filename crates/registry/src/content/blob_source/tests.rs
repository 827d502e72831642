use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use reqwest::Method;

use crate::{
    Operation, Registries, RetryPolicy,
    content::blob_source::*,
    settings::{Proxy, RegistrySettings, Settings},
};

const BLOB: &[u8] = b"0123456789";

/// The first byte that a request asks for.
fn first_byte(stream: &mut TcpStream) -> usize {
    let (mut head, mut byte) = (String::new(), [0]);
    while !head.ends_with("\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
        head.push(char::from(byte[0]));
    }
    let range = head.split("range: bytes=").nth(1).unwrap_or("0-");
    range.split('-').next().unwrap().parse().unwrap()
}

/// Bytes 2 to 8 of the blob, from a server that answers the nth request for a first byte like this,
/// and closes the connection.
async fn fetch(answer: fn(usize, usize) -> String) -> Result<String, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let first = first_byte(&mut stream);
            drop(stream.write_all(answer(number, first).as_bytes()));
        }
    });
    let settings = RegistrySettings {
        plain_http: true,
        proxy: Proxy::Direct,
        ..RegistrySettings::default()
    };
    let repository: crate::oci::Repository = format!("{name}/app").parse().unwrap();
    let settings = Settings {
        registries: [(repository.registry().clone(), settings)].into(),
        bandwidth: None,
    };
    let retry = RetryPolicy {
        attempts: 3,
        first_pause: std::time::Duration::ZERO,
    };
    let registries = Registries::new(settings, Arc::new(()), retry, Vec::new());
    let registry = registries.open(repository.registry(), Arc::default());
    let registry = registry.unwrap();
    let source = Arc::new(BlobSource {
        request: registry.request(
            Operation::PullBlob,
            "blob".into(),
            Method::GET,
            &repository,
            "blobs/x",
        ),
        registry,
        digest: Digest::of(BLOB),
        size: BLOB.len() as u64,
    });
    let received = Arc::<AtomicU64>::default();
    let frames = source.fetch_range(2..8, received.clone()).await?;
    let whole: Vec<u8> = frames.into_iter().flatten().collect();
    assert_eq!(received.load(Ordering::Relaxed), whole.len() as u64);
    Ok(String::from_utf8(whole).unwrap())
}

/// The answer of a registry that announces these bytes of so many, and sends this body.
fn partial(range: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {range}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn range_comes_whole() {
    let read = fetch(|_, first| partial("2-7/10", &"0123456789"[first..8]));
    assert_eq!(read.await.unwrap(), "234567");
}

#[tokio::test]
async fn other_answers_than_the_range_are_final() {
    let answers: [fn(usize, usize) -> String; 5] = [
        |_, _| "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789".into(),
        |_, _| partial("3-7/10", "34567"),
        |_, _| partial("2-9/10", "23456789"),
        |_, _| partial("2-7/11", "234567"),
        |_, _| partial("nonsense", "234567"),
    ];
    for answer in answers {
        let error = fetch(answer).await.unwrap_err();
        assert!(!error.is_transient(), "{error}");
    }
}

#[tokio::test]
async fn short_range_continues_at_its_byte() {
    let read = fetch(|_, first| match first {
        2 => partial("2-3/10", "23"),
        _ => partial("4-7/10", "4567"),
    });
    assert_eq!(read.await.unwrap(), "234567");
}

#[tokio::test]
async fn broken_range_continues_at_its_byte() {
    let read = fetch(|_, first| match first {
        2 => partial("2-7/10", "234567").split_at(100).0.into(),
        _ => partial(&format!("{first}-7/10"), &"01234567"[first..]),
    });
    assert_eq!(read.await.unwrap(), "234567");
    let read = fetch(|number, first| match number {
        0 => String::new(),
        _ => partial(&format!("{first}-7/10"), &"01234567"[first..]),
    });
    assert_eq!(read.await.unwrap(), "234567");
}

#[tokio::test]
async fn range_without_progress_fails() {
    let error = fetch(|_, _| String::new()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

#[tokio::test]
async fn full_answer_skips_known_bytes() {
    for skip in 0..=6 {
        let parts = ["ab", "c", "def"].map(|part| Ok(Bytes::from_static(part.as_bytes())));
        let rest = without_first(stream::iter(parts).boxed(), skip);
        let rest: Vec<Bytes> = rest.try_collect().await.unwrap();
        assert_eq!(rest.len(), 3, "each frame is a sign of life");
        let skip = usize::try_from(skip).unwrap();
        assert_eq!(rest.concat(), b"abcdef"[skip..]);
    }
}
