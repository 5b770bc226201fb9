//! A client bounded in time, in bytes and in where it goes. It follows no redirect, asks no
//! proxy, and sends nothing twice once it may have arrived; when to send is the caller's.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use http_body_util::Full;
use hyper::Uri;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;

use super::body::{BodyError, read_body};
use super::fault::SendError;
use super::guard::{Guard, judge};
use super::retry::retry_after;

/// Who we say we are.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("paynowd/", env!("CARGO_PKG_VERSION")));

/// How long an unused connection is kept: longer than a burst of polls pauses, shorter than
/// servers usually wait.
const IDLE: Duration = Duration::from_secs(30);

/// How much of everything one request may take.
#[derive(Debug, Clone, Copy)]
pub struct ClientLimits {
    /// For the TCP connection to stand. 5 s by default.
    pub connect_timeout: Duration,
    /// For everything: name, connection, TLS, request and the whole reply. 15 s by default.
    pub request_timeout: Duration,
    /// The largest reply body, in bytes. 64 KiB by default.
    pub reply_bytes: usize,
    /// How many unused connections are kept for each host: as many as are used at once, or some of them are made anew
    /// for every request. 8 by default.
    pub kept_per_host: usize,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(15),
            reply_bytes: 64 << 10,
            kept_per_host: 8,
        }
    }
}

/// What to do at the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Ask.
    Get,
    /// Ask, with a body.
    Post,
}

/// A request. It has no `Debug`, because its address may be a secret.
pub struct Request {
    /// GET or POST.
    pub method: Method,
    /// The whole address: `https://`, or `http://` to this machine.
    pub uri: Uri,
    /// Headers beside `Host`, `User-Agent` and `Content-Length`, which are ours.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body; may be empty.
    pub body: Bytes,
}

/// A whole reply, whatever its status: a redirect or a 500 is a reply too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// How long the host asks us to stay away, at most 24 h.
    pub retry_after: Option<Duration>,
    /// The whole body.
    pub body: Bytes,
}

/// This machine has no certificates to know a gateway by: nothing can be polled. Install its CA
/// certificates, or mend `SSL_CERT_FILE`.
#[derive(Debug, thiserror::Error)]
#[error("no certificates to know a gateway by")]
pub struct ClientError(#[from] rustls::Error);

/// A client with its kept connections. Clones share them.
#[derive(Clone)]
pub struct Client {
    inner: legacy::Client<HttpsConnector<HttpConnector<Guard>>, Full<Bytes>>,
    limits: ClientLimits,
}

impl Client {
    /// A client that trusts whom this machine trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` are
    /// obeyed). The certificates are read now, once.
    ///
    /// # Errors
    ///
    /// The certificate store is empty or unreadable: refuse to start, and say so.
    pub fn new(limits: ClientLimits) -> Result<Self, ClientError> {
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .try_with_platform_verifier()?
            .with_no_client_auth();
        Ok(Self::with_tls(limits, tls))
    }

    fn with_tls(limits: ClientLimits, tls: rustls::ClientConfig) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Guard::new());
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(limits.connect_timeout));
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(limits.kept_per_host)
            .build(HttpsConnector::from((tcp, tls)));
        Self { inner, limits }
    }

    /// Sends one request and reads the whole reply.
    ///
    /// # Errors
    ///
    /// There is no whole reply, and so nothing is known; the variant says whether a later attempt
    /// can help, and whether the request may have arrived. See [`SendError`].
    pub async fn send(&self, request: Request) -> Result<Reply, SendError> {
        judge(&request.uri).map_err(SendError::Refused)?;
        let limit = self.limits.request_timeout;
        tokio::time::timeout(limit, self.converse(request)).await.unwrap_or(Err(SendError::TimedOut(limit)))
    }

    async fn converse(&self, request: Request) -> Result<Reply, SendError> {
        let sent = self.inner.request(on_the_wire(request)).await;
        let (head, body) = sent.map_err(|error| SendError::of(&error))?.into_parts();
        Ok(Reply {
            status: head.status.as_u16(),
            retry_after: word(&head.headers, RETRY_AFTER).and_then(|value| retry_after(value, Utc::now())),
            body: self.read(body).await?,
        })
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, SendError> {
        let cap = self.limits.reply_bytes;
        read_body(body, cap).await.map_err(|error| match error {
            BodyError::TooLarge => SendError::TooLarge(cap),
            BodyError::Broken => SendError::Broken(error.to_string()),
        })
    }
}

fn on_the_wire(request: Request) -> hyper::Request<Full<Bytes>> {
    let length = request.body.len();
    let mut wire = hyper::Request::new(Full::new(request.body));
    *wire.uri_mut() = request.uri;
    wire.headers_mut().extend(request.headers);
    wire.headers_mut().insert(USER_AGENT, AGENT);
    if request.method == Method::Post {
        *wire.method_mut() = hyper::Method::POST;
        // Without it an empty POST has no length at all, which some servers answer with 411.
        wire.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    wire
}

fn word(headers: &hyper::HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests;
