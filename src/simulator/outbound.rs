//! What a twin sends goes to this machine and nowhere else: no name is resolved, no redirect followed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How long the other side may take, all in all.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The largest reply that is read, in bytes.
const REPLY_BYTES: usize = 256 << 10;

/// Why a post has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Not an address on this machine. Nothing was sent, and nothing ever is.
    #[error("not posted: a simulator posts only to http:// on this machine (127.0.0.0/8, [::1] or localhost)")]
    NotLoopback,
    /// A header that cannot be sent.
    #[error("not posted: a header is not HTTP")]
    BadHeader(#[source] hyper::http::Error),
    /// Nobody there, or gone before the answer.
    #[error("no answer: {0}")]
    Unanswered(String),
}

/// What the other side answered.
#[derive(Debug)]
pub(super) struct Reply {
    /// The status code.
    pub(super) status: u16,
    /// Its headers.
    #[cfg_attr(not(test), expect(dead_code, reason = "a gateway looks only at the status; the tests look closer"))]
    pub(super) headers: HeaderMap,
    /// Its body.
    #[cfg_attr(not(test), expect(dead_code, reason = "a gateway looks only at the status; the tests look closer"))]
    pub(super) body: Bytes,
}

/// One request on this machine, and its answer.
pub(super) async fn send(
    method: Method,
    url: &str,
    headers: &[(String, String)],
    body: Vec<u8>,
) -> Result<Reply, SendError> {
    let (uri, addresses) = on_this_machine(url)?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, uri.authority().map_or("localhost", |authority| authority.as_str()))
        .header(CONTENT_LENGTH, body.len());
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::from(body))).map_err(SendError::BadHeader)?;
    let unanswered = |error: &dyn std::fmt::Display| SendError::Unanswered(error.to_string());
    tokio::time::timeout(TIMEOUT, async {
        let stream = TcpStream::connect(addresses.as_slice()).await.map_err(|error| unanswered(&error))?;
        stream.set_nodelay(true).ok();
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| unanswered(&error))?;
        let exchange = async {
            let (head, body) = sender.send_request(request).await.map_err(|error| unanswered(&error))?.into_parts();
            let body = Limited::new(body, REPLY_BYTES).collect().await.map_err(|error| unanswered(&error))?.to_bytes();
            Ok(Reply { status: head.status.as_u16(), headers: head.headers, body })
        };
        let mut exchange = std::pin::pin!(exchange);
        tokio::select! {
            reply = exchange.as_mut() => reply,
            _ = connection => exchange.await,
        }
    })
    .await
    .unwrap_or_else(|_| Err(SendError::Unanswered(format!("nothing within {} s", TIMEOUT.as_secs()))))
}

/// Where `url` leads, if that is this machine.
fn on_this_machine(url: &str) -> Result<(Uri, Vec<SocketAddr>), SendError> {
    let uri: Uri = url.parse().map_err(|_| SendError::NotLoopback)?;
    let authority = uri.authority().ok_or(SendError::NotLoopback)?;
    if uri.scheme_str() != Some("http") || authority.as_str().contains('@') {
        return Err(SendError::NotLoopback);
    }
    let host = authority.host();
    let hosts: Vec<IpAddr> = if host.eq_ignore_ascii_case("localhost") {
        vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
    } else {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        vec![bare.parse().map_err(|_| SendError::NotLoopback)?]
    };
    if !hosts.iter().all(IpAddr::is_loopback) {
        return Err(SendError::NotLoopback);
    }
    let port = authority.port_u16().unwrap_or(80);
    let addresses = hosts.into_iter().map(|host| SocketAddr::new(host, port)).collect();
    Ok((uri, addresses))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_on_this_machine_is_an_address() {
        for good in ["http://127.0.0.1:8087/paynow/shop", "http://LOCALHOST/x", "http://[::1]:1/", "http://127.9.9.9"] {
            assert!(on_this_machine(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/paynow/shop",
            "https://127.0.0.1/",
            "http://shop.example/paynow",
            "http://127.0.0.1.shop.example/",
            "http://127.0.0.1@shop.example/",
            "http://user@127.0.0.1/",
            "http://10.0.0.1/",
            "http://0.0.0.0/",
            "http://[::ffff:10.0.0.1]/",
            "http://localhost.shop.example/",
        ] {
            assert!(matches!(on_this_machine(bad), Err(SendError::NotLoopback)), "{bad}");
        }
    }
}
