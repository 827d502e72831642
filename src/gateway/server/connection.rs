//! One connection: HTTP/1.1, or HTTP/2 where TLS agreed on it, and what becomes of a client that does not
//! read.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, http::Request, http::Response};
use http_body::{Frame, SizeHint};
use hyper::{
    body::Incoming,
    rt::Executor,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::gateway::{
    Gateway, access::challenge::Visit, request::limits::ClientPermit, server::FAREWELL,
};

/// Most bytes of a request's head.
const HEAD_BYTES: usize = 64 << 10;
/// How long a connection may be idle before a request's head arrives.
const IDLE: Duration = Duration::from_secs(75);
/// How long a client may leave all of its answers unread.
const UNREAD: Duration = Duration::from_secs(300);
/// Requests of one HTTP/2 connection at a time. Go's client waits for a free one.
const STREAMS: u32 = 64;
/// Bytes of a head in HTTP/2, all of its fields together.
const FIELDS: u32 = 16 << 10;
/// Bytes that wait to be sent on one stream: a reader that stops costs no more.
const SEND: usize = 64 << 10;
/// What a client may send before it is read: forms of `/token` and nothing else.
const RECEIVE: u32 = 64 << 10;
/// How often a silent HTTP/2 peer is asked whether it is there, and how long it may take.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(20);

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HttpVersion {
    /// HTTP/1.1.
    One,
    /// HTTP/2.
    Two,
}

/// The right to a request, which its answer keeps until it is read.
#[derive(Clone, Debug)]
pub(crate) struct HeldPermit(
    #[expect(dead_code, reason = "it counts while it lives")] pub(crate) Arc<ClientPermit>,
);

/// Serves one connection until its client leaves, stops reading, or `stop` is cancelled.
pub(crate) async fn serve<S>(
    stream: S,
    version: HttpVersion,
    gateway: Arc<Gateway>,
    visit: Visit,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let watch = ReadWatch::default();
    let service = {
        let watch = watch.clone();
        service_fn(move |request: Request<Incoming>| {
            let (gateway, busy) = (gateway.clone(), watch.begin());
            async move {
                let answer = gateway.answer(request.map(Body::new), visit).await;
                Ok::<_, Infallible>(watched(answer, busy))
            }
        })
    };
    let io = TokioIo::new(stream);
    match version {
        HttpVersion::One => {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(IDLE)
                .max_buf_size(HEAD_BYTES)
                .serve_connection(io, service);
            let connection = std::pin::pin!(connection);
            drive(
                connection,
                http1::Connection::graceful_shutdown,
                &watch,
                &stop,
            )
            .await;
        }
        HttpVersion::Two => {
            let streams = TaskTracker::new();
            let connection = http2::Builder::new(StreamExecutor(streams.clone()))
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS)
                .max_header_list_size(FIELDS)
                .max_send_buf_size(SEND)
                .initial_stream_window_size(RECEIVE)
                .initial_connection_window_size(RECEIVE)
                .keep_alive_interval(PING)
                .keep_alive_timeout(PONG)
                .serve_connection(io, service);
            {
                let mut connection = Box::pin(connection);
                drive(
                    connection.as_mut(),
                    http2::Connection::graceful_shutdown,
                    &watch,
                    &stop,
                )
                .await;
            }
            // The connection is gone, and with it what they wait for.
            streams.close();
            streams.wait().await;
        }
    }
}

/// Runs a connection; ends it gently when the gateway stops.
async fn drive<C>(
    mut connection: Pin<&mut C>,
    end: fn(Pin<&mut C>),
    watch: &ReadWatch,
    stop: &CancellationToken,
) where
    C: Future,
{
    tokio::select! {
        // Errors of the client are of no interest.
        _ = connection.as_mut() => return,
        () = watch.ends() => return,
        () = stop.cancelled() => {}
    }
    end(connection.as_mut());
    let _ = tokio::time::timeout(FAREWELL, connection).await;
}

/// Runs the streams of an HTTP/2 connection.
#[derive(Clone)]
struct StreamExecutor(TaskTracker);

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        self.0.spawn(stream);
    }
}

/// Requests of a connection, and whether their answers are read.
#[derive(Clone, Debug, Default)]
struct ReadWatch(Arc<Mutex<AnswerReads>>);

#[derive(Debug)]
struct AnswerReads {
    /// Requests that are not answered to the end.
    open: usize,
    /// Answers that have bytes for a client that did not take them yet.
    unread: usize,
    /// When a request last came or ended, or bytes were last taken.
    moved: Instant,
}

impl Default for AnswerReads {
    fn default() -> Self {
        Self {
            open: 0,
            unread: 0,
            moved: Instant::now(),
        }
    }
}

impl ReadWatch {
    fn begin(&self) -> OpenRequest {
        let mut reading = self.0.lock();
        reading.open += 1;
        reading.moved = Instant::now();
        OpenRequest {
            watch: self.clone(),
            is_unread: false,
        }
    }

    /// Ends once all answers were left unread for too long, or nothing was asked for.
    async fn ends(&self) {
        loop {
            tokio::time::sleep(IDLE / 10).await;
            let reading = self.0.lock();
            let most = match (reading.open, reading.unread) {
                (0, _) => IDLE,
                (_, 0) => continue,
                _ => UNREAD,
            };
            if reading.moved.elapsed() >= most {
                return;
            }
        }
    }
}

/// One request of a connection, until its answer is read.
struct OpenRequest {
    watch: ReadWatch,
    is_unread: bool,
}

impl OpenRequest {
    /// Takes note that the connection took something, and whether more is ready for it.
    fn moved(&mut self, is_unread: bool) {
        let mut reading = self.watch.0.lock();
        reading.moved = Instant::now();
        match (self.is_unread, is_unread) {
            (false, true) => reading.unread += 1,
            (true, false) => reading.unread -= 1,
            _ => {}
        }
        self.is_unread = is_unread;
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.moved(false);
        self.watch.0.lock().open -= 1;
    }
}

/// An answer whose reading is watched.
fn watched(mut answer: Response<Body>, mut busy: OpenRequest) -> Response<WatchedBody> {
    let permit = answer.extensions_mut().remove::<HeldPermit>();
    busy.moved(true);
    answer.map(|body| WatchedBody {
        body,
        busy,
        _permit: permit,
    })
}

/// A body that notes when the connection last took something of it.
struct WatchedBody {
    body: Body,
    busy: OpenRequest,
    _permit: Option<HeldPermit>,
}

impl http_body::Body for WatchedBody {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        // A wait for bytes to send is not the client's.
        self.busy.moved(polled.is_ready());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
