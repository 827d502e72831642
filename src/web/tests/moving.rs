//! A blob that is on its way: a source that stops in the middle of it, and a target that waits.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{Method, Response, StatusCode, header::LOCATION},
};
use futures::{StreamExt as _, stream};
use tokio::{net::TcpListener, sync::Notify, time::timeout};

use crate::{
    coordination::Lease,
    sync::Scope,
    web::tests::bench::{WebBench, digest},
};

const LAYER_BYTES: usize = 8 << 20;

fn layer() -> Vec<u8> {
    vec![7; LAYER_BYTES]
}

fn manifest() -> String {
    let layer = crate::oci::Digest::of(&layer());
    let kind = "application/vnd.oci.image";
    format!(
        r#"{{"schemaVersion": 2, "mediaType": "{kind}.manifest.v1+json", "config": {{"mediaType": "{kind}.config.v1+json",
        "digest": "{}", "size": 2}}, "layers": [{{"mediaType": "{kind}.layer.v1.tar", "digest": "{layer}",
        "size": {LAYER_BYTES}}}]}}"#,
        digest("{}")
    )
}

/// Gives half of the layer, and then nothing more.
async fn source(request: Request) -> Response<Body> {
    let path = request.uri().path();
    let answer = Response::builder();
    if path.contains("/manifests/") {
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let answer = answer.header("content-type", kind);
        let answer = answer.header("docker-content-digest", digest(&manifest()).as_str());
        return answer.body(manifest().into()).unwrap();
    }
    if path.ends_with(digest("{}").as_str()) {
        return answer.body("{}".into()).unwrap();
    }
    let half = Bytes::from(layer()[..LAYER_BYTES / 2].to_vec());
    let half = stream::iter([Ok::<_, std::io::Error>(half)]).chain(stream::pending());
    let answer = answer.header("content-length", LAYER_BYTES);
    answer.body(Body::from_stream(half)).unwrap()
}

/// Holds nothing, takes everything, and tells when a quarter of the layer is there.
async fn target(request: Request, quarter: Arc<Notify>) -> Response<Body> {
    let answer = Response::builder();
    let answer = match *request.method() {
        Method::POST => answer
            .status(StatusCode::ACCEPTED)
            .header(LOCATION, "/v2/a/upload"),
        Method::PUT => {
            let mut body = request.into_body().into_data_stream();
            let mut taken = 0;
            while let Some(Ok(bytes)) = body.next().await {
                taken += bytes.len();
                if taken >= LAYER_BYTES / 4 {
                    quarter.notify_one();
                }
            }
            answer.status(StatusCode::CREATED)
        }
        _ => answer.status(StatusCode::NOT_FOUND),
    };
    answer.body(Body::empty()).unwrap()
}

/// Serves until it is dropped; its address, and what serves it.
async fn registry(router: Router) -> (String, impl Future<Output = std::io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (address, axum::serve(listener, router).into_future())
}

#[tokio::test]
async fn overview_shows_transfer_in_flight() {
    let quarter = Arc::new(Notify::new());
    let (from, source) = registry(Router::new().fallback(source)).await;
    let notify = quarter.clone();
    let (to, target) = registry(Router::new().fallback(move |r| target(r, notify))).await;
    let bench = WebBench::with(&format!(
        "[registries.\"{from}\"]\nplain_http = true\n[registries.\"{to}\"]\nplain_http = true\n\
         [[mirror]]\nname = \"app\"\nfrom = \"{from}/app:1\"\ntarget = \"{to}/a\"\n"
    ))
    .await;
    bench.settle().await;
    assert!(!bench.get("/").await.body.contains("Transfers in flight"));
    let config = bench.app.config.load_full();
    let looked = async {
        quarter.notified().await;
        bench.get("/").await
    };
    let lease = Lease::unlimited();
    let page = tokio::select! {
        page = timeout(Duration::from_secs(30), looked) => page.unwrap(),
        report = bench.app.sync.run_one(&config, &config.mirrors[0], &Scope::Whole, &lease) => panic!("{report:?}"),
        _ = async { tokio::join!(source, target) } => unreachable!(),
    };
    let text = page.text();
    let (_, transfers) = text
        .split_once("Transfers in flight Image Target Progress Rate Time left")
        .unwrap();
    let (transfers, registries) = transfers.split_once("Registries").unwrap();
    assert!(
        transfers.contains(&format!("{from}/app:1 {to}")),
        "{transfers}"
    );
    assert!(registries.contains("B/s"), "{registries}");
    // A run is in flight: the page refreshes without being asked to.
    assert_eq!(page.header("refresh"), "10");
    assert!(transfers.contains("MiB / 8.0 MiB"), "{transfers}");
    // The config may be in flight, too.
    let size = LAYER_BYTES / 100;
    assert!(page.body.contains(&format!("<progress max=\"{size}")));
}
