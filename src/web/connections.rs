//! Accepts connections, and limits their number, their number per address, and their idle time.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    http::{HeaderValue, header::CONNECTION},
};
use hyper::{
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{peers::PeerConnections, web::write_timeout::WriteTimeout};

/// Most connections at a time. Others wait to be accepted.
const CONNECTIONS: usize = 256;
/// Most connections of one address, so that it leaves room for others.
pub(crate) const PEER_CONNECTIONS: usize = 64;
/// The response to a connection above that.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\n\
    content-length: 0\r\nconnection: close\r\n\r\n";
/// Most bytes of a request's head.
const HEAD_BYTES: usize = 64 << 10;
/// How long a connection may be idle before a request's head arrives. Not a round number: clients
/// that poll every ten seconds would meet the close.
const HEAD: Duration = Duration::from_secs(12);
/// Age at which a connection closes after its next response.
pub(crate) const LIFE: Duration = Duration::from_secs(120);
/// How long the last response of a connection may take.
const ANSWER: Duration = Duration::from_secs(30);
/// Pause after a failed accept, such as for too many open files.
const BREATH: Duration = Duration::from_millis(100);
/// How long in-flight requests get on shutdown.
const FAREWELL: Duration = Duration::from_secs(2);

/// Accepts connections until `stop` is cancelled, then lets in-flight requests finish.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let peers = PeerConnections::new(PEER_CONNECTIONS);
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
                Ok((stream, address)) => {
                    let Some(share) = peers.admit(address.ip()) else {
                        let _ = stream.try_write(TOO_MANY);
                        continue;
                    };
                    let (router, stop) = (router.clone(), stop.clone());
                    open.spawn(async move {
                        serve_connection(stream, router, stop).await;
                        drop((place, share));
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

/// Serves one connection. An old connection announces its end in a response
/// ([RFC 9112, 9.6](https://www.rfc-editor.org/rfc/rfc9112#section-9.6)): closing it between two
/// responses would lose a request on its way.
pub(crate) async fn serve_connection<S>(stream: S, router: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let old = Instant::now() + LIFE;
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request| {
        let answer = router.call(request);
        async move {
            let answer = answer.await;
            answer.map(|mut answer| {
                if Instant::now() >= old {
                    let close = HeaderValue::from_static("close");
                    answer.headers_mut().insert(CONNECTION, close);
                }
                answer
            })
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(WriteTimeout::new(stream)), service);
    let mut connection = std::pin::pin!(connection);
    // An old idle connection ends by its head timeout. One last request may arrive before that.
    let ended = tokio::time::timeout(LIFE + HEAD + ANSWER, async {
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = stop.cancelled() => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    });
    // Errors of the client are of no interest.
    let _ = ended.await;
}
