//! A mail server that plays a script, for tests: one script per connection, every line said and heard as written.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// One step of a connection's script. When the script is over, the connection is closed.
#[derive(Clone)]
pub(super) enum Act {
    /// Sends these bytes in one write.
    Say(&'static str),
    /// Wants a line that begins so.
    Hear(&'static str),
    /// Wants a letter, to its final dot.
    Letter,
    /// Becomes the server's side of a TLS handshake.
    Tls,
    /// Goes on when the test says so.
    Await(Arc<Notify>),
    /// Tells the test that the script is here.
    Tell(Arc<Notify>),
    /// Says nothing until the client is gone.
    Hang,
}
use Act::{Hear, Letter, Say};

/// Greeting and EHLO.
pub(super) fn hello() -> Vec<Act> {
    vec![Say("220 ready\r\n"), Hear("EHLO shop.example"), Say("250-mail.example\r\n250 AUTH PLAIN LOGIN\r\n")]
}

/// The same of a server that takes several commands at once.
pub(super) fn brisk_hello() -> Vec<Act> {
    vec![Say("220 ready\r\n"), Hear("EHLO shop.example"), Say("250-mail.example\r\n250-PIPELINING\r\n250 SIZE\r\n")]
}

/// All that comes before a letter, heard in one go, and answered so.
pub(super) fn at_once(answers: &'static str) -> Vec<Act> {
    vec![Hear("MAIL FROM:<ledger@shop.example>"), Hear("RCPT TO:<"), Hear("DATA"), Say(answers)]
}

/// A letter, taken.
pub(super) fn taken() -> Vec<Act> {
    [up_to_data(), vec![Letter, Say("250 taken\r\n")]].concat()
}

/// A letter, as far as the go-ahead.
pub(super) fn up_to_data() -> Vec<Act> {
    vec![
        Hear("MAIL FROM:<ledger@shop.example>"),
        Say("250 ok\r\n"),
        Hear("RCPT TO:<"),
        Say("250 ok\r\n"),
        Hear("DATA"),
        Say("354 go\r\n"),
    ]
}

/// The server, playing.
pub(super) struct Server {
    pub(super) port: u16,
    heard: Arc<Mutex<Vec<String>>>,
    play: JoinHandle<()>,
}

impl Server {
    /// Plays one script per connection, the connections side by side; further connections are refused.
    pub(super) async fn start(scripts: Vec<Vec<Act>>, certificate: Option<&Certificate>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let acceptor = certificate.map(Certificate::acceptor);
        let log = Arc::clone(&heard);
        let play = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            for (number, script) in (1..).zip(scripts) {
                let (tcp, _) = listener.accept().await.unwrap();
                tcp.set_nodelay(true).unwrap(); // What the script says is on its way when the next act begins.
                let cast = Cast { number, heard: Arc::clone(&log), acceptor: acceptor.clone() };
                connections.spawn(cast.play(tcp, script));
            }
            drop(listener);
            while let Some(ended) = connections.join_next().await {
                ended.unwrap();
            }
        });
        Self { port, heard, play }
    }

    /// Waits until every script was played and returns what was heard: `CONNECTION: LINE`.
    pub(super) async fn finish(self) -> Vec<String> {
        self.play.await.unwrap();
        self.heard.lock().unwrap().clone()
    }
}

struct Cast {
    number: usize,
    heard: Arc<Mutex<Vec<String>>>,
    acceptor: Option<TlsAcceptor>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Cast {
    async fn play(self, tcp: TcpStream, script: Vec<Act>) {
        let mut stream: BufReader<Box<dyn Stream>> = BufReader::new(Box::new(tcp));
        for act in script {
            match act {
                Say(text) => {
                    if stream.write_all(text.as_bytes()).await.is_err() {
                        return self.note("gone");
                    }
                }
                Hear(start) => {
                    let line = self.line(&mut stream).await;
                    assert!(line.starts_with(start), "connection {}: wanted {start}, heard {line:?}", self.number);
                }
                Letter => while self.line(&mut stream).await != "." {},
                Act::Tls => match self.acceptor.as_ref().unwrap().accept(stream.into_inner()).await {
                    Ok(tls) => stream = BufReader::new(Box::new(tls)),
                    Err(_) => return self.note("no handshake"),
                },
                Act::Await(signal) => signal.notified().await,
                Act::Tell(signal) => signal.notify_one(),
                Act::Hang => {
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                }
            }
        }
    }

    async fn line(&self, stream: &mut BufReader<Box<dyn Stream>>) -> String {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).await.unwrap() > 0, "connection {}: the client left", self.number);
        let line = line.trim_end().to_owned();
        self.note(&line);
        line
    }

    fn note(&self, line: &str) {
        self.heard.lock().unwrap().push(format!("{}: {line}", self.number));
    }
}

/// A certificate for `localhost`, and the authority that signed it.
pub(super) struct Certificate {
    authority: CertificateDer<'static>,
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl Certificate {
    /// One for this name, valid until the end of that year.
    pub(super) fn new(name: &str, until: i32) -> Self {
        static ISSUED: AtomicU32 = AtomicU32::new(1);
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let number = ISSUED.fetch_add(1, Ordering::Relaxed);
        authority.distinguished_name.push(rcgen::DnType::CommonName, format!("test authority {number}"));
        let issuer_key = rcgen::KeyPair::generate().unwrap();
        let authority_certificate = authority.self_signed(&issuer_key).unwrap();
        let issuer = rcgen::Issuer::new(authority, issuer_key);
        let mut leaf = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        leaf.not_after = rcgen::date_time_ymd(until, 12, 31);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = leaf.signed_by(&key, &issuer).unwrap();
        Self {
            authority: authority_certificate.der().clone(),
            chain: vec![certificate.der().clone()],
            key: key.serialize_der(),
        }
    }

    /// Trust in this certificate's authority and no other.
    pub(super) fn trust(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    }

    fn acceptor(&self) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::try_from(self.key.clone()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}
