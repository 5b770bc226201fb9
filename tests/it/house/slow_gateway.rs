//! A gateway that is worse than the simulator can be: it counts who is there at once, sends people elsewhere, and
//! remembers every connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::DEADLINE;

/// The listener and what it has seen. Dropping it ends it.
pub struct SlowGateway {
    pub address: SocketAddr,
    seen: Arc<Seen>,
    task: AbortHandle,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    asked: watch::Sender<usize>,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

impl SlowGateway {
    /// Takes so long over each request, then answers with what `answer` makes of its origin and closes.
    pub async fn start(patience: Duration, answer: impl FnOnce(&str) -> String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::<Seen>::default());
        let watching = Arc::clone(&seen);
        let answer = answer(&format!("http://{address}"));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                watching.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, patience, answer.clone(), Arc::clone(&watching)));
            }
        });
        Self { address, seen, task: task.abort_handle() }
    }

    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The poll URL of a payment here.
    pub fn poll_url(&self, guid: &str) -> String {
        format!("{}/Interface/CheckPayment/?guid={guid}", self.origin())
    }

    /// How many connections there ever were.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// How many requests were open at once, at most.
    pub fn most_open(&self) -> usize {
        self.seen.most_open.load(Ordering::SeqCst)
    }

    /// Waits until so many requests have come.
    pub async fn until_asked(&self, times: usize) {
        let mut asked = self.seen.asked.subscribe();
        let often = timeout(DEADLINE, asked.wait_for(|asked| *asked >= times)).await;
        assert!(often.is_ok(), "the gateway was not asked {times} times");
    }
}

impl Drop for SlowGateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An HTTP answer with this status line, header lines and body.
pub fn answer(status: &str, header: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{header}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

async fn serve(mut stream: TcpStream, patience: Duration, answer: String, seen: Arc<Seen>) {
    let mut head = Vec::new();
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    seen.asked.send_modify(|asked| *asked += 1);
    let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
    seen.most_open.fetch_max(open, Ordering::SeqCst);
    tokio::time::sleep(patience).await;
    seen.open.fetch_sub(1, Ordering::SeqCst);
    let _ = stream.write_all(answer.as_bytes()).await;
}
