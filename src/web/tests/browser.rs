//! The pages in a real browser, over a real connection.

use std::{path::Path, process::Command};

use tokio::{
    net::TcpListener,
    task::{JoinHandle, spawn_blocking},
};
use tokio_util::sync::CancellationToken;

use crate::web::{
    serve,
    tests::bench::{WebBench, harbour, visible},
};

/// How long, in seconds, the browser may take for a page.
const PATIENCE: &str = "60";

/// The pages, served on a port of this machine.
struct Site {
    address: String,
    stop: CancellationToken,
    server: JoinHandle<()>,
    _bench: WebBench,
}

impl Site {
    async fn open() -> Self {
        let bench = harbour().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(listener, bench.app.clone(), stop.clone()));
        Self {
            address,
            stop,
            server,
            _bench: bench,
        }
    }

    /// The page as the browser understood it.
    async fn load(&self, uri: &str) -> String {
        let url = format!("{}{uri}", self.address);
        let (dom, complaints) = browse(vec!["--dump-dom".into(), url]).await;
        assert!(!complaints.contains("CONSOLE"), "{uri}: {complaints}");
        visible(&dom)
    }

    async fn close(self) {
        self.stop.cancel();
        self.server.await.unwrap();
    }
}

/// Runs the browser; what it wrote, and what it complained of.
async fn browse(arguments: Vec<String>) -> (String, String) {
    let profile = tempfile::tempdir().unwrap();
    let folder = format!("--user-data-dir={}", profile.path().display());
    let mut command = Command::new("timeout");
    command
        .args([PATIENCE, "chromium", "--headless", "--no-sandbox"])
        .args([
            "--disable-gpu",
            "--hide-scrollbars",
            "--enable-logging=stderr",
        ])
        .args(["--no-first-run", "--disable-background-networking", &folder])
        .args(arguments);
    let output = spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "chromium, which scripts/deps installs, failed: {complaints}"
    );
    (String::from_utf8(output.stdout).unwrap(), complaints)
}

/// The width and the height of a PNG ([11.2.1](https://www.w3.org/TR/png-3/#11IHDR)).
fn dimensions(file: &Path) -> (u32, u32) {
    let bytes = std::fs::read(file).unwrap();
    assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"));
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[tokio::test]
async fn browser_renders_pages() {
    let site = Site::open().await;
    for (uri, texts) in [
        (
            "/?lang=en",
            [
                "1 of 3 behind, 1 failing, worst kubernetes 1h 12m",
                "behind for 1h 12m equal 2h 13m ago",
                "tried 1h 12m ago: partly failed",
            ],
        ),
        (
            "/mirrors/kubernetes?lang=en",
            [
                "What is behind, and why registry.k8s.io/kube-proxy:v1.32.0",
                "kube-proxy:v1.31.0 ● in sync",
                "Changes Time Change Image From To",
            ],
        ),
        (
            "/search?image=nginx:1.27&lang=zh",
            [
                "docker.io/library/nginx:1.27 已同步",
                "● 最新",
                "docker pull m.example.com/a/docker.io/library/nginx:1.27",
            ],
        ),
    ] {
        let text = site.load(uri).await;
        for sought in texts {
            assert!(text.contains(sought), "{uri} lacks {sought}: {text}");
        }
    }
    site.close().await;
}

#[tokio::test]
async fn browser_renders_dark_and_narrow_pages() {
    let site = Site::open().await;
    let folder = tempfile::tempdir().unwrap();
    for (name, size, scheme) in [("desk.png", (1280, 900), 0), ("narrow.png", (500, 1200), 1)] {
        let file = folder.path().join(name);
        let arguments = vec![
            format!("--window-size={},{}", size.0, size.1),
            format!("--blink-settings=preferredColorScheme={scheme}"),
            format!("--screenshot={}", file.display()),
            format!("{}/?lang=zh", site.address),
        ];
        let (_, complaints) = browse(arguments).await;
        assert!(!complaints.contains("CONSOLE"), "{complaints}");
        assert_eq!(dimensions(&file), size);
    }
    site.close().await;
}
