//! A server inside the test, on a thread of its own.

use axum::Router;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// A running server; it ends with the value.
pub struct Server {
    host: String,
    /// Taken when it ends: a runtime is not dropped where another one works.
    runtime: Option<Runtime>,
}

impl Server {
    /// Serves what `app` makes of the host, `127.0.0.1:PORT`, that it gets.
    pub fn start(app: impl FnOnce(&str) -> Router) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let app = app(&host);
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self {
            host,
            runtime: Some(runtime),
        }
    }

    pub fn host(&self) -> &str {
        &self.host
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
