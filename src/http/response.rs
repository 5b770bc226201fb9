//! The few shapes of answer this server gives. Which status means what is the handler's business.

use std::time::Duration;

use http_body_util::Full;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};

/// When to come back if it is us who cannot, for now.
pub const A_LITTLE_LATER: Duration = Duration::from_secs(5);

/// An answer with its whole body at hand.
pub type Response = hyper::Response<Full<Bytes>>;

/// An answer of this status and nothing else (`Content-Length: 0`).
pub fn empty(status: StatusCode) -> Response {
    with_body(status, Bytes::new())
}

/// An answer in plain text, UTF-8.
pub fn text(status: StatusCode, words: &str) -> Response {
    let mut response = with_body(status, Bytes::copy_from_slice(words.as_bytes()));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

/// An answer in Prometheus' text format, 0.0.4.
pub fn exposition(page: String) -> Response {
    let mut response = with_body(StatusCode::OK, page.into());
    let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, format);
    response
}

/// An answer in JSON.
pub fn json(status: StatusCode, value: &serde_json::Value) -> Response {
    let mut response = with_body(status, Bytes::from(format!("{value}\n")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The same answer, after which the connection is closed in such a way that a peer still busy
/// sending can read it. Owed to every request whose body was not read to its end (413, 408, 415).
pub fn closing(mut response: Response) -> Response {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

/// The same answer, asking the peer to come back after `wait`.
pub fn come_back(mut response: Response, wait: Duration) -> Response {
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    response
}

pub(super) fn is_closing(response: &Response) -> bool {
    response.headers().contains_key(CONNECTION)
}

fn with_body(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
}
