//! HTTP by hand, so that a request can be as odd as a test wants it.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::DEADLINE;

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// A header's value, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A connection that stays open between requests.
pub struct Line {
    stream: TcpStream,
    /// What was heard and belongs to the next answer.
    heard: Vec<u8>,
}

impl Line {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, heard: Vec::new() })
    }

    /// The same from one of this machine's many addresses.
    pub async fn open_from(from: IpAddr, address: SocketAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        Ok(Self { stream: socket.connect(address).await?, heard: Vec::new() })
    }

    /// Says these bytes and waits for one answer.
    pub async fn ask(&mut self, bytes: &[u8]) -> io::Result<Answer> {
        self.say(bytes).await?;
        self.answer().await
    }

    pub async fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    pub async fn answer(&mut self) -> io::Result<Answer> {
        timeout(DEADLINE, self.hear()).await.unwrap_or_else(|_| Err(io::Error::other("no answer in time")))
    }

    /// The next answer, however long it takes; one that begins and does not end is invalid data. Nothing heard is lost
    /// if this is given up.
    pub async fn hear(&mut self) -> io::Result<Answer> {
        let end = loop {
            match self.heard.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(end) => break end,
                None => self.more().await?,
            }
        };
        let start = String::from_utf8_lossy(&self.heard[..end]).into_owned();
        let mut lines = start.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        let mut answer = Answer { status: status.unwrap_or(0), headers, body: String::new() };
        let length: usize = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        let whole = end + 4 + length;
        while self.heard.len() < whole {
            self.more().await?;
        }
        answer.body = String::from_utf8_lossy(&self.heard[end + 4..whole]).into_owned();
        self.heard.drain(..whole);
        Ok(answer)
    }

    async fn more(&mut self) -> io::Result<()> {
        let read = match self.stream.read_buf(&mut self.heard).await {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            read => read,
        };
        let begun = !self.heard.is_empty();
        read.map(drop).map_err(|error| if begun { io::Error::new(io::ErrorKind::InvalidData, error) } else { error })
    }
}

/// A request with a length, and these further headers (`name: value`).
pub fn request(method: &str, path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: shop.example\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// The header of every form.
pub const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

/// One request over a connection of its own.
pub async fn ask(address: SocketAddr, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
    let mut line = Line::open(address).await.unwrap();
    line.ask(&request(method, path, headers, body)).await.unwrap()
}

/// One form over a connection of its own.
pub async fn post(address: SocketAddr, path: &str, body: impl AsRef<[u8]>) -> Answer {
    ask(address, "POST", path, &[FORM], body.as_ref()).await
}
