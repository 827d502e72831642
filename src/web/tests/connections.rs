//! How connections end: no request that is on its way is lost.

use std::time::Duration;

use axum::{Router, routing::get};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::web::connections::{LIFE, serve_connection};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// Between two requests of a client.
const PAUSE: Duration = Duration::from_secs(7);

/// The client's end of a connection, and the server at the other.
fn connect() -> (DuplexStream, JoinHandle<()>) {
    let (client, server) = tokio::io::duplex(64 << 10);
    let router = Router::new().route("/", get(async || "all is well"));
    let served = serve_connection(server, router, CancellationToken::new());
    (client, tokio::spawn(served))
}

/// The next answer; nothing where the server hung up.
async fn answer(client: &mut DuplexStream) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"all is well") {
        if client.read_buf(&mut answer).await.unwrap() == 0 {
            break;
        }
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test(start_paused = true)]
async fn old_connection_announces_close() {
    let (mut client, served) = connect();
    let begun = Instant::now();
    loop {
        // Were the connection closed between two answers, this or the answer would fail.
        client.write_all(REQUEST).await.unwrap();
        let answer = answer(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
        if answer.contains("connection: close") {
            break;
        }
        assert!(begun.elapsed() < LIFE, "{answer}");
        sleep(PAUSE).await;
    }
    assert!(begun.elapsed() >= LIFE);
    assert_eq!(answer(&mut client).await, "");
    served.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn old_connection_serves_slow_request() {
    let (mut client, _served) = connect();
    let (first, rest) = REQUEST.split_at(9);
    let begun = Instant::now();
    while begun.elapsed() + PAUSE < LIFE {
        client.write_all(REQUEST).await.unwrap();
        assert!(answer(&mut client).await.starts_with("HTTP/1.1 200"));
        sleep(PAUSE).await;
    }
    client.write_all(first).await.unwrap();
    sleep(LIFE - begun.elapsed() + Duration::from_secs(1)).await;
    client.write_all(rest).await.unwrap();
    let answer = answer(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn client_that_does_not_read_is_disconnected() {
    let (mut client, served) = connect();
    // More answers than there is room for.
    let flood = REQUEST.repeat(10_000);
    let sent = client.write_all(&flood);
    let (sent, served) = tokio::join!(sent, served);
    assert!(sent.is_err());
    served.unwrap();
}
