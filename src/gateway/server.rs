//! The listener: connections and their number, and the files that are read again when they change.

mod connection;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

pub(crate) use connection::HeldPermit;
use connection::HttpVersion;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::{AllowList, GatewayConfig, ImagePatterns, parse::fingerprint::FileFingerprint},
    gateway::{
        Gateway, GatewayContext, access::challenge::Visit, answer::PullOutcome,
        demand::board::ClientRefusal, request::policy::PullRefusal, tls::ListenerCertificate,
    },
    peers::PeerConnections,
};

/// Most connections at a time. Others wait to be accepted.
const CONNECTIONS: usize = 4096;
/// Most connections of one address, so that it leaves room for others.
const PEER_CONNECTIONS: usize = 256;
const HANDSHAKE: Duration = Duration::from_secs(10);
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
    gateway.start_metrics();
    let mut list = None;
    gateway.refresh_allow_list(&mut list);
    gateway.refresh_users();
    let accept = accept(&listener, tls.clone(), &gateway, &stop);
    let refresh = async {
        let mut ticks = tokio::time::interval(REFRESH);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            gateway.refresh_allow_list(&mut list);
            gateway.refresh_users();
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
    let visit = Visit {
        peer: address.ip(),
        is_tls: tls.is_some(),
    };
    match tls {
        None => connection::serve(stream, HttpVersion::One, gateway, visit, stop).await,
        Some(tls) => {
            let shaken = tokio::time::timeout(HANDSHAKE, tls.acceptor.accept(stream)).await;
            if let Ok(Ok(stream)) = shaken {
                let version = match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => HttpVersion::Two,
                    _ => HttpVersion::One,
                };
                connection::serve(stream, version, gateway, visit, stop).await;
            }
        }
    }
}

impl Gateway {
    /// Lets counters begin at 0, so that their first increase is seen.
    fn start_metrics(&self) {
        let reasons = PullRefusal::ALL.map(PullRefusal::as_str).into_iter();
        let of_clients = ClientRefusal::ALL.map(ClientRefusal::as_str);
        let reasons: Vec<_> = reasons.chain(of_clients).collect();
        let outcomes = PullOutcome::ALL.map(PullOutcome::as_str);
        self.context.metrics.start_gateway(&outcomes, &reasons);
    }

    /// Reads the file of `users` again if it is another one.
    fn refresh_users(&self) {
        let config = self.context.config.load();
        let gateway = config.gateway.as_ref();
        self.users
            .refresh(gateway.and_then(|gateway| gateway.users.as_ref()));
    }

    /// Reads the file of `allow` again if it is another one.
    fn refresh_allow_list(&self, read: &mut Option<(PathBuf, Option<FileFingerprint>)>) {
        let config = self.context.config.load();
        let Some(AllowList::File(path)) = config.gateway.as_ref().map(|gateway| &gateway.allow)
        else {
            return;
        };
        let now = Some((path.clone(), FileFingerprint::of(path)));
        if *read == now {
            return;
        }
        let is_first = read.is_none();
        *read = now;
        match ImagePatterns::read_file(path) {
            Ok((patterns, wrong)) => {
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
