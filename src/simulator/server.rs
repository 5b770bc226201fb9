//! The twins' listener: a small accept loop on loopback, and the few shapes of answer a twin gives.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Request, StatusCode};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::http::{self, Limits, Response};

/// The largest body a twin reads, in bytes.
const BODY_BYTES: usize = 64 << 10;

/// How long a request may take, one that hangs on purpose included.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);

/// Serves until `shutdown` is cancelled, then finishes the answers in flight.
pub(super) async fn serve<H, F>(listener: TcpListener, shutdown: CancellationToken, handler: H)
where
    H: Fn(Request<Bytes>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let limits = Limits { request_timeout: REQUEST_TIMEOUT, ..Limits::default() };
    http::serve(listener, limits, shutdown, move |request, _| {
        let handler = handler.clone();
        async move {
            let (head, body) = request.into_parts();
            match http::read_body(body, BODY_BYTES).await {
                Ok(body) => handler(Request::from_parts(head, body)).await,
                Err(_) => http::closing(text(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n")),
            }
        }
    })
    .await;
}

/// An answer in plain text. Paynow's own `k=v&k=v` replies are this, too.
pub(super) fn text(status: StatusCode, words: impl Into<Bytes>) -> Response {
    typed(status, "text/plain; charset=utf-8", words)
}

/// A page for people.
pub(super) fn page(status: StatusCode, html: impl Into<Bytes>) -> Response {
    typed(status, "text/html; charset=utf-8", html)
}

/// An answer for scripts.
pub(super) fn json(status: StatusCode, value: &serde_json::Value) -> Response {
    typed(status, "application/json", format!("{value:#}\n"))
}

/// The same answer with one more header.
pub(super) fn with(mut response: Response, name: &'static str, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}

fn typed(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
