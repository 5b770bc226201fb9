//! A gateway that answers every question about any payment with "Paid", after a latency of its own, over kept
//! connections. Its door stays shut until a bench says so: whoever asks before waits.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::house::write;
use super::message::{Author, serial};
use super::numbers::median;

/// The gateway. Dropping it ends it.
pub struct Gateway {
    origin: String,
    shared: Arc<Shared>,
    door: watch::Sender<bool>,
    task: JoinHandle<()>,
}

struct Shared {
    author: Author,
    latency: Duration,
    answered: AtomicU64,
    /// From a question's last byte to its answer's, as far as there are any.
    took: Mutex<Vec<Duration>>,
}

/// What a gateway saw while its door was open.
pub struct Seen {
    pub answered: u64,
    pub lasted: Duration,
    pub cpu: Duration,
    /// How long it really took over an answer: the median.
    pub latency: Duration,
}

impl Gateway {
    /// Opens a gateway whose door is shut, with TLS if there is an authority to vouch for it. Without latency there is
    /// no door.
    pub async fn open(latency: Duration, authority: Option<&Authority>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let origin = format!("{}://localhost:{port}", if authority.is_some() { "https" } else { "http" });
        let author = Author::at(&origin);
        let shared = Arc::new(Shared { author, latency, answered: AtomicU64::new(0), took: Mutex::default() });
        let (door, is_open) = watch::channel(latency.is_zero());
        let (tls, clerk) = (authority.map(Authority::acceptor), Arc::clone(&shared));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("nodelay");
                let (tls, clerk, is_open) = (tls.clone(), Arc::clone(&clerk), is_open.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => clerk.attend(tls.accept(stream).await?, is_open).await,
                        None => clerk.attend(stream, is_open).await,
                    }
                });
            }
        });
        Self { origin, shared, door, task }
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub fn latency(&self) -> Duration {
        self.shared.latency
    }

    /// Opens the door for good.
    pub fn unlock(&self) {
        self.door.send_replace(true);
    }

    /// Opens the door for so long and says what happened meanwhile; `cpu` says how much of the cores was used so far.
    pub fn let_in(&self, lasts: Duration, cpu: impl Fn() -> Duration) -> Seen {
        self.unlock();
        // Those who waited at the door come in all at once, and their connections may be new: they do not count.
        std::thread::sleep(self.shared.latency * 3);
        let (start, before, used) = (Instant::now(), self.shared.answered.load(Ordering::Relaxed), cpu());
        self.shared.took.lock().expect("no panic").clear();
        std::thread::sleep(lasts.saturating_sub(self.shared.latency * 5));
        let answered = self.shared.answered.load(Ordering::Relaxed) - before;
        let (lasted, cpu) = (start.elapsed(), cpu().saturating_sub(used));
        let took = self.shared.took.lock().expect("no panic");
        Seen { answered, lasted, cpu, latency: if took.is_empty() { self.shared.latency } else { median(&took) } }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    /// One connection, question after question.
    async fn attend<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        mut door: watch::Receiver<bool>,
    ) -> io::Result<()> {
        let mut heard = Vec::with_capacity(4096);
        loop {
            let end = loop {
                if let Some(end) = heard.windows(4).position(|four| four == b"\r\n\r\n") {
                    break end + 4;
                }
                if stream.read_buf(&mut heard).await? == 0 {
                    return Ok(());
                }
            };
            let asked = Instant::now();
            let question = String::from_utf8_lossy(&heard[..end]).into_owned();
            let target = question.split(' ').nth(1).unwrap_or_default();
            let body = self.author.update(serial(target).unwrap_or_default(), "Paid");
            // A question has no body to speak of; the SDK's form is empty, too.
            heard.drain(..end);
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            if door.wait_for(|open| *open).await.is_err() {
                return Ok(());
            }
            tokio::time::sleep_until((asked + self.latency).into()).await;
            stream.write_all(answer.as_bytes()).await?;
            self.answered.fetch_add(1, Ordering::Relaxed);
            self.took.lock().expect("no panic").push(asked.elapsed());
        }
    }
}

/// A certificate authority of the bench's own, and a certificate of its for `localhost`.
pub struct Authority {
    pem: PathBuf,
    leaf: Vec<u8>,
    key: Vec<u8>,
}

impl Authority {
    /// Its own certificate lies in `home`.
    pub fn new(home: &Path) -> Self {
        let mut authority = rcgen::CertificateParams::new(Vec::new()).expect("no names");
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        authority.distinguished_name.push(rcgen::DnType::CommonName, "authority of the benches");
        let authority_key = rcgen::KeyPair::generate().expect("a key");
        let text = authority.self_signed(&authority_key).expect("a certificate").pem();
        let issuer = rcgen::Issuer::new(authority, authority_key);
        let key = rcgen::KeyPair::generate().expect("a key");
        let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let leaf = leaf.signed_by(&key, &issuer).expect("a certificate").der().to_vec();
        let pem = home.join("authority.pem");
        write(&pem, &text);
        Self { pem, leaf, key: key.serialize_der() }
    }

    /// The file for `SSL_CERT_FILE`.
    pub fn certificate(&self) -> &Path {
        &self.pem
    }

    /// What a server of this bench shows.
    pub fn acceptor(&self) -> TlsAcceptor {
        let key = PrivateKeyDer::try_from(self.key.clone()).expect("our own key");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.leaf.clone().into()], key)
            .expect("our own certificate");
        TlsAcceptor::from(Arc::new(config))
    }
}
