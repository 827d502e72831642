//! Metrics, health, the status page and the API.

pub(crate) mod api;
mod connections;
mod health;
mod metrics_page;
mod near_name;
pub(crate) mod pages;
mod request_guard;
mod response_budget;
mod session;
mod write_timeout;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    alarms::ActiveAlarms,
    config::Config,
    coordination::Coordination,
    gateway::PullBoard,
    metrics::Metrics,
    status::StatusCache,
    store::{Store, StoreWriter},
    sync::Sync,
    web::{
        api::tunasync,
        metrics_page::MetricsPage,
        pages::{action, asset, coverage, mirror, overview, pulls, report, search},
        request_guard::HostGuard,
        response_budget::ResponseBudget,
    },
};

pub use crate::web::api::{SyncReply, SyncRequest};
pub use crate::web::health::Health;

/// Most bytes of a request's body.
const BODY: usize = 64 << 10;
/// How long a response may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// What handlers share.
#[derive(Clone, Debug)]
pub struct App {
    /// The configuration in effect.
    pub config: Arc<ArcSwap<Config>>,
    /// The status of every mirror.
    pub board: Arc<StatusCache>,
    /// Which alarms are active.
    pub alarms: Arc<ActiveAlarms>,
    /// The database.
    pub store: Store,
    /// What writes to the database.
    pub writer: Arc<StoreWriter>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Runs and transfers in flight.
    pub sync: Arc<Sync>,
    /// With whom the targets are shared.
    pub coordination: Arc<Coordination>,
    /// Pulls through the gateway.
    pub pulls: Arc<PullBoard>,
    /// The health of the daemon.
    pub health: Arc<Health>,
    /// Where requests for runs go.
    pub orders: mpsc::Sender<SyncRequest>,
}

/// Answers requests until `stop` is cancelled. In-flight requests then get a moment to finish.
pub async fn serve(listener: TcpListener, app: App, stop: CancellationToken) {
    let listen = listener.local_addr().map(|address| address.ip());
    let listen = listen.unwrap_or(app.config.load().http.listen.ip());
    let guard = HostGuard::new(app.config.clone(), listen);
    let router = router(app).layer(middleware::from_fn_with_state(
        guard,
        request_guard::checked_host,
    ));
    connections::serve(listener, router, stop).await;
}

fn router(app: App) -> Router {
    let metrics = Arc::new(MetricsPage::new(app.metrics.clone()));
    rendered()
        .route("/style.css", get(asset::style))
        .route("/icon.svg", get(asset::icon))
        .route("/metrics", get(metrics_page::get).with_state(metrics))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::from_fn(within_timeout))
        .with_state(app.clone())
        .merge(api::coverage::lists(app))
        .layer(middleware::from_fn(request_guard::bounded_uri))
        .layer(middleware::from_fn(pages::security_headers))
}

/// Routes that render a response for each request. They count against the response budget.
fn rendered() -> Router<App> {
    let budget = ResponseBudget::default();
    Router::new()
        .route("/", get(overview::overview))
        .route("/mirrors/{*name}", get(mirror::mirror))
        .route("/coverage/{cluster}", get(coverage::coverage))
        .route("/pulls", get(pulls::pulls))
        .route("/search", get(search::search))
        .route("/report/latest", get(report::latest))
        .route("/report/{day}", get(report::of_day))
        .route("/actions/sync", post(action::sync))
        .route("/actions/mute", post(action::mute))
        .route("/actions/sign-out", post(action::sign_out))
        .nest("/api", api_router())
        .route("/tunasync.json", get(tunasync::tunasync))
        .fallback(pages::missing)
        .layer(middleware::from_fn_with_state(
            budget,
            response_budget::within_budget,
        ))
}

/// Routes for programs. Their errors are JSON.
fn api_router() -> Router<App> {
    Router::new()
        .route("/v1/status", get(api::status))
        .route("/v1/runs", get(api::runs))
        .route("/v1/explain", get(search::answer))
        .route("/v1/pulls", get(pulls::answer))
        .route("/v1/coverage", get(api::coverage::all))
        .route(
            "/v1/coverage/{cluster}",
            get(api::coverage::one).delete(api::coverage::forget),
        )
        .route("/v1/sync", post(api::sync))
        .route("/v1/mute", post(api::mute::mute))
        .fallback(api::missing)
        .layer(middleware::map_response(api::json_error))
}

async fn within_timeout(request: Request, next: Next) -> Response {
    match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "this took too long\n").into_response(),
    }
}

#[cfg(test)]
mod tests;
