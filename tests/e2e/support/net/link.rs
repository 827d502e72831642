//! A long, lossy link before a registry: delay, rates, resets and silence, and a count of all that crosses it.
//!
//! Each direction of a connection is paced apart: a byte leaves when its flow and the whole link have sent what came before,
//! and arrives half a round trip later. What is on the way is bounded by a window, as a TCP flow's is, not by one read.
//! A connection's first byte waits for the round trip of a handshake. Slow start is not imitated.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep_until};

use crate::support::registries::faults;

/// Most bytes that one read takes off a socket.
const FRAME: usize = 32 << 10;

/// What a link does to what crosses it; the default does nothing but count.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkQuality {
    pub round_trip: Duration,
    /// Bytes per second of one direction of one connection; without one, no limit.
    pub flow_rate: Option<u64>,
    /// Bytes per second of one direction of all connections together.
    pub total_rate: Option<u64>,
    /// The connection that carries it is reset each time about so many bytes have crossed the link in all.
    pub reset_every: Option<u64>,
    /// The same, but the connection falls silent for ever, in both directions.
    pub stall_every: Option<u64>,
}

impl LinkQuality {
    /// Most bytes of one direction of one connection that are on the way.
    fn window(&self) -> usize {
        let rate = self.flow_rate.or(self.total_rate);
        let in_flight = rate.unwrap_or_default() as f64 * self.round_trip.as_secs_f64();
        in_flight as usize + (256 << 10)
    }
}

/// What has crossed a link since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crossed {
    /// Bytes towards the registry, with the headers of HTTP.
    pub up: u64,
    /// Bytes from the registry.
    pub down: u64,
    pub connections: u64,
    pub resets: u64,
    pub stalls: u64,
}

/// A running link to one host; it ends with the value.
pub struct Link {
    host: String,
    shared: Arc<LinkState>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Link {
    /// A link to `target`, such as `127.0.0.1:5000`, in this weather.
    pub fn to(target: &str, weather: LinkQuality) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(async { listen() });
        let host = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(LinkState::new(target, weather));
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        Self {
            host,
            shared,
            runtime: Some(runtime),
        }
    }

    /// `127.0.0.1:PORT`, which stands for the target.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Makes it another link for the connections that are opened from now on.
    pub fn set_quality(&self, quality: LinkQuality) {
        let now = Instant::now();
        *locked(&self.shared.weather) = quality;
        for queue in [&self.shared.up, &self.shared.down] {
            *locked(queue) = Queue::new(quality.total_rate, now);
        }
        *locked(&self.shared.faults) = Faults::new(quality);
    }

    /// What has crossed so far.
    pub fn crossed(&self) -> Crossed {
        let Counters {
            up,
            down,
            connections,
            resets,
            stalls,
        } = &self.shared.counters;
        let [up, down, connections, resets, stalls] =
            [up, down, connections, resets, stalls].map(|count| count.load(Ordering::Relaxed));
        Crossed {
            up,
            down,
            connections,
            resets,
            stalls,
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A queue of which one byte leaves after the other: when each frame has left it.
#[derive(Clone, Copy, Debug)]
pub struct Queue {
    rate: Option<u64>,
    free: Instant,
}

impl Queue {
    pub fn new(rate: Option<u64>, free: Instant) -> Self {
        Self { rate, free }
    }

    /// When `bytes` that join the queue now have left it.
    pub fn pass(&mut self, now: Instant, bytes: usize) -> Instant {
        let nanoseconds = self
            .rate
            .map_or(0, |rate| bytes as u64 * 1_000_000_000 / rate.max(1));
        self.free = self.free.max(now) + Duration::from_nanos(nanoseconds);
        self.free
    }
}

#[derive(Default)]
struct Counters {
    up: AtomicU64,
    down: AtomicU64,
    connections: AtomicU64,
    resets: AtomicU64,
    stalls: AtomicU64,
}

/// What both directions of every connection share.
struct LinkState {
    target: String,
    weather: Mutex<LinkQuality>,
    counters: Counters,
    up: Mutex<Queue>,
    down: Mutex<Queue>,
    faults: Mutex<Faults>,
}

impl LinkState {
    fn new(target: &str, weather: LinkQuality) -> Self {
        let queue = || Mutex::new(Queue::new(weather.total_rate, Instant::now()));
        Self {
            target: target.to_owned(),
            weather: Mutex::new(weather),
            counters: Counters::default(),
            up: queue(),
            down: queue(),
            faults: Mutex::new(Faults::new(weather)),
        }
    }

    /// Counts a frame and says what befalls its connection.
    fn count(&self, way: Way, bytes: usize) -> Option<Fate> {
        let counter = match way {
            Way::Up => &self.counters.up,
            Way::Down => &self.counters.down,
        };
        counter.fetch_add(bytes as u64, Ordering::Relaxed);
        let fate = locked(&self.faults).strike(bytes as u64)?;
        let counter = match fate {
            Fate::Reset => &self.counters.resets,
            Fate::Silence => &self.counters.stalls,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        faults::injected();
        Some(fate)
    }

    /// When a frame that joins the whole link's queue now has left it.
    fn pass(&self, way: Way, bytes: usize) -> Instant {
        let queue = match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        };
        locked(queue).pass(Instant::now(), bytes)
    }
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Up,
    Down,
}

/// What befalls a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Reset,
    Silence,
}

/// How far the next reset and the next silence are, in bytes of all connections.
#[derive(Debug)]
pub struct Faults {
    chance: fastrand::Rng,
    weather: LinkQuality,
    until_reset: u64,
    until_stall: u64,
}

impl Faults {
    pub fn new(weather: LinkQuality) -> Self {
        let mut faults = Self {
            chance: fastrand::Rng::with_seed(1),
            weather,
            until_reset: 0,
            until_stall: 0,
        };
        faults.until_reset = faults.gap(weather.reset_every);
        faults.until_stall = faults.gap(weather.stall_every);
        faults
    }

    /// What befalls the connection that carries these bytes.
    pub fn strike(&mut self, bytes: u64) -> Option<Fate> {
        self.until_reset = self.until_reset.saturating_sub(bytes);
        self.until_stall = self.until_stall.saturating_sub(bytes);
        if self.until_reset == 0 {
            self.until_reset = self.gap(self.weather.reset_every);
            return Some(Fate::Reset);
        }
        if self.until_stall == 0 {
            self.until_stall = self.gap(self.weather.stall_every);
            return Some(Fate::Silence);
        }
        None
    }

    /// Between half of `mean` and one and a half times as much.
    fn gap(&mut self, mean: Option<u64>) -> u64 {
        let mean = mean.map(|mean| mean.max(2));
        mean.map_or(u64::MAX, |mean| self.chance.u64(mean / 2..=mean + mean / 2))
    }
}

/// A socket whose kernel does not swallow megabytes before the link has seen them.
fn small_socket() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(128 << 10).unwrap();
    socket
}

fn listen() -> TcpListener {
    let socket = small_socket();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    socket.listen(1024).unwrap()
}

async fn accept(listener: TcpListener, shared: Arc<LinkState>) {
    // The connections end with the link.
    let mut carried = tokio::task::JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        shared.counters.connections.fetch_add(1, Ordering::Relaxed);
        carried.spawn(carry(client, Arc::clone(&shared)));
        while carried.try_join_next().is_some() {}
    }
}

/// Carries one connection until both directions have ended, or until it breaks.
async fn carry(mut client: TcpStream, shared: Arc<LinkState>) {
    let weather = *locked(&shared.weather);
    let opened = Instant::now() + weather.round_trip;
    let target: SocketAddr = shared.target.parse().expect("an address of this machine");
    let Ok(mut server) = small_socket().connect(target).await else {
        return break_off(&client);
    };
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let pump = |way| Pump {
        way,
        opened,
        weather,
        shared: &shared,
        room: Semaphore::new(weather.window()),
    };
    let (up, down) = (pump(Way::Up), pump(Way::Down));
    let ended = tokio::try_join!(
        up.run(from_client, to_server),
        down.run(from_server, to_client)
    );
    match ended {
        Ok(_) => {}
        // What breaks breaks at both ends.
        Err(Fate::Reset) => [&client, &server].into_iter().for_each(break_off),
        // Both ends stay open, and neither hears of the other again.
        Err(Fate::Silence) => std::future::pending().await,
    }
}

/// Lets the connection end with a reset when it is dropped.
fn break_off(stream: &TcpStream) {
    drop(stream.set_zero_linger());
}

/// A frame, and when it arrives.
type Sent = (Instant, Vec<u8>);

/// One direction of one connection.
struct Pump<'a> {
    way: Way,
    opened: Instant,
    weather: LinkQuality,
    shared: &'a LinkState,
    /// For as many bytes as may still be on the way.
    room: Semaphore,
}

impl Pump<'_> {
    async fn run(&self, from: ReadHalf<'_>, to: WriteHalf<'_>) -> Result<(), Fate> {
        // The room bounds what waits here.
        let (sender, sent) = mpsc::unbounded_channel();
        tokio::try_join!(self.send(from, sender), self.deliver(sent, to))?;
        Ok(())
    }

    async fn send(
        &self,
        mut from: ReadHalf<'_>,
        sender: mpsc::UnboundedSender<Sent>,
    ) -> Result<(), Fate> {
        let mut flow = Queue::new(self.weather.flow_rate, self.opened);
        let mut frame = vec![0; FRAME];
        loop {
            let length = from.read(&mut frame).await.map_err(|_| Fate::Reset)?;
            if length == 0 {
                return Ok(());
            }
            if let Some(fate) = self.shared.count(self.way, length) {
                return Err(fate);
            }
            if let Ok(room) = self.room.acquire_many(length as u32).await {
                room.forget();
            }
            let left = flow.pass(Instant::now(), length);
            let left = left.max(self.shared.pass(self.way, length));
            let arrives = left + self.weather.round_trip / 2;
            // Who delivers fails this direction when it fails.
            drop(sender.send((arrives, frame[..length].to_vec())));
        }
    }

    async fn deliver(
        &self,
        mut sent: mpsc::UnboundedReceiver<Sent>,
        mut to: WriteHalf<'_>,
    ) -> Result<(), Fate> {
        while let Some((arrives, frame)) = sent.recv().await {
            if arrives > Instant::now() {
                sleep_until(arrives).await;
            }
            to.write_all(&frame).await.map_err(|_| Fate::Reset)?;
            self.room.add_permits(frame.len());
        }
        // The other direction may have more to say.
        drop(to.shutdown().await);
        Ok(())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
