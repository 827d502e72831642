//! A transfer that goes on when the test says so.

use tokio::sync::watch;

use crate::support::programs::daemon::{Daemon, mirror_of, serving_with};
use crate::support::programs::pair::fill_in;
use crate::support::programs::transship::Transship;
use crate::support::registries::corpus::{Blob, Image, layer};
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::held;

/// A source that holds back half of a layer of `app:v1`, a target, and the binary.
pub struct Held {
    pub source: Fake,
    pub target: Fake,
    pub transship: Transship,
    pub layer: String,
    gate: watch::Sender<bool>,
}

impl Held {
    /// `top` goes before the rest of `mirror.toml`, `http` under `[http]`.
    pub fn with(top: &str, http: &str) -> Self {
        let (source, target) = (Fake::start(), Fake::start());
        let layer = layer("held", 60_000);
        let image = Image::oci_with("held", vec![layer.clone()]);
        source.client().push("app", "v1", &image);
        let (gate, opened) = watch::channel(false);
        let (digest, bytes) = (layer.digest(), layer.bytes);
        let path = format!("/v2/app/blobs/{digest}");
        source.rule(move |request| match request.path == path {
            true => Verdict::Answer(held(&bytes, opened.clone())),
            false => Verdict::Serve,
        });
        // A connection on which nothing moves is given up for that alone only after an hour.
        let text = serving_with(top, http, &mirror_of("app"))
            .replace("plain_http = true", "plain_http = true\nstall = \"1h\"");
        let transship = Transship::new(&fill_in(&text, source.host(), target.host()));
        Self {
            source,
            target,
            transship,
            layer: digest,
            gate,
        }
    }

    /// Starts the daemon, and waits until the layer is under way.
    pub fn start(&self) -> Daemon {
        let daemon = Daemon::start(&self.transship);
        daemon.until_true("the layer to be asked for", |_| {
            let mut asked = self.source.requests().into_iter();
            asked.any(|request| request.path.ends_with(&self.layer))
        });
        daemon
    }

    /// Lets the other half go.
    pub fn open(&self) {
        self.gate.send_replace(true);
    }

    /// Whether the target has the layer.
    pub fn has_arrived(&self) -> bool {
        let mut blobs = self.target.blobs().into_iter();
        blobs.any(|(_, digest)| digest == self.layer)
    }
}

/// Lets a source send only half of a layer, unless it is read from some byte on.
pub fn half_of_each_read(source: &Fake, repository: &str, layer: &Blob) {
    let path = format!("/v2/{repository}/blobs/{}", layer.digest());
    let bytes = layer.bytes.clone();
    let (gate, closed) = watch::channel(false);
    source.rule(move |request| {
        // As long as the gate lives, it stays closed.
        let _ = &gate;
        let is_whole = request.method == "GET" && request.path == path && request.range.is_none();
        match is_whole {
            true => Verdict::Answer(held(&bytes, closed.clone())),
            false => Verdict::Serve,
        }
    });
}
