//! The door for operators and their monitors: is it alive, can it take payments.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, Request, StatusCode, body::Incoming};

use crate::http::{self, Response};
use crate::ledger::Ledger;

/// How long the ledger may take to answer before the daemon calls itself not ready.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers one request on the admin address.
pub(super) async fn handle(ledger: Arc<Ledger>, request: Request<Incoming>) -> Response {
    let page = request.uri().path();
    if !matches!(page, "/healthz" | "/readyz") {
        return http::closing(http::empty(StatusCode::NOT_FOUND));
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refusal = http::closing(http::empty(StatusCode::METHOD_NOT_ALLOWED));
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    if page == "/healthz" {
        return http::text(StatusCode::OK, "alive\n");
    }
    match tokio::time::timeout(PATIENCE, ledger.probe(chrono::Utc::now())).await {
        Ok(Ok(())) => http::text(StatusCode::OK, "ready\n"),
        Ok(Err(error)) => http::text(StatusCode::SERVICE_UNAVAILABLE, &format!("not ready: {error}\n")),
        Err(_) => http::text(StatusCode::SERVICE_UNAVAILABLE, "not ready: the ledger does not answer\n"),
    }
}
