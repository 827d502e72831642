//! The gateway, and the pull-through proxies that are installed, between many clients and one upstream.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::options::Options;
use crate::process;
use crate::stage::{guard, hand::Hand, link_check};
use crate::support::net::link::{Link, LinkQuality};
use crate::support::registries::corpus::OCI_MANIFEST;
use crate::support::registries::registry::Registry;
use crate::table::report::Report;
use crate::tools::{self, Address};

const MIB: f64 = 1_048_576.0;
const LAYERS: usize = 3;
const MANIFESTS: usize = 1000;
const HEAD: &str = "\
| proxy | case | seconds | first byte, ms | upstream blob requests | upstream bytes ÷ image | CPU s | peak MiB |
| --- | --- | --: | --: | --: | --: | --: | --: |
";
const WARM_HEAD: &str = "\
| proxy | manifest p50, ms | manifest p99, ms | blob, MiB/s | requests to upstream |
| --- | --: | --: | --: | --: |
";

/// What answers pulls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proxy {
    Transship,
    /// Debian's docker-registry, distribution 2.
    DockerRegistry,
    /// distribution 3, as `registry` on the PATH.
    Distribution,
    Zot,
}

const PROXIES: [Proxy; 4] = [
    Proxy::Transship,
    Proxy::DockerRegistry,
    Proxy::Distribution,
    Proxy::Zot,
];

impl Proxy {
    fn name(self) -> &'static str {
        match self {
            Self::Transship => "transship",
            Self::DockerRegistry => "docker-registry",
            Self::Distribution => "registry",
            Self::Zot => "zot",
        }
    }

    fn program(self) -> Option<PathBuf> {
        match self {
            Self::Transship => Some(tools::transship()),
            Self::DockerRegistry | Self::Distribution | Self::Zot => tools::on_path(self.name()),
        }
    }

    /// The file that configures it, and the arguments that start it.
    fn configured(
        self,
        upstream: &Address,
        target: &Address,
        port: u16,
    ) -> (String, &'static [&'static str]) {
        match self {
            Self::Transship => (
                transship_toml(upstream, target, port),
                &["--config", "proxy.conf", "serve"],
            ),
            Self::DockerRegistry | Self::Distribution => {
                let text = format!(
                    "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
                     storage: {{filesystem: {{rootdirectory: data}}}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\n\
                     proxy: {{remoteurl: \"{}\"}}\n",
                    upstream.base()
                );
                (text, &["serve", "proxy.conf"])
            }
            Self::Zot => (zot_json(upstream, port), &["serve", "proxy.conf"]),
        }
    }
}

fn transship_toml(upstream: &Address, target: &Address, port: u16) -> String {
    let (upstream, target) = (
        (upstream.toml(""), &upstream.host),
        (target.toml(""), &target.host),
    );
    let ((upstream_table, upstream), (target_table, target)) = (upstream, target);
    format!(
        "[state]\npath = \"state.db\"\n[http]\nlisten = \"127.0.0.1:0\"\n{upstream_table}{target_table}\
         [defaults]\ntarget = \"{target}/mirror\"\n\
         [gateway]\nlisten = \"127.0.0.1:{port}\"\nregistry = \"{upstream}\"\nallow = [\"{upstream}/**\"]\n\
         target = \"{target}/cache\"\n[[mirror]]\nfrom = \"{upstream}/bench/listed\"\ntags = \"*\"\n"
    )
}

fn zot_json(upstream: &Address, port: u16) -> String {
    let registry = json!({
        "urls": [upstream.base()], "onDemand": true, "tlsVerify": upstream.has_tls(),
        "content": [{"prefix": "**"}],
    });
    let config = json!({
        "storage": {"rootDirectory": "data", "gc": false},
        "http": {"address": "127.0.0.1", "port": port.to_string(), "compat": ["docker2s2"]},
        "log": {"level": "error"},
        "extensions": {"sync": {"enable": true, "registries": [registry]}},
    });
    config.to_string()
}

/// A running proxy before an upstream; both end with the value.
struct ProxyStage {
    proxy: Proxy,
    source: Registry,
    _target: Registry,
    _link: Link,
    child: Child,
    base: String,
    _folder: TempDir,
    runtime: Runtime,
}

impl Drop for ProxyStage {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An image of the upstream: its repository, and its layers with their sizes.
struct Pushed {
    repository: String,
    layers: Vec<(String, u64)>,
}

impl Pushed {
    fn bytes(&self) -> u64 {
        self.layers.iter().map(|(_, size)| size).sum()
    }
}

impl ProxyStage {
    fn start(proxy: Proxy, program: PathBuf, quality: LinkQuality, options: &Options) -> Self {
        let guard = guard(options);
        let (source, target) = (Registry::guarded(guard), Registry::guarded(guard));
        let folder = TempDir::new().unwrap();
        let link = Link::to(source.host(), quality);
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let upstream = Address::of(&source, link.host());
        let (text, arguments) =
            proxy.configured(&upstream, &Address::of(&target, target.host()), port);
        fs::write(folder.path().join("proxy.conf"), text).unwrap();
        let runtime = Runtime::new().unwrap();
        runtime.block_on(push(&source, "bench/listed", 1, 1 << 20));
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::null());
        if upstream.has_tls() {
            command.env("SSL_CERT_FILE", source.ca_file());
        }
        let child = command
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut stage = Self {
            proxy,
            source,
            _target: target,
            _link: link,
            child,
            base: format!("http://127.0.0.1:{port}"),
            _folder: folder,
            runtime,
        };
        stage.until_it_listens();
        stage
    }

    fn until_it_listens(&mut self) {
        let address = self.base.trim_start_matches("http://").to_owned();
        let until = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(&address).is_err() {
            assert!(
                Instant::now() < until,
                "{} does not listen",
                self.proxy.name()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        self.source.new_requests();
    }

    fn push(&self, name: &str, layers: usize, size: u64) -> Pushed {
        let repository = format!("bench/{name}");
        self.runtime
            .block_on(push(&self.source, &repository, layers, size))
    }

    /// So many clients pull an image at once: a row of the table, and whether each blob crossed once.
    fn herd(&self, case: &str, clients: usize, image: &Pushed) -> (String, bool) {
        self.source.new_requests();
        let (before, start) = (process::now(&self.child), Instant::now());
        let pulls = (0..clients).map(|_| pull(&self.base, image));
        let firsts = self.runtime.block_on(join_all(pulls));
        let seconds = start.elapsed().as_secs_f64();
        let used = process::now(&self.child);
        let asked = self.source.new_requests();
        let blobs: Vec<_> = asked
            .iter()
            .filter(|request| request.is_blob_get())
            .collect();
        let bytes: u64 = blobs.iter().map(|request| request.answered_bytes).sum();
        let share = bytes as f64 / image.bytes() as f64;
        let row = format!(
            "| {} | {case} | {seconds:.2} | {:.1} | {} | {share:.2} | {:.2} | {:.0} |\n",
            self.proxy.name(),
            1000.0 * percentile(firsts, 50),
            blobs.len(),
            used.processor_seconds - before.processor_seconds,
            used.peak_bytes as f64 / MIB,
        );
        (row, share < 1.01)
    }

    fn warm(&self, image: &Pushed) -> String {
        self.runtime.block_on(pull(&self.base, image));
        // A copy that is still on its way would be measured, too.
        std::thread::sleep(Duration::from_secs(6));
        self.source.new_requests();
        let (times, rate) = self.runtime.block_on(read_again(&self.base, image));
        let asked = self.source.new_requests().len();
        warm_row(self.proxy.name(), times, rate, &asked.to_string())
    }
}

fn warm_row(name: &str, times: Vec<f64>, rate: f64, asked: &str) -> String {
    let (p50, p99) = (percentile(times.clone(), 50), percentile(times, 99));
    format!(
        "| {name} | {:.2} | {:.2} | {rate:.0} | {asked} |\n",
        1000.0 * p50,
        1000.0 * p99
    )
}

fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() * percent / 100).min(values.len() - 1)]
}

/// Pushes an image of random layers.
async fn push(registry: &Registry, repository: &str, layers: usize, size: u64) -> Pushed {
    let hand = Hand::of(registry);
    let config = Bytes::from_static(b"{\"os\":\"linux\",\"architecture\":\"amd64\"}");
    hand.put_blob(repository, config.clone()).await;
    let mut pushed = Vec::new();
    for part in 0..layers as u64 {
        // The size is the seed of the bytes: each layer is its own.
        pushed.push((hand.stream_blob(repository, size + part).await, size + part));
    }
    let layer = |(digest, size): &(String, u64)| json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": size});
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": crate::support::registries::client::digest_of(&config),
            "size": config.len(),
        },
        "layers": pushed.iter().map(layer).collect::<Vec<_>>(),
    });
    let bytes = Bytes::from(manifest.to_string());
    hand.put_manifest(repository, "v1", OCI_MANIFEST, bytes)
        .await;
    Pushed {
        repository: repository.to_owned(),
        layers: pushed,
    }
}

fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy();
    builder
        .tls_danger_accept_invalid_certs(true)
        .build()
        .unwrap()
}

/// Pulls an image as a client does; the seconds to the first byte of its first layer.
async fn pull(base: &str, image: &Pushed) -> f64 {
    let http = client();
    manifest(&http, base, image).await;
    let blobs = image
        .layers
        .iter()
        .map(|(digest, size)| blob(&http, base, image, digest, *size));
    join_all(blobs).await[0]
}

async fn manifest(http: &reqwest::Client, base: &str, image: &Pushed) {
    let url = format!("{base}/v2/{}/manifests/v1", image.repository);
    let answer = http
        .get(url)
        .header("Accept", OCI_MANIFEST)
        .send()
        .await
        .unwrap();
    let manifest: Value = answer.error_for_status().unwrap().json().await.unwrap();
    assert_eq!(
        manifest["layers"].as_array().unwrap().len(),
        image.layers.len()
    );
}

async fn blob(http: &reqwest::Client, base: &str, image: &Pushed, digest: &str, size: u64) -> f64 {
    let start = Instant::now();
    let url = format!("{base}/v2/{}/blobs/{digest}", image.repository);
    let answer = http.get(url).send().await.unwrap();
    let mut answer = answer.error_for_status().unwrap();
    let (mut first, mut read) = (None, 0);
    while let Some(piece) = answer.chunk().await.unwrap() {
        first.get_or_insert_with(|| start.elapsed().as_secs_f64());
        read += piece.len() as u64;
    }
    assert_eq!(read, size, "a whole blob");
    first.unwrap()
}

/// One client reads the manifest many times, and the first layer: the seconds of each, and MiB a second.
async fn read_again(base: &str, image: &Pushed) -> (Vec<f64>, f64) {
    let (http, mut times) = (client(), Vec::new());
    for _ in 0..MANIFESTS {
        let start = Instant::now();
        manifest(&http, base, image).await;
        times.push(start.elapsed().as_secs_f64());
    }
    let (digest, size) = &image.layers[0];
    let mut rates = Vec::new();
    for _ in 0..3 {
        let start = Instant::now();
        blob(&http, base, image, digest, *size).await;
        rates.push(*size as f64 / MIB / start.elapsed().as_secs_f64());
    }
    (times, percentile(rates, 50))
}

/// A cold herd over a link, followers of a large blob, and what is warm.
pub fn gateway(options: &Options, report: &mut Report) {
    let (quality, clients) = (options.long_link(), options.clients);
    let (layer, large) = (options.pulled_mib << 20, options.followed_mib << 20);
    let words = format!(
        "An image of {LAYERS} layers of {} MiB, pulled by {clients} clients at once that the proxy has not seen before; \
         the upstream is behind a link of {}. {} Then {clients} clients of one blob of {} MiB, on loopback. Clients speak plain HTTP. Lengths are checked here, digests in \
         tests.\n\n{HEAD}",
        options.pulled_mib,
        options.describe_link(),
        link_check::describe(quality),
        options.followed_mib,
    );
    report.open("The gateway", &words);
    let installed = PROXIES.map(|proxy| (proxy, proxy.program()));
    for (proxy, program) in installed
        .iter()
        .filter_map(|(proxy, program)| Some((*proxy, program.clone()?)))
    {
        let stage = ProxyStage::start(proxy, program.clone(), quality, options);
        let herd = stage.herd("cold herd", clients, &stage.push("herd", LAYERS, layer));
        drop(stage);
        let stage = ProxyStage::start(proxy, program, LinkQuality::default(), options);
        let followers = stage.herd("followers", clients, &stage.push("large", 1, large));
        for (row, is_once) in [herd, followers] {
            report.say(&row);
            if proxy == Proxy::Transship && !is_once {
                report.fail("the gateway fetched a blob twice");
            }
        }
    }
    warm(installed, options, report);
}

fn warm(installed: [(Proxy, Option<PathBuf>); 4], options: &Options, report: &mut Report) {
    let size = (options.followed_mib << 20).min(256 << 20);
    report.say(&format!(
        "\nWarm: {MANIFESTS} GETs of a manifest by its tag, and a blob of {} MiB (median of three). `direct` is docker-registry itself.\n\n\
         {WARM_HEAD}",
        size >> 20
    ));
    for (proxy, program) in installed {
        let Some(program) = program else { continue };
        let stage = ProxyStage::start(proxy, program, LinkQuality::default(), options);
        let image = stage.push("warm", 1, size);
        report.say(&stage.warm(&image));
        if proxy == Proxy::Transship {
            let base = stage.source.base();
            let (times, rate) = stage.runtime.block_on(read_again(&base, &image));
            report.say(&warm_row("direct", times, rate, "-"));
        }
    }
}
