//! A mail server that takes every letter at once and counts them, plain or over TLS from the first byte. It may take
//! several commands at once, as nearly all do; then it answers them at once, too.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::gateway::Authority;

/// The server. Dropping it ends it.
pub struct Letterbox {
    pub port: u16,
    taken: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Letterbox {
    /// Hangs out a letterbox, with TLS if there is an authority to vouch for it; one that `pipelines` takes several
    /// commands at once.
    pub async fn open(authority: Option<&Authority>, pipelines: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let taken = Arc::<AtomicU64>::default();
        let (tls, count) = (authority.map(Authority::acceptor), Arc::clone(&taken));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("nodelay");
                let (tls, count) = (tls.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => attend(tls.accept(stream).await?, pipelines, &count).await,
                        None => attend(stream, pipelines, &count).await,
                    }
                });
            }
        });
        Self { port, taken, task }
    }

    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Waits until so many letters were taken in all.
    pub fn until(&self, count: u64) {
        let start = Instant::now();
        while self.taken() < count {
            assert!(start.elapsed() < Duration::from_mins(2), "{} of {count} letters came", self.taken());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Letterbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn attend<S: AsyncRead + AsyncWrite + Unpin>(stream: S, pipelines: bool, taken: &AtomicU64) -> io::Result<()> {
    let mut desk = Desk { stream: BufReader::new(stream), unsaid: b"220 mail.example ready\r\n".to_vec() };
    let hello = if pipelines { "250-mail.example\r\n250 PIPELINING" } else { "250 mail.example" };
    let mut line = Vec::new();
    while desk.hear(&mut line).await? {
        match line.get(..4).unwrap_or_default().to_ascii_uppercase().as_slice() {
            b"DATA" => {
                desk.say("354 go");
                while line != b".\r\n" {
                    if !desk.hear(&mut line).await? {
                        return Ok(());
                    }
                }
                taken.fetch_add(1, Ordering::Relaxed);
                desk.say("250 taken");
            }
            b"EHLO" => desk.say(hello),
            b"QUIT" => desk.say("221 bye"),
            _ => desk.say("250 ok"),
        }
    }
    Ok(())
}

/// Where one client is attended to.
struct Desk<S> {
    stream: BufReader<S>,
    unsaid: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Desk<S> {
    fn say(&mut self, words: &str) {
        self.unsaid.extend_from_slice(words.as_bytes());
        self.unsaid.extend_from_slice(b"\r\n");
    }

    /// Reads the next line. Before waiting for it, says what is to be said. `false` if the client has gone.
    async fn hear(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        if self.stream.buffer().is_empty() && !self.unsaid.is_empty() {
            self.stream.write_all(&self.unsaid).await?;
            self.stream.flush().await?;
            self.unsaid.clear();
        }
        line.clear();
        Ok(self.stream.read_until(b'\n', line).await? > 0)
    }
}
