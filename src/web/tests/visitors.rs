//! Visitors who mean no good: slow ones, large ones, and pages of somebody else.

use std::net::SocketAddr;

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header::AUTHORIZATION},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::web::{
    connections::{self, PEER_CONNECTIONS},
    router,
    tests::bench::{WebBench, harbour},
};

/// More than the server takes at a time.
const CROWD: usize = 300;

/// The bench behind a real socket.
struct RawServer {
    _bench: WebBench,
    address: SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

impl RawServer {
    async fn start() -> Self {
        let bench = harbour().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serve = connections::serve(listener, router(bench.app.clone()), stop.clone());
        Self {
            _bench: bench,
            address,
            stop,
            served: tokio::spawn(serve),
        }
    }

    /// Sends this much of a request.
    async fn send(&self, text: &str) -> TcpStream {
        self.send_from(1, text).await
    }

    /// The same from 127.0.0.`host`.
    async fn send_from(&self, host: u8, text: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket
            .bind(SocketAddr::from(([127, 0, 0, host], 0)))
            .unwrap();
        let mut stream = socket.connect(self.address).await.unwrap();
        // A server that has too many connections of this address hangs up at once.
        let _ = stream.write_all(text.as_bytes()).await;
        stream
    }

    /// Whether somebody who behaves gets an answer.
    async fn answers(&self) -> bool {
        let request = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let answer = to_end(self.send(request).await).await;
        answer.starts_with("HTTP/1.1 ")
    }

    async fn stop(self) {
        self.stop.cancel();
        self.served.await.unwrap();
    }
}

/// All that comes until the server hangs up.
async fn to_end(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // A server that hangs up on what was not read resets the connection.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let server = RawServer::start().await;
    tokio::time::pause();
    let mut crowd = Vec::new();
    for number in 0..CROWD {
        let host = u8::try_from(2 + number % 10).unwrap();
        let said = match number % 3 {
            0 => "",
            1 => "GET / HT",
            _ => "GET / HTTP/1.1\r\nhost: x\r\nx-slow: ",
        };
        crowd.push(server.send_from(host, said).await);
    }
    assert!(server.answers().await);
    for stream in crowd {
        let answer = to_end(stream).await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn one_address_leaves_connections_for_others() {
    let server = RawServer::start().await;
    let mut held = Vec::new();
    for _ in 0..PEER_CONNECTIONS {
        held.push(server.send_from(2, "GET / HT").await);
    }
    let refused = to_end(server.send_from(2, "").await).await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(server.answers().await);
    server.stop().await;
}

#[tokio::test]
async fn long_address_is_refused() {
    let bench = harbour().await;
    let long = "x".repeat(2048);
    for (uri, status) in [
        (format!("/mirrors/{long}"), StatusCode::URI_TOO_LONG),
        (format!("/?lang={long}"), StatusCode::URI_TOO_LONG),
        (
            format!("/api/v1/runs?mirror={long}"),
            StatusCode::URI_TOO_LONG,
        ),
        (format!("/?lang={}", &long[9..]), StatusCode::OK),
    ] {
        let answer = bench.get(&uri).await;
        assert_eq!(answer.status, status, "{}", &uri[..16]);
        assert!(answer.body.len() < 16 << 10 || status == StatusCode::OK);
        assert!(!answer.body.contains("xxxxxxxxxx"), "{}", &uri[..16]);
    }
}

#[tokio::test]
async fn missing_body_times_out() {
    let server = RawServer::start().await;
    tokio::time::pause();
    let request = "POST /api/v1/sync HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
    let answer = to_end(server.send(request).await).await;
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    assert!(server.answers().await);
    server.stop().await;
}

#[tokio::test]
async fn endless_head_is_refused() {
    let server = RawServer::start().await;
    let mut stream = server.send("GET / HTTP/1.1\r\nhost: x\r\n").await;
    let line = format!("x-large: {}\r\n", "x".repeat(1000));
    // The server may hang up while this is written.
    for _ in 0..5_000 {
        if stream.write_all(line.as_bytes()).await.is_err() {
            break;
        }
    }
    let answer = to_end(stream).await;
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    let many = "x: y\r\n".repeat(200);
    let answer = to_end(server.send(&format!("GET / HTTP/1.1\r\n{many}\r\n")).await).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert!(server.answers().await);
    server.stop().await;
}

#[tokio::test]
async fn path_traversal_is_not_found() {
    let bench = harbour().await;
    for uri in [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/style.css/../../etc/passwd",
        "/mirrors/../../../etc/passwd",
        "/mirrors/..%2f..%2f..%2fetc%2fpasswd",
        "/report/latest/../../etc/passwd",
        "//etc/passwd",
        "/etc/passwd%00.css",
    ] {
        let page = bench.get(uri).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{uri}");
        assert!(!page.body.contains("root:"), "{uri}");
    }
}

#[tokio::test]
async fn cross_site_request_starts_nothing() {
    let mut bench = WebBench::with(
        "[http]\ntoken = \"open-sesame-0123456789\"\n[defaults]\ntarget = \"m.example.com/a\"\n\
         [[mirror]]\nname = \"nginx\"\nfrom = \"nginx:1\"\n",
    )
    .await;
    for site in ["cross-site", "same-site", "anything"] {
        let request = Request::post("/api/v1/sync")
            .header(AUTHORIZATION, "Bearer open-sesame-0123456789")
            .header("sec-fetch-site", site)
            .body(Body::from(r#"{"mirror": "nginx"}"#));
        let answer = bench.send(request.unwrap()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{site}");
    }
    for (name, value) in [("origin", "http://evil.example"), ("origin", "null")] {
        let request = Request::post("/api/v1/sync")
            .header(AUTHORIZATION, "Bearer open-sesame-0123456789")
            .header("host", "127.0.0.1:9618")
            .header(name, value)
            .body(Body::from(r#"{"mirror": "nginx"}"#));
        let answer = bench.send(request.unwrap()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{value}");
    }
    // Nor does a browser learn that it may send the token from there.
    let asked = bench.ask(Method::OPTIONS, "/api/v1/sync").await;
    assert_eq!(asked.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(!asked.headers.contains_key("access-control-allow-origin"));
    assert!(bench.orders.try_recv().is_err());
}
