//! The client, against gateways on loopback that may misbehave.

use super::*;
use crate::http::Refusal;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nhi";

/// A gateway that always says the same, and tells what it was asked.
struct Gateway {
    port: u16,
    asked: mpsc::UnboundedReceiver<String>,
    connections: Arc<AtomicUsize>,
}

impl Gateway {
    async fn open(reply: impl Into<String>) -> Self {
        Self::start(reply.into(), None).await
    }

    async fn start(reply: String, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, asked) = mpsc::unbounded_channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let (reply, tell, tls) = (reply.clone(), tell.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => answer(stream, &reply, &tell).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => answer(stream, &reply, &tell).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Self { port, asked, connections }
    }

    fn at(&self, origin: &str, path: &str) -> Uri {
        format!("{origin}:{}{path}", self.port).parse().unwrap()
    }

    fn here(&self) -> Uri {
        self.at("http://127.0.0.1", "/poll?guid=secret")
    }
}

/// Answers head after head (no test's request has a body the gateway cares for).
async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    reply: &str,
    tell: &mpsc::UnboundedSender<String>,
) -> Option<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        tell.send(String::from_utf8(head).unwrap()).ok()?;
        stream.write_all(reply.as_bytes()).await.ok()?;
    }
}

fn with(limits: ClientLimits, roots: rustls::RootCertStore) -> Client {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::with_tls(limits, tls)
}

fn client() -> Client {
    with(ClientLimits::default(), rustls::RootCertStore::empty())
}

fn get(uri: Uri) -> Request {
    Request { method: Method::Get, uri, headers: Vec::new(), body: Bytes::new() }
}

#[tokio::test]
async fn a_reply_comes_whole() {
    let mut gateway = Gateway::open(OK).await;
    let client = client();
    let reply = client.send(get(gateway.here())).await.unwrap();
    assert_eq!((reply.status, &reply.body[..]), (200, &b"hi"[..]));
    assert_eq!(reply.retry_after, None);
    let asked = gateway.asked.recv().await.unwrap();
    assert!(asked.starts_with("GET /poll?guid=secret HTTP/1.1\r\n"), "{asked}");
    let agent = format!("user-agent: paynowd/{}\r\n", env!("CARGO_PKG_VERSION"));
    assert!(asked.contains(&agent), "{asked}");
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let gateway = Gateway::open(OK).await;
    let client = client();
    for _ in 0..20 {
        client.send(get(gateway.here())).await.unwrap();
    }
    assert!(gateway.connections.load(Ordering::Relaxed) < 10);
}

#[tokio::test]
async fn as_many_connections_are_kept_as_are_used_at_once() {
    for (kept_per_host, few) in [(40, true), (1, false)] {
        let gateway = Gateway::open(OK).await;
        let limits = ClientLimits { kept_per_host, ..ClientLimits::default() };
        let client = with(limits, rustls::RootCertStore::empty());
        for _ in 0..5 {
            let mut at_once = tokio::task::JoinSet::new();
            for _ in 0..40 {
                let (client, request) = (client.clone(), get(gateway.here()));
                at_once.spawn(async move { client.send(request).await.is_ok() });
            }
            assert!(at_once.join_all().await.into_iter().all(|answered| answered));
        }
        let connections = gateway.connections.load(Ordering::Relaxed);
        assert_eq!(
            connections <= 60,
            few,
            "{connections} connections for five times 40 requests, {kept_per_host} kept"
        );
    }
}

#[tokio::test]
async fn an_empty_post_says_that_it_is_empty() {
    let mut gateway = Gateway::open(OK).await;
    let accept = (hyper::header::ACCEPT, HeaderValue::from_static("text/plain"));
    let request = Request { method: Method::Post, headers: vec![accept], ..get(gateway.here()) };
    client().send(request).await.unwrap();
    let asked = gateway.asked.recv().await.unwrap();
    assert!(asked.starts_with("POST "), "{asked}");
    assert!(asked.contains("content-length: 0\r\n"), "{asked}");
    assert!(asked.contains("accept: text/plain\r\n"), "{asked}");
}

#[tokio::test]
async fn a_redirect_is_a_reply_and_is_not_followed() {
    let mut elsewhere = Gateway::open(OK).await;
    let there = elsewhere.here();
    let moved = format!("HTTP/1.1 302 Found\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n");
    let gateway = Gateway::open(moved).await;
    let reply = client().send(get(gateway.here())).await.unwrap();
    assert_eq!(reply.status, 302);
    assert!(elsewhere.asked.try_recv().is_err());
}

#[tokio::test]
async fn retry_after_is_read_from_the_reply() {
    let busy = "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n";
    let gateway = Gateway::open(busy).await;
    let reply = client().send(get(gateway.here())).await.unwrap();
    assert_eq!((reply.status, reply.retry_after), (429, Some(Duration::from_secs(7))));
}

#[tokio::test]
async fn a_reply_larger_than_allowed_is_dropped() {
    let limits = ClientLimits { reply_bytes: 16, ..ClientLimits::default() };
    let client = with(limits, rustls::RootCertStore::empty());
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n12345678901234567\r\n",
    ] {
        let gateway = Gateway::open(reply).await;
        let error = client.send(get(gateway.here())).await.unwrap_err();
        assert_eq!(error, SendError::TooLarge(16));
    }
}

#[tokio::test]
async fn a_reply_that_never_ends_runs_out_of_time() {
    let limit = Duration::from_millis(50);
    let limits = ClientLimits { request_timeout: limit, ..ClientLimits::default() };
    let client = with(limits, rustls::RootCertStore::empty());
    for reply in ["", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"] {
        let gateway = Gateway::open(reply).await;
        let sent = tokio::time::timeout(Duration::from_secs(5), client.send(get(gateway.here()))).await;
        let error = sent.unwrap().unwrap_err();
        assert_eq!(error, SendError::TimedOut(limit));
    }
}

#[tokio::test]
async fn faults_are_told_apart_and_never_name_the_path() {
    let nonsense = Gateway::open("SSH-2.0-OpenSSH\r\n\r\n").await;
    let error = client().send(get(nonsense.here())).await.unwrap_err();
    assert!(matches!(error, SendError::Broken(_)), "{error}");
    assert!(!format!("{error} {error:?}").contains("secret"));

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let uri = format!("http://{closed}/poll?guid=secret").parse().unwrap();
    let error = client().send(get(uri)).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot connect: connection refused"), "{error}");
    assert!(!format!("{error} {error:?}").contains("secret"));

    let blunt = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = blunt.local_addr().unwrap().port();
    let plain = tokio::spawn(async move {
        let (mut stream, _) = blunt.accept().await.unwrap();
        stream.write_all(OK.as_bytes()).await.unwrap();
        stream
    });
    let uri = format!("https://localhost:{port}/").parse().unwrap();
    let error = client().send(get(uri)).await.unwrap_err();
    assert!(matches!(error, SendError::Tls(_)), "{error}");
    drop(plain);
}

#[tokio::test]
async fn what_may_not_be_called_is_not_called() {
    let mut gateway = Gateway::open(OK).await;
    for (uri, refusal) in [
        (gateway.at("http://gateway.example", "/"), Refusal::Scheme),
        (gateway.at("https://10.0.0.1", "/"), Refusal::Private),
        (gateway.at("http://user@localhost", "/"), Refusal::Authority),
        // Not a literal to us, 127.0.0.1 to the system's resolver.
        (gateway.at("https://0x7f000001", "/"), Refusal::Private),
    ] {
        let error = client().send(get(uri)).await.unwrap_err();
        assert_eq!(error, SendError::Refused(refusal));
    }
    assert!(gateway.asked.try_recv().is_err());
    let reply = client().send(get(gateway.at("http://localhost", "/"))).await.unwrap();
    assert_eq!(reply.status, 200);
}

/// A gateway behind TLS with a certificate for these names, and the roots that vouch for it.
async fn tls_gateway(change: impl FnOnce(&mut CertificateParams)) -> (Gateway, rustls::RootCertStore) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();

    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], PrivateKeyDer::Pkcs8(key.into()))
        .unwrap();
    let gateway = Gateway::start(OK.into(), Some(TlsAcceptor::from(Arc::new(tls)))).await;
    (gateway, roots)
}

#[tokio::test]
async fn https_to_localhost_works_with_a_private_authority() {
    let (gateway, roots) = tls_gateway(|_| {}).await;
    let client = with(ClientLimits::default(), roots);
    let reply = client.send(get(gateway.at("https://localhost", "/"))).await.unwrap();
    assert_eq!(&reply.body[..], b"hi");
}

#[tokio::test]
async fn a_certificate_fault_says_what_is_wrong() {
    let fault = async |origin, trusted: bool, change: fn(&mut CertificateParams)| {
        let (mut gateway, mut roots) = tls_gateway(change).await;
        if !trusted {
            roots = rustls::RootCertStore::empty();
        }
        let client = with(ClientLimits::default(), roots);
        let error = client.send(get(gateway.at(origin, "/secret"))).await.unwrap_err();
        assert!(gateway.asked.try_recv().is_err(), "nothing was sent");
        error
    };
    let certificate = |words: &str| SendError::Certificate(words.into());
    assert_eq!(fault("https://localhost", false, |_| {}).await, certificate("this machine does not trust its issuer"));
    assert_eq!(fault("https://127.0.0.1", true, |_| {}).await, certificate("it is for another name"));
    assert_eq!(
        fault("https://localhost", true, |params| {
            params.not_before = rcgen::date_time_ymd(2001, 1, 1);
            params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        })
        .await,
        certificate("it has expired")
    );
}
