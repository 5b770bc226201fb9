//! A listener with bounds: so many connections, so much time, one answer for each request, and an
//! end that cuts nobody off. What is asked and answered is the handler's business.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::body::HeardOut;
use super::crowd::Crowd;
use super::peer::Cidr;
use super::response::{A_LITTLE_LATER, Response, closing, come_back, empty, is_closing};
use super::wire::Wire;
use crate::meter::{Count, Roll, Room};

/// How many headers a request may have; more are answered 431.
const HEADERS: usize = 64;

/// How many bytes the request line and headers may have, at least; many more are answered 431.
const HEAD_BYTES: usize = 16 << 10;

/// How many connections beyond the cap are told so at once. More are dropped without a word.
const REFUSALS: usize = 64;

/// How long a connection beyond the cap may take to say something before it is refused. A reply
/// that comes before the question confuses some clients.
const LISTEN_FIRST: Duration = Duration::from_millis(200);

/// What a connection beyond the cap is told.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    Retry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// What a peer is told whose head came too slowly.
const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// How long to wait before accepting again when accepting failed for want of something (usually
/// file descriptors).
const OUTAGE_PAUSE: Duration = Duration::from_millis(50);

/// How long requests that are on their way when the end is announced may take to arrive. hyper
/// drops a connection that has not spoken yet as soon as it is asked to finish.
const LAST_CALL: Duration = Duration::from_millis(250);

/// What goes through a door.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Connections that have a place just now.
    pub connections: Room,
    /// Answers by status code. What is refused before it is a request (431, and 400 for what is no HTTP) is not among
    /// them.
    pub replies: Roll<u16, Count>,
}

/// How much of everything the peers may take together.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once; one more is answered 503. 1024 by default.
    pub connections: usize,
    /// Of these, from one address (of IPv6, one network of 64 bits). One more is answered 503, too. 256 by default.
    pub connections_per_peer: usize,
    /// For a request's head to arrive, counted from the moment we are ready for it, and so also
    /// how long an idle connection is kept. Then it is closed without a word. 10 s by default.
    pub header_timeout: Duration,
    /// For the handler to answer, reading the body included; then 408, or 503 if the handler says
    /// that the peer had been [`HeardOut`]. Also how long a peer may leave its answer unread. 15 s
    /// by default.
    pub request_timeout: Duration,
    /// For requests in flight to be finished once the end was announced. 8 s by default.
    pub drain_timeout: Duration,
    /// Who speaks for many, and so may have as many connections as there are. Nobody by default.
    pub proxies: Vec<Cidr>,
    /// Where it is counted what they took.
    pub traffic: Arc<Traffic>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_peer: 256,
            header_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(15),
            drain_timeout: Duration::from_secs(8),
            proxies: Vec::new(),
            traffic: Arc::default(),
        }
    }
}

/// Serves HTTP/1.1 until `shutdown` is cancelled, then stops listening, answers what is in flight
/// or still arriving, and returns. It takes at most `drain_timeout` and a quarter of a second for
/// that; whoever is cut off then is counted in the log. A handler that runs out of time is
/// dropped where it awaits; one whose peer has only finished sending is not.
pub async fn serve<H, F>(listener: TcpListener, mut limits: Limits, shutdown: CancellationToken, handler: H)
where
    H: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let last_word = CancellationToken::new();
    let mut connections = JoinSet::new();
    let mut refusals = JoinSet::new();
    let crowd = Crowd::new(limits.connections_per_peer, std::mem::take(&mut limits.proxies));
    let mut outage = false;
    loop {
        // In this order: who has left makes room, and who has knocked before the end is let in.
        let accepted = tokio::select! {
            biased;
            Some(ended) = connections.join_next() => {
                bury(ended);
                continue;
            }
            Some(ended) = refusals.join_next() => {
                bury(ended);
                continue;
            }
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                outage = false;
                let wire = Wire::new(stream, limits.request_timeout);
                let seat = if connections.len() < limits.connections { crowd.admit(peer.ip()) } else { None };
                if let Some(seat) = seat {
                    let conversation = converse(wire, peer, limits.clone(), last_word.clone(), handler.clone());
                    connections.spawn(async move {
                        conversation.await;
                        drop(seat);
                    });
                } else if refusals.len() < REFUSALS {
                    limits.traffic.replies.of(&StatusCode::SERVICE_UNAVAILABLE.as_u16()).raise();
                    refusals.spawn(refuse(wire));
                }
            }
            Err(error) if is_the_peers(&error) => {}
            Err(error) => {
                if !outage {
                    tracing::warn!(%error, "cannot accept connections; trying until it works");
                }
                outage = true;
                tokio::select! {
                    () = sleep(OUTAGE_PAUSE) => {}
                    () = shutdown.cancelled() => break,
                }
            }
        }
    }
    drop(listener);
    if timeout(LAST_CALL, all_ended([&mut connections, &mut refusals])).await.is_ok() {
        return;
    }
    last_word.cancel();
    let drained = timeout(limits.drain_timeout, all_ended([&mut connections, &mut refusals])).await;
    if drained.is_err() {
        let connections = connections.len();
        tracing::warn!(connections, "cut connections that did not finish in time");
    }
}

async fn converse<H, F>(wire: Wire, peer: SocketAddr, limits: Limits, last_word: CancellationToken, handler: H)
where
    H: Fn(Request<Incoming>, SocketAddr) -> F,
    F: Future<Output = Response>,
{
    let mid_sentence = wire.mid_sentence();
    let traffic = &limits.traffic;
    let _place = traffic.connections.enter();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let heard_out = HeardOut::default();
        request.extensions_mut().insert(heard_out.clone());
        // On the heap: what an answer takes to make is large, and would be moved about and kept by idle connections.
        let answer = timeout(limits.request_timeout, Box::pin(handler(request, peer)));
        let mid_sentence = mid_sentence.clone();
        async move {
            let response = answer.await.unwrap_or_else(|_| too_slow(&heard_out));
            traffic.replies.of(&response.status().as_u16()).raise();
            if is_closing(&response) {
                mid_sentence.set();
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_BYTES)
        .half_close(true)
        // Answers are short: one buffer is cheaper than a list of them.
        .writev(false)
        .serve_connection(TokioIo::new(wire), service);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = last_word.cancelled() => {
            Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    let Err(error) = ended else { return };
    tracing::debug!(%peer, %error, "connection ended early");
    let parts = connection.into_parts();
    // Whose head came too slowly hears nothing from hyper.
    if error.is_timeout() && !parts.read_buf.is_empty() {
        traffic.replies.of(&StatusCode::REQUEST_TIMEOUT.as_u16()).raise();
        interrupt(parts.io.into_inner(), TOO_SLOW).await;
    }
}

/// What a request is told whose time is up: that it came too slowly, or that we were too slow.
fn too_slow(heard_out: &HeardOut) -> Response {
    if !heard_out.is_set() {
        return closing(empty(StatusCode::REQUEST_TIMEOUT));
    }
    closing(come_back(empty(StatusCode::SERVICE_UNAVAILABLE), A_LITTLE_LATER))
}

async fn refuse(wire: Wire) {
    timeout(LISTEN_FIRST, wire.spoken_to()).await.ok();
    interrupt(wire, REFUSAL).await;
}

/// Says something, whatever the peer is about to say, and hangs up.
async fn interrupt(mut wire: Wire, words: &[u8]) {
    wire.mid_sentence().set();
    if wire.write_all(words).await.is_ok() {
        wire.shutdown().await.ok();
    }
}

/// Whether a connection was lost while it waited to be accepted. Then the next may be fine.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn all_ended(tasks: [&mut JoinSet<()>; 2]) {
    for tasks in tasks {
        while let Some(ended) = tasks.join_next().await {
            bury(ended);
        }
    }
}

/// A panic takes one connection with it, not the house; but it is a bug, and is said so.
fn bury(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task ended in a bug");
    }
}

#[cfg(test)]
mod tests;
