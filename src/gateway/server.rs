//! The listener: connections, their number, and what becomes of clients that do not read.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use axum::{body::Body, http::Request};
use http_body::{Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::Instant,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::{AllowList, GatewayConfig, ImagePatterns},
    gateway::{Gateway, GatewayContext, tls::ListenerCertificate},
    peers::PeerConnections,
};

/// Most connections at a time. Others wait to be accepted.
const CONNECTIONS: usize = 4096;
/// Most connections of one address, so that it leaves room for others.
const PEER_CONNECTIONS: usize = 256;
/// Most bytes of a request's head.
const HEAD_BYTES: usize = 64 << 10;
/// How long a connection may be idle before a request's head arrives.
const HEAD: Duration = Duration::from_secs(75);
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a client may leave an answer unread.
const UNREAD: Duration = Duration::from_secs(300);
/// Pause after a failed accept, such as for too many open files.
const BREATH: Duration = Duration::from_millis(100);
/// How long answers in flight get on shutdown.
const FAREWELL: Duration = Duration::from_secs(5);
/// How often certificates and lists are compared with their files.
const REFRESH: Duration = Duration::from_secs(2);

/// Listens for a gateway, and reads its certificate.
pub async fn bind(gateway: &GatewayConfig) -> io::Result<(TcpListener, Option<ListenerTls>)> {
    let listener = TcpListener::bind(gateway.listen).await?;
    let Some(files) = &gateway.tls else {
        return Ok((listener, None));
    };
    let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
    let certificate = ListenerCertificate::read(files).map_err(invalid)?;
    let config = certificate.server_config().map_err(invalid)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let tls = ListenerTls {
        certificate,
        acceptor,
    };
    Ok((listener, Some(tls)))
}

/// The TLS of a listener.
#[derive(Clone)]
pub struct ListenerTls {
    certificate: Arc<ListenerCertificate>,
    acceptor: TlsAcceptor,
}

/// Answers pulls until `stop` is cancelled. Answers in flight then get a moment to end.
pub async fn serve(
    listener: TcpListener,
    tls: Option<ListenerTls>,
    context: GatewayContext,
    stop: CancellationToken,
) {
    let gateway = Gateway::new(context, stop.clone());
    gateway.refresh_allow_list(&mut None);
    let accept = accept(&listener, tls.clone(), &gateway, &stop);
    let refresh = async {
        let mut list = None;
        let mut ticks = tokio::time::interval(REFRESH);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            gateway.refresh_allow_list(&mut list);
            let (downloads, followers) = gateway.downloads.count();
            gateway
                .context
                .metrics
                .pulls_in_flight(downloads, followers);
            if let Some(tls) = &tls {
                tls.certificate.refresh();
            }
        }
    };
    tokio::join!(accept, refresh, gateway.follow_demand());
    gateway.tasks.close();
    let _ = tokio::time::timeout(FAREWELL, gateway.tasks.wait()).await;
}

async fn accept(
    listener: &TcpListener,
    tls: Option<ListenerTls>,
    gateway: &Arc<Gateway>,
    stop: &CancellationToken,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let peers = PeerConnections::new(PEER_CONNECTIONS);
    let open = TaskTracker::new();
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await;
            (listener.accept().await, place)
        };
        match stop.run_until_cancelled(accepted).await {
            None => break,
            Some((Err(error), _)) => {
                tracing::debug!(%error, "a connection could not be accepted");
                tokio::time::sleep(BREATH).await;
            }
            Some((Ok((stream, address)), place)) => {
                let Some(share) = peers.admit(address.ip()) else {
                    continue;
                };
                let (gateway, tls, stop) = (gateway.clone(), tls.clone(), stop.clone());
                open.spawn(async move {
                    connect(stream, tls, gateway, address, stop).await;
                    drop((place, share));
                });
            }
        }
    }
    open.close();
    let _ = tokio::time::timeout(FAREWELL, open.wait()).await;
}

async fn connect(
    stream: TcpStream,
    tls: Option<ListenerTls>,
    gateway: Arc<Gateway>,
    address: SocketAddr,
    stop: CancellationToken,
) {
    // Small answers are not held back for more to come.
    let _ = stream.set_nodelay(true);
    match tls {
        None => serve_connection(stream, gateway, address.ip(), stop).await,
        Some(tls) => {
            let shaken = tokio::time::timeout(HANDSHAKE, tls.acceptor.accept(stream)).await;
            if let Ok(Ok(stream)) = shaken {
                serve_connection(stream, gateway, address.ip(), stop).await;
            }
        }
    }
}

async fn serve_connection<S>(
    stream: S,
    gateway: Arc<Gateway>,
    peer: IpAddr,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let watch = ReadWatch::default();
    let service = service_fn(|request: Request<Incoming>| {
        let (gateway, watch) = (gateway.clone(), watch.clone());
        async move {
            let (parts, _) = request.into_parts();
            let answer = gateway.answer(parts, peer).await;
            Ok::<_, Infallible>(answer.map(|body| WatchedBody::new(body, watch)))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // Errors of the client are of no interest.
        _ = connection.as_mut() => return,
        () = watch.unread() => return,
        () = stop.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(FAREWELL, connection).await;
}

impl Gateway {
    /// Reads the file of `allow` again if it is another one.
    fn refresh_allow_list(&self, read: &mut Option<(std::path::PathBuf, Option<SystemTime>)>) {
        let config = self.context.config.load();
        let Some(AllowList::File(path)) = config.gateway.as_ref().map(|gateway| &gateway.allow)
        else {
            return;
        };
        let changed_at = std::fs::metadata(path)
            .ok()
            .and_then(|file| file.modified().ok());
        let now = Some((path.clone(), changed_at));
        if *read == now {
            return;
        }
        let is_first = read.is_none();
        *read = now;
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let (patterns, wrong) = ImagePatterns::read(&text);
                for line in wrong {
                    tracing::warn!("{}: {line}", path.display());
                }
                self.allowed.store(Arc::new(patterns));
                if !is_first {
                    tracing::info!("the gateway uses the new list of {}", path.display());
                }
            }
            Err(error) => tracing::error!("{}: the old list stays: {error}", path.display()),
        }
    }
}

/// Whether a client reads its answer.
#[derive(Clone, Debug, Default)]
struct ReadWatch(Arc<Mutex<Option<Instant>>>);

impl ReadWatch {
    /// Ends once an answer was left unread for too long.
    async fn unread(&self) {
        loop {
            tokio::time::sleep(UNREAD / 10).await;
            let asked = *self.0.lock();
            if asked.is_some_and(|asked| asked.elapsed() >= UNREAD) {
                return;
            }
        }
    }

    fn set(&self, asked: Option<Instant>) {
        *self.0.lock() = asked;
    }
}

/// A body that notes when the connection last took something of it.
struct WatchedBody {
    body: Body,
    watch: ReadWatch,
}

impl WatchedBody {
    fn new(body: Body, watch: ReadWatch) -> Self {
        watch.set(Some(Instant::now()));
        Self { body, watch }
    }
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
        let asked = polled.is_ready().then(Instant::now);
        self.watch.set(asked);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        self.watch.set(None);
    }
}
