//! What one client may ask for: requests per second, requests at a time, bytes in a day.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::http::HeaderMap;
use chrono::Utc;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    config::{ClientLimits, ClientNetwork},
    gateway::cache::GenerationCache,
    peers::network,
};

/// Most clients that are remembered in one generation.
const CLIENTS: usize = 10_000;
/// Requests at a time of one client where nothing limits them.
const CONCURRENT: usize = 256;

/// What every client used lately.
#[derive(Debug)]
pub(crate) struct ClientTable {
    clients: GenerationCache<IpAddr, Arc<ClientUsage>>,
}

/// What one client used lately.
#[derive(Debug)]
pub(crate) struct ClientUsage {
    /// Requests that it may make at once, and since when.
    tokens: Mutex<(f64, Instant)>,
    places: Arc<Semaphore>,
    /// The day, and the bytes that it was sent on that day.
    day: AtomicU64,
    bytes: AtomicU64,
}

/// The right to one request, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct ClientPermit {
    usage: Arc<ClientUsage>,
    _place: Option<OwnedSemaphorePermit>,
}

/// Which limit a client is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OverLimit {
    Rate,
    Concurrent,
    Bytes,
}

impl OverLimit {
    /// What the client reads of the reason.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Rate => "more requests per second than `client_limits` of [gateway] allows",
            Self::Concurrent => "more requests at a time than `client_limits` of [gateway] allows",
            Self::Bytes => "more bytes today than `client_limits` of [gateway] allows",
        }
    }
}

impl Default for ClientTable {
    fn default() -> Self {
        Self {
            clients: GenerationCache::new(CLIENTS),
        }
    }
}

impl ClientTable {
    /// Counts a request of a client, unless it is over a limit.
    pub(crate) fn admit(
        &self,
        client: IpAddr,
        limits: ClientLimits,
    ) -> Result<ClientPermit, OverLimit> {
        let new = || Arc::new(ClientUsage::new(limits));
        let usage = self.clients.get_or_insert(&network(client), new);
        usage.admit(limits)
    }
}

impl ClientUsage {
    fn new(limits: ClientLimits) -> Self {
        let burst = limits.requests_per_second.map_or(0.0, burst);
        Self {
            tokens: Mutex::new((burst, Instant::now())),
            places: Arc::new(Semaphore::new(limits.concurrent.unwrap_or(CONCURRENT))),
            day: AtomicU64::new(today()),
            bytes: AtomicU64::new(0),
        }
    }

    fn admit(self: Arc<Self>, limits: ClientLimits) -> Result<ClientPermit, OverLimit> {
        if let Some(most) = limits.bytes_per_day
            && self.day.load(Ordering::Relaxed) == today()
            && self.bytes.load(Ordering::Relaxed) >= most
        {
            return Err(OverLimit::Bytes);
        }
        if let Some(rate) = limits.requests_per_second {
            let mut tokens = self.tokens.lock();
            let now = Instant::now();
            let gained = now.duration_since(tokens.1).as_secs_f64() * rate;
            *tokens = ((tokens.0 + gained).min(burst(rate)), now);
            if tokens.0 < 1.0 {
                return Err(OverLimit::Rate);
            }
            tokens.0 -= 1.0;
        }
        match self.places.clone().try_acquire_owned() {
            Ok(place) => Ok(ClientPermit {
                usage: self,
                _place: Some(place),
            }),
            Err(_) => Err(OverLimit::Concurrent),
        }
    }
}

impl ClientPermit {
    /// Counts bytes that the client was sent.
    pub(crate) fn count(&self, bytes: u64) {
        let day = today();
        if self.usage.day.swap(day, Ordering::Relaxed) != day {
            self.usage.bytes.store(0, Ordering::Relaxed);
        }
        self.usage.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Requests that may come at once after a pause: an image has a dozen.
fn burst(rate: f64) -> f64 {
    (rate * 2.0).max(1.0)
}

fn today() -> u64 {
    u64::try_from(Utc::now().timestamp() / 86_400).unwrap_or_default()
}

/// The client behind a connection. What trusted proxies say is believed: the last address of
/// `X-Forwarded-For` that is not a trusted proxy's own.
pub(crate) fn client_of(peer: IpAddr, headers: &HeaderMap, trusted: &[ClientNetwork]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(peer) {
        return peer.to_canonical();
    }
    let values = headers.get_all("x-forwarded-for").iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = texts
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .collect();
    let mut client = peer;
    for hop in hops.into_iter().rev() {
        let Ok(address) = hop.parse::<IpAddr>() else {
            break;
        };
        client = address;
        if !is_trusted(address) {
            break;
        }
    }
    client.to_canonical()
}

#[cfg(test)]
mod tests;
