//! A stream on which the server speaks only when spoken to: one answer to each command, and not a byte more. It knows
//! where an answer ends and nothing else of SMTP.
//!
//! Without this, a word too many (an answer given twice, or one slipped in before the TLS handshake) would wait in a
//! buffer and be read as the answer to the next command.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// What the bytes travel over.
#[derive(Debug)]
pub(super) enum Wire {
    /// Plain text.
    Plain(TcpStream),
    /// TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Whose turn it is to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// The server owes an answer, or its greeting.
    Theirs,
    /// The answer is complete.
    Ours,
    /// The server spoke out of turn: nothing it says can be attributed any more.
    Lost,
}

/// A connection to a mail server, up to now in good order.
#[derive(Debug)]
pub(super) struct InTurn {
    wire: Wire,
    /// A greeting heard before, to be heard again.
    greeting: Vec<u8>,
    turn: Turn,
    /// How many bytes of the current line of the answer were read.
    column: usize,
    /// Another line of the same answer follows: `250-` instead of `250 `.
    continued: bool,
    /// The last byte was a carriage return: only a line feed may follow.
    after_return: bool,
}

impl InTurn {
    /// A new connection; the server speaks first.
    pub(super) const fn new(wire: Wire) -> Self {
        Self::greeted(wire, Vec::new())
    }

    /// A connection whose greeting was already heard, and is given to the next listener again: after STARTTLS the
    /// server does not repeat it.
    pub(super) const fn greeted(wire: Wire, greeting: Vec<u8>) -> Self {
        Self { wire, greeting, turn: Turn::Theirs, column: 0, continued: false, after_return: false }
    }

    /// The wire, for a handshake. `None` if the server still owes an answer, or has said too much.
    pub(super) fn into_wire(self) -> Option<Wire> {
        (self.turn == Turn::Ours).then_some(self.wire)
    }

    /// The answer is complete.
    pub(super) fn is_answered(&self) -> bool {
        self.turn != Turn::Theirs
    }

    /// Reads these bytes as part of an answer and says how many belong to it.
    ///
    /// What is not plain ASCII becomes `?`: an answer in a local alphabet is not worth losing the code in front of it.
    /// So does a blank where text should begin, because the library panics on a line of nothing but blanks.
    fn hear(&mut self, bytes: &mut [u8]) -> usize {
        let length = bytes.len();
        for (at, byte) in bytes.iter_mut().enumerate() {
            let odd = !byte.is_ascii() || (byte.is_ascii_control() && !matches!(byte, b'\r' | b'\n'));
            if odd || (self.column == 4 && *byte == b' ') || (self.after_return && *byte != b'\n') {
                *byte = b'?';
            }
            self.after_return = *byte == b'\r';
            match (self.column, *byte) {
                (_, b'\n') if self.continued => (self.column, self.continued) = (0, false),
                (_, b'\n') => {
                    self.column = 0;
                    self.turn = if at + 1 == length { Turn::Ours } else { Turn::Lost };
                    return at + 1;
                }
                (3, byte) => (self.column, self.continued) = (4, byte == b'-'),
                (column, _) => self.column = column.saturating_add(1),
            }
        }
        length
    }

    /// Before we speak: is it our turn, and is the server silent and still there?
    fn claim_turn(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.turn == Turn::Ours {
            let mut byte = [0];
            let mut unasked = ReadBuf::new(&mut byte);
            match Pin::new(&mut self.wire).poll_read(cx, &mut unasked) {
                Poll::Pending => self.turn = Turn::Theirs,
                Poll::Ready(Ok(())) if unasked.filled().is_empty() => {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
                }
                Poll::Ready(Ok(())) => self.turn = Turn::Lost,
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        match self.turn {
            Turn::Theirs | Turn::Ours => Ok(()),
            Turn::Lost => Err(io::Error::new(io::ErrorKind::InvalidData, "the server spoke out of turn")),
        }
    }
}

impl AsyncRead for InTurn {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let before = buf.filled().len();
        if me.greeting.is_empty() {
            ready!(Pin::new(&mut me.wire).poll_read(cx, buf))?;
        } else {
            let count = me.greeting.len().min(buf.remaining());
            buf.put_slice(&me.greeting.drain(..count).collect::<Vec<_>>());
        }
        let heard = buf.filled_mut().get_mut(before..).map_or(0, |fresh| me.hear(fresh));
        buf.set_filled(before + heard);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for InTurn {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        me.claim_turn(cx)?;
        match &mut me.wire {
            Wire::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Wire::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().wire {
            Wire::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Wire::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().wire {
            Wire::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Wire::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncTokioStream for InTurn {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        match &self.wire {
            Wire::Plain(tcp) => tcp.peer_addr(),
            Wire::Tls(tls) => tls.get_ref().0.peer_addr(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lettre::transport::smtp::extension::ServerInfo;
    use lettre::transport::smtp::response::Response;
    use proptest::prelude::*;
    use tokio::net::TcpListener;

    async fn listening() -> InTurn {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        InTurn::new(Wire::Plain(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap()))
    }

    #[tokio::test]
    async fn an_answer_ends_where_its_last_line_ends() {
        for (heard, belongs, turn) in [
            ("250 ok\r\n", 8, Turn::Ours),
            ("250-one\r\n250 two\r\n", 18, Turn::Ours),
            ("250\r\n", 5, Turn::Ours),
            ("250-one\r\n", 9, Turn::Theirs),
            ("250 o", 5, Turn::Theirs),
            ("250 ok\r\n554 no\r\n", 8, Turn::Lost),
        ] {
            let mut stream = listening().await;
            assert_eq!((stream.hear(&mut heard.to_owned().into_bytes()), stream.turn), (belongs, turn), "{heard:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_may_come_in_pieces() {
        let mut stream = listening().await;
        for piece in ["25", "0", "-one\r", "\n250", " two\r"] {
            stream.hear(&mut piece.to_owned().into_bytes());
            assert_eq!(stream.turn, Turn::Theirs);
        }
        stream.hear(&mut b"\n".to_vec());
        assert_eq!(stream.turn, Turn::Ours);
    }

    /// Has the library read what is left of `bytes`, as an answer to EHLO.
    fn read(stream: &mut InTurn, mut bytes: Vec<u8>) {
        let heard = stream.hear(&mut bytes);
        let text = String::from_utf8(bytes[..heard].to_vec()).unwrap();
        if let Ok(response) = text.parse::<Response>() {
            let _ = ServerInfo::from_response(&response);
        }
    }

    #[tokio::test]
    async fn a_line_of_nothing_but_blanks_does_not_panic_in_the_library() {
        for answer in
            ["250-m\r\n250  \r\n", "250- \r\n250 m\r\n", "250-m\r\n250-\r\r\n250 m\r\n", "250-m\r\n250 \t\r\n"]
        {
            read(&mut listening().await, answer.to_owned().into_bytes());
        }
    }

    proptest! {
        #[test]
        fn whatever_a_server_says_the_library_does_not_panic(
            pieces in proptest::collection::vec(
                prop_oneof!["250-", "250 ", "\r\n", "\r", "\n", " ", "\t", "\u{b}", "AUTH", "é"], 0..20)
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
            let mut stream = runtime.block_on(listening());
            read(&mut stream, format!("250-{}", pieces.concat()).into_bytes());
        }
    }
}
