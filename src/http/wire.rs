//! An accepted socket as this server wants it: without delay, never stuck on a peer that does not
//! read, and closed so that the last answer arrives. It knows bytes, not HTTP.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// How long we go on listening to a peer that was answered in mid-sentence. Closing a socket with
/// unread bytes sends a reset, and a reset takes the answer with it.
const LINGER: Duration = Duration::from_secs(2);

/// A connection from a peer.
pub(super) struct Wire {
    stream: TcpStream,
    /// How long one write may wait for a peer that does not read.
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    mid_sentence: MidSentence,
    farewell: Option<Pin<Box<Sleep>>>,
}

/// Set when the peer was answered before it had finished speaking.
#[derive(Clone, Default)]
pub(super) struct MidSentence(Arc<AtomicBool>);

impl MidSentence {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Wire {
    pub(super) fn new(stream: TcpStream, patience: Duration) -> Self {
        // It fails only on a socket that is already dead, which the first read will tell.
        stream.set_nodelay(true).ok();
        Self { stream, patience, stalled: None, mid_sentence: MidSentence::default(), farewell: None }
    }

    pub(super) fn mid_sentence(&self) -> MidSentence {
        self.mid_sentence.clone()
    }

    /// Waits until the peer has said something, or has gone.
    pub(super) async fn spoken_to(&self) {
        self.stream.readable().await.ok();
    }

    fn unless_stalled<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.unless_stalled(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.unless_stalled(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Says goodbye, then hears the peer out: at once if it is silent and was not interrupted,
    /// else until it hangs up or [`LINGER`] has passed.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = &mut *self;
        let farewell = match &mut wire.farewell {
            Some(farewell) => farewell,
            none => {
                ready!(Pin::new(&mut wire.stream).poll_shutdown(cx))?;
                none.insert(Box::pin(sleep(LINGER)))
            }
        };
        let mut scratch = [0; 4096];
        loop {
            let mut ignored = ReadBuf::new(&mut scratch);
            match Pin::new(&mut wire.stream).poll_read(cx, &mut ignored) {
                Poll::Ready(Ok(())) if !ignored.filled().is_empty() => wire.mid_sentence.set(),
                Poll::Pending if wire.mid_sentence.0.load(Ordering::Relaxed) => {
                    ready!(farewell.as_mut().poll(cx));
                    return Poll::Ready(Ok(()));
                }
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn pair(patience: Duration) -> (TcpStream, Wire) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (peer, Wire::new(listener.accept().await.unwrap().0, patience))
    }

    #[tokio::test]
    async fn no_answer_waits_for_the_peers_acknowledgement() {
        let (_peer, wire) = pair(LINGER).await;
        assert!(wire.stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn a_peer_that_never_reads_does_not_hold_us() {
        let (_peer, mut wire) = pair(Duration::from_millis(50)).await;
        let much = vec![0; 64 << 20];
        let written = tokio::time::timeout(LINGER, wire.write_all(&much)).await.unwrap();
        let fault = written.unwrap_err();
        assert_eq!(fault.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn an_interrupted_peer_reads_its_answer_after_it_has_finished() {
        let (mut peer, mut wire) = pair(LINGER).await;
        let goodbye = tokio::spawn(async move {
            wire.mid_sentence().set();
            wire.write_all(b"stop").await.unwrap();
            wire.shutdown().await.unwrap();
        });
        peer.write_all(&vec![0; 1 << 20]).await.unwrap();
        let mut heard = String::new();
        peer.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "stop");
        drop(peer);
        goodbye.await.unwrap();
    }

    #[tokio::test]
    async fn a_silent_peer_is_left_at_once() {
        let (_peer, mut wire) = pair(LINGER).await;
        let shutdown = tokio::time::timeout(LINGER / 4, wire.shutdown());
        assert!(shutdown.await.is_ok());
    }
}
