//! Connections: how many there may be, and how long each may dawdle.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// Most connections at a time; others wait to be accepted.
const CONNECTIONS: usize = 256;
/// Most bytes of a request's head.
const HEAD_BYTES: usize = 64 << 10;
/// How long a request's head may take, and a connection may lie idle.
const HEAD: Duration = Duration::from_secs(10);
/// How long a connection takes requests, however slowly its client reads.
const LIFE: Duration = Duration::from_secs(120);
/// What the kernel refuses for a moment, such as too many open files, is tried again after it.
const BREATH: Duration = Duration::from_millis(100);
/// How long requests under way get at the end, of the server or of the connection's life.
const FAREWELL: Duration = Duration::from_secs(2);

/// Accepts connections until `stop` is cancelled, and lets those under way end.
pub(super) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut open = JoinSet::new();
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await;
            (listener.accept().await, place)
        };
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = open.join_next() => {}
            (accepted, place) = accepted => match accepted {
                Ok((stream, _)) => {
                    let (router, stop) = (router.clone(), stop.clone());
                    open.spawn(async move {
                        talk(stream, router, stop).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection could not be accepted");
                    tokio::time::sleep(BREATH).await;
                }
            },
        }
    }
    let _ = tokio::time::timeout(FAREWELL, open.join_all()).await;
}

async fn talk(stream: TcpStream, router: Router, stop: CancellationToken) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::time::timeout(LIFE + FAREWELL, async {
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LIFE) => {}
        }
        // A request that is under way gets its answer: whoever asks all the time meets this moment.
        connection.as_mut().graceful_shutdown();
        connection.await
    });
    // A client that goes away, or is too slow, is its own affair.
    let _ = ended.await;
}
