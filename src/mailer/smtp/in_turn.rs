//! A stream on which the server speaks only when spoken to: one answer to each line, or to a text that it has asked for,
//! and not a byte more. It knows where an answer ends, whether it asks for more, and nothing else of SMTP.
//!
//! Without this, a word too many (an answer given twice, or one slipped in before the TLS handshake) would wait in a
//! buffer and be read as the answer to the next command.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// What a server says, behind its code, that takes several commands at once
/// (<https://www.rfc-editor.org/rfc/rfc2920#section-2>).
const PIPELINING: &[u8] = b"PIPELINING\r";

/// How much of a line tells what it means: the code, whether another follows, and the word above.
const TELLING: usize = 4 + PIPELINING.len() + 1;

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
    /// The server owes so many answers, its greeting being one. None while a line of ours is half said.
    Theirs(usize),
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
    /// What was read of the current line of an answer, as far as it is telling.
    line: Vec<u8>,
    /// The last answer asks for more: all that we say next is one text (3yz).
    is_invited: bool,
    /// The server takes several commands at once.
    pipelines: Arc<AtomicBool>,
    /// The last byte was a carriage return: only a line feed may follow.
    after_return: bool,
}

impl InTurn {
    /// A new connection; the server speaks first.
    pub(super) fn new(wire: Wire) -> Self {
        Self::greeted(wire, Vec::new())
    }

    /// A connection whose greeting was already heard, and is given to the next listener again: after STARTTLS the
    /// server does not repeat it.
    pub(super) fn greeted(wire: Wire, greeting: Vec<u8>) -> Self {
        Self {
            wire,
            greeting,
            turn: Turn::Theirs(1),
            line: Vec::with_capacity(TELLING),
            is_invited: false,
            pipelines: Arc::default(),
            after_return: false,
        }
    }

    /// Set once the server has said that it takes several commands at once.
    pub(super) fn pipelines(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.pipelines)
    }

    /// The wire, for a handshake. `None` if the server still owes an answer, or has said too much.
    pub(super) fn into_wire(self) -> Option<Wire> {
        (self.turn == Turn::Ours).then_some(self.wire)
    }

    /// The answer is complete.
    pub(super) const fn is_answered(&self) -> bool {
        !matches!(self.turn, Turn::Theirs(_))
    }

    /// Reads these bytes as part of what is owed and says how many belong to it.
    ///
    /// What is not plain ASCII becomes `?`: an answer in a local alphabet is not worth losing the code in front of it.
    /// So does a blank where text should begin, because the library panics on a line of nothing but blanks.
    fn hear(&mut self, bytes: &mut [u8]) -> usize {
        let length = bytes.len();
        for (at, byte) in bytes.iter_mut().enumerate() {
            let odd = !byte.is_ascii() || (byte.is_ascii_control() && !matches!(byte, b'\r' | b'\n'));
            if odd || (self.line.len() == 4 && *byte == b' ') || (self.after_return && *byte != b'\n') {
                *byte = b'?';
            }
            self.after_return = *byte == b'\r';
            if *byte != b'\n' {
                if self.line.len() < TELLING {
                    self.line.push(*byte);
                }
            } else if self.ends_what_is_owed() {
                self.turn = if at + 1 == length { self.turn } else { Turn::Lost };
                return at + 1;
            }
        }
        length
    }

    /// A line has ended. Returns whether the last answer has, too.
    fn ends_what_is_owed(&mut self) -> bool {
        if self.line.get(4..).is_some_and(|word| word.eq_ignore_ascii_case(PIPELINING)) {
            self.pipelines.store(true, Ordering::Relaxed);
        }
        let (is_continued, is_invitation) = (self.line.get(3) == Some(&b'-'), self.line.first() == Some(&b'3'));
        self.line.clear();
        if is_continued {
            return false;
        }
        self.is_invited = is_invitation;
        self.turn = match self.turn {
            Turn::Theirs(owed @ 2..) => Turn::Theirs(owed - 1),
            Turn::Theirs(1) => Turn::Ours,
            Turn::Theirs(0) | Turn::Ours | Turn::Lost => Turn::Lost,
        };
        self.is_answered()
    }

    /// We have said this: an answer is owed to each line of it, or to all of it together.
    fn said(&mut self, words: &[u8]) {
        if let Turn::Theirs(owed) = &mut self.turn {
            let lines = words.split(|byte| *byte == b'\n').count().saturating_sub(1);
            *owed = if self.is_invited { 1 } else { *owed + lines };
        }
    }

    /// Before we speak: is it our turn, and is the server silent and still there?
    fn claim_turn(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.turn == Turn::Ours {
            let mut byte = [0];
            let mut unasked = ReadBuf::new(&mut byte);
            match Pin::new(&mut self.wire).poll_read(cx, &mut unasked) {
                Poll::Pending => self.turn = Turn::Theirs(0),
                Poll::Ready(Ok(())) if unasked.filled().is_empty() => {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
                }
                Poll::Ready(Ok(())) => self.turn = Turn::Lost,
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        match self.turn {
            Turn::Theirs(_) | Turn::Ours => Ok(()),
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
        let count = ready!(match &mut me.wire {
            Wire::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Wire::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        })?;
        me.said(bytes.get(..count).unwrap_or(bytes));
        Poll::Ready(Ok(count))
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
            ("250-one\r\n", 9, Turn::Theirs(1)),
            ("250 o", 5, Turn::Theirs(1)),
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
            assert_eq!(stream.turn, Turn::Theirs(1));
        }
        stream.hear(&mut b"\n".to_vec());
        assert_eq!(stream.turn, Turn::Ours);
    }

    #[tokio::test]
    async fn each_line_is_owed_an_answer_and_a_text_that_was_asked_for_one() {
        let mut stream = listening().await;
        let hear = |stream: &mut InTurn, answers: &str| stream.hear(&mut answers.to_owned().into_bytes());
        let say = |stream: &mut InTurn, words: &str| {
            assert_eq!(stream.turn, Turn::Ours);
            stream.turn = Turn::Theirs(0);
            stream.said(words.as_bytes());
        };
        hear(&mut stream, "220 ready\r\n");
        say(&mut stream, "MAIL\r\nRC");
        stream.said(b"PT\r\nDATA\r\n");
        assert_eq!(stream.turn, Turn::Theirs(3));
        assert_eq!(hear(&mut stream, "250-o\r\n250 k\r\n550 no\r\n3"), 23);
        assert_eq!(stream.turn, Turn::Theirs(1));
        hear(&mut stream, "54 go\r\n");
        say(&mut stream, "a\r\nletter\r\n");
        stream.said(b"\r\n.\r\n");
        assert_eq!(stream.turn, Turn::Theirs(1), "a text has one answer");
        hear(&mut stream, "250 taken\r\n");
        say(&mut stream, "QUIT\r\n");
        assert_eq!(hear(&mut stream, "221 bye\r\n221 bye\r\n"), 9);
        assert_eq!(stream.turn, Turn::Lost);
    }

    #[tokio::test]
    async fn a_server_says_in_one_word_that_it_takes_several_commands_at_once() {
        for (answer, pipelines) in [
            ("250-mail\r\n250-PIPELINING\r\n250 8BITMIME\r\n", true),
            ("250-mail\r\n250 Pipelining\r\n", true),
            ("250-mail\r\n250 PIPELININGS\r\n", false),
            ("250-mail PIPELINING\r\n250 X-PIPELINING\r\n", false),
        ] {
            let mut stream = listening().await;
            stream.hear(&mut answer.to_owned().into_bytes());
            assert_eq!(stream.pipelines().load(Ordering::Relaxed), pipelines, "{answer:?}");
        }
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
