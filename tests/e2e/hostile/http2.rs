//! HTTP/2 as no client speaks it, against the listener of the gateway with TLS: frames are written by hand
//! ([RFC 9113](https://www.rfc-editor.org/rfc/rfc9113)).

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::hostile::health_watch::HealthWatch;
use crate::support::programs::gateway::{GatewayStage, OPEN};
use crate::support::registries::corpus::{Image, layer};

/// Most memory of its own.
const MEMORY: u64 = 160 << 20;
/// How long the attack lasts at least.
const ATTACK: Duration = Duration::from_secs(4);
/// Requests of one connection at a time, as the gateway announces.
const STREAMS: u32 = 64;
/// Frames that a flood sends through one connection at the most, and those within which it must be cut off: the
/// buffers of sockets take some more than the gateway reads.
const FLOOD: u32 = 1_000_000;
const CUT_OFF: u32 = 400_000;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// A frame as it is on the wire.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A string of HPACK without Huffman's code ([RFC 7541](https://www.rfc-editor.org/rfc/rfc7541#section-5.2)).
fn text(bytes: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    if length < 127 {
        bytes.push(length as u8);
    } else {
        bytes.push(127);
        length -= 127;
        while length >= 128 {
            bytes.push(128 | (length % 128) as u8);
            length /= 128;
        }
        bytes.push(length as u8);
    }
    bytes.extend(text.as_bytes());
}

/// The head of a GET.
fn get(path: &str) -> Vec<u8> {
    // `:method: GET` and `:scheme: https` are in the static table, `:path` and `:authority` by name.
    let mut head = vec![0x82, 0x87, 0x04];
    text(&mut head, path);
    head.push(0x01);
    text(&mut head, "127.0.0.1");
    head
}

/// A field that is not kept.
fn field(head: &mut Vec<u8>, name: &str, value: &str) {
    head.push(0);
    text(head, name);
    text(head, value);
}

/// A connection that speaks HTTP/2.
struct Speaker {
    reads: ReadHalf<TlsStream<TcpStream>>,
    writes: WriteHalf<TlsStream<TcpStream>>,
}

impl Speaker {
    /// A connection of an address of its own, with this window for each stream.
    async fn connect(gateway: &GatewayListener, from: u8, window: u32) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        let own = SocketAddr::from(([127, 0, 0, from], 0));
        socket.bind(own).unwrap();
        let stream = socket.connect(gateway.address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let tls = TlsConnector::from(gateway.tls.clone());
        let stream = tls.connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (reads, writes) = tokio::io::split(stream);
        let mut speaker = Self { reads, writes };
        let mut settings = INITIAL_WINDOW_SIZE.to_be_bytes().to_vec();
        settings.extend(window.to_be_bytes());
        let hello = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(SETTINGS, 0, 0, &settings),
        ];
        speaker.writes.write_all(&hello.concat()).await.unwrap();
        speaker
    }

    /// Sends what `next` makes of a number until the gateway has enough: how many frames or pairs of
    /// them it took.
    async fn flood(mut self, next: impl Fn(u32) -> Vec<u8>) -> u32 {
        let ended = async {
            while let Some((kind, ..)) = self.reads.frame().await {
                if kind == GOAWAY {
                    return;
                }
            }
        };
        let mut ended = std::pin::pin!(ended);
        for number in 0..FLOOD {
            let bytes = next(number);
            tokio::select! {
                biased;
                () = &mut ended => return number,
                written = self.writes.write_all(&bytes) => if written.is_err() {
                    return number;
                },
            }
            // What the gateway says is heard.
            tokio::task::yield_now().await;
        }
        FLOOD
    }

    /// Sends all of it and stays, reading nothing.
    async fn send_and_stay(mut self, bytes: Vec<u8>) {
        if self.writes.write_all(&bytes).await.is_ok() {
            std::future::pending::<()>().await;
        }
    }
}

trait Frames {
    /// Kind, stream and payload of the next frame.
    async fn frame(&mut self) -> Option<(u8, u32, Vec<u8>)>;
}

impl Frames for ReadHalf<TlsStream<TcpStream>> {
    async fn frame(&mut self) -> Option<(u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
        let mut payload = vec![0; length as usize];
        self.read_exact(&mut payload).await.ok()?;
        Some((head[3], stream, payload))
    }
}

/// What attackers know of the gateway.
#[derive(Clone)]
struct GatewayListener {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    /// The path of a layer that the target has.
    blob: String,
}

/// A gateway with TLS, and an image at its target.
struct Http2Siege {
    stage: GatewayStage,
    folder: TempDir,
    listener: GatewayListener,
    image: Image,
}

impl Http2Siege {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let leaf = leaf.self_signed(&key).unwrap();
        let path = folder.path();
        fs::write(path.join("gw.key"), key.serialize_pem()).unwrap();
        fs::write(path.join("gw.pem"), leaf.pem()).unwrap();
        let path = path.display();
        let keys = format!(
            "{OPEN}\ntls = {{ cert_file = \"{path}/gw.pem\", key_file = \"{path}/gw.key\" }}"
        );
        let image = Image::oci_with("app", vec![layer("large", 8 << 20)]);
        let stage = GatewayStage::start(&keys, |source| source.client().push("app", "v1", &image));
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from(leaf.der().to_vec()))
            .unwrap();
        let mut tls = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let listener = GatewayListener {
            address: stage.address().parse().unwrap(),
            tls: Arc::new(tls),
            blob: format!("/v2/app/blobs/{}", image.blobs[1].digest()),
        };
        Self {
            stage,
            folder,
            listener,
            image,
        }
    }

    /// An honest client pulls the layer over HTTP/2.
    #[track_caller]
    fn expect_pulls(&self) {
        let manifest = self.curl("/v2/app/manifests/v1");
        assert!(manifest == self.image.bytes);
        assert!(self.curl(&self.listener.blob) == self.image.blobs[1].bytes);
    }

    #[track_caller]
    fn curl(&self, path: &str) -> Vec<u8> {
        let file = self.folder.path().join("body");
        let mut command = Command::new("curl");
        command.args(["--silent", "--noproxy", "*", "--http2", "--cacert"]);
        command.arg(self.folder.path().join("gw.pem"));
        command.args(["--max-time", "30", "--output"]).arg(&file);
        command.args(["--write-out", "%{http_version} %{http_code}"]);
        command.arg(format!("https://{}{path}", self.listener.address));
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(told, "2 200", "{path}");
        fs::read(&file).unwrap()
    }
}

/// Each request is taken back at once, so that it never counts as open.
async fn rapid_reset(gateway: GatewayListener, from: u8) -> u32 {
    let head = get("/v2/app/manifests/v1");
    let speaker = Speaker::connect(&gateway, from, 65_535).await;
    let next = |number: u32| {
        let stream = 2 * number + 1;
        let request = frame(HEADERS, END_STREAM | END_HEADERS, stream, &head);
        let cancel = frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
        [request, cancel].concat()
    };
    speaker.flood(next).await
}

/// A head that never ends.
async fn endless_head(gateway: GatewayListener, from: u8) -> u32 {
    let speaker = Speaker::connect(&gateway, from, 65_535).await;
    let mut fields = Vec::new();
    while fields.len() < 16_000 {
        field(&mut fields, "x-padding", &"x".repeat(100));
    }
    let next = |number: u32| match number {
        0 => frame(HEADERS, END_STREAM, 1, &get("/v2/")),
        _ => frame(CONTINUATION, 0, 1, &fields),
    };
    speaker.flood(next).await
}

/// Pieces of a head without a byte, which no limit of bytes ends.
async fn empty_continuations(gateway: GatewayListener, from: u8) -> u32 {
    let speaker = Speaker::connect(&gateway, from, 65_535).await;
    let next = |number: u32| match number {
        0 => frame(HEADERS, END_STREAM, 1, &get("/v2/")),
        _ => frame(CONTINUATION, 0, 1, &[]),
    };
    speaker.flood(next).await
}

/// Small heads that say one large field thousands of times, by its place in the dynamic table.
fn compressed_bomb(streams: u32) -> Vec<u8> {
    let mut first = get("/v2/");
    first.push(0x40);
    text(&mut first, "x-large");
    text(&mut first, &"x".repeat(3900));
    let mut bomb = get("/v2/");
    bomb.extend([0xbe; 16_000]);
    let mut bytes = frame(HEADERS, END_STREAM | END_HEADERS, 1, &first);
    for number in 1..streams {
        let flags = END_STREAM | END_HEADERS;
        bytes.extend(frame(HEADERS, flags, 2 * number + 1, &bomb));
    }
    bytes
}

/// As many requests for one path as `streams`.
fn requests(path: &str, streams: u32) -> Vec<u8> {
    let head = get(path);
    let request = |number| frame(HEADERS, END_STREAM | END_HEADERS, 2 * number + 1, &head);
    (0..streams).flat_map(request).collect()
}

/// Requests whose answers have a window of so many bytes, and then never another one.
async fn closed_window(gateway: GatewayListener, from: u8, window: u32) {
    let speaker = Speaker::connect(&gateway, from, window).await;
    speaker
        .send_and_stay(requests(&gateway.blob, STREAMS))
        .await;
}

/// Answers that are read byte by byte.
async fn single_byte_windows(gateway: GatewayListener, from: u8) {
    let mut speaker = Speaker::connect(&gateway, from, 0).await;
    let asked = requests(&gateway.blob, STREAMS);
    speaker.writes.write_all(&asked).await.unwrap();
    let reads = async { while speaker.reads.frame().await.is_some() {} };
    let opens = async {
        loop {
            for number in 0..STREAMS {
                let one = frame(WINDOW_UPDATE, 0, 2 * number + 1, &1_u32.to_be_bytes());
                if speaker.writes.write_all(&one).await.is_err() {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::join!(reads, opens);
}

/// Frames that ask for an answer, from somebody who reads none.
async fn unread_pings(gateway: GatewayListener, from: u8) {
    let speaker = Speaker::connect(&gateway, from, 65_535).await;
    let pings = frame(PING, 0, 0, &[7; 8]).repeat(200_000);
    let settings = frame(SETTINGS, 0, 0, &[]).repeat(200_000);
    speaker.send_and_stay([pings, settings].concat()).await;
}

/// Heads that grow when they are read.
async fn growing_heads(gateway: GatewayListener, from: u8) {
    let speaker = Speaker::connect(&gateway, from, 65_535).await;
    speaker.send_and_stay(compressed_bomb(STREAMS)).await;
}

/// The most frames that each flood got through one connection, and how many connections it had.
type Floods = Arc<Mutex<BTreeMap<&'static str, (u32, u32)>>>;

/// Attackers that the gateway must cut off. They come again.
fn flood(runtime: &Runtime, gateway: &GatewayListener) -> (JoinSet<()>, Floods) {
    let (mut attackers, ends) = (JoinSet::new(), Floods::default());
    for number in 0..6 {
        let (gateway, ends) = (gateway.clone(), ends.clone());
        let attack = async move {
            loop {
                let to = gateway.clone();
                let (kind, frames) = match number % 3 {
                    0 => ("rapid reset", rapid_reset(to, 2).await),
                    1 => ("endless head", endless_head(to, 3).await),
                    _ => ("empty continuations", empty_continuations(to, 4).await),
                };
                {
                    let mut ends = ends.lock().unwrap();
                    let (most, connections) = ends.entry(kind).or_default();
                    (*most, *connections) = (frames.max(*most), *connections + 1);
                }
                // Handshakes would be most of what is measured.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        attackers.spawn_on(attack, runtime.handle());
    }
    (attackers, ends)
}

#[test]
fn attack_by_http2_leaves_daemon_within_its_bounds() {
    let siege = Http2Siege::start();
    let runtime = Runtime::new().unwrap();
    let (mut attackers, floods) = flood(&runtime, &siege.listener);
    for number in 0..2 {
        let (gateway, handle) = (siege.listener.clone(), runtime.handle());
        let window = [0, 60 << 10][number];
        attackers.spawn_on(closed_window(gateway.clone(), 5, window), handle);
        attackers.spawn_on(single_byte_windows(gateway.clone(), 6), handle);
        attackers.spawn_on(growing_heads(gateway.clone(), 7), handle);
        attackers.spawn_on(unread_pings(gateway, 8), handle);
    }
    let began = Instant::now();
    let mut health = HealthWatch::default();
    let daemon = siege.stage.daemon();
    // The streams whose windows are closed are open, and the honest client is served.
    let is_open =
        |connections: u32| siege.stage.pulls("blob", "hit") >= f64::from(connections * STREAMS);
    daemon.until_true("the end of the attack", |daemon| {
        health.look(daemon);
        siege.expect_pulls();
        began.elapsed() > ATTACK && is_open(4) && floods.lock().unwrap().len() == 3
    });
    attackers.abort_all();
    let floods = floods.lock().unwrap();
    eprintln!("{health}, {floods:?}");
    health.assert_within(MEMORY);
    for (flood, (frames, _)) in floods.iter() {
        assert!(*frames < CUT_OFF, "{flood}: {frames}");
    }
    let log = daemon.log();
    assert!(log.len() < 1 << 20, "{}", log.len());
}
