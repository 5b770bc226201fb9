//! The twins' listener: a small accept loop on loopback, and the few shapes of answer a twin gives.

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The largest body a twin reads, in bytes.
const BODY_BYTES: usize = 64 << 10;

/// How long to wait before accepting again after accepting failed, usually for want of file descriptors.
const OUTAGE_PAUSE: Duration = Duration::from_millis(50);

/// How long a connection may stay silent.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// An answer with its whole body at hand.
pub(super) type Response = hyper::Response<Full<Bytes>>;

/// Serves HTTP/1.1 until `shutdown` is cancelled, then finishes the answers in flight; every connection is one of
/// `tasks`, so that whoever stops the twin can wait for them.
pub(super) async fn serve<H, F>(listener: TcpListener, tasks: TaskTracker, shutdown: CancellationToken, handler: H)
where
    H: Fn(Request<Bytes>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(OUTAGE_PAUSE).await;
            continue;
        };
        stream.set_nodelay(true).ok();
        let (handler, shutdown) = (handler.clone(), shutdown.clone());
        tasks.spawn(async move {
            let service = service_fn(move |request| {
                let handler = handler.clone();
                async move { Ok::<_, Infallible>(answer(request, handler).await) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
            let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = shutdown.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "simulator: a connection ended early");
            }
        });
    }
}

async fn answer<B, H, F>(request: Request<B>, handler: H) -> Response
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    H: Fn(Request<Bytes>) -> F,
    F: Future<Output = Response>,
{
    let (head, body) = request.into_parts();
    match Limited::new(body, BODY_BYTES).collect().await {
        Ok(body) => handler(Request::from_parts(head, body.to_bytes())).await,
        Err(_) => with(text(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n"), "connection", "close"),
    }
}

/// An answer of this status and nothing else.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
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
