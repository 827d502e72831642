//! The gateway, and the pull-through proxies that are installed, between many clients and one upstream.

mod clients;
mod proxy;

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures::future::join_all;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use self::clients::{
    MANIFESTS, MIB, Pushed, READS, percentile, pull, push, read_blob, read_manifests,
};
use self::proxy::{PROXIES, Proxy};
use crate::options::Options;
use crate::process;
use crate::stage::{guard, link_check};
use crate::support::net::link::{Link, LinkQuality};
use crate::support::registries::registry::Registry;
use crate::table::report::Report;
use crate::tools::Address;

const GIB: f64 = 1024.0 * MIB;
const LAYERS: usize = 3;
const HEAD: &str = "\
| proxy | case | seconds | first byte, ms | upstream blob requests | upstream bytes ÷ image | CPU s | peak MiB |
| --- | --- | --: | --: | --: | --: | --: | --: |
";
const WARM_HEAD: &str = "\
| proxy | manifest p50, ms | manifest p99, ms | blob at 1 Gbit/s, MiB/s | ÷ direct | blob on loopback, MiB/s | CPU s ÷ GiB | \
requests to upstream |
| --- | --: | --: | --: | --: | --: | --: | --: |
";
/// Layers of about the sizes of prom/prometheus, and the rate of the link over which it is pulled.
const ONE_IMAGE: [u64; 4] = [1 << 20, 1 << 20, 48 << 20, 45 << 20];
const ONE_MBIT: u64 = 20;

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
        runtime.block_on(push(&source, "bench/listed", &[1 << 20]));
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

    fn push(&self, name: &str, layers: &[u64]) -> Pushed {
        let repository = format!("bench/{name}");
        self.runtime
            .block_on(push(&self.source, &repository, layers))
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

    /// Reads what the proxy has, again and again, on loopback and over a link of 1 Gbit/s.
    fn warm(&self, image: &Pushed) -> WarmReads {
        self.runtime.block_on(pull(&self.base, image));
        // A copy that is still on its way would be measured, too.
        std::thread::sleep(Duration::from_secs(6));
        self.source.new_requests();
        let manifests = self.runtime.block_on(read_manifests(&self.base, image));
        let before = process::now(&self.child);
        let loopback = self.runtime.block_on(read_blob(&self.base, image));
        let used = process::now(&self.child).processor_seconds - before.processor_seconds;
        let linked = self.linked(&self.base, image);
        WarmReads {
            manifests,
            linked,
            loopback,
            processor_seconds: Some(used / (image.bytes() * READS as u64) as f64 * GIB),
            upstream_requests: Some(self.source.new_requests().len()),
        }
    }

    /// The same from the upstream registry itself.
    fn direct(&self, image: &Pushed) -> WarmReads {
        let base = self.source.base();
        WarmReads {
            manifests: self.runtime.block_on(read_manifests(&base, image)),
            linked: self.linked(&base, image),
            loopback: self.runtime.block_on(read_blob(&base, image)),
            processor_seconds: None,
            upstream_requests: None,
        }
    }

    fn linked(&self, base: &str, image: &Pushed) -> f64 {
        let (scheme, host) = base.split_once("://").unwrap();
        let link = Link::to(host, gigabit());
        let base = format!("{scheme}://{}", link.host());
        self.runtime.block_on(read_blob(&base, image))
    }
}

/// What most servers are connected by.
fn gigabit() -> LinkQuality {
    LinkQuality {
        total_rate: Some(125_000_000),
        ..LinkQuality::default()
    }
}

/// What one client reads of an image that is there: seconds of each manifest, MiB a second of its blob.
struct WarmReads {
    manifests: Vec<f64>,
    linked: f64,
    loopback: f64,
    /// Of the proxy, for a GiB on loopback.
    processor_seconds: Option<f64>,
    upstream_requests: Option<usize>,
}

impl WarmReads {
    fn row(&self, name: &str, direct: &Self) -> String {
        let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let millis = |percent| 1000.0 * percentile(self.manifests.clone(), percent);
        format!(
            "| {name} | {:.2} | {:.2} | {:.0} | {:.2} | {:.0} | {} | {} |\n",
            millis(50),
            millis(99),
            self.linked,
            self.linked / direct.linked,
            self.loopback,
            shown(
                self.processor_seconds
                    .map(|seconds| format!("{seconds:.2}"))
            ),
            shown(self.upstream_requests.map(|requests| requests.to_string())),
        )
    }
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
        let herd = stage.herd("cold herd", clients, &stage.push("herd", &[layer; LAYERS]));
        drop(stage);
        let stage = ProxyStage::start(proxy, program, LinkQuality::default(), options);
        let followers = stage.herd("followers", clients, &stage.push("large", &[large]));
        for (row, is_once) in [herd, followers] {
            report.say(&row);
            if proxy == Proxy::Transship && !is_once {
                report.fail("the gateway fetched a blob twice");
            }
        }
    }
    one_image(&installed, options, report);
    warm(installed, options, report);
}

/// One client pulls one image, cold and warm, over a slow link to the upstream.
fn one_image(installed: &[(Proxy, Option<PathBuf>)], options: &Options, report: &mut Report) {
    let quality = LinkQuality {
        total_rate: Some(ONE_MBIT * 125_000),
        ..options.long_link()
    };
    let layers = ONE_IMAGE.map(|size| if options.quick { size / 16 } else { size });
    report.say(&format!(
        "\nOne client and an image of {} MiB in four layers, about that of prom/prometheus; the upstream is behind {ONE_MBIT} Mbit/s.\n\n{HEAD}",
        layers.iter().sum::<u64>() >> 20
    ));
    for (proxy, program) in installed {
        let Some(program) = program.clone() else {
            continue;
        };
        let stage = ProxyStage::start(*proxy, program, quality, options);
        let image = stage.push("one", &layers);
        for case in ["cold", "warm"] {
            let (row, _) = stage.herd(case, 1, &image);
            report.say(&row);
            // A copy that is still on its way would be measured, too.
            std::thread::sleep(Duration::from_secs(6));
        }
    }
}

fn warm(installed: [(Proxy, Option<PathBuf>); 4], options: &Options, report: &mut Report) {
    let size = (options.followed_mib << 20).min(256 << 20);
    report.say(&format!(
        "\nWarm: {MANIFESTS} GETs of a manifest by its tag, and a blob of {} MiB (median of three). `direct` is docker-registry itself.\n\n\
         {WARM_HEAD}",
        size >> 20
    ));
    let mut direct = None;
    for (proxy, program) in installed {
        let Some(program) = program else { continue };
        let stage = ProxyStage::start(proxy, program, LinkQuality::default(), options);
        let image = stage.push("warm", &[size]);
        let direct = direct.get_or_insert_with(|| {
            let read = stage.direct(&image);
            report.say(&read.row("direct", &read));
            read
        });
        report.say(&stage.warm(&image).row(proxy.name(), direct));
    }
}
