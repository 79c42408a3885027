//! For those who run it, on a socket of its own: metrics, and whether it lives. Nothing here names a subscriber.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::metrics;
use crate::passes::Watcher;

/// `/metrics`, `/healthz` and `/readyz`.
pub fn admin_router(watcher: Arc<Watcher>) -> Router {
    Router::new()
        .route("/metrics", get(show_metrics))
        .route("/healthz", get(show_health))
        .route("/readyz", get(show_readiness))
        .with_state(watcher)
}

async fn show_metrics(State(watcher): State<Arc<Watcher>>) -> Response {
    match watcher.metrics().await.and_then(|metrics| metrics.encode()) {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error:#}\n")).into_response(),
    }
}

/// Whether the loops move: if not, starting anew may help.
async fn show_health(State(watcher): State<Arc<Watcher>>) -> Response {
    match watcher.progress.stuck(Instant::now()) {
        None => "ok\n".into_response(),
        Some(which) => (StatusCode::SERVICE_UNAVAILABLE, format!("{which} is stuck\n")).into_response(),
    }
}

/// Whether it can do its work now: it is not about to end, and the store answers. EDGAR need not.
async fn show_readiness(State(watcher): State<Arc<Watcher>>) -> Response {
    if watcher.is_stopping() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    match watcher.store.open_work().await {
        Ok(_) => "ok\n".into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error:#}\n")).into_response(),
    }
}
