//! A mail server that takes every letter at once and counts them, plain or over TLS from the first byte.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufStream};
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
    /// Hangs out a letterbox, with TLS if there is an authority to vouch for it.
    pub async fn open(authority: Option<&Authority>) -> Self {
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
                        Some(tls) => attend(tls.accept(stream).await?, &count).await,
                        None => attend(stream, &count).await,
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

async fn attend<S: AsyncRead + AsyncWrite + Unpin>(stream: S, taken: &AtomicU64) -> io::Result<()> {
    let mut desk = BufStream::new(stream);
    let mut line = Vec::new();
    say(&mut desk, "220 mail.example ready").await?;
    loop {
        line.clear();
        if desk.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        match line.get(..4).unwrap_or_default().to_ascii_uppercase().as_slice() {
            b"DATA" => {
                say(&mut desk, "354 go").await?;
                while line != b".\r\n" {
                    line.clear();
                    if desk.read_until(b'\n', &mut line).await? == 0 {
                        return Ok(());
                    }
                }
                taken.fetch_add(1, Ordering::Relaxed);
                say(&mut desk, "250 taken").await?;
            }
            b"QUIT" => return say(&mut desk, "221 bye").await,
            _ => say(&mut desk, "250 ok").await?,
        }
    }
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(desk: &mut BufStream<S>, text: &str) -> io::Result<()> {
    desk.write_all(format!("{text}\r\n").as_bytes()).await?;
    desk.flush().await
}
