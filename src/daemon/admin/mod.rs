//! The door for operators and their programs: is it alive, can it take payments, what has it done, and, with a token,
//! what is expected.

mod expectations;
mod pass;
mod rows;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono_tz::Tz;
use hyper::header::{ALLOW, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, Request, StatusCode, body::Incoming};

use super::metrics::Metrics;
use crate::config::Config;
use crate::http::{self, Response};
use crate::ledger::Ledger;
use crate::protocol::Integrations;
use pass::Pass;

/// How long the ledger may take to answer before the daemon calls itself not ready.
const PATIENCE: Duration = Duration::from_secs(5);

/// The admin door.
pub(super) struct AdminDoor {
    ledger: Arc<Ledger>,
    integrations: Arc<Integrations>,
    metrics: Metrics,
    rules: RwLock<Arc<Rules>>,
}

/// What a reload may change.
struct Rules {
    /// What opens `/v1`; without one there is no `/v1`.
    pass: Option<Pass>,
    /// Whose clocks a time without an offset means.
    zone: Tz,
}

impl Rules {
    fn of(config: &Config) -> Arc<Self> {
        Arc::new(Self { pass: config.admin.token.as_ref().map(Pass::new), zone: config.reconcile.timezone })
    }
}

impl AdminDoor {
    pub(super) fn new(ledger: Arc<Ledger>, integrations: Arc<Integrations>, metrics: Metrics, config: &Config) -> Self {
        Self { ledger, integrations, metrics, rules: RwLock::new(Rules::of(config)) }
    }

    /// From now on, as this configuration says.
    pub(super) fn reload(&self, config: &Config) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Rules::of(config);
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Answers one request on the admin address.
    pub(super) async fn handle(&self, request: Request<Incoming>) -> Response {
        match request.uri().path() {
            "/healthz" if reads(&request) => http::text(StatusCode::OK, "alive\n"),
            "/readyz" if reads(&request) => self.ready().await,
            "/metrics" if reads(&request) => http::exposition(self.metrics.page(chrono::Utc::now()).await),
            "/healthz" | "/readyz" | "/metrics" => wrong_method("GET, HEAD"),
            page if page == "/v1" || page.starts_with("/v1/") => self.inner(request).await,
            _ => nothing_here(),
        }
    }

    async fn ready(&self) -> Response {
        match tokio::time::timeout(PATIENCE, self.ledger.probe(chrono::Utc::now())).await {
            Ok(Ok(())) => http::text(StatusCode::OK, "ready\n"),
            Ok(Err(error)) => http::text(StatusCode::SERVICE_UNAVAILABLE, &format!("not ready: {error}\n")),
            Err(_) => http::text(StatusCode::SERVICE_UNAVAILABLE, "not ready: the ledger does not answer\n"),
        }
    }

    /// What is behind the token. Without it nobody learns what there is.
    async fn inner(&self, request: Request<Incoming>) -> Response {
        let rules = self.rules();
        let Some(pass) = &rules.pass else { return nothing_here() };
        if !pass.opens(request.headers()) {
            let mut refusal = http::closing(http::empty(StatusCode::UNAUTHORIZED));
            refusal.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return refusal;
        }
        match (request.uri().path(), request.method()) {
            ("/v1/expectations", &Method::POST) => {
                expectations::take(&self.ledger, self.integrations.all(), rules.zone, request).await
            }
            ("/v1/expectations", _) => wrong_method("POST"),
            _ => nothing_here(),
        }
    }
}

fn reads(request: &Request<Incoming>) -> bool {
    request.method() == Method::GET || request.method() == Method::HEAD
}

fn nothing_here() -> Response {
    http::closing(http::empty(StatusCode::NOT_FOUND))
}

fn wrong_method(allowed: &'static str) -> Response {
    let mut refusal = http::closing(http::empty(StatusCode::METHOD_NOT_ALLOWED));
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    refusal
}
