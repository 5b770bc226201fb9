//! The post office: an SMTP server over real sockets that does with each letter what a test tells it to.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::DEADLINE;
use super::letters::Letter;

/// How conversations begin.
#[derive(Clone)]
pub enum Protection {
    Plain,
    StartTls(Authority),
    Tls(Authority),
}

/// What becomes of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Take,
    /// 451 to its recipient.
    Later,
    /// 550 to its recipient.
    Refuse,
    /// The letter is heard to its end, and taken when the test says so.
    TakeLate,
    /// The letter is heard to its end, and nothing is said any more.
    FallSilent,
    /// The letter is heard to its end, and the connection dropped.
    HangUp,
}

/// The server and what it has heard. Dropping it ends it.
pub struct PostOffice {
    pub port: u16,
    heard: Arc<Heard>,
    task: AbortHandle,
}

#[derive(Default)]
struct Heard {
    plan: Mutex<VecDeque<Verdict>>,
    letters: watch::Sender<Vec<(Verdict, String, Letter)>>,
    lines: Mutex<Vec<String>>,
    gate: Notify,
}

impl PostOffice {
    /// Does `plan` with the first letters, and takes all others.
    pub async fn open(protection: Protection, plan: &[Verdict]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Heard { plan: Mutex::new(plan.iter().copied().collect()), ..Heard::default() });
        let clerk = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let (clerk, protection) = (Arc::clone(&clerk), protection.clone());
                tokio::spawn(async move { clerk.attend(stream, protection).await });
            }
        });
        Self { port, heard, task: task.abort_handle() }
    }

    /// Every letter heard to its end: what became of it, its envelope's recipient, the letter.
    pub fn letters(&self) -> Vec<(Verdict, String, Letter)> {
        self.heard.letters.borrow().clone()
    }

    /// Takes the letter that is waiting to be taken late.
    pub fn take_it(&self) {
        self.heard.gate.notify_one();
    }

    /// Every command heard.
    pub fn lines(&self) -> Vec<String> {
        self.heard.lines.lock().unwrap().clone()
    }

    /// Waits until so many letters have been heard, and returns them.
    pub async fn until_letters(&self, count: usize) -> Vec<(Verdict, String, Letter)> {
        let mut letters = self.heard.letters.subscribe();
        let heard = timeout(DEADLINE, letters.wait_for(|letters| letters.len() >= count)).await;
        assert!(heard.is_ok(), "not {count} letters, but {:#?}", self.lines());
        self.letters()
    }
}

impl Drop for PostOffice {
    fn drop(&mut self) {
        self.task.abort();
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}
type Desk = BufReader<Box<dyn Stream>>;

impl Heard {
    /// One conversation, however it ends.
    async fn attend(&self, stream: TcpStream, protection: Protection) -> Option<()> {
        let mut desk: Desk = BufReader::new(Box::new(stream));
        let mut starttls = None;
        match protection {
            Protection::Plain => {}
            Protection::StartTls(authority) => starttls = Some(authority),
            Protection::Tls(authority) => desk = encrypted(desk, &authority).await?,
        }
        say(&mut desk, "220 mail.example ready").await?;
        let mut recipient = String::new();
        let mut verdict = Verdict::Take;
        loop {
            let line = self.line(&mut desk).await?;
            match line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase().as_str() {
                "EHLO" if starttls.is_some() => say(&mut desk, "250-mail.example\r\n250 STARTTLS").await?,
                "EHLO" => say(&mut desk, "250-mail.example\r\n250 AUTH PLAIN LOGIN").await?,
                "STARTTLS" => {
                    say(&mut desk, "220 go ahead").await?;
                    desk = encrypted(desk, &starttls.take()?).await?;
                }
                // Nothing but the way into TLS is open before TLS.
                _ if starttls.is_some() => say(&mut desk, "530 must issue STARTTLS first").await?,
                "RCPT" => {
                    verdict = self.plan.lock().unwrap().pop_front().unwrap_or(Verdict::Take);
                    line.split(['<', '>']).nth(1)?.clone_into(&mut recipient);
                    match verdict {
                        Verdict::Later => say(&mut desk, "451 not now").await?,
                        Verdict::Refuse => say(&mut desk, "550 no such user").await?,
                        Verdict::Take | Verdict::TakeLate | Verdict::FallSilent | Verdict::HangUp => {
                            say(&mut desk, "250 ok").await?;
                        }
                    }
                }
                "DATA" => {
                    say(&mut desk, "354 go").await?;
                    let letter = self.letter(&mut desk).await?;
                    self.letters.send_modify(|letters| letters.push((verdict, recipient.clone(), letter)));
                    match verdict {
                        Verdict::FallSilent => {
                            let _ = desk.read_to_end(&mut Vec::new()).await;
                            return None;
                        }
                        Verdict::HangUp => return None,
                        Verdict::TakeLate => self.gate.notified().await,
                        Verdict::Take | Verdict::Later | Verdict::Refuse => {}
                    }
                    say(&mut desk, "250 taken").await?;
                }
                "AUTH" => say(&mut desk, "235 welcome").await?,
                "QUIT" => return say(&mut desk, "221 bye").await,
                _ => say(&mut desk, "250 ok").await?,
            }
        }
    }

    /// One command; `None` when the client has left.
    async fn line(&self, desk: &mut Desk) -> Option<String> {
        let mut line = String::new();
        desk.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let line = line.trim_end().to_owned();
        self.lines.lock().unwrap().push(line.clone());
        Some(line)
    }

    /// A letter, to its final dot.
    async fn letter(&self, desk: &mut Desk) -> Option<Letter> {
        let mut raw = String::new();
        loop {
            let mut line = String::new();
            desk.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
            if line == ".\r\n" {
                return Some(Letter::parse(raw));
            }
            raw.push_str(line.strip_prefix('.').unwrap_or(&line));
        }
    }
}

async fn say(desk: &mut Desk, text: &str) -> Option<()> {
    desk.write_all(format!("{text}\r\n").as_bytes()).await.ok()
}

async fn encrypted(desk: Desk, authority: &Authority) -> Option<Desk> {
    let tls = authority.acceptor().accept(desk.into_inner()).await.ok()?;
    Some(BufReader::new(Box::new(tls)))
}

/// A certificate authority nobody trusts by itself, and a certificate of its for `localhost`.
#[derive(Clone)]
pub struct Authority {
    /// The authority's own certificate, for `SSL_CERT_FILE`.
    pub pem: String,
    issuer: Arc<rcgen::Issuer<'static, rcgen::KeyPair>>,
    leaf: Vec<u8>,
    key: Vec<u8>,
}

impl Authority {
    pub fn new() -> Self {
        static FOUNDED: AtomicU32 = AtomicU32::new(1);
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let number = FOUNDED.fetch_add(1, Ordering::Relaxed);
        authority.distinguished_name.push(rcgen::DnType::CommonName, format!("authority {number} of the test house"));
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let pem = authority.self_signed(&authority_key).unwrap().pem();
        let issuer = Arc::new(rcgen::Issuer::new(authority, authority_key));
        Self { pem, issuer, leaf: Vec::new(), key: Vec::new() }.with_leaf("localhost", |_| {})
    }

    /// The same authority with another certificate to show.
    pub fn with_leaf(&self, name: &str, change: impl FnOnce(&mut rcgen::CertificateParams)) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut leaf = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut leaf);
        let leaf = leaf.signed_by(&key, &*self.issuer).unwrap().der().to_vec();
        Self { pem: self.pem.clone(), issuer: Arc::clone(&self.issuer), leaf, key: key.serialize_der() }
    }

    pub fn acceptor(&self) -> TlsAcceptor {
        let key = PrivateKeyDer::try_from(self.key.clone()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.leaf.clone().into()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}
