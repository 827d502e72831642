//! Everything at once against the listener of the gateway, by clients and by an upstream, while a run
//! mirrors an honest source and an honest client pulls.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::hostile::attack;
use crate::hostile::health_watch::HealthWatch;
use crate::support::programs::daemon::Daemon;
use crate::support::programs::gateway::{GatewayStage, OPEN, gateway_toml};
use crate::support::programs::supervisor::Supervisor;
use crate::support::registries::client::digest_of;
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::wait_until;

/// Most memory of its own: that of the other attack, and the windows, manifests and lists of the gateway. The
/// units allow 512 MiB.
const MEMORY: u64 = 320 << 20;
/// How long the attack lasts at least.
const ATTACK: Duration = Duration::from_secs(8);
/// Requests for names that are not there.
const MISSES: usize = 10_000;
/// How long they may take: a debug build answers about 200 a second beside everything else.
const FLOOD: Duration = Duration::from_secs(240);
/// Connections that ask and do not read.
const UNREAD: usize = 250;
/// Large indexes of the upstream.
const BOMBS: usize = 6;

/// Repositories whose blobs are no blobs.
const HOSTILE: [&str; 3] = ["longer", "single-bytes", "elsewhere"];

/// An image whose layers are said to be large.
fn large_image(name: &str) -> Image {
    let mut image = Image::oci(name);
    let mut manifest: serde_json::Value = serde_json::from_slice(&image.bytes).unwrap();
    for layer in manifest["layers"].as_array_mut().unwrap() {
        layer["size"] = json!(64 << 20);
    }
    image.bytes = manifest.to_string().into();
    image
}

/// An upstream that misbehaves in each repository in another way.
fn hostile_upstream() -> Fake {
    let fake = Fake::start();
    let padding = "x".repeat(3_900_000);
    let bombs: Vec<(String, Bytes)> = (0..BOMBS)
        .map(|number| {
            let bomb = json!({
                "schemaVersion": 2,
                "manifests": [{ "digest": format!("sha256:{number:064x}"), "size": 1 }],
                "annotations": { "a": padding, "number": number },
            });
            let bytes = Bytes::from(bomb.to_string());
            (digest_of(&bytes), bytes)
        })
        .collect();
    for repository in HOSTILE {
        fake.client()
            .push(repository, "v1", &large_image(repository));
    }
    fake.rule(move |request| {
        let path = request.path.as_str();
        let answer = if path.starts_with("/v2/bombs/manifests/") {
            bomb(&bombs, path)
        } else if path.starts_with("/v2/endless/manifests/") {
            let piece = Bytes::from("[".repeat(64 << 10));
            let pieces = stream::repeat(piece).map(Ok::<_, std::io::Error>);
            Some(Response::new(Body::from_stream(pieces)))
        } else if path.contains("/blobs/sha256:") && request.method == "GET" {
            blob(path)
        } else {
            None
        };
        answer.map_or(Verdict::Serve, Verdict::Answer)
    });
    fake
}

fn bomb(bombs: &[(String, Bytes)], path: &str) -> Option<Response<Body>> {
    let name = path.rsplit('/').next()?;
    let number = name.strip_prefix('v').and_then(|text| text.parse().ok());
    let by_digest = || bombs.iter().find(|(digest, _)| digest == name);
    let (digest, bytes) = number.map_or_else(by_digest, |number: usize| bombs.get(number))?;
    Response::builder()
        .header(
            header::CONTENT_TYPE,
            "application/vnd.oci.image.index.v1+json",
        )
        .header("docker-content-digest", digest)
        .body(Body::from(bytes.clone()))
        .ok()
}

/// Content that is longer than its descriptor says, comes in single bytes, or lies where no registry may
/// send anybody.
fn blob(path: &str) -> Option<Response<Body>> {
    let longer = stream::repeat(Bytes::from("x".repeat(64 << 10))).map(Ok::<_, std::io::Error>);
    // Frames are as small as can be, and as many as a debug build on a busy machine takes.
    let single = stream::iter(0_u64..).then(|number| async move {
        if number % 1000 == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok::<_, std::io::Error>(Bytes::from_static(b"x"))
    });
    let moved = Response::builder()
        .status(StatusCode::TEMPORARY_REDIRECT)
        .header(header::LOCATION, "http://169.254.169.254/latest/meta-data/");
    match path.split('/').nth(2)? {
        "longer" => Some(Response::new(Body::from_stream(longer))),
        "single-bytes" => Some(Response::new(Body::from_stream(single))),
        "elsewhere" => moved.body(Body::empty()).ok(),
        _ => None,
    }
}

/// A connection of an address of its own, so that honest clients have theirs.
async fn connect(from: u8, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from(([127, 0, 0, from], 0)))?;
    socket.connect(to).await
}

async fn send(stream: &mut TcpStream, path: &str, headers: &str) -> std::io::Result<()> {
    let text = format!("GET {path} HTTP/1.1\r\nhost: gateway\r\n{headers}\r\n");
    stream.write_all(text.as_bytes()).await
}

/// Asks for what is large, and reads none of it.
async fn unread(to: SocketAddr, number: usize, paths: Arc<Vec<String>>) {
    let Ok(mut stream) = connect(2, to).await else {
        return;
    };
    let _ = send(&mut stream, &paths[number % paths.len()], "").await;
    std::future::pending::<()>().await;
}

/// Writes a head, a byte at a time, and never ends it.
async fn slow_head(to: SocketAddr) {
    let Ok(mut stream) = connect(3, to).await else {
        return;
    };
    for byte in b"GET /v2/ HTTP/1.1\r\nhost: gateway\r\nx: ".iter().cycle() {
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Reads a byte a second of an image's largest blob.
async fn slow_reader(to: SocketAddr, path: String) {
    let Ok(mut stream) = connect(4, to).await else {
        return;
    };
    let _ = send(&mut stream, &path, "").await;
    while let Ok(1..) = stream.read(&mut [0]).await {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Sends what is too long or means something else, and names that are not there, and reads the answers.
async fn flood(to: SocketAddr, evil: String, port: String, answered: Arc<AtomicUsize>) {
    let long = "x".repeat(60_000);
    let odd = [
        (format!("/v2/{long}/manifests/v1"), String::new()),
        (format!("/v2/app/manifests/v1?ns={long}"), String::new()),
        (
            format!("/v2/app/manifests/v1?ns=169.254.169.254%3A{port}"),
            String::new(),
        ),
        (
            format!("/v2/app/manifests/v1?ns=127.0.0.1%3A{port}"),
            String::new(),
        ),
        ("/v2/../../etc/passwd/manifests/v1".into(), String::new()),
        ("/v2/a%2F..%2F..%2Fb/blobs/sha256:..".into(), String::new()),
        (
            "/v2/app/manifests/v1".into(),
            format!("range: bytes={}\r\n", "0-1,".repeat(12_000)),
        ),
        ("/v2/app/manifests/v1".into(), "x: y\r\n".repeat(4000)),
        (
            "/v2/app/manifests/v1".into(),
            format!("authorization: Bearer {}\r\n", "secret".repeat(5000)),
        ),
    ];
    for (path, headers) in &odd {
        if let Ok(mut stream) = connect(5, to).await {
            let _ = send(&mut stream, path, headers).await;
            let _ = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut [0; 64])).await;
        }
    }
    let Ok(mut stream) = connect(5, to).await else {
        return;
    };
    while answered.load(Ordering::Relaxed) < MISSES {
        let number = answered.fetch_add(1, Ordering::Relaxed);
        let path = match number % 3 {
            0 => format!("/v2/unlisted-{number}/manifests/v1"),
            1 => format!("/v2/{evil}/gone-{number}/manifests/v1"),
            _ => format!("/v2/{evil}/longer/blobs/sha256:{number:064x}"),
        };
        let asked = send(&mut stream, &path, "").await;
        if asked.is_err() || !matches!(stream.read(&mut [0; 4096]).await, Ok(1..)) {
            let Ok(again) = connect(5, to).await else {
                return;
            };
            stream = again;
        }
    }
}

/// What stands behind the gateway, and the watch over the daemon.
struct GatewaySiege {
    stage: GatewayStage,
    supervisor: Supervisor,
    evil: Fake,
    others: [attack::Attacker; 3],
    tool: Image,
}

impl GatewaySiege {
    fn start() -> Self {
        let evil = hostile_upstream();
        let others = [
            attack::long_listings(),
            attack::many_referrers(),
            attack::long_tokens(),
        ];
        let hosts = others
            .iter()
            .map(|other| other.fake.host())
            .chain([evil.host()]);
        let allowed: String = hosts
            .clone()
            .map(|host| format!(", \"{host}/**\""))
            .collect();
        let registries: String = hosts
            .map(|host| format!("\n[registries.\"{host}\"]\nplain_http = true\n"))
            .collect();
        let keys = OPEN.replace(']', &format!("{allowed}]"));
        let text = gateway_toml(&keys, "") + &registries;
        let text = text.replace("0 0 1 1 *", "*/2 * * * * *");
        let tool = Image::oci("tool");
        let mut supervisor = None;
        let stage = GatewayStage::configured(&text, |source, transship| {
            source.client().push("tool", "v1", &tool);
            supervisor = Some(Supervisor::of(transship));
            transship.set_env("WATCHDOG_USEC", "2000000");
        });
        let supervisor = supervisor.expect("it was made");
        Self {
            stage,
            supervisor,
            evil,
            others,
            tool,
        }
    }

    /// What the clients that do not read ask for.
    fn large_paths(&self) -> Vec<String> {
        let evil = self.evil.host();
        let [listings, signed, tokens] = self.others.each_ref().map(|other| other.fake.host());
        let bombs = (0..BOMBS).map(|number| format!("/v2/{evil}/bombs/manifests/v{number}"));
        let blobs = HOSTILE.iter().flat_map(|repository| {
            let image = large_image(repository);
            let digests = image.blobs.iter().map(|blob| blob.digest());
            let blobs = digests.map(|digest| format!("/v2/{evil}/{repository}/blobs/{digest}"));
            let manifest = format!("/v2/{evil}/{repository}/manifests/v1");
            [vec![manifest], blobs.collect()].concat()
        });
        let referred = Image::oci("signed 0").digest();
        let others = [
            format!("/v2/{evil}/endless/manifests/v1"),
            format!("/v2/{listings}/listings/app0/tags/list"),
            format!("/v2/{signed}/referrers/app0/referrers/{referred}"),
            format!("/v2/{tokens}/tokens/app0/manifests/v1"),
        ];
        bombs.chain(blobs).chain(others).collect()
    }

    /// Begins the attack. Returns how many names that are not there were asked for.
    fn begin(&self, attackers: &mut JoinSet<()>, runtime: &Runtime) -> Arc<AtomicUsize> {
        let handle = runtime.handle();
        let to: SocketAddr = self.stage.address().parse().unwrap();
        let paths = Arc::new(self.large_paths());
        for number in 0..UNREAD {
            attackers.spawn_on(unread(to, number, paths.clone()), handle);
        }
        for _ in 0..100 {
            attackers.spawn_on(slow_head(to), handle);
        }
        attackers.spawn_on(slow_reader(to, self.layer()), handle);
        let answered = Arc::new(AtomicUsize::new(0));
        let evil = self.evil.host();
        let port = evil.rsplit_once(':').unwrap().1;
        for _ in 0..8 {
            let flood = flood(to, evil.to_owned(), port.to_owned(), answered.clone());
            attackers.spawn_on(flood, handle);
        }
        answered
    }

    fn layer(&self) -> String {
        format!("/v2/tool/blobs/{}", self.tool.blobs[1].digest())
    }

    /// An honest client pulls.
    #[track_caller]
    fn expect_pulls(&self) {
        let manifest = self.stage.client.get("/v2/tool/manifests/v1");
        assert_eq!(
            (manifest.status.as_u16(), &manifest.body),
            (200, &self.tool.bytes)
        );
        let blob = self.stage.client.get(&self.layer());
        assert_eq!((blob.status.as_u16(), blob.is_broken), (200, false));
    }
}

#[test]
fn attack_on_the_gateway_leaves_daemon_within_its_bounds() {
    let mut siege = GatewaySiege::start();
    let (runtime, mut attackers) = (Runtime::new().unwrap(), JoinSet::new());
    let answered = siege.begin(&mut attackers, &runtime);
    // The honest source has something new meanwhile.
    for number in 0..20 {
        let image = Image::oci(&format!("honest {number}"));
        let honest = siege.stage.source.client();
        honest.push("app", &format!("n{number}"), &image);
    }
    let began = Instant::now();
    let mut health = HealthWatch::default();
    let target = siege.stage.target.client();
    let daemon = siege.stage.daemon();
    let mut watch = |daemon: &Daemon| {
        health.look(daemon);
        siege.expect_pulls();
    };
    daemon.until_true("the honest sync under attack", |daemon| {
        watch(daemon);
        let has_all = target.tags("mirror/app").len() == 21;
        has_all && began.elapsed() > ATTACK
    });
    let misses = || answered.load(Ordering::Relaxed);
    let all = wait_until(FLOOD, Duration::from_millis(50), || {
        watch(daemon);
        (misses() >= MISSES).then_some(())
    });
    assert!(all.is_some(), "only {} misses", misses());
    siege.supervisor.pass_over();
    siege.supervisor.expect(daemon, "WATCHDOG=1");
    attackers.abort_all();
    eprintln!("{health}, {:?}", began.elapsed());
    let log = daemon.log();
    health.assert_within(MEMORY);
    assert!(log.len() < 1 << 20, "{}", log.len());
    assert!(!log.contains("secretsecret"));
    let asked = siege.stage.source.requests();
    assert!(asked.iter().all(|request| request.authorization.is_none()));
}
